"""A raster of class codes in any reference system becomes the label map of every location, by the nearest pixel."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject

from swath.corpus.sources.folder import Config
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import UTM, at, noise, tif
from tests.corpus.sources.reading import labels, log, made

NAMES = {1: "water", 2: "forest", 3: "crops"}
LAYER = {"layer": "cover", "raster": "cover.tif", "classes": NAMES, "void": 255}
IMAGES = {
    "files": "images/*.tif",
    "id": r"(?P<id>\w)\.tif$",
    "sensor": "display-optical",
    "bands": ["red", "green"],
}


def corpus(root, target, layer=None, **section):
    layer = LAYER if layer is None else layer
    return made("folder", root, target, chip_px=8, images=[IMAGES], labels=[layer], **section)


@pytest.fixture
def root(tmp_path):
    """Two images side by side, and a raster in degrees that covers the first and half of the second."""
    for number, name in enumerate("ab"):
        tif(tmp_path / "images" / f"{name}.tif", noise(number, (2, 16, 16)), transform=at(UTM, 16 * number))
    west, north = Transformer.from_crs("EPSG:32615", "EPSG:4326", always_xy=True).transform(UTM.c, UTM.f)
    grid = Affine(0.00031, 0, west - 0.001, 0, -0.00027, north + 0.001)
    codes = np.random.default_rng(0).integers(1, 4, (1, 40, 26)).astype(np.uint8)
    codes[0, 10:14, 8:12] = 255
    tif(tmp_path / "cover.tif", codes, "EPSG:4326", grid, nodata=255)
    return tmp_path


def test_each_pixel_takes_the_code_that_lies_nearest(root, tmp_path):
    found = labels(corpus(root, tmp_path / "c"), "cover")
    assert len(found) == 8
    with rasterio.open(root / "cover.tif") as file:
        codes, grid = file.read(1), file.transform
    wanted = np.full((16, 32), 255, np.uint8)
    reproject(
        codes,
        wanted,
        src_transform=grid,
        src_crs="EPSG:4326",
        dst_transform=UTM,
        dst_crs="EPSG:32615",
        src_nodata=255,
        dst_nodata=255,
        resampling=Resampling.nearest,
    )
    assert {1, 2, 3, 255} == set(np.unique(wanted))
    assert (wanted[:, -2:] == 255).all()  # beyond the raster
    for uid, part in found.items():
        image, row, column = uid.split("_")
        rows, columns = 8 * int(row), 8 * int(column) + 16 * "ab".index(image)
        np.testing.assert_array_equal(part, wanted[rows : rows + 8, columns : columns + 8])


@pytest.mark.parametrize("said", ["opacity", "nodata of its own", "mask"])
def test_what_the_raster_hides_is_void(tmp_path, said):
    """By a channel of opacity; by nodata that its channel has and another has not; by a mask in the file."""
    tif(tmp_path / "images" / "a.tif", noise(0, (2, 16, 16)))
    codes = noise(1, (16, 16), 1, 4)
    there = codes != 2 if said == "nodata of its own" else noise(2, (16, 16), 0, 2) == 1
    if said == "opacity":
        tif(tmp_path / "cover.tif", np.stack([codes, np.where(there, 255, 0).astype("uint8")]), alpha="YES")
    elif said == "nodata of its own":
        tif(tmp_path / "cover.tif", np.stack([codes, codes[::-1]]), nodata=2)
    else:
        tif(tmp_path / "cover.tif", codes[None])
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / "cover.tif", "r+") as file:
            file.write_mask(there)
    layer = LAYER | {"classes": {1: "water", 3: "crops"} | ({} if said == "nodata of its own" else {2: "forest"})}
    found = made("folder", tmp_path, tmp_path / "c", chip_px=16, images=[IMAGES], labels=[layer])
    np.testing.assert_array_equal(labels(found, "cover")["a"], np.where(there, codes, 255))


def test_codes_that_another_grid_would_change_are_refused(tmp_path):
    tif(tmp_path / "images" / "a.tif", noise(0, (2, 16, 16)))
    tif(tmp_path / "cover.tif", noise(1, (1, 16, 16), 0, 2, "int64") + 2**60)
    layer = LAYER | {"classes": {2**60: "water", 2**60 + 1: "crops"}}
    with pytest.raises(CorpusError, match=r"cover.tif holds numbers beyond 2\^53"):
        corpus(tmp_path, tmp_path / "c", layer)


def test_it_is_built_again_to_the_same_and_takes_more_images(root, tmp_path):
    before = labels(corpus(root, tmp_path / "c"), "cover")
    assert before.keys() == labels(corpus(root, tmp_path / "c"), "cover").keys()
    tif(root / "images" / "c.tif", noise(3, (2, 16, 16)), transform=at(UTM, 0, 16))
    after = labels(corpus(root, tmp_path / "c"), "cover")
    assert len(after) == 12
    assert all((after[uid] == part).all() for uid, part in before.items())


def test_codes_that_are_not_declared_are_named(root, tmp_path):
    few = LAYER | {"classes": {1: "water", 2: "forest"}}
    with pytest.raises(CorpusError, match=r"cover.tif holds the code 3 at \d+ pixels, which is not declared"):
        corpus(root, tmp_path / "c", few)


def test_it_must_be_there_and_both_must_say_where_they_lie(root, tmp_path):
    with pytest.raises(CorpusError, match=r"the raster no.tif is not there"):
        corpus(root, tmp_path / "c", LAYER | {"raster": "no.tif"})
    tif(root / "images" / "a.tif", noise(0, (2, 16, 16)), None)
    with pytest.raises(CorpusError, match=r"a.tif says no position"):
        corpus(root, tmp_path / "d")
    skipped = corpus(root, tmp_path / "e", on_bad_file="skip")
    assert {uid[0] for uid in labels(skipped, "cover")} == {"b"}
    assert any("says no position" in str(entry) for entry in log(skipped))
    tif(root / "cover.tif", noise(0, (1, 40, 26), 1, 4), None)
    with pytest.raises(CorpusError, match=r"cover.tif says no position"):
        corpus(root, tmp_path / "f")


@pytest.mark.parametrize(
    "layer", [LAYER | {"void": None}, LAYER | {"files": "*.tif", "id": "(?P<id>x)"}, {**LAYER, "raster": None}]
)
def test_settings_that_do_not_fit_together(layer):
    with pytest.raises(ValidationError, match="raster"):
        Config.model_validate({"name": "folder", "chip_px": 8, "images": [IMAGES], "labels": [layer]})
