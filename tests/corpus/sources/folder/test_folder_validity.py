"""What files say about missing pixels, types of pixels, and sizes: as rasterio has them, or an error."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from swath.corpus import Corpus
from swath.corpus.sources._raster import BadFileError, File, read_whole
from tests.corpus.sources.folder.test_folder import PX, S2, counts, log, made, stored, write
from tests.corpus.sources.folder.test_folder_bad_input import refused

T = Affine(10, 0, 500_000, 0, -10, 5_600_000)
SENSOR = "sentinel-2-l2a"
RGB = {"files": "*.tif", "id": r"(?P<id>\w+)\.tif$", "sensor": "display-optical", "bands": ["red", "green", "blue"]}
RADAR = {"files": "*.tif", "id": r"(?P<id>\w+)\.tif$", "sensor": "sentinel-1-grd", "bands": ["VV", "VH"]}
EDGE = np.zeros((PX, PX), bool)
EDGE[:, :5] = True
EDGE[3, 9] = True


def masked(path: Path, pixels: np.ndarray, inside: bool) -> None:
    """A file whose mask, in it or beside it, hides the edge."""
    write(path, pixels, "EPSG:32632", T)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as file:
        file.write_mask(~EDGE)


def valid(corpus: Corpus, sensor: str) -> np.ndarray:
    """Validity of the first chip, read by zarr, not by swath."""
    zarr = pytest.importorskip("zarr")
    path = corpus.path / "valid" / f"{sensor}.zarr"
    return np.asarray(zarr.open_group(path, mode="r")["valid"][0]) if path.exists() else np.ones((PX, PX), bool)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("down", [True, False])
def test_masks_in_a_file_and_beside_it(tmp_path, inside, down):
    pixels = np.where(EDGE, 0, counts(1, 3, dtype="uint8")).astype(np.uint8)
    masked(tmp_path / "a.tif", pixels, inside)
    if down:
        with rasterio.open(tmp_path / "a.tif", "r+") as file:
            file.transform = Affine(10, 0, 500_000, 0, 10, 5_600_000)
    assert (tmp_path / "a.tif.msk").exists() is not inside
    corpus = made(tmp_path, tmp_path / "c", images=[RGB])
    with rasterio.open(tmp_path / "a.tif") as file:
        expected = file.dataset_mask() > 0
    np.testing.assert_array_equal(valid(corpus, "display-optical"), expected[::-1] if down else expected)
    assert corpus.statistics["display-optical"]["red"].min == pytest.approx(pixels[0][~EDGE].min() / 255)
    assert corpus.chips["valid"][0] == pytest.approx((~EDGE).mean())


def test_masks_of_band_files_and_of_coarse_ones(tmp_path):
    entry = {"files": "*.tif", "id": r"(?P<id>a)_(?P<band>B\d+)\.tif$", "sensor": SENSOR, "bands": ["B04", "B11"]}
    masked(tmp_path / "a_B04.tif", counts(1, 1), inside=True)
    write(tmp_path / "a_B11.tif", counts(2, 1, PX // 2), "EPSG:32632", Affine(20, 0, 500_000, 0, -20, 5_600_000))
    with rasterio.open(tmp_path / "a_B11.tif", "r+") as file:
        file.write_mask(np.arange(PX * PX // 4).reshape(PX // 2, PX // 2) != 12)
    corpus = made(tmp_path, tmp_path / "c", images=[entry])
    expected = ~EDGE
    expected[2:4, 8:10] = False
    np.testing.assert_array_equal(valid(corpus, SENSOR), expected)


def opaque(path: Path, channels: int) -> np.ndarray:
    pixels = counts(1, channels, dtype="uint8")
    pixels[-1] = np.where(EDGE, 0, 255)
    write(path, pixels, "EPSG:32632", T)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.gray] * (channels - 1), ColorInterp.alpha)
    return pixels


@pytest.mark.parametrize(
    ("channels", "bands"),
    [
        (4, ["red", "green", "blue", "-"]),
        (4, {"red": 1}),
        (5, ["red", "green", "blue", "nir", "-"]),
        (2, ["red", "-"]),
    ],
)
def test_channels_of_opacity_say_what_is_there(tmp_path, channels, bands):
    opaque(tmp_path / "a.tif", channels)
    corpus = made(tmp_path, tmp_path / "c", images=[RGB | {"bands": bands}])
    np.testing.assert_array_equal(valid(corpus, "display-optical"), ~EDGE)


def test_a_channel_that_the_recipe_reads_is_no_opacity(tmp_path):
    # rasterio calls the fourth of four channels of 8 bits so, whatever it is
    pixels = opaque(tmp_path / "a.tif", 4)
    corpus = made(tmp_path, tmp_path / "c", images=[RGB | {"bands": ["red", "green", "blue", "nir"]}])
    assert valid(corpus, "display-optical").all()
    np.testing.assert_array_equal(stored(corpus, "display-optical")["a", None, None], pixels)
    label = {"layer": "m", "channel": 4, "classes": {0: "edge", 255: "middle"}}
    corpus = made(tmp_path, tmp_path / "d", images=[RGB | {"bands": {"red": 1}}], labels=[label])
    assert valid(corpus, "display-optical").all()
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], pixels[3])


def test_nodata_counts_for_its_own_band(tmp_path):
    bands = {}
    for name, nodata in (("one", 7), ("two", 9)):
        bands[name] = np.where(EDGE, nodata, counts(1, 1) + 10).astype(np.uint16)
        write(tmp_path / f"{name}.tif", bands[name], "EPSG:32632", T, nodata=nodata)
    bands["two"][0, 15, 15] = 9
    write(tmp_path / "two.tif", bands["two"], "EPSG:32632", T, nodata=9)
    sources = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{k}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for k, (name, nodata) in enumerate((("one", 7), ("two", 9)), 1)
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="{PX}" rasterYSize="{PX}"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>500000,10,0,5600000,0,-10</GeoTransform>{sources}</VRTDataset>"
    )
    entry = S2 | {"files": "*.vrt", "id": r"(?P<id>\w+)\.vrt", "bands": ["B04", "B08"]}
    corpus = made(tmp_path, tmp_path / "c", images=[entry])
    expected = ~EDGE
    expected[15, 15] = False
    np.testing.assert_array_equal(valid(corpus, SENSOR), expected)


# -- types -------------------------------------------------------------------------------------------------------------


def decibels(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(-12, 3, (2, PX, PX))


@pytest.mark.parametrize("dtype", [{}, {"dtype": "float64"}, {"dtype": "float32", "scaling": {"scale": 1.0}}])
def test_pixels_of_64_bits_are_stored_as_32(tmp_path, dtype):
    pixels = decibels()
    pixels[:, EDGE] = -1.7976931348623157e308
    write(tmp_path / "a.tif", pixels, "EPSG:32632", T, nodata=-1.7976931348623157e308)
    corpus = made(tmp_path, tmp_path / "c", images=[RADAR | dtype])
    found = stored(corpus, "sentinel-1-grd")["a", None, None]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, ~EDGE], pixels[:, ~EDGE].astype(np.float32))
    np.testing.assert_array_equal(valid(corpus, "sentinel-1-grd"), ~EDGE)


def test_values_that_32_bits_cannot_hold(tmp_path):
    pixels = decibels()
    pixels[1, 2, 3] = 1e300
    write(tmp_path / "a.tif", pixels, "EPSG:32632", T)
    refused(tmp_path, tmp_path / "c", "a.tif holds 1e+300, which float32 cannot", images=[RADAR])
    entry = S2 | {"files": "big/*.tif", "bands": ["B04"], "dtype": "int64", "scaling": {"scale": 1e-4}}
    big = counts(1, 1).astype(np.int64)
    write(tmp_path / "big/a.tif", big, "EPSG:32632", T)
    np.testing.assert_array_equal(stored(made(tmp_path, tmp_path / "d", images=[entry]), SENSOR)["a", None, None], big)
    big[0, 0, 0] = 2**40
    write(tmp_path / "big/a.tif", big, "EPSG:32632", T)
    refused(tmp_path, tmp_path / "e", "which int32 cannot, at 1 pixels", images=[entry])


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_pixels(tmp_path, dtype):
    write(tmp_path / "a.tif", (decibels() + 1j).astype(np.complex64), "EPSG:32632", T, dtype=dtype)
    refused(tmp_path, tmp_path / "c", f"a.tif holds {dtype}", "intensity in decibels", images=[RADAR])


def test_files_whose_channels_differ_in_type(tmp_path):
    write(tmp_path / "one.tif", counts(1, 1), "EPSG:32632", T)
    write(tmp_path / "two.tif", counts(1, 1, dtype="uint8"), "EPSG:32632", T)
    sources = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{k}"><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for k, (name, dtype) in enumerate((("one", "UInt16"), ("two", "Byte")), 1)
    )
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="{PX}" rasterYSize="{PX}"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>500000,10,0,5600000,0,-10</GeoTransform>{sources}</VRTDataset>"
    )
    entry = S2 | {"files": "*.vrt", "id": r"(?P<id>\w+)\.vrt"}
    corpus = made(tmp_path, tmp_path / "c", images=[entry | {"bands": ["B04", "-"]}])
    np.testing.assert_array_equal(stored(corpus, SENSOR)["a", None, None], counts(1, 1))
    refused(tmp_path, tmp_path / "d", "a.vrt holds uint8, band B08", images=[entry | {"bands": ["B04", "B08"]}])
    with pytest.raises(BadFileError, match="channels of several types: uint16, uint8"):
        read_whole(File(tmp_path / "a.vrt", "a.vrt"), lambda _: None)


# -- sizes -------------------------------------------------------------------------------------------------------------


def sparse(path: Path, side: int) -> None:
    """A file that says it is large and holds nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 2, "dtype": "uint16", "crs": "EPSG:32632", "transform": T}
    with rasterio.open(path, "w", width=side, height=side, tiled=True, SPARSE_OK=True, BIGTIFF=True, **profile):
        pass


def test_sizes_are_read_before_pixels(tmp_path):
    sparse(tmp_path / "images/big.tif", 200_000)
    write(tmp_path / "images/a.tif", counts(1), "EPSG:32632", T)
    refused(tmp_path, tmp_path / "c", "images/big.tif would take 160.0 GB to read, the limit is 4", "max_image_gb")
    corpus = made(tmp_path, tmp_path / "d", on_bad_file="skip")
    assert list(corpus.locations["uid"]) == ["a"]
    assert "big.tif would take 160.0 GB" in log(corpus)[0]["what"]


def test_the_limit_can_be_set_and_holds_for_masks(tmp_path):
    write(tmp_path / "images/a.tif", counts(1), "EPSG:32632", T)
    refused(tmp_path, tmp_path / "c", "images/a.tif would take", "the limit is 1e-06", max_image_gb=1e-6)
    sparse(tmp_path / "masks/a.tif", 50_000)
    quality = [{"sensor": SENSOR, "files": "masks/*.tif", "id": r"(?P<id>\w+)\.tif$"}]
    refused(tmp_path, tmp_path / "e", "masks/a.tif", "apart", quality=quality)
    labels = [{"layer": "m", "files": "masks/*.tif", "id": r"(?P<id>\w+)\.tif$", "classes": {0: "x"}, "channel": 1}]
    refused(tmp_path, tmp_path / "d", "masks/a.tif would take 5.0 GB", labels=labels)
