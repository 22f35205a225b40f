"""From files to corpus: pixels equal rasterio's, and names, dates, masks and places come out as described."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from swath.corpus import Corpus, CorpusWriter
from swath.corpus.sources import _contents, build
from swath.corpus.sources.folder import Config
from swath.errors import CorpusError

PX = 16
S2 = {"files": "images/*.tif", "id": r"(?P<id>\w+?)(_(?P<date>\d{8}))?\.tif$", "sensor": "sentinel-2-l2a"}


def from_origin(west: float, north: float, width: float, height: float) -> Affine:
    return Affine(width, 0, west, 0, -height, north)


def write(path: Path, pixels: np.ndarray, crs: str | None = None, transform=None, **profile) -> np.ndarray:
    """One raster file; returns what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    driver = {".png": "PNG", ".jpg": "JPEG"}.get(path.suffix, "GTiff")
    profile = {"driver": driver, "count": count, "height": height, "width": width, "dtype": pixels.dtype} | profile
    if crs:
        profile |= {"crs": crs, "transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
    return pixels


def counts(seed: int, channels: int = 2, size: int = PX, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, (channels, size, size)).astype(dtype)


def made(data: Path, target: Path, **section) -> Corpus:
    section = {"chip_px": PX, "images": [S2 | {"bands": ["B04", "B08"]}]} | section
    build(Config.model_validate(section), target, data)
    return Corpus.open(target)


def stored(corpus: Corpus, sensor: str) -> dict[tuple[str, str | None, str | None], np.ndarray]:
    """Raw counts by (uid, date, tag), read by zarr, not by swath."""
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(corpus.path / "pixels" / f"{sensor}.zarr", mode="r")
    array = next(iter(dict(group.arrays()).values()))
    chips = corpus.chips[corpus.chips["sensor"] == sensor]
    dates = chips["datetime"].dt.strftime("%Y-%m-%d")
    return {
        (uid, None if pd.isna(date) else date, None if pd.isna(tag) else tag): np.asarray(array[row])
        for uid, date, tag, row in zip(chips["uid"], dates, chips["tag"], chips["row"], strict=True)
    }


def log(corpus: Corpus) -> list[dict]:
    return [json.loads(line) for line in (corpus.path / "log.jsonl").read_text().splitlines()]


def test_pixels_dates_and_places_of_geotiffs(tmp_path):
    crs, corner = "EPSG:32631", from_origin(500_000, 5_600_000, 10, 10)
    one = write(tmp_path / "images/a_20200102.tif", counts(1), crs, corner, compress="lzw")
    two = write(tmp_path / "images/a_20200203.tif", counts(2), crs, corner, tiled=True, blockxsize=16, blockysize=16)
    three = write(tmp_path / "images/b_20210102.tif", counts(3), crs, from_origin(600_000, 5_600_000, 10, 10))
    corpus = made(tmp_path, tmp_path / "c")
    pixels = stored(corpus, "sentinel-2-l2a")
    assert set(pixels) == {("a", "2020-01-02", None), ("a", "2020-02-03", None), ("b", "2021-01-02", None)}
    np.testing.assert_array_equal(pixels["a", "2020-01-02", None], one)
    np.testing.assert_array_equal(pixels["a", "2020-02-03", None], two)
    np.testing.assert_array_equal(pixels["b", "2021-01-02", None], three)
    assert list(corpus.locations["uid"]) == ["a", "b"]
    assert list(corpus.locations["crs"]) == [crs, crs]
    assert list(corpus.locations["transform"][1]) == [10, 0, 600_000, 0, -10, 5_600_000]
    # the central meridian of zone 31 is 3 degrees east
    assert corpus.locations["lon"][0] == pytest.approx(3.0011, abs=2e-4)
    assert corpus.info.sensors["sentinel-2-l2a"].gsd_m == 10


def test_images_are_cut_into_chips_that_keep_their_place_and_their_parent(tmp_path):
    crs, corner = "EPSG:32631", from_origin(500_000, 5_600_000, 20, 20)
    whole = write(tmp_path / "images/a.tif", counts(1, size=2 * PX + 5), crs, corner)
    corpus = made(tmp_path, tmp_path / "c")
    pixels = stored(corpus, "sentinel-2-l2a")
    assert list(corpus.locations["uid"]) == ["a_0_0", "a_0_1", "a_1_0", "a_1_1"]
    np.testing.assert_array_equal(pixels["a_1_0", None, None], whole[:, PX : 2 * PX, :PX])
    assert set(corpus.locations["group"]) == {"a"}
    assert list(corpus.locations["transform"][1]) == [20, 0, 500_000 + 20 * PX, 0, -20, 5_600_000]
    assert corpus.info.sensors["sentinel-2-l2a"].gsd_m == 20
    east = corpus.locations.geometry[1].bounds[0] - corpus.locations.geometry[0].bounds[0]
    assert east == pytest.approx(PX * 20 / 111_320 / np.cos(np.deg2rad(50.5)), rel=0.01)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_pictures_without_a_place_with_channels_in_any_order(tmp_path, suffix):
    kind = {"files": f"*.{suffix}", "id": r"(?P<id>\d+)", "sensor": "display-optical", "gsd_m": 10}
    write(tmp_path / f"7.{suffix}", counts(1, 3, dtype="uint8"))
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(tmp_path / f"7.{suffix}") as file:
        expected = file.read()
    listed = made(tmp_path, tmp_path / "c", images=[kind | {"bands": ["swir16", "-", "red"]}])
    named = made(tmp_path, tmp_path / "d", images=[kind | {"bands": {"red": 3, "swir16": 1}}])
    np.testing.assert_array_equal(stored(listed, "display-optical")["7", None, None], expected[[0, 2]])
    np.testing.assert_array_equal(stored(named, "display-optical")["7", None, None], expected[[2, 0]])
    assert listed.info.sensors["display-optical"].bands == ("swir16", "red")
    assert pd.isna(listed.locations["crs"][0])
    assert np.isnan(listed.locations["lon"][0])
    assert listed.locations.geometry[0] is None


def test_bands_in_files_of_their_own_and_of_other_sizes(tmp_path):
    fine = write(tmp_path / "a_B04.tif", counts(1, 1))
    coarse = write(tmp_path / "a_B11.tif", counts(2, 1, PX // 2))
    write(tmp_path / "a_B01.tif", counts(3, 1))
    entry = {
        "files": "*.tif",
        "id": r"(?P<id>\w)_(?P<band>\w+)\.tif",
        "sensor": "sentinel-2-l2a",
        "bands": {"B11": "B11", "B04": "B04"},
    }
    corpus = made(tmp_path, tmp_path / "c", images=[entry])
    pixels = stored(corpus, "sentinel-2-l2a")["a", None, None]
    np.testing.assert_array_equal(pixels[1], fine[0])
    np.testing.assert_array_equal(pixels[0], coarse[0].repeat(2, 0).repeat(2, 1))


def test_tags_tell_pairs_apart_and_sensors_share_a_location(tmp_path):
    radar = {"sensor": "display-radar", "bands": ["P"], "gsd_m": 10, "id": r"(?P<id>\d+)"}
    optical = {"sensor": "display-optical", "bands": ["red"], "gsd_m": 10, "id": r"(?P<id>\d+)"}
    images = []
    for k, (entry, tag) in enumerate([(radar, "before"), (radar, "after"), (optical, "before")]):
        name = f"{entry['sensor']}-{tag}"
        write(tmp_path / name / "12.png", counts(k, 1, dtype="uint8"))
        images.append(entry | {"files": f"{name}/*.png", "tag": tag})
    corpus = made(tmp_path, tmp_path / "c", images=images)
    assert len(corpus.locations) == 1
    assert set(stored(corpus, "display-radar")) == {("12", None, "before"), ("12", None, "after")}
    assert corpus.chips["source"][0] == "display-radar-before/12.png"


def test_masks_in_files_or_channels_are_labels(tmp_path):
    image = counts(1, 3, 2 * PX)
    image[2] = np.arange(2 * PX * 2 * PX).reshape(2 * PX, 2 * PX) // 512 * 10
    write(tmp_path / "images/a.tif", image)
    mask = np.zeros((1, 2 * PX, 2 * PX), np.uint8)
    mask[0, :, PX:] = 255
    write(tmp_path / "masks/a.png", mask)
    labels = [
        {"layer": "cover", "channel": 3, "classes": {0: "tree", 10: "water"}, "colours": {10: "#0000ff"}},
        {"layer": "flood", "files": "masks/*", "id": r"(?P<id>\w+)\.png", "classes": {0: "dry", 255: "wet"}},
    ]
    corpus = made(tmp_path, tmp_path / "c", images=[S2 | {"bands": ["B04", "B08", "-"]}], labels=labels)
    cover, flood = (corpus.labels(layer, np.arange(4)) for layer in ("cover", "flood"))
    np.testing.assert_array_equal(cover, np.repeat([0, 0, 10, 10], PX * PX).reshape(4, PX, PX))
    np.testing.assert_array_equal(flood, np.repeat([0, 255, 0, 255], PX * PX).reshape(4, PX, PX))
    assert corpus.label_layers["cover"].colours == {10: "#0000ff"}


def test_a_location_without_a_mask_is_void_where_void_is_declared(tmp_path):
    for name in "ab":
        write(tmp_path / f"images/{name}.tif", counts(1))
    write(tmp_path / "masks/a.png", np.ones((1, PX, PX), np.uint8))
    label = {"layer": "m", "files": "masks/*", "id": r"(?P<id>\w+)\.png", "classes": {1: "x"}, "void": 9}
    corpus = made(tmp_path, tmp_path / "c", labels=[label])
    assert [set(np.unique(one)) for one in corpus.labels("m", [0, 1])] == [{1}, {9}]


@pytest.mark.parametrize(
    ("kind", "classes", "void"),
    [
        ("int16", {1: "a", 2: "b"}, -1),
        ("int32", {-5: "a", 40_000: "b"}, -9999),
        ("uint32", {3301010301: "wheat", 3301010600: "maize"}, 0),
        ("int64", {33010103: "wheat", -(2**40): "maize"}, 2**62),
        ("float32", {1: "a", 2: "b"}, 0),
        ("float64", {1: "a", 3301010600: "b"}, None),
    ],
)
def test_masks_hold_codes_of_any_size_and_type(tmp_path, kind, classes, void):
    codes = [*classes, *([] if void is None else [void])]
    drawn = np.random.default_rng(1).choice(np.array(codes, kind), (1, PX, PX))
    drawn[0, 0] = codes[0]
    write(tmp_path / "images/a.tif", counts(1))
    write(tmp_path / "masks/a.tif", drawn)
    label = {"layer": "m", "files": "masks/*", "id": r"(?P<id>\w+)\.tif", "classes": classes, "void": void}
    corpus = made(tmp_path, tmp_path / "c", labels=[label])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], drawn[0].astype(np.int64))


def test_pixels_that_a_label_map_hides_are_void(tmp_path):
    """By a mask in the file or beside it: what fills them is no label, and may be a class's code."""
    seen = np.random.default_rng(2).random((PX, PX)) < 0.6
    write(tmp_path / "images/a.tif", counts(1))
    write(tmp_path / "masks/a.tif", np.where(seen, 2, 0).astype(np.uint8)[None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(tmp_path / "masks/a.tif", "r+") as file:
            file.write_mask(seen)
    label = {"layer": "m", "files": "masks/*.tif", "id": r"(?P<id>\w+)\.tif", "classes": {0: "x", 2: "y"}, "void": -1}
    corpus = made(tmp_path, tmp_path / "c", labels=[label])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], np.where(seen, 2, -1))
    with pytest.raises(CorpusError, match=rf"masks/a.tif hides {(~seen).sum()} pixels by a mask of its own"):
        made(tmp_path, tmp_path / "d", labels=[label | {"void": None}])


def test_pixels_that_are_no_number_in_a_mask_are_void(tmp_path):
    mask = np.ones((1, PX, PX), np.float32)
    mask[0, :3] = np.nan
    write(tmp_path / "images/a.tif", counts(1))
    write(tmp_path / "masks/a.tif", mask)
    label = {"layer": "m", "files": "masks/*", "id": r"(?P<id>\w+)\.tif", "classes": {1: "x"}, "void": -1}
    corpus = made(tmp_path, tmp_path / "c", labels=[label])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], np.where(np.isnan(mask[0]), -1, 1))


def test_blocks_of_numbers_do_not_join_what_the_rest_of_the_id_tells_apart(tmp_path):
    names = ["ghana_1000", "ghana_1003", "spain_1001", "spain_1013", "7_ghana_1002"]
    for k, name in enumerate(names):
        write(tmp_path / f"images/{name}.tif", counts(k))
    blocks = {"by": "id-block", "size": 10}
    corpus = made(
        tmp_path,
        tmp_path / "c",
        images=[S2 | {"id": r"images/(?P<id>\w+)\.tif", "bands": ["B04", "B08"]}],
        group=blocks,
    )
    group = dict(zip(corpus.locations["uid"], corpus.locations["group"], strict=True))
    assert group["ghana_1000"] == group["ghana_1003"] == "ghana_1000-1009"
    assert (group["spain_1001"], group["spain_1013"]) == ("spain_1000-1009", "spain_1010-1019")
    assert group["7_ghana_1002"] == "7_ghana_1000-1009"


def valid_of(corpus: Corpus) -> np.ndarray:
    return corpus.chips["valid"].to_numpy()


def test_nodata_borders_clouds_and_nan_become_invalid(tmp_path):
    image = counts(1, 3)
    image[:2, 0] = 0  # Sentinel-2's own nodata
    image[:2, 1] = 7777  # a border in all bands
    image[0, 2] = 7777  # one band only: data
    image[2] = 4  # scene classification: vegetation
    image[2, 3] = 9  # cloud, high probability
    write(tmp_path / "images/a.tif", image)
    entry = S2 | {"bands": ["B04", "B08", "-"], "invalid_values": [7777]}
    quality = {"sensor": "sentinel-2-l2a", "channel": 3}
    corpus = made(tmp_path, tmp_path / "c", images=[entry], quality=[quality])
    assert valid_of(corpus) == pytest.approx(1 - 3 / PX)
    assert corpus.chips["cloud"][0] == pytest.approx(1 / PX)
    noted = made(tmp_path, tmp_path / "d", images=[entry], quality=[quality | {"mask": False}])
    assert valid_of(noted) == pytest.approx(1 - 2 / PX)
    assert noted.chips["cloud"][0] == pytest.approx(1 / PX)
    floats = counts(2).astype(np.float32)
    floats[0, :4] = np.nan
    write(tmp_path / "nan/images/a.tif", floats)
    entry = S2 | {"bands": ["B04", "B08"], "dtype": "float32", "scaling": {"scale": 1.0}}
    corpus = made(tmp_path / "nan", tmp_path / "e", images=[entry])
    assert valid_of(corpus) == pytest.approx(1 - 4 / PX)
    assert np.isfinite(corpus.statistics["sentinel-2-l2a"]["B04"].mean)


def test_the_files_own_nodata_counts_too_unless_the_recipe_says_there_is_none(tmp_path):
    image = counts(1)
    image[0, :8] = 300
    write(tmp_path / "images/a.tif", image, nodata=300)
    assert valid_of(made(tmp_path, tmp_path / "c")) == pytest.approx(0.5)
    entry = S2 | {"bands": ["B04", "B08"], "nodata": None}
    assert valid_of(made(tmp_path, tmp_path / "d", images=[entry])) == pytest.approx(1.0)


def test_bits_of_fmask_are_clouds_by_the_sensors_rule(tmp_path):
    image = np.full((8, PX, PX), 100, np.int16)
    image[7] = 64  # low aerosol
    for row, bit in enumerate((1, 2, 3, 4, 5)):
        image[7, row] |= 1 << bit
    write(tmp_path / "a.tif", image)
    bands = ["COASTAL", "BLUE", "GREEN", "RED", "NIR", "SWIR1", "SWIR2", "-"]
    entry = {"files": "*.tif", "id": r"(?P<id>\w)", "sensor": "hls", "bands": bands}
    corpus = made(tmp_path, tmp_path / "c", images=[entry], quality=[{"sensor": "hls", "channel": 8}])
    # cloud, adjacent and shadow; snow (4) and water (5) are ground
    assert corpus.chips["cloud"][0] == pytest.approx(3 / PX)
    assert valid_of(corpus) == pytest.approx(1 - 3 / PX)


def test_chips_without_a_valid_pixel_are_left_out_and_named(tmp_path):
    image = counts(1, 2, 2 * PX)
    image[:, :PX, PX:] = 0
    write(tmp_path / "images/a.tif", image)
    corpus = made(tmp_path, tmp_path / "c")
    assert list(corpus.locations["uid"]) == ["a_0_0", "a_1_0", "a_1_1"]
    assert [(entry["event"], entry["id"]) for entry in log(corpus)] == [("no valid pixel", "a_0_1")]


def test_names_give_splits_parents_and_scalar_labels(tmp_path):
    for name in ("train/forest/x1_a", "validation/crop/x1_b", "test/crop/x2_c"):
        write(tmp_path / f"{name}.tif", counts(1))
    entry = S2 | {"bands": ["B04", "B08"], "files": "**/*.tif"}
    entry["id"] = r"(?P<split>\w+)/(?P<cover>\w+)/(?P<parent>x\d)_(?P<id>\w)\.tif"
    corpus = made(tmp_path, tmp_path / "c", images=[entry], group={"by": "parent"})
    assert list(corpus.locations["split"]) == ["train", "val", "test"]
    assert list(corpus.locations["group"]) == ["x1", "x1", "x2"]
    assert list(corpus.locations["cover"]) == ["forest", "crop", "crop"]


def test_blocks_of_numbers_join_where_the_ground_touches(tmp_path):
    from tests.corpus.ground.test_adjacency import landscape

    ground = landscape(1, 128)
    ground = (ground - ground.min() + 1).astype(np.uint16)
    for number, origin in {0: 0, 1: 300, 8: 60, 12: 400}.items():
        piece = ground[0, :64, origin : origin + 64] if origin < 65 else landscape(origin, 64)[0] + 5000
        write(tmp_path / f"images/{number}.tif", piece[None].astype(np.uint16))
    entry = S2 | {"bands": ["B04"]}
    blocks = {"by": "id-block", "size": 4}
    apart = made(tmp_path, tmp_path / "c", chip_px=64, images=[entry], group=blocks)
    assert list(apart.locations["uid"]) == ["0", "1", "8", "12"]
    assert list(apart.locations["group"]) == ["0-3", "0-3", "8-11", "12-15"]
    joined = made(tmp_path, tmp_path / "d", chip_px=64, images=[entry], group=blocks | {"ground": {"overlap": [1]}})
    assert list(joined.locations["group"]) == ["0-3", "0-3", "0-3", "12-15"]
    assert log(joined)[0] == {"event": "same or touching ground", "overlap": 1, "match": 0, "seam": 0}


def test_building_again_changes_nothing_and_more_files_are_added(tmp_path):
    write(tmp_path / "images/a.tif", counts(1))
    first = made(tmp_path, tmp_path / "c")
    assert made(tmp_path, tmp_path / "c").content_hash == first.content_hash
    write(tmp_path / "images/b.tif", counts(2))
    assert list(made(tmp_path, tmp_path / "c").locations["uid"]) == ["a", "b"]


def test_a_killed_build_continues_to_the_same_corpus(tmp_path, monkeypatch):
    """A copy made after the fifth part holds what a build leaves that is killed at that moment."""
    for k in range(12):
        write(tmp_path / f"images/p{k}.tif", counts(k))
    append, appended = CorpusWriter.append, []

    def copied(self, part):
        append(self, part)
        appended.append(part)
        if len(appended) == 5:
            shutil.copytree(tmp_path / "c", tmp_path / "killed")

    with monkeypatch.context() as patch:
        patch.setattr(_contents, "_PART_BYTES", 1)
        patch.setattr(CorpusWriter, "append", copied)
        undisturbed = made(tmp_path, tmp_path / "c")
    half = Corpus.open(tmp_path / "killed")
    assert not half.info.complete
    assert len(half.locations) == 5
    resumed = made(tmp_path, tmp_path / "killed")
    assert resumed.info.complete
    assert resumed.content_hash == undisturbed.content_hash
    assert list(resumed.locations["uid"]) == [f"p{k}" for k in range(12)]


def test_real_bigearthnet_folders_of_band_files(tmp_path, shared_data):
    root = shared_data / "bigearthnet_mm_examples"
    if not root.is_dir():
        pytest.skip(f"no BigEarthNet examples in {shared_data}")
    entry = {
        "files": "BigEarthNet-S2-Example/*/*.tif",
        "id": r"/S2\w_MSIL2A_(?P<date>\d{8})T\d+_(?P<id>\d+_\d+)/.*_(?P<band>B\w\w)\.tif$",
        "sensor": "sentinel-2-l2a",
        "bands": ["B02", "B05", "B01"],
    }
    corpus = made(root, tmp_path / "c", chip_px=120, images=[entry])
    row = corpus.chips.iloc[0]
    folder = (root / row["source"]).parent
    pixels = next(v for (uid, *_), v in stored(corpus, "sentinel-2-l2a").items() if uid == row["uid"])
    for k, (band, factor) in enumerate({"B02": 1, "B05": 2, "B01": 6}.items()):
        with rasterio.open(next(folder.glob(f"*_{band}.tif"))) as file:
            np.testing.assert_array_equal(pixels[k], file.read(1).repeat(factor, 0).repeat(factor, 1))
    assert corpus.info.sensors["sentinel-2-l2a"].gsd_m == 10
    assert corpus.locations["lon"].notna().all()
