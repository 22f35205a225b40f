"""Archives and arrays that become far larger than they are, or name unknown codecs: refused, in little memory."""

import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from numcodecs import Blosc, VLenUTF8, Zstd

from swath.corpus.sources._raster import BadFileError, File, read_whole
from swath.corpus.sources.published import _codecs, _hdf5, _netcdf, _numpy, _zarr, mmearth
from tests.corpus.sources import image_layouts
from tests.corpus.sources.reading import log, made

LIMIT = 0.01
"""Gigabytes, that the bombs of these tests can be small: each holds or claims four times that or more."""
ZEROS = bytes(40_000_000)


@pytest.fixture
def frugal() -> Iterator[None]:
    """At most a few megabytes more are in use while the test runs."""
    ZEROS.find(b"1")
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def npz(path: Path, head: bytes, content: bytes = b"", method: int = zipfile.ZIP_DEFLATED, said: int = 0) -> Path:
    """An archive of one array `img`; with `said`, it says another size of it."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("img.npy", head + content)
        archive.infolist()[0].file_size = said or archive.infolist()[0].file_size
    return path


def npy_head(*shape: int) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def zarr_zip(path: Path, chunk: bytes, **said: object) -> _zarr.Zipped:
    """An array `bands` of one chunk."""
    about = {"zarr_format": 2, "shape": [100], "chunks": [100], "dtype": "<f4", "order": "C", "fill_value": None}
    about |= {"compressor": {"id": "zstd", "level": 1}, "filters": None} | said
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bands/.zarray", json.dumps(about))
        archive.writestr("bands/0", chunk)
    return _zarr.Zipped(path, path.name)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory) -> Path:
    """Made apart, so that the memory that it takes to make them is not counted."""
    root = tmp_path_factory.mktemp("bombs")
    npz(root / "holds.npz", npy_head(10_000_000), ZEROS)
    npz(root / "lies.npz", npy_head(10_000_000), ZEROS, said=400)
    npz(root / "claims.npz", npy_head(10**5, 10**5))
    npz(root / "bzip2.npz", npy_head(100), bytes(400), zipfile.ZIP_BZIP2)
    (root / "claims.npy").write_bytes(npy_head(10**5, 10**5) + bytes(1000))
    with (root / "hollow.npy").open("wb") as file:
        file.write(npy_head(10_000_000))
        file.truncate(128 + 40_000_000)
    zstd, blosc = Zstd(1), Blosc("zstd")
    zarr_zip(root / "zstd.zip", zstd.encode(ZEROS))
    zarr_zip(root / "two.zip", zstd.encode(bytes(400)) + zstd.encode(ZEROS))
    zarr_zip(root / "blosc.zip", blosc.encode(ZEROS), compressor={"id": "blosc"})
    zarr_zip(root / "large.zip", zstd.encode(ZEROS), shape=[10**7], chunks=[10**7])
    zarr_zip(root / "chunk.zip", zstd.encode(ZEROS), chunks=[10**7])
    zarr_zip(root / "many.zip", zstd.encode(bytes(4)), shape=[10**6], chunks=[1])
    with zipfile.ZipFile(root / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bands/.zarray", ZEROS)
    return root


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("holds", r"would take 0\.0 GB to read, the limit is 0\.01"),
        ("lies", "holds no img that can be read"),
        ("claims", r"would take 40\.0 GB to read"),
        ("bzip2", "packs img.npy in another way than deflate"),
    ],
)
@pytest.mark.usefixtures("frugal")
def test_npz(bombs, name, words):
    shape = (None, None) if name == "claims" else (None,)
    with pytest.raises(BadFileError, match=words):
        _numpy.member(bombs / f"{name}.npz", "img", ("float32",), shape, LIMIT)


@pytest.mark.usefixtures("frugal")
def test_npy(bombs):
    with pytest.raises(BadFileError, match=r"would take 40\.0 GB to read, the limit is 0\.01"):
        _numpy.array(bombs / "claims.npy", ("float32",), (None, None), LIMIT)
    with pytest.raises(BadFileError, match=r"cannot be read: its values take 40000000000 bytes and it has 1000"):
        _numpy.array(bombs / "claims.npy", ("float32",), (None, None), 100.0)
    with pytest.raises(BadFileError, match=r"would take 0\.0 GB to read, the limit is 0\.01"):
        _numpy.array(bombs / "hollow.npy", ("float32",), (None,), LIMIT)


def test_the_limit_is_a_setting_that_may_change(tmp_path):
    (tmp_path / "in").mkdir()
    image_layouts.cloudmask_ukis(tmp_path / "in")
    corpus = made("cloudmask-ukis", tmp_path / "in", tmp_path / "c", chip_px=16)
    again = made("cloudmask-ukis", tmp_path / "in", tmp_path / "c", chip_px=16, max_image_gb=9)
    assert len(again) == len(corpus) == 16
    npz(tmp_path / "in" / "landsat7.npz", npy_head(3 * 10**4, 10**4, 6))
    corpus = made("cloudmask-ukis", tmp_path / "in", tmp_path / "d", chip_px=16, on_bad_file="skip")
    assert len(corpus) == 12
    assert "landsat7.npz would take 7.2 GB to read, the limit is 4" in log(corpus)[0]["what"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zstd", "a part would become 40,000,000 bytes, not 400"),
        ("two", "a part would become 40,000,400 bytes, not 400"),
        ("blosc", "a part would become 40,000,000 bytes, not 400"),
        ("large", "the limit is 0.01"),
        ("chunk", "the limit is 0.01"),
        ("many", "lacks 999999 of the 1000000 parts"),
        ("packed", "the limit is 0.01"),
    ],
)
def test_zarr(bombs, name, words, request):
    _zarr._zarr()  # its import takes memory
    request.getfixturevalue("frugal")
    with pytest.raises(BadFileError, match=words):
        _zarr.arrays(_zarr.Zipped(bombs / f"{name}.zip", name), ["bands"], LIMIT)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"compressor": {"id": "pickle"}}, "packed by 'pickle', which is not decoded: only blosc and zstd are"),
        ({"compressor": {"id": "lzma"}}, "packed by 'lzma'"),
        ({"compressor": {"id": "vlen-utf8"}}, "packed by 'vlen-utf8'"),
        ({"filters": [{"id": "pickle"}], "dtype": "|O"}, "the filter 'pickle', which is not decoded: only vlen-utf8"),
        ({"filters": [{"id": "json2"}], "dtype": "|O"}, "the filter 'json2'"),
        ({"dtype": "|O"}, "holds Python objects"),
        ({"compressor": 3}, "no shape, chunks, type or codec"),
        ({"shape": [-1]}, "no shape, chunks, type or codec"),
        ({"chunks": [0]}, "no shape, chunks, type or codec"),
        ({"zarr_format": 3}, "none of Zarr 2"),
        ({"chunks": [10, 10]}, "none of Zarr 2"),
        ({"compressor": {"id": "blosc"}}, "would become .* bytes, not 400"),
    ],
)
def test_only_the_codecs_of_the_format_are_decoded(tmp_path, said, words):
    file = zarr_zip(tmp_path / "a.zip", Zstd(1).encode(bytes(400)), **said)
    with pytest.raises(BadFileError, match=words):
        _zarr.arrays(file, ["bands"], LIMIT)


@pytest.mark.parametrize("compressor", [None, Zstd(1), Zstd(1, checksum=True), Blosc("zstd"), Blosc("lz4")])
@pytest.mark.parametrize("size", [1, 300, 70_000])
def test_what_the_format_uses_is_read(tmp_path, compressor, size):
    values = np.random.default_rng(size).standard_normal(size).astype("<f4")
    chunk = values.tobytes() if compressor is None else bytes(compressor.encode(values.tobytes()))
    config = compressor and compressor.get_config()
    file = zarr_zip(tmp_path / "a.zip", chunk, shape=[size], chunks=[size], compressor=config)
    np.testing.assert_array_equal(_zarr.arrays(file, ["bands"], LIMIT)["bands"].values, values)


def test_texts_are_read(tmp_path):
    texts = np.array(["B01", "é"], object)
    chunk = bytes(Zstd(1).encode(VLenUTF8().encode(texts)))
    said = {"shape": [2], "chunks": [2], "dtype": "|O", "filters": [{"id": "vlen-utf8"}]}
    found = _zarr.arrays(zarr_zip(tmp_path / "a.zip", chunk, **said), ["bands"], LIMIT)
    assert found["bands"].values.tolist() == ["B01", "é"]


@pytest.mark.parametrize("compressor", [None, Zstd(1), Blosc("zstd")])
@pytest.mark.parametrize("count", [1, 3, 2**31])
def test_texts_are_as_many_as_the_description_says(tmp_path, compressor, count):
    chunk = count.to_bytes(4, "little") + bytes(VLenUTF8().encode(np.array(["B01", "B02"], object)))[4:]
    config = compressor and compressor.get_config()
    said = {"shape": [2], "chunks": [2], "dtype": "|O", "filters": [{"id": "vlen-utf8"}], "compressor": config}
    file = zarr_zip(tmp_path / "a.zip", bytes(compressor.encode(chunk)) if compressor else chunk, **said)
    with pytest.raises(BadFileError, match=f"a part says that it holds {count:,} texts, not 2"):
        _zarr.arrays(file, ["bands"], LIMIT)


def test_many_texts(tmp_path):
    said = {"shape": [10**6], "chunks": [10**6], "dtype": "|O", "filters": [{"id": "vlen-utf8"}]}
    chunk = bytes(Zstd(1).encode((10**6).to_bytes(4, "little") + bytes(4 * 10**6)))
    with pytest.raises(BadFileError, match=r"would take 0\.1 GB to read, the limit is 0\.01"):
        _zarr.arrays(zarr_zip(tmp_path / "a.zip", chunk, **said), ["bands"], LIMIT)


@pytest.mark.parametrize("part", [b"", b"1234", b"\x28\xb5\x2f\xfd\x00\x58", b"\x28\xb5\x2f\xfd\x20\x10\x00"])
def test_parts_that_are_cut_or_say_no_size(part):
    about = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f4", "filters": None}
    said = _codecs.description(json.dumps(about | {"compressor": {"id": "zstd"}}).encode())
    with pytest.raises(ValueError, match="a part"):
        said.part_size(part)


def test_a_member_of_a_tar_file_that_says_it_is_large(tmp_path):
    (tmp_path / "a.tar").write_bytes(bytes(100))
    with pytest.raises(BadFileError, match=r"would take 20\.0 GB"):
        _zarr.arrays(_zarr.Zipped(tmp_path / "a.tar", "a", 0, 20 * 10**9), ["bands"], LIMIT)


def test_hdf5_by_its_heads_and_in_its_own_file(tmp_path):
    large, other, linked = (tmp_path / f"{name}.nc" for name in ("large", "other", "linked"))
    with h5py.File(large, "w") as file:
        file.create_dataset("x", (10**10,), "u1", chunks=(10**6,), compression="gzip")
    with h5py.File(other, "w") as file:
        file.create_dataset("x", (16,), "u1", external=[(str(large), 0, 16)])
    with h5py.File(linked, "w") as file:
        file["x"] = h5py.ExternalLink(str(large), "x")
    for path, words in (
        (large, r"would take 10\.0 GB to read"),
        (other, "takes x from another file"),
        (linked, "takes x from another file"),
    ):
        assert path.stat().st_size < 10_000
        with pytest.raises(BadFileError, match=words), _netcdf.opened(path, 4.0):
            pass


def netcdf(path: Path, *chunks: bytes, compression: str = "gzip") -> Path:
    """Values `x` in chunks of 100 numbers of four bytes, which hold what is given."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (100 * len(chunks) or 300,), "f4", chunks=(100,), compression=compression)
        for number, chunk in enumerate(chunks):
            made.id.write_direct_chunk((100 * number,), chunk)
    return path


@pytest.mark.parametrize("size", [0, 396, 404, 40_000_000])
def test_hdf5_chunks_unpack_to_what_a_chunk_has(tmp_path, size):
    path = netcdf(tmp_path / "a.nc", zlib.compress(bytes(400)), zlib.compress(bytes(size)))
    assert path.stat().st_size < 100_000
    with pytest.raises(BadFileError, match="a part of /x does not unpack to 400 bytes"), _netcdf.opened(path, LIMIT):
        pass


def test_hdf5_chunks_that_are_cut(tmp_path):
    path = netcdf(tmp_path / "a.nc", zlib.compress(np.random.default_rng(0).bytes(400))[:200])
    with pytest.raises(BadFileError, match="a part of /x does not unpack"), _netcdf.opened(path, LIMIT):
        pass


@pytest.mark.parametrize("packing", [{}, {"shuffle": True}, {"fletcher32": True}, {"compression": None}])
def test_hdf5_chunks_as_they_should_be(tmp_path, packing):
    values = np.random.default_rng(0).standard_normal((3, 1, 100)).astype("f4")
    with h5py.File(tmp_path / "a.nc", "w") as file:
        made = file.create_dataset("b", values.shape, "f4", chunks=(1, 1, 100), **{"compression": "gzip"} | packing)
        for axis, name in enumerate("tyx"):
            scale = file.create_dataset(name, data=np.arange(values.shape[axis]))
            scale.make_scale(name)
            made.dims[axis].attach_scale(scale)
        made[1:] = values[1:]
    with _netcdf.opened(tmp_path / "a.nc", LIMIT) as cube:
        np.testing.assert_array_equal(cube.counts("b", "float32")[1:], values[1:])


def test_hdf5_filters_that_no_format_uses(tmp_path):
    path = netcdf(tmp_path / "a.nc", compression="lzf")
    with pytest.raises(BadFileError, match=r"packs /x by the HDF5 filters \[32000\]"), _netcdf.opened(path, LIMIT):
        pass


@pytest.mark.parametrize("error", [SystemError("returned a result with an exception set"), KeyError("x"), OSError()])
def test_hdf5_whose_data_sets_cannot_be_listed(error):
    class Damaged:
        def visititems_links(self, _):
            raise error

    with pytest.raises(BadFileError, match=r"a\.nc is damaged: its data sets cannot be listed"):
        _hdf5.datasets(Path("a.nc"), Damaged())


def test_hdf5_texts_of_any_length_are_bounded(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        texts = file.create_dataset("texts", (20_000,), h5py.string_dtype())
        texts[0] = "x" * 1000  # the others may say that theirs is this one
        few = file.create_dataset("few", (3,), h5py.string_dtype())
        few[:] = ["VV", "VH", "x"]
    size = path.stat().st_size
    with h5py.File(path) as file:
        assert _hdf5.decoded_size(file["texts"]) == 20_000 * size > LIMIT * 1e9
        assert _hdf5.decoded_size(file["few"]) == 3 * size
    with pytest.raises(BadFileError, match=r"a\.nc would take .* GB to read, the limit is 0\.01"):
        _netcdf._check(path, LIMIT)


@pytest.mark.parametrize("many", ["one by one", "in an array", "on data sets", "in a record"])
def test_hdf5_texts_of_attributes_are_bounded(tmp_path, many):
    path, text = tmp_path / "a.nc", "x" * 50_000
    record = np.dtype([("number", "i4"), ("text", h5py.string_dtype())])
    with h5py.File(path, "w", track_order=True) as file:
        file.create_dataset("x", data=np.zeros(3, "f4"))
        for number in range(4):
            if many == "on data sets":
                file.create_dataset(f"x{number}", (1,), "f4").attrs["note"] = text
            elif many == "in a record":
                file.attrs.create(f"note{number}", np.array([(1, text)], record))
            else:
                file.attrs[f"note{number}"] = text
        if many == "in an array":
            file.attrs.create("names", ["VV"] * 40, dtype=h5py.string_dtype())
    assert path.stat().st_size < 300_000
    with _netcdf.opened(path, 0.01) as cube:
        assert "x" in cube.variables
    limit = 1.2e-9 * path.stat().st_size  # room for one text that is as long as the file
    with pytest.raises(BadFileError, match=r"a\.nc, its attributes would take"):
        _netcdf._check(path, limit)


@pytest.mark.parametrize("kind", ["S100", h5py.string_dtype()])
def test_tiles_of_mmearth_are_read_while_they_fit(tmp_path, kind):
    path = tmp_path / "a.h5"
    rows = np.array([(f"tile{k}".encode(), b"l2a") for k in range(50)], np.dtype([("tile_id", kind), ("type", "S10")]))
    with h5py.File(path, "w") as file:
        table = file.create_dataset("metadata", data=rows)
        assert mmearth._names(path, table, LIMIT) == [f"tile{k}" for k in range(50)]
        with pytest.raises(BadFileError, match=r"a\.h5, metadata would take"):
            mmearth._names(path, table, 1e-7)


def test_hdf5_chunks_of_a_row(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (5, 7, 9), "f4", chunks=(2, 3, 4), compression="gzip")
        made[1:3] = 1
        made.id.write_direct_chunk((2, 3, 8), zlib.compress(bytes(40)))
        for row in (0, 1, 4):
            _hdf5.check_chunks(path, made, row)
        for row in (2, 3):
            with pytest.raises(BadFileError, match="a part of /x does not unpack to 96 bytes"):
                _hdf5.check_chunks(path, made, row)


def test_a_raster_whose_one_block_is_large(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32631", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", **profile, **place, tiled=True, blockxsize=1024, blockysize=1024, SPARSE_OK=True):
        pass
    monkeypatch.setattr("swath.corpus.sources._raster.MAX_IMAGE_GB", 1e-4)
    with pytest.raises(BadFileError, match="would take"):
        read_whole(File(path, "a.tif"), lambda head: None)
