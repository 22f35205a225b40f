"""Files of published data sets that lie elsewhere than what they belong to, or say what no edition says, are errors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from swath.errors import CorpusError
from tests.corpus.sources import image_layouts as layouts
from tests.corpus.sources.published.formats import bigearthnet_mm, floods_and_mesh, sen12
from tests.corpus.sources.reading import labels, made, stored, valid

L2 = "LC08_L2SP_025030_20200704_20200910_02_T1"


def moved(path: Path) -> None:
    """Eight pixels further east."""
    with rasterio.open(path, "r+") as file:
        file.transform = file.transform @ Affine.translation(8, 0)


def turned(path: Path) -> None:
    """The same ground, stored from south to north."""
    with rasterio.open(path, "r+") as file:
        pixels, height = file.read(), file.height
        file.write(pixels[:, ::-1])
        file.transform = file.transform @ Affine.translation(0, height) @ Affine.scale(1, -1)


FORMATS: list[tuple[str, Callable[[Path], object], tuple[str, ...], dict]] = [
    ("sen1floods11", floods_and_mesh.sen1floods11, ("*LabelHand.tif", "*S2Hand.tif"), {}),
    ("terramesh", floods_and_mesh.terramesh, ("LULC/*.tif", "S1RTC/*.tif"), {}),
    ("sen12ms", sen12.sen12ms, ("*_lc_*.tif", "*_s1_*.tif"), {"split": "none"}),
    ("dfc2020", sen12.dfc2020, ("*_dfc_*.tif", "*_s1_*.tif"), {}),
    ("bigearthnet-mm", bigearthnet_mm.write, ("*_B05.tif",), {}),
    ("ssl4eo-s12", lambda root: layouts.ssl4eo_s12(root, 1), ("B5.tif",), {}),
    (
        "ssl4eo-l-benchmark",
        lambda root: layouts.ssl4eo_l_benchmark(root, "oli_sr", 1),
        ("nlcd_2019.tif",),
        {"sensor": "oli_sr"},
    ),
    ("l8-biome", layouts.l8_biome, ("*_fixedmask.TIF",), {"chip_px": 16}),
    ("l7-irish", layouts.l7_irish, ("*_newmask2015.TIF",), {"chip_px": 16}),
    ("landsat-c2", lambda root: layouts.landsat_l2(root, L2), ("*_SR_B5.TIF", "*_QA_PIXEL.TIF"), {"chip_px": 16}),
]


@pytest.mark.parametrize(("name", "write", "patterns", "settings"), FORMATS, ids=[one[0] for one in FORMATS])
def test_a_file_that_lies_elsewhere(tmp_path, name, write, patterns, settings):
    for number, pattern in enumerate(patterns):
        root = tmp_path / str(number)
        write(root)
        moved(path := next(iter(sorted(root.rglob(pattern)))))
        with pytest.raises(CorpusError, match=r"does not lie where .* m apart") as error:
            made(name, root, tmp_path / f"c{number}", **settings)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "write", "pattern", "settings"),
    [
        ("l8-biome", layouts.l8_biome, "*_fixedmask.TIF", {"chip_px": 16}),
        ("landsat-c2", lambda root: layouts.landsat_l2(root, L2), "*_SR_B5.TIF", {"chip_px": 16}),
    ],
)
def test_scenes_that_are_read_in_windows_are_not_turned(tmp_path, name, write, pattern, settings):
    write(tmp_path / "in")
    turned(next(iter((tmp_path / "in").rglob(pattern))))
    with pytest.raises(CorpusError, match="do not go from north to south"):
        made(name, tmp_path / "in", tmp_path / "c", **settings)
    write(tmp_path / "in")
    with pytest.raises(CorpusError, match=r"would take 0\.0 GB to read, the limit is 1e-07"):
        made(name, tmp_path / "in", tmp_path / "d", max_image_gb=1e-7, **settings)


def test_a_mask_stored_from_south_to_north_is_turned(tmp_path):
    layouts.ssl4eo_l_benchmark(tmp_path / "in", "oli_sr", 1)
    up = made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "c", sensor="oli_sr")
    for path in (tmp_path / "in").rglob("*.tif"):
        turned(path)
    down = made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "d", sensor="oli_sr")
    np.testing.assert_array_equal(labels(down, "nlcd")["0000000"], labels(up, "nlcd")["0000000"])
    for key, pixels in stored(up, "landsat-oli-sr").items():
        np.testing.assert_array_equal(stored(down, "landsat-oli-sr")[key], pixels)
    np.testing.assert_allclose(down.locations["transform"][0], up.locations["transform"][0])


def test_a_landsat_file_of_another_scaling(tmp_path):
    layouts.landsat_l2(tmp_path / "in", L2)
    path = next((tmp_path / "in").rglob("*_SR_B5.TIF"))
    with rasterio.open(path, "r+") as file:
        _tagged(file, 2.75e-5, -0.2)
    made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    with rasterio.open(path, "r+") as file:
        _tagged(file, 1e-4, 0)
    with pytest.raises(CorpusError, match=r"SR_B5.TIF says scale 0\.0001 and offset 0, .* 2\.75e-05 and -0\.2"):
        made("landsat-c2", tmp_path / "in", tmp_path / "d", chip_px=16)


def _tagged(file: rasterio.io.DatasetWriter, scale: float, offset: float) -> None:
    file.scales, file.offsets = (scale,) * file.count, (offset,) * file.count


def _masked(file: rasterio.io.DatasetWriter) -> None:
    file.write_mask(np.arange(file.width * file.height).reshape(file.height, file.width) > 4)


def _filled(file: rasterio.io.DatasetWriter, value: float) -> None:
    pixels = file.read()
    pixels[:, 0, :5] = 0
    pixels[1].ravel()[-35:] = value
    file.write(pixels)
    file.nodata = value


def _one_of_nodata(path: Path, value: int) -> None:
    """A pixel in the second column of chips of 16 gets a value that the file says is nodata."""
    with rasterio.open(path, "r+") as file:
        file.nodata = value
        pixels = file.read()
        pixels[0, 10, 17] = value
        file.write(pixels)


@pytest.mark.parametrize(
    ("name", "sensor", "write", "band"),
    [
        (
            "landsat-c2",
            "landsat-oli-sr",
            lambda root: layouts.landsat_l2(root, "LC08_L2SP_025033_20200708_20200912_02_T1"),
            "*_SR_B5.TIF",
        ),
        ("l8-biome", "landsat-oli-toa", layouts.l8_biome, "LC*[0-9].TIF"),
    ],
)
def test_pixels_of_a_landsat_files_own_nodata_are_missing(tmp_path, name, sensor, write, band):
    write(tmp_path / "in")
    before = valid(made(name, tmp_path / "in", tmp_path / "before", chip_px=16), sensor)
    _one_of_nodata(min((tmp_path / "in").rglob(band)), 65000)
    after = valid(made(name, tmp_path / "in", tmp_path / "after", chip_px=16), sensor)
    differ = {key: np.argwhere(before[key] != after[key]).tolist() for key in before}
    (where,) = (places for places in differ.values() if places)
    assert where == [[10, 1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_masked, "has a mask that hides 35 values"),
        (lambda file: _tagged(file, 1e-4, -0.1), "offset -0.1"),
        (lambda file: _filled(file, 255), r"says that 255 is nodata, and holds it at 35 pixels of channel 2"),
    ],
)
def test_an_edition_that_nobody_knows(tmp_path, change, said):
    layouts.ssl4eo_l_benchmark(tmp_path / "in", "oli_sr", 1)
    path = next((tmp_path / "in").rglob("all_bands.tif"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        change(file)
    with pytest.raises(CorpusError, match=said):
        made("ssl4eo-l-benchmark", tmp_path / "in", tmp_path / "c", sensor="oli_sr")
