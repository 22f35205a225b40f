"""A grid over a scene holds the encoder's own vector of each crop, where the crop lies, in stores that others open."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the accessor
import xarray
from affine import Affine
from typer.testing import CliRunner

from swath import encoders
from swath.cli import app
from swath.encoders import Encoder
from swath.errors import ContractError, CorpusError
from swath.products.embeddings import _dense as dense
from swath.products.embeddings import build_dense, check_embeddings
from swath.products.windows import Input, Span, open_zones
from tests.products.indices import RGB

HEIGHT, WIDTH, CROP, STRIDE = 43, 61, 16, 8
CELLS = (1 + (HEIGHT - CROP) // STRIDE, 1 + (WIDTH - CROP) // STRIDE)
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_600_000)


def write_scene(path, epsg=32632):
    counts = np.random.default_rng(0).integers(1200, 4000, (3, HEIGHT, WIDTH)).astype(np.uint16)
    counts[:, :16, :17] = 0  # nothing is known of the first crop, and half of the third
    with rasterio.open(
        path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint16",
        crs=None if epsg is None else f"EPSG:{epsg}", transform=TRANSFORM,
    ) as file:  # fmt: skip
        file.write(counts)
        file.descriptions = ("B02", "B03", "B04")
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif")


@pytest.fixture(scope="module")
def expected(scene, encoder_path):
    """Crop by crop, without any of the code under test."""
    encoder = encoders.load(encoder_path)
    (zone,) = open_zones(Input(scene), RGB)
    found = np.full((encoder.dim, *CELLS), np.nan, np.float32)
    for row in range(CELLS[0]):
        for column in range(CELLS[1]):
            (image,) = zone.read(Span(row * STRIDE, column * STRIDE, CROP, CROP)).values()
            if image.valid.any():
                found[:, row, column] = encoder.embed(image).numpy()[0]
    return found


def build(encoder_path, scene, to, **more):
    return build_dense(encoder_path, scene, to, crop_px=CROP, stride_px=STRIDE, batch_size=3, **more)


def test_endings_may_be_in_capitals(scene, encoder_path, expected, tmp_path):
    (store,) = build(encoder_path, scene, tmp_path / "x.ZARR")
    with xarray.open_zarr(store, consolidated=False) as found:
        np.testing.assert_allclose(found["embeddings"].to_numpy()[0], expected, rtol=1e-5, atol=1e-6)
    (raster,) = build(encoder_path, scene, tmp_path / "x.TIFF")
    with rasterio.open(raster) as file:
        np.testing.assert_allclose(file.read(), expected, rtol=1e-5, atol=1e-6)
    assert (check_embeddings(store), check_embeddings(raster)) == ([], [])


@pytest.mark.parametrize("quantise", [None, "linear", "signed-power"])
def test_a_zarr_that_xarray_opens(scene, encoder_path, expected, tmp_path, quantise, monkeypatch):
    monkeypatch.setattr(dense, "WINDOW", 256)
    (path,) = build(encoder_path, scene, tmp_path / "x.zarr", quantise=quantise)
    with xarray.open_zarr(path, consolidated=False) as store:
        store.load()
    found = store["embeddings"]
    assert found.dims == ("time", "embedding", "y", "x")
    attributes = store.attrs
    values = found.values[0]
    if quantise is None:
        np.testing.assert_allclose(values, expected, atol=1e-6)
    else:
        known = np.isfinite(expected[0])
        assert values.dtype == np.int8
        assert (values[:, ~known] == -128).all()
        scale = store["scales"].values[:, None, None]
        undone = values * scale if quantise == "linear" else np.sign(values) * (values / 127.0) ** 2 * scale
        error = np.abs(undone - expected)[:, known]
        most = np.abs(expected[:, known]).max(axis=1, keepdims=True)
        assert (error <= most * (0.51 / 127 if quantise == "linear" else 1.01 / 127)).all()
        assert attributes["geoemb:quantization"]["method"] == quantise
        assert attributes["geoemb:quantization"]["scale"] == {"type": "array", "array_name": "scales"}
    # the middle of a cell is the middle of its crop
    np.testing.assert_allclose(store["x"], 500_000 + 10 * (CROP / 2 + STRIDE * np.arange(CELLS[1])))
    np.testing.assert_allclose(store["y"], 5_600_000 - 10 * (CROP / 2 + STRIDE * np.arange(CELLS[0])))
    assert found.rio.crs.to_epsg() == 32632
    assert found.rio.transform() == Affine(*attributes["spatial:transform"])
    assert attributes["geoemb:type"] == "chip"
    assert attributes["geoemb:chip_layout"] == {"layout_type": "regular_grid", "chip_size": [16, 16], "stride": [8, 8]}
    assert (attributes["geoemb:dimensions"], attributes["geoemb:data_type"]) == (12, str(values.dtype))
    assert all(uri.startswith("file://") for uri in [attributes["geoemb:model"], *attributes["geoemb:source_data"]])
    assert attributes["proj:code"] == "EPSG:32632"
    said = json.loads((path / "embeddings" / "zarr.json").read_text())
    assert said["chunk_grid"]["configuration"]["chunk_shape"] == [1, 12, 256, 256]
    assert said["codecs"][0]["configuration"]["chunk_shape"] == [1, 12, 256, 256]
    assert check_embeddings(path) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.collection.json", "x.zarr"]


@pytest.mark.parametrize("quantise", [None, "linear"])
def test_a_geotiff_that_gdal_opens(scene, encoder_path, expected, tmp_path, quantise):
    (path,) = build(encoder_path, scene, tmp_path / "x.tif", quantise=quantise)
    with rasterio.open(path) as file:
        assert (file.count, file.shape, file.crs.to_epsg()) == (12, CELLS, 32632)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.transform == TRANSFORM @ Affine.translation(4, 4) @ Affine.scale(8)
        values = file.read(masked=True)
        scales = np.array(file.scales)[:, None, None]
    np.testing.assert_array_equal(values.mask[0], ~np.isfinite(expected[0]))
    undone = (values * scales).filled(np.nan)
    most = np.nanmax(np.abs(expected), axis=(1, 2), keepdims=True)
    assert np.nanmax(np.abs(undone - expected) / most) <= (1e-6 if quantise is None else 0.51 / 127)
    assert check_embeddings(path) == []


def test_a_changed_byte_of_a_geotiff_is_found(scene, encoder_path, tmp_path):
    (path,) = build(encoder_path, scene, tmp_path / "x.tif")
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        band = file.read(3)
        band[3, 3] += 1
        file.write(band, 3)
    assert check_embeddings(path) == [
        "x.tif was changed since it was written: its checksum is not that of its STAC item"
    ]


def test_small_crops_are_embedded_many_at_a_time_and_read_in_strips(scene, encoder_path, tmp_path, monkeypatch):
    """Of chips of one pixel each cell is a pixel; how many are read or embedded at a time changes nothing."""
    seen, whole = [], Encoder.embed

    def counted(self, image, **how):
        seen.append(len(image))
        return whole(self, image, **how)

    monkeypatch.setattr(Encoder, "embed", counted)
    paths = []
    for name, values in (("a", dense.STRIP_VALUES), ("b", 1)):
        monkeypatch.setattr(dense, "STRIP_VALUES", values)
        paths += build_dense(encoder_path, scene, tmp_path / f"{name}.zarr", crop_px=1, trusted=True)
        assert sum(seen) == HEIGHT * WIDTH - 16 * 17
        assert max(seen) == (HEIGHT * WIDTH - 16 * 17 if name == "a" else WIDTH)
        seen.clear()
    one, other = (xarray.open_zarr(path, consolidated=False)["embeddings"].values[0] for path in paths)
    np.testing.assert_array_equal(one, other)
    (zone,) = open_zones(Input(scene), RGB)
    (pixel,) = zone.read(Span(20, 30, 1, 1)).values()
    np.testing.assert_allclose(one[:, 20, 30], encoders.load(encoder_path).embed(pixel, trusted=True)[0], atol=1e-6)


def test_a_killed_grid_continues_by_window(scene, encoder_path, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(dense, "WINDOW", 2)
    monkeypatch.setattr("swath.products.embeddings._stores.CHUNK", 2)
    seen, whole = [], Encoder.embed

    def until(limit):
        def call(self, image, *, trusted=False):
            if sum(seen) >= limit:
                raise KeyboardInterrupt
            seen.append(len(image.valid))
            return whole(self, image, trusted=trusted)

        return call

    monkeypatch.setattr(Encoder, "embed", until(10))
    with pytest.raises(KeyboardInterrupt):
        build(encoder_path, scene, tmp_path / "x.zarr")
    assert [path.name for path in tmp_path.iterdir()] == [".x.zarr.parts"]
    monkeypatch.setattr(Encoder, "embed", until(10_000))
    (path,) = build(encoder_path, scene, tmp_path / "x.zarr")
    cells = int(np.isfinite(expected[0]).sum())
    assert cells <= sum(seen) < cells + 4  # less than a window is done again
    with xarray.open_zarr(path, consolidated=False) as store:
        np.testing.assert_allclose(store["embeddings"].values[0], expected, atol=1e-6)


def test_a_store_for_each_reference_system(encoder_path, tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name, epsg in (("a", 32632), ("b", 32633)):
        write_scene(folder / f"{name}.tif", epsg)
    paths = build(encoder_path, folder, tmp_path / "x.zarr")
    assert [path.name for path in paths] == ["x-EPSG-32632.zarr", "x-EPSG-32633.zarr"]
    for path, epsg in zip(paths, (32632, 32633), strict=True):
        assert json.loads((path / "zarr.json").read_text())["attributes"]["proj:code"] == f"EPSG:{epsg}"


def test_what_cannot_be_embedded_is_refused(encoder_path, scene, tmp_path):
    with pytest.raises(CorpusError, match="reference system"):
        build(encoder_path, write_scene(tmp_path / "nowhere.tif", None), tmp_path / "x.zarr")
    with pytest.raises(ContractError, match="holds no crop of 99"):
        build_dense(encoder_path, scene, tmp_path / "x.zarr", crop_px=99)
    with pytest.raises(ContractError, match=r"not embedded into x\.nc"):
        build(encoder_path, scene, tmp_path / "x.nc")


def test_faults_of_stores_are_found(encoder_path, scene, tmp_path):
    (path,) = build(encoder_path, scene, tmp_path / "x.zarr", quantise="linear")
    whole = json.loads((path / "zarr.json").read_text())

    def fault(**changes):
        attributes = {key: value for key, value in (whole["attributes"] | changes).items() if value is not None}
        (path / "zarr.json").write_text(json.dumps(whole | {"attributes": attributes}))
        return "; ".join(check_embeddings(path))

    assert fault() == ""
    assert "convention geoemb:" in fault(zarr_conventions=[])
    assert "there is no geoemb:model" in fault(**{"geoemb:model": None})
    assert "metadata says otherwise" in fault(**{"geoemb:data_type": "float32"})
    assert "no reference system" in fault(**{"proj:code": None})
    assert "is unknown" in fault(**{"proj:code": "EPSG:1"})
    assert "has format 9" in fault(swath=whole["attributes"]["swath"] | {"format": 9})
    assert "scale is missing" in fault(swath=whole["attributes"]["swath"] | {"quantisation": None})
    (path / "scales" / "zarr.json").unlink()
    assert "the array `scales` is missing" in fault()
    (path / "zarr.json").unlink()
    assert check_embeddings(path) == ["there is no Zarr v3 here: zarr.json is missing"]


def test_the_command(encoder_path, scene, tmp_path):
    to = tmp_path / "x.tif"
    words = ["embed", str(encoder_path), str(scene), "--to", str(to), "--crop", "16"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    with rasterio.open(to) as file:
        assert file.shape == (2, 3)
    result = CliRunner().invoke(app, [*words, "--pca", "2"])
    assert "takes no --" in str(result.exception)


def test_the_command_takes_a_description_of_counts_that_are_not_as_the_sensor_has_them(
    encoder_path, scene, expected, tmp_path
):
    """The same reflectance as other counts: of a grid, and of a folder's images as a table."""
    (tmp_path / "folder").mkdir()
    with rasterio.open(scene) as file:
        profile, counts = file.profile, file.read().astype(np.int32)
    for path, window in ((tmp_path / "x.tif", ...), (tmp_path / "folder/b.tif", np.s_[:, 20:36, 20:36])):
        own = counts[window]
        size = {"height": own.shape[1], "width": own.shape[2]}
        with rasterio.open(path, "w", **(profile | {"dtype": "int32"} | size)) as file:
            file.write(np.where(own == 0, 0, own * 10 + 7))
    said = "images: [{sensor: sentinel-2-l2a, bands: {B02: 1, B03: 2, B04: 3}, dtype: int32, nodata: 0, "
    (tmp_path / "said.yaml").write_text(said + "scaling: {scale: 1.e-5, offset: -7.e-5}}]\n")

    def call(data, to, *more):
        words = [
            "embed",
            encoder_path,
            tmp_path / data,
            "--to",
            tmp_path / to,
            "--source",
            tmp_path / "said.yaml",
            *more,
        ]
        return CliRunner().invoke(app, list(map(str, words)))

    result = call("x.tif", "x-e.tif", "--crop", CROP, "--stride", STRIDE)
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "x-e.tif") as file:
        np.testing.assert_allclose(file.read(), expected, atol=1e-5)
    result = call("folder", "t.parquet")
    assert result.exit_code == 0, result.output
    values = encoders.load(encoder_path).embed(
        open_zones(Input(scene), RGB)[0].read(Span(20, 20, 16, 16))["sentinel-2-l2a"]
    )
    np.testing.assert_allclose(gpd.read_parquet(tmp_path / "t.parquet")["embedding"][0], values[0], atol=1e-5)
    (tmp_path / "said.yaml").write_text(said + "}]\nquality: [{sensor: sentinel-2-l2a, channel: 4}]\n")
    assert "by one entry of images, without quality" in str(call("folder", "u.parquet").exception)
