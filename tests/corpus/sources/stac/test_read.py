"""Windows of files: what they hold, and what is not read."""

import resource

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from swath.corpus.sources.stac._hosts import Limits, Patience
from swath.corpus.sources.stac._read import Access, LocationGrid, configure
from swath.corpus.sources.stac._scenes import File
from swath.corpus.sources.stac._signing import Unsigned
from swath.errors import CorpusError
from swath.sensors import Scaling

WEST, NORTH = 500_000.0, 5_300_000.0
GRID = LocationGrid("EPSG:32632", (10.0, 0.0, WEST + 100, 0.0, -10.0, NORTH - 200), 12)
"""Columns 10 to 21 and rows 20 to 31 of the files below."""


@pytest.fixture(autouse=True)
def _configured():
    configure(5.0)


def save(path, pixels, nodata=None, crs="EPSG:32632", **profile):
    height, width = pixels.shape
    shape = {"count": 1, "height": height, "width": width, "dtype": pixels.dtype, "nodata": nodata, "crs": crs}
    with rasterio.open(
        path, "w", driver="GTiff", transform=from_origin(WEST, NORTH, 10, 10), **shape, **profile
    ) as file:
        file.write(pixels, 1)
    return str(path)


def counts(dtype="uint16"):
    return (np.arange(64 * 64).reshape(64, 64) % 5000 + 1).astype(dtype)


def read(path, dtype="uint16", nodata=0.0, grid=GRID, resampling="nearest", **limits):
    access = Access(Unsigned(), Patience(0, 0.01, 5.0, Limits(**limits)))
    return access.read(File(path, Scaling(), 10.0), "EPSG:32632", grid, dtype, nodata, resampling)


def test_a_window_is_the_files_pixels(tmp_path):
    path = save(tmp_path / "a.tif", counts(), nodata=0)
    np.testing.assert_array_equal(read(path), counts()[20:32, 10:22])


def test_what_lies_beyond_the_file_or_says_nodata_is_missing(tmp_path):
    pixels = counts()
    pixels[30, 12] = 65535
    path = save(tmp_path / "a.tif", pixels, nodata=65535)
    grid = LocationGrid("EPSG:32632", (10.0, 0.0, WEST - 20, 0.0, -10.0, NORTH - 280), 24)
    wanted = np.zeros((24, 24), np.uint16)
    wanted[:, 2:] = pixels[28:52, :22]
    wanted[2, 14] = 0
    np.testing.assert_array_equal(read(path, grid=grid), wanted)


def test_bytes_and_doubles_become_the_sensors_type(tmp_path):
    small = save(tmp_path / "a.tif", (counts() % 200 + 1).astype("uint8"))
    np.testing.assert_array_equal(read(small), (counts() % 200 + 1)[20:32, 10:22])
    wide = save(tmp_path / "b.tif", counts("float64") / 7, nodata=-32768.0)
    np.testing.assert_array_equal(
        read(wide, "float32", -32768.0), (counts("float64") / 7).astype("float32")[20:32, 10:22]
    )


@pytest.mark.parametrize(
    ("pixels", "dtype", "words"),
    [
        (counts("float32"), "uint16", "holds float32, where uint16 is expected"),
        (counts("int32") * 100, "uint16", "holds int32, where uint16 is expected, and .*cannot hold"),
        (-counts("int16"), "uint16", "holds int16, where uint16 is expected, and -"),
        (counts("float64") * 1e300, "float32", "holds float64, where float32 is expected, and .*e\\+30"),
        (counts("complex64"), "float32", "holds complex64"),
    ],
)
def test_counts_that_the_sensors_type_cannot_hold_are_refused(tmp_path, pixels, dtype, words):
    with pytest.raises(CorpusError, match=words):
        read(save(tmp_path / "a.tif", pixels), dtype)


def test_tags_of_a_file_that_say_another_scaling_than_the_catalogue(tmp_path):
    path = save(tmp_path / "a.tif", counts(), nodata=0)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,), (-0.1,)
    access = Access(Unsigned(), Patience(0, 0.01, 5.0, Limits()))

    def taken(file: File):
        return access.read(file, "EPSG:32632", GRID, "uint16", 0.0, "nearest")

    wanted = counts()[20:32, 10:22]
    np.testing.assert_array_equal(taken(File(path, Scaling(1e-4, -0.1), 10.0)), wanted)
    np.testing.assert_array_equal(taken(File(path, Scaling(1e-4), 10.0, overruled=True)), wanted)
    with pytest.raises(CorpusError, match=r"a.tif says scale 0.0001 and offset -0.1, the catalogue 0.0001 and 0"):
        taken(File(path, Scaling(1e-4), 10.0))


def test_bytes_of_another_format_are_no_image(tmp_path):
    """A VRT and a WMS document would be opened by GDAL whatever their names, and have other files opened."""
    secret = save(tmp_path / "secret.tif", counts())
    documents = {
        "vrt": '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>{WEST}, 10, 0, {NORTH}, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>{secret}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>",
        "wms": '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service></GDAL_WMS>',
    }
    for name, text in documents.items():
        for ending in ("tif", "jp2", "vrt"):
            path = tmp_path / f"{name}.{ending}"
            path.write_text(text)
            with pytest.raises(Exception, match="something else than an image"):
                read(str(path))
    with rasterio.open(tmp_path / "vrt.tif") as opened:  # what GDAL does when it is not told
        assert opened.read(1)[0, 0] == 1


def test_a_file_that_lies_nowhere_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"a\.tif has no georeference"):
        read(save(tmp_path / "a.tif", counts(), crs=None))


def test_files_beside_an_image_are_not_looked_at(tmp_path):
    """A mask, overviews and metadata of the same name may say what they like."""
    path = save(tmp_path / "a.tif", counts(), nodata=0)
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>"
    )
    np.testing.assert_array_equal(read(path), counts()[20:32, 10:22])


def test_a_file_in_one_strip_is_refused_by_its_header(tmp_path):
    """24 MB would have to be decoded for twelve pixels; nothing is, and the setting that allows it is named."""
    strip = np.ones((3000, 4096), np.uint16)
    path = save(tmp_path / "a.tif", strip, compress="deflate", blockysize=3000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CorpusError, match=r"a\.tif: 23 MB .* blocks of 4096 x 3000 .*limits\.read_mb allows 16"):
        read(path, read_mb=16)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert (read(path, read_mb=32) == 1).all()


def test_a_file_of_far_finer_pixels_is_refused(tmp_path):
    """Many small blocks are as much as a large one."""
    path = save(tmp_path / "a.tif", np.ones((2048, 2048), np.uint16), tiled=True, blockxsize=256, blockysize=256)
    coarse = LocationGrid("EPSG:32632", (2000.0, 0.0, WEST, 0.0, -2000.0, NORTH), 10)
    with pytest.raises(CorpusError, match="8 MB would have to be decoded"):
        read(path, grid=coarse, read_mb=4)


def test_another_zone_is_warped_and_what_lies_outside_is_missing(tmp_path):
    """Against rasterio's own warp of the whole file."""
    from rasterio.warp import Resampling, reproject, transform

    path = save(tmp_path / "a.tif", counts(), nodata=0)
    (x,), (y,) = transform("EPSG:32632", "EPSG:32633", [WEST + 300], [NORTH - 300])
    grid = LocationGrid("EPSG:32633", (10.0, 0.0, 10.0 * round(x / 10), 0.0, -10.0, 10.0 * round(y / 10)), 60)
    wanted = np.zeros((60, 60), np.uint16)
    reproject(
        counts(), wanted, src_transform=from_origin(WEST, NORTH, 10, 10), src_crs="EPSG:32632", src_nodata=0,
        dst_nodata=0, dst_transform=rasterio.Affine(*grid.transform), dst_crs="EPSG:32633",
        resampling=Resampling.nearest,
    )  # fmt: skip
    found = read(path, grid=grid)
    assert 0.1 < (wanted == 0).mean() < 0.9
    np.testing.assert_array_equal(found, wanted)


def test_an_infinite_pixel_stays_what_it_is_for_whoever_masks_it(tmp_path):
    pixels = counts("float32")
    pixels[20, 10], pixels[21, 11] = np.inf, np.nan
    found = read(save(tmp_path / "a.tif", pixels, nodata=-32768.0), "float32", -32768.0)
    assert np.isinf(found[0, 0])
    assert found[1, 1] == -32768.0


# -- masks -------------------------------------------------------------------------------------------------------------

HOLE = np.s_[22:25, 12:16]
"""Rows and columns of a file in which a filler stands that no tag declares."""


def holed(path, kind, nodata=None, dtype="uint16"):
    """A file that hides a hole by a mask inside it, or by a channel of opacity."""
    pixels, seen = counts(dtype), np.full((64, 64), 255, "uint8")
    pixels[HOLE], seen[HOLE] = 9999, 0
    shape = {"height": 64, "width": 64, "dtype": dtype, "nodata": nodata, "crs": "EPSG:32632"}
    channels = {"count": 2 if kind == "opacity" else 1}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", transform=from_origin(WEST, NORTH, 10, 10), **shape, **channels) as f,
    ):
        f.write(pixels, 1)
        if kind == "opacity":
            f.write(seen.astype(dtype), 2)
            f.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
        else:
            f.write_mask(seen)
    return str(path)


@pytest.mark.parametrize("kind", ["mask", "opacity"])
@pytest.mark.parametrize("nodata", [None, 7])
def test_what_a_mask_or_opacity_hides_is_missing(kind, nodata, tmp_path):
    path = holed(tmp_path / "a.tif", kind, nodata)
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]
    wanted = counts()
    wanted[HOLE] = 0
    np.testing.assert_array_equal(read(path)[2:], wanted[22:32, 10:22])
    assert (read(path)[2:5, 2:6] == 0).all()


@pytest.mark.parametrize("kind", ["mask", "opacity"])
def test_a_hidden_filler_does_not_bleed_into_what_is_resampled(kind, tmp_path):
    half = LocationGrid("EPSG:32632", (10.0, 0.0, WEST + 105, 0.0, -10.0, NORTH - 205), 10)
    found = read(holed(tmp_path / "a.tif", kind), grid=half, resampling="bilinear")
    assert found.max() <= counts().max() < 9999
    assert (found[2:4, 2:5] == 0).all()
    assert (found[5:] > 0).all()
