"""Landsat scenes: pixels by rasterio and the formulas of USGS, grids, clouds, labels, and the real scenes."""

import shutil

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import Resampling, reproject, transform

from swath.corpus import Corpus
from swath.corpus.sources.landsat import _mtl as mtl
from swath.errors import CorpusError, SwathError
from tests.corpus.sources.image_layouts import UTM, at, landsat_l1, landsat_l2, noise, read, tif
from tests.corpus.sources.reading import labels, log, made, stored, valid

L1 = "LC08_L1TP_013032_20190704_20200101_02_T1"
L2 = "LC08_L2SP_013032_20190704_20200101_02_T1"
OLI, SR = "landsat-oli-toa", "landsat-oli-sr"


def cell(corpus: Corpus, uid: str, px: int = 16) -> tuple[slice, slice]:
    """Where a location lies in an image that begins at UTM's corner."""
    a, _, x, _, e, y = corpus.locations.set_index("uid").loc[uid, "transform"]
    row, column = round((y - UTM.f) / e), round((x - UTM.c) / a)
    return slice(row, row + px), slice(column, column + px)


def expected_toa(folder, band, sun) -> np.ndarray:
    """By the formulas of the data users' handbook."""
    counts = read(next(folder.glob(f"*_{band}.TIF")))[0].astype(float)
    if band == "B10":
        return 1321.0789 / np.log(774.8853 / (3.342e-4 * counts + 0.1) + 1)
    return (2e-5 * counts - 0.1) / np.sin(np.deg2rad(sun))


def test_level_1_becomes_reflectance_and_kelvin(tmp_path):
    folder = landsat_l1(tmp_path / "in", L1, sun=41.5)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.info.sensors[OLI].bands == ("B2", "B4", "B10")
    good = valid(corpus, OLI)
    for (uid, date), pixels in stored(corpus, OLI).items():
        assert date == "2019-07-04"
        for band, one in zip(("B2", "B4", "B10"), pixels, strict=True):
            wanted = expected_toa(folder, band, 41.5)[cell(corpus, uid)]
            mask = good[uid, date]
            np.testing.assert_allclose(one[mask], wanted[mask], rtol=1e-5)
    assert corpus.chips["datetime"].dt.strftime("%H:%M:%S").unique().tolist() == ["15:40:12"]
    assert corpus.chips["orbit"].unique().tolist() == ["013"]


def test_level_2_counts_stay_as_they_are(tmp_path):
    folder = landsat_l2(tmp_path / "in", L2)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    layout = corpus.info.sensors[SR]
    assert (layout.dtype, layout.bands) == ("uint16", ("SR_B4", "SR_B5", "ST_B10"))
    assert layout.scale == (2.75e-5, 2.75e-5, 0.00341802)
    assert layout.offset == (-0.2, -0.2, 149.0)
    for (uid, _), pixels in stored(corpus, SR).items():
        for band, one in zip(layout.bands, pixels, strict=True):
            np.testing.assert_array_equal(one, read(folder / f"{L2}_{band}.TIF")[0][cell(corpus, uid)])


def test_fill_and_cloud(tmp_path):
    folder = landsat_l2(tmp_path / "in", L2)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    codes = read(folder / f"{L2}_QA_PIXEL.TIF")[0]
    good, chips = valid(corpus, SR), corpus.chips.set_index("uid")
    for uid, _ in good:
        part = codes[cell(corpus, uid)]
        np.testing.assert_array_equal(good[uid, "2019-07-04"], part & 1 == 0)
        assert chips.loc[uid, "cloud"] == pytest.approx((part[part & 1 == 0] & 0b11110 != 0).mean())
    masked = made("landsat-c2", tmp_path / "in", tmp_path / "d", chip_px=16, mask_clouds=True)
    for (uid, _), mask in valid(masked, SR).items():
        np.testing.assert_array_equal(mask, codes[cell(masked, uid)] & 0b11111 == 0)


def test_collection_1_has_other_quality_bits(tmp_path):
    scene = "LC08_L1TP_013032_20190704_20190718_01_T1"
    folder = landsat_l1(tmp_path / "in", scene, quality="BQA")
    codes = read(folder / f"{scene}_BQA.TIF")
    codes[0, 40:, 40:] |= 3 << 7  # shadow, high confidence
    codes[0, 40:, :8] |= 1 << 7  # shadow, low confidence
    codes[0, 32:36, 32:] |= 3 << 11  # cirrus, high confidence
    tif(folder / f"{scene}_BQA.TIF", codes, "EPSG:32615")
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, mask_clouds=True)
    bad = np.zeros((48, 48), bool)
    bad[:4] = bad[20:30, 4:14] = bad[40:, 40:] = bad[32:36, 32:] = True
    for (uid, _), mask in valid(corpus, OLI).items():
        np.testing.assert_array_equal(mask, ~bad[cell(corpus, uid)])


def test_scenes_on_one_grid_give_series_of_the_same_locations(tmp_path):
    one = landsat_l2(tmp_path / "in", L2, seed=0)
    other = landsat_l2(tmp_path / "in", L2.replace("0704", "0805"), seed=9, grid=at(UTM, 16, 32))
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    both = corpus.chips.groupby("uid").size()
    assert sorted(both.unique()) == [1, 2]
    for (uid, date), pixels in stored(corpus, SR).items():
        rows, columns = cell(corpus, uid)
        folder, dy, dx = (one, 0, 0) if date == "2019-07-04" else (other, 32, 16)
        band = read(next(folder.glob("*_SR_B4.TIF")))[0]
        wanted = band[rows.start - dy : rows.stop - dy, columns.start - dx : columns.stop - dx]
        np.testing.assert_array_equal(pixels[0], wanted)
    assert set(both[both == 2].index) == {"32615_340365_8285955", "32615_340845_8285955"}


def test_what_a_scene_shows_of_a_cell_is_padded_and_marked(tmp_path):
    landsat_l2(tmp_path / "in", L2, seed=0)
    landsat_l2(tmp_path / "in", L2.replace("0704", "0805"), seed=9, grid=at(UTM, 6, 0))
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, min_valid=0.2)
    masks = {uid: mask for (uid, date), mask in valid(corpus, SR).items() if date == "2019-08-05"}
    first = min(masks, key=lambda uid: int(uid.split("_")[1]))
    assert not masks[first][:, :6].any()
    assert masks[first][4:, 6:].all()


def test_scenes_half_a_pixel_apart_are_no_series_and_that_is_said(tmp_path):
    landsat_l2(tmp_path / "in", L2)
    landsat_l2(tmp_path / "in", L2.replace("0704", "0805"), grid=at(UTM, 0.5))
    landsat_l2(tmp_path / "in", L2.replace("013032", "013033"))
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.chips.groupby("uid").size().eq(1).all()
    assert corpus.locations["uid"].str.partition("_")[0].nunique() == 2
    (entry,) = [one for one in log(corpus) if one["event"] == "several grids"]
    assert entry["id"] == "013032, EPSG:32615"
    assert entry["what"].startswith("2 scenes of path 013, row 032 lie on 2 grids")
    assert "gdalwarp" in entry["what"]


def test_scenes_of_other_pixel_sizes_are_bad_files(tmp_path):
    landsat_l2(tmp_path / "in", L2)
    other = L2.replace("0704", "0805")
    landsat_l2(tmp_path / "in", other, grid=at(UTM, 0, zoom=2))
    with pytest.raises(CorpusError, match=rf"{other} has pixels of 60 x 60 m on the ground, not of 30 m"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, on_bad_file="skip")
    assert corpus.info.sensors[SR].gsd_m == 30
    assert [one["id"] for one in log(corpus) if one["event"] == "bad file"] == [other]


def test_a_scene_of_which_nothing_can_be_used_is_named(tmp_path):
    landsat_l2(tmp_path / "in", L2)
    cloudy = L2.replace("0704", "0805")
    folder = landsat_l2(tmp_path / "in", cloudy)
    path = next(folder.glob("*_QA_PIXEL.TIF"))
    tif(path, np.full_like(read(path), 0b1000), "EPSG:32615", UTM)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, mask_clouds=True, min_valid=0.01)
    assert set(corpus.chips["source"]) == {L2}
    (entry,) = [one for one in log(corpus) if one["event"] == "scene without chips"]
    assert entry["id"] == cloudy
    assert "1% of them free of fill and cloud" in entry["what"]


def test_the_panchromatic_band_is_averaged(tmp_path):
    folder = landsat_l1(tmp_path / "in", L1)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, bands=["B8", "B4"])
    assert corpus.info.sensors[OLI].bands == ("B4", "B8")
    assert corpus.info.sensors[OLI].gsd_m == 30
    fine = read(folder / f"{L1}_B8.TIF")[0].astype(float).reshape(48, 2, 48, 2).mean((1, 3))
    for (uid, date), pixels in stored(corpus, OLI).items():
        mask = valid(corpus, OLI)[uid, date]
        wanted = (2e-5 * fine - 0.1) / np.sin(np.deg2rad(41.5))
        np.testing.assert_allclose(pixels[1][mask], wanted[cell(corpus, uid)][mask], atol=2e-5)


def test_bytes_of_ssl4eo_l(tmp_path):
    folder = landsat_l2(tmp_path / "in", L2)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, uint8=True, bands=["SR_B4"])
    counts = read(folder / f"{L2}_SR_B4.TIF")[0].astype(float)
    low, high = (0 + 0.2) / 2.75e-5, (0.3 + 0.2) / 2.75e-5
    bytes_ = np.clip(255 * (counts - low) / (high - low), 0, 255).astype(np.uint8)
    for (uid, _), pixels in stored(corpus, SR).items():
        np.testing.assert_array_equal(pixels[0], bytes_[cell(corpus, uid)])


def test_a_raster_of_labels_is_brought_to_the_chips(tmp_path):
    landsat_l2(tmp_path / "in", L2)
    codes = np.random.default_rng(0).choice(np.array([11, 41, 82], np.uint8), (1, 40, 40))
    (west,), (north,) = transform("EPSG:32615", "EPSG:4326", [UTM.c + 300], [UTM.f - 60])
    grid = rasterio.Affine(0.0009, 0, west, 0, -0.0003, north)
    path = tmp_path / "nlcd.tif"
    tif(path, codes, "EPSG:4326", grid, nodata=255)
    corpus = made(
        "landsat-c2",
        tmp_path / "in",
        tmp_path / "c",
        chip_px=16,
        labels={"nlcd": {"file": str(path), "legend": "nlcd"}},
    )
    wanted = np.zeros((48, 48), np.uint8)
    reproject(
        codes[0],
        wanted,
        src_transform=grid,
        src_crs="EPSG:4326",
        dst_transform=UTM,
        dst_crs="EPSG:32615",
        src_nodata=255,
        dst_nodata=255,
        resampling=Resampling.nearest,
    )
    wanted[wanted == 255] = 0
    assert set(np.unique(wanted)) == {0, 11, 41, 82}
    for uid, found in labels(corpus, "nlcd").items():
        np.testing.assert_array_equal(found, wanted[cell(corpus, uid)])
    assert corpus.label_layers["nlcd"].classes[41] == "Deciduous Forest"
    few = {"file": str(path), "classes": {11: "water", 41: "forest"}}
    with pytest.raises(CorpusError, match=r"nlcd.tif holds the code 82 at \d+ pixels, which is not declared"):
        made("landsat-c2", tmp_path / "in", tmp_path / "d", chip_px=16, labels={"cover": few})
    # a void that the file's type cannot hold
    three = {"file": str(path), "classes": {11: "water", 41: "forest", 82: "crops"}, "void": -1}
    negative = made("landsat-c2", tmp_path / "in", tmp_path / "e", chip_px=16, labels={"cover": three})
    for uid, found in labels(negative, "cover").items():
        np.testing.assert_array_equal(found, np.where(wanted == 0, -1, wanted.astype(int))[cell(corpus, uid)])
    with pytest.raises(CorpusError, match="label raster is not there"):
        made("landsat-c2", tmp_path / "in", tmp_path / "d", labels={"n": {"file": "no.tif", "legend": "nlcd"}})


def _break(folder, how):
    band = folder / f"{folder.name}_B4.TIF"
    metadata = folder / f"{folder.name}_MTL.txt"
    if how == "float":
        tif(band, noise(0, (1, 48, 48)).astype("float32"))
    elif how == "nowhere":
        tif(band, noise(0, (1, 48, 48), dtype="uint16"), None)
    elif how == "metadata":
        metadata.unlink()
    elif how == "cut":
        metadata.write_text(metadata.read_text()[:400])
    elif how == "night":
        metadata.write_text(metadata.read_text().replace("41.5", "-3.0"))
    elif how == "coefficient":
        metadata.write_text(metadata.read_text().replace("REFLECTANCE_MULT_BAND_4 = 2.0", "OTHER = 2.0"))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("float", "1 bands of float32"),
        ("nowhere", "without a georeference"),
        ("metadata", "MTL.txt is missing"),
        ("cut", "is cut off"),
        ("night", "below the horizon"),
        ("coefficient", "no REFLECTANCE_MULT_BAND_4"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_bad_scene_is_an_error_or_left_out(tmp_path, how, words):
    landsat_l1(tmp_path / "in", L1)
    _break(landsat_l1(tmp_path / "in", L1.replace("0704", "0805")), how)
    with pytest.raises(CorpusError, match=words):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, bands=["B4", "B10"])
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "d", chip_px=16, bands=["B4", "B10"], on_bad_file="skip")
    assert corpus.chips["source"].unique().tolist() == [L1]
    assert [e["id"] for e in log(corpus) if e["event"] == "bad file"] == [L1.replace("0704", "0805")]


def test_a_band_that_one_scene_lacks_is_not_stored_and_named(tmp_path):
    other = L2.replace("0704", "0805")
    landsat_l2(tmp_path / "in", L2)
    (landsat_l2(tmp_path / "in", other) / f"{other}_SR_B5.TIF").unlink()
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.info.sensors[SR].bands == ("SR_B4", "ST_B10")
    (entry,) = [entry for entry in log(corpus) if entry["event"] == "band left out"]
    assert (entry["id"], entry["what"]) == ("SR_B5", f"1 of 2 scenes of {SR} lack it, such as {other}")


def test_no_scene_no_band_no_room(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(CorpusError, match="no Landsat scene is here"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c")
    landsat_l1(tmp_path / "in", L1)
    with pytest.raises(CorpusError, match="no scene's sensor has the band SR_B4"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", bands=["SR_B4"])
    with pytest.raises(CorpusError, match="no chip of 264 pixels fits into the scenes of 48 x 48"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c")


def test_scenes_without_a_quality_band_are_named(tmp_path):
    (landsat_l1(tmp_path / "in", L1) / f"{L1}_QA_PIXEL.TIF").unlink()
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert [e["event"] for e in log(corpus)] == ["no quality band"]
    assert corpus.chips["cloud"].isna().all()


# -- real scenes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "crs"), [("assets", "EPSG:32624"), ("assets3", "EPSG:32618")])
def test_real_level_2_scenes(shared_data, tmp_path, part, crs):
    folder = shared_data / "landsat_c2l2_scenes" / part
    corpus = made("landsat-c2", folder, tmp_path / "c", chip_px=128, min_valid=0.6)
    assert set(corpus.locations["crs"]) == {crs}
    for (uid, _), pixels in stored(corpus, SR).items():
        for band, one in zip(corpus.info.sensors[SR].bands, pixels, strict=True):
            with rasterio.open(next(folder.rglob(f"*_{band}.TIF"))) as file:
                a, _, x, _, e, y = corpus.locations.set_index("uid").loc[uid, "transform"]
                row, column = round((y - file.transform.f) / e), round((x - file.transform.c) / a)
                wanted = file.read(1, window=((row, row + 128), (column, column + 128)))
            np.testing.assert_array_equal(one, wanted)


def test_real_scenes_that_were_decimated_differently_are_no_one_corpus(shared_data, tmp_path):
    with pytest.raises(SwathError, match=r"pixels of 444\.8 x 453\.6 m on the ground, not of 515\.1 m"):
        made("landsat-c2", shared_data / "landsat_c2l2_scenes", tmp_path / "c", chip_px=128, min_valid=0.6)


def test_real_series_of_level_1_without_metadata(shared_data, tmp_path):
    folder = shared_data / "landsat_ny18_series"
    with pytest.raises(CorpusError, match=r"MTL\.txt is missing") as error:
        made("landsat-c2", folder, tmp_path / "c", chip_px=32)
    assert "missing_metadata=estimate" in str(error.value)
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    land = shared_data / "geo_location" / "ne_50m_land.shp"
    shapes = [{"layer": "cover", "file": land, "code": 1, "classes": {0: "water", 1: "land"}, "background": 0}]
    settings = {"missing_metadata": "estimate", "min_valid": 0.3, "shapes": shapes, "bands": ["B4", "B10"]}
    corpus = made("landsat-c2", folder, tmp_path / "c", chip_px=32, **settings)
    # 19 scenes; on two days rows 31 and 32 of one pass show the same ground
    stored_ids = {one for source in corpus.chips["source"] for one in source.split()}
    assert len(stored_ids & set(names)) >= 17
    noted = log(corpus)
    assert {one["id"] for one in noted if one["event"] == "scene without chips"} == set(names) - stored_ids
    # they were decimated each by itself, and hardly two lie on one grid
    assert [one["what"].partition(":")[0] for one in noted if one["event"] == "several grids"] == [
        "8 scenes of path 013, row 032 lie on 8 grids of pixels",
        "5 scenes of path 014, row 031 lie on 4 grids of pixels",
        "6 scenes of path 014, row 032 lie on 6 grids of pixels",
    ]
    _check_by_hand(corpus, folder, land)
    assert not corpus.chips.duplicated(["uid", "datetime"]).any()
    assert corpus.chips["datetime"].nunique() == 17
    assert corpus.chips["cloud"].notna().all()
    thermal = corpus.statistics[OLI]["B10"]
    assert 230 < thermal.min < 290 < thermal.max < 330


def _check_by_hand(corpus, folder, land):
    """Dates, reflectance up to the sun's factor of each scene, and labels, with Rasterio and Shapely alone."""
    outline = shapely.union_all(gpd.read_file(land, bbox=(-80, 35, -68, 47)).geometry.to_numpy())
    shapely.prepare(outline)
    masks, pixels, codes = valid(corpus, OLI), stored(corpus, OLI), labels(corpus, "cover")
    grids = corpus.locations.set_index("uid")["transform"]
    checked = 0
    for uid, source, date in corpus.chips[["uid", "source", "datetime"]].itertuples(index=False):
        a, _, west, _, e, north = grids[uid]
        middles = np.arange(32) + 0.5
        x, y = np.meshgrid(west + a * middles, north + e * middles)
        lon, lat = transform("EPSG:32618", "EPSG:4326", x.ravel(), y.ravel())[:2]
        np.testing.assert_array_equal(codes[uid].ravel(), shapely.contains_xy(outline, lon, lat))
        assert all(date.strftime("_%Y%m%d_") in one for one in source.split())
        with rasterio.open(folder / source.split()[0] / f"{source[:25]}_B4.TIF") as file:
            column, row = (round(one) for one in ~file.transform * (west, north))
            if " " in source or min(row, column) < 0:
                continue  # of two scenes, or beyond the edge of its own
            red = np.zeros((32, 32))
            part = file.read(1, window=((row, row + 32), (column, column + 32)))
            red[: part.shape[0], : part.shape[1]] = part
        mask = masks[uid, f"{date:%Y-%m-%d}"]
        ratio = pixels[uid, f"{date:%Y-%m-%d}"][0][mask] / (2e-5 * red[mask] - 0.1)
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-5)
        checked += 1
    assert checked > 50


def test_real_scene_with_land_cover(shared_data, tmp_path):
    folder = shared_data / "landsat_zion_nlcd"
    scene = "LC08_L1TP_038034_20150818"
    for number in (2, 3, 4, 5):
        link = tmp_path / "in" / f"{scene}_B{number}.TIF"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder / f"landsat_b{number}.tif")
    corpus = made(
        "landsat-c2",
        tmp_path / "in",
        tmp_path / "c",
        missing_metadata="estimate",
        uint8=True,
        labels={"nlcd": {"file": str(folder / "nlcd2011.tif"), "legend": "nlcd"}},
    )
    assert len(corpus) == (1428 // 264) * (1128 // 264)
    maps = np.stack(list(labels(corpus, "nlcd").values()))
    assert (maps == 0).mean() < 0.01
    counts = stored(corpus, OLI)
    pixels = np.stack([counts[uid, "2015-08-18"] for uid in corpus.locations["uid"]]).astype(float)
    ndvi = (pixels[:, 3] - pixels[:, 2]) / np.maximum(pixels[:, 3] + pixels[:, 2], 1)
    medians = {name: np.median(ndvi[maps == code]) for name, code in (("forest", 42), ("shrub", 52), ("barren", 31))}
    assert medians["forest"] > medians["shrub"] > medians["barren"]


# -- metadata ----------------------------------------------------------------------------------------------------------


def test_real_metadata_hold_the_coefficients_that_all_scenes_share(shared_data):
    for path in (shared_data / "landsat_c2l2_scenes").rglob("*_MTL.txt"):
        found = mtl.fields(path)
        units = {f"B{n}": "reflectance" for n in range(1, 10)} | {"B10": "K", "B11": "K"}
        read_ = mtl.calibration(found, path, OLI, units)
        assert read_.bands == mtl.estimated(units, mtl.acquired(found, path), (0.0, 0.0)).bands


def test_the_suns_elevation_of_real_scenes(shared_data):
    for path in (shared_data / "landsat_c2l2_scenes").rglob("*_MTL.txt"):
        found = mtl.fields(path)
        when = mtl.acquired(found, path)
        names = [f"CORNER_{corner}_{axis}_PRODUCT" for axis in ("LAT", "LON") for corner in ("UL", "UR", "LL", "LR")]
        degrees = [float(found[name]) for name in names]
        lat, lon = np.mean(degrees[:4]), np.mean(degrees[4:])
        hour = when.hour + when.minute / 60 + when.second / 3600 + lon / 15
        day = when.timetuple().tm_yday
        wanted = float(found["SUN_ELEVATION"])
        assert mtl.sun_elevation(day, float(lat), float(hour)) == pytest.approx(wanted, abs=0.3)
        assert mtl.local_hour(float(lat)) == pytest.approx(hour, abs=0.25)
        estimate = mtl.estimated({}, when, (float(lon), float(lat))).sun_elevation
        assert estimate == pytest.approx(wanted, abs=2)


OLD = """GROUP = METADATA_FILE
    ACQUISITION_DATE = 2001-11-12
    SCENE_CENTER_SCAN_TIME = 14:02:11.1Z
    SUN_ELEVATION = 43.2
    LMAX_BAND1 = 191.600
    LMIN_BAND1 = -6.200
    QCALMAX_BAND1 = 255.0
    QCALMIN_BAND1 = 1.0
    LMAX_BAND61 = 17.040
    LMIN_BAND61 = 0.000
    QCALMAX_BAND61 = 255.0
    QCALMIN_BAND61 = 1.0
END_GROUP = METADATA_FILE
END
"""


def test_metadata_of_before_2012(tmp_path):
    path = tmp_path / "L71_MTL.txt"
    path.write_text(OLD)
    found = mtl.fields(path)
    both = mtl.calibration(found, path, "landsat-etm-toa", {"B1": "reflectance", "B6_VCID_1": "K"}).bands
    # Chander, Markham & Helder 2009, equations 2 to 5
    radiance = (191.6 + 6.2) / 254 * (120 - 1) - 6.2
    distance = 1 - 0.01672 * np.cos(np.deg2rad(0.9856 * (316 - 4)))
    assert both["B1"].multiplier * 120 + both["B1"].addend == pytest.approx(np.pi * radiance * distance**2 / 1997)
    thermal = both["B6_VCID_1"]
    assert thermal.multiplier * 120 + thermal.addend == pytest.approx(17.04 / 254 * 119)
    assert (thermal.k1, thermal.k2) == (666.09, 1282.71)
    assert mtl.acquired(found, path).isoformat() == "2001-11-12T14:02:11.100000+00:00"


def test_surface_coefficients_of_level_2_metadata_are_not_taken(tmp_path):
    folder = landsat_l1(tmp_path, L1)
    found = mtl.fields(folder / f"{L1}_MTL.txt")
    assert float(found["REFLECTANCE_MULT_BAND_4"]) == 2e-5


def test_scenes_of_the_multispectral_scanner_are_not_read(tmp_path):
    landsat_l1(tmp_path / "in", L1)
    scanner = tmp_path / "in" / "LM05_L1TP_013032_19900704_20200101_02_T1_B4.TIF"
    shutil.copy(tmp_path / "in" / L1 / f"{L1}_B4.TIF", scanner)
    assert len(made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)) == 9


# -- before there were collections -------------------------------------------------------------------------------------

BEFORE = "LC80130322014231LGN00"
CLEAR, CLOUD, CIRRUS, MAYBE = 0b0101_0000_0000_0000, 0b1101 << 12, 0b0111 << 12, 0b1001 << 12


def before_collections(root, name):
    """A scene with the bits of before: cloud with high confidence in the middle, cirrus beside it, a doubt below."""
    modern = "LC08_L1TP_013032_20140819_20190718_00_T1"
    folder = landsat_l1(root, modern, quality="BQA")
    codes = np.full((1, 48, 48), CLEAR, np.uint16)
    codes[:, :4] = 1
    codes[:, 16:24, 8:24], codes[:, 16:24, 24:32], codes[:, 24:32, 8:16] = CLOUD, CIRRUS, MAYBE
    tif(folder / f"{modern}_BQA.TIF", codes, "EPSG:32615")
    metadata = folder / f"{modern}_MTL.txt"
    metadata.write_text(metadata.read_text().replace("    COLLECTION_NUMBER = 00\n", ""))
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace(modern, name))
    return folder.rename(root / "scene")


@pytest.mark.parametrize("name", [BEFORE, "LC08_L1TP_013032_20140819", "LC08_L1TP_013032_20140819_20190718_01_T1"])
def test_quality_before_collections_is_told_by_the_metadata(tmp_path, name):
    """Whatever the files are called, as USGS did then or renamed: bits 12 to 13 are cirrus, 14 to 15 cloud."""
    folder = before_collections(tmp_path / "in", name)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, mask_clouds=True, min_valid=0.1)
    bad = np.zeros((48, 48), bool)
    bad[:4] = bad[16:24, 8:32] = True
    masks = valid(corpus, OLI)
    assert len(masks) == 9
    for (uid, date), mask in masks.items():
        assert date == "2014-08-19"
        np.testing.assert_array_equal(mask, ~bad[cell(corpus, uid)])
    wanted = expected_toa(folder, "B4", 41.5)
    for key, pixels in stored(corpus, OLI).items():
        np.testing.assert_allclose(pixels[1][masks[key]], wanted[cell(corpus, key[0])][masks[key]], rtol=1e-5)


def test_quality_bits_that_nobody_tells_are_refused(tmp_path):
    folder = before_collections(tmp_path / "in", "LC08_L1TP_013032_20140819")
    (folder / "LC08_L1TP_013032_20140819_MTL.txt").unlink()
    with pytest.raises(CorpusError, match="neither names nor metadata tell the collection"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, missing_metadata="estimate")


def test_bits_that_collection_1_does_not_have_are_refused(tmp_path):
    """Renamed as of Collection 1, and the metadata that would tell are gone."""
    name = "LC08_L1TP_013032_20140819_20190718_01_T1"
    (before_collections(tmp_path / "in", name) / f"{name}_MTL.txt").unlink()
    with pytest.raises(CorpusError, match=r"_BQA\.TIF holds bits that Collection 1 does not have"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, missing_metadata="estimate")


# -- versions and passes -----------------------------------------------------------------------------------------------


def test_of_two_processings_the_newest_counts(tmp_path):
    older, newest = L2.replace("20200101", "20190710").replace("_T1", "_RT"), L2
    landsat_l2(tmp_path / "in", older, seed=3)
    folder = landsat_l2(tmp_path / "in", newest, seed=5)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.chips["source"].unique().tolist() == [newest]
    assert not corpus.chips.duplicated(["uid", "datetime"]).any()
    wanted = read(folder / f"{newest}_SR_B4.TIF")[0]
    for (uid, _), pixels in stored(corpus, SR).items():
        np.testing.assert_array_equal(pixels[0], wanted[cell(corpus, uid)])
    assert [(one["event"], one["id"]) for one in log(corpus) if one["event"] == "older processing"] == [
        ("older processing", older)
    ]


def test_names_without_a_processing_take_it_from_their_folder(tmp_path):
    """As some copies have it; two processings would otherwise be mixed band by band."""
    short = "LC08_L1TP_013032_20190704"
    for number, name in enumerate((f"{short}_20190718_01_T1", f"{short}_20200101_02_T1")):
        folder = landsat_l1(tmp_path / "in", name, seed=number, quality="BQA" if "_01_" in name else "QA_PIXEL")
        for path in list(folder.iterdir()):
            path.rename(folder / path.name.replace(name, short))
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.chips["source"].unique().tolist() == [f"{short}_20200101_02_T1"]
    folder.rename(tmp_path / "in/other")
    (tmp_path / f"in/{short}_20190718_01_T1").rename(tmp_path / "in/one")
    with pytest.raises(CorpusError, match=r"two files are B10 of .*: one/.* and other/"):
        made("landsat-c2", tmp_path / "in", tmp_path / "d", chip_px=16)


def test_rows_of_one_pass_are_one_chip(tmp_path):
    """The scene below begins in the middle of a cell: its chip holds the lower half from there, and says so."""
    below = L2.replace("013032", "013033")
    upper = landsat_l2(tmp_path / "in", L2, seed=0)
    lower = landsat_l2(tmp_path / "in", below, seed=9, grid=at(UTM, 0, 36))
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16, min_valid=0.1)
    assert not corpus.chips.duplicated(["uid", "datetime"]).any()
    ground = np.zeros((96, 48), np.uint16)
    ground[36:84] = read(lower / f"{below}_SR_B4.TIF")[0]
    ground[4:48] = read(upper / f"{L2}_SR_B4.TIF")[0][4:]
    masks = valid(corpus, SR)
    for (uid, date), pixels in stored(corpus, SR).items():
        here = cell(corpus, uid)
        if here[0].start == 32:  # the upper scene sees all of it, and is on top
            assert masks[uid, date].all()
        np.testing.assert_array_equal(pixels[0][masks[uid, date]], ground[here][masks[uid, date]])
    sources = corpus.chips["source"].unique().tolist()
    assert L2 in sources
    assert below in sources


def test_a_scene_whose_clouds_nobody_knows_is_an_error_where_they_matter(tmp_path):
    (landsat_l1(tmp_path / "in", L1) / f"{L1}_QA_PIXEL.TIF").unlink()
    landsat_l1(tmp_path / "in", L1.replace("0704", "0805"))
    settings = {"chip_px": 16, "mask_clouds": True}
    with pytest.raises(CorpusError, match="has no QA_PIXEL or BQA, so nobody knows where its clouds are"):
        made("landsat-c2", tmp_path / "in", tmp_path / "c", **settings)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "d", on_bad_file="skip", **settings)
    assert corpus.chips["source"].unique().tolist() == [L1.replace("0704", "0805")]
    assert [one["id"] for one in log(corpus)] == [L1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("SUN_ELEVATION", "high"), ("SUN_ELEVATION", "nan"), ("SUN_ELEVATION", "410"), ("REFLECTANCE_MULT_BAND_4", "0"),
     ("REFLECTANCE_MULT_BAND_4", "1e999"), ("REFLECTANCE_ADD_BAND_4", "x"), ("RADIANCE_MULT_BAND_10", "0.0"),
     ("K1_CONSTANT_BAND_10", "inf"), ("DATE_ACQUIRED", "2019-02-30"), ("SCENE_CENTER_TIME", "noon")],
)  # fmt: skip
def test_metadata_that_make_no_sense_are_a_bad_file(tmp_path, field, value):
    import re

    metadata = landsat_l1(tmp_path / "in", L1) / f"{L1}_MTL.txt"
    metadata.write_text(re.sub(rf"{field} = .*", f"{field} = {value}", metadata.read_text()))
    with pytest.raises(CorpusError, match=r"MTL\.txt") as caught:
        made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert "on_bad_file=skip" in caught.value.remedy


OLD_BANDS = {"B10": 1, "B20": 1, "B30": 1, "B40": 1, "B50": 1, "B61": 1, "B62": 2, "B70": 2, "B80": 2}
"""Names of bands before 2012, and the format of the files, L71 or L72, that hold them."""


def before_2012(folder, names: dict[str, str], sensor: str = "ETM") -> None:
    """A scene under names such as L71193027_02720000307_B10.TIF; `names` has the start of every band's."""
    ranges = []
    for number, (band, start) in enumerate(names.items()):
        size = 96 if band == "B80" else 48
        tif(
            folder / f"{start}_{band}.TIF",
            noise(number, (1, size, size), 1, 255, "uint8"),
            "EPSG:32615",
            at(UTM, 0, zoom=48 / size),
        )
        field = f"BAND{band[1] if band[2] == '0' else band[1:]}"
        limits = {"LMAX": 190 + number, "LMIN": -6.2, "QCALMAX": 255.0, "QCALMIN": 1.0}
        ranges += [f"{name}_{field} = {value}" for name, value in limits.items()]
    head = f'GROUP = METADATA_FILE\nSENSOR_ID = "{sensor}"\nACQUISITION_DATE = 2000-03-07\nSUN_ELEVATION = 33.3\n'
    (folder / f"{next(iter(names.values()))}_MTL.txt").write_text(head + "\n".join(ranges) + "\nEND\n")


def test_names_of_before_2012(tmp_path):
    names = {band: f"L7{which}193027_02720000307" for band, which in OLD_BANDS.items()}
    before_2012(tmp_path / "in", names)
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    layout = corpus.info.sensors["landsat-etm-toa"]
    assert layout.bands == ("B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7")
    assert corpus.chips["source"].unique().tolist() == ["L71193027_02720000307"]
    assert corpus.chips["datetime"].dt.strftime("%Y-%m-%d").unique().tolist() == ["2000-03-07"]
    distance = 1 - 0.01672 * np.cos(np.deg2rad(0.9856 * (67 - 4)))
    solar = [1997.0, 1812.0, 1533.0, 1039.0, 230.8, None, None, 84.9]
    for (uid, _), pixels in stored(corpus, "landsat-etm-toa").items():
        for number, (band, one) in enumerate(zip(OLD_BANDS, pixels, strict=False)):
            counts = read(tmp_path / "in" / f"{names[band]}_{band}.TIF")[0].astype(float)[cell(corpus, uid)]
            radiance = (190 + number + 6.2) / 254 * (counts - 1) - 6.2
            if solar[number] is None:
                wanted = np.where(radiance > 0, 1282.71 / np.log(666.09 / np.maximum(radiance, 1e-9) + 1), 0)
            else:
                wanted = np.pi * radiance * distance**2 / (solar[number] * np.sin(np.deg2rad(33.3)))
            np.testing.assert_allclose(one, wanted, rtol=2e-5, atol=1e-6)


def test_names_of_before_2012_of_the_thematic_mapper_and_of_the_scanner(tmp_path):
    bands = ("B10", "B20", "B30", "B40", "B50", "B60", "B70")
    before_2012(tmp_path / "in", dict.fromkeys(bands, "L5193027_02720000307"), "TM")
    corpus = made("landsat-c2", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert corpus.info.sensors["landsat-tm-toa"].bands == ("B1", "B2", "B3", "B4", "B5", "B6", "B7")
    before_2012(tmp_path / "mss", dict.fromkeys(bands[:4], "L5193027_02720000307"), "MSS")
    with pytest.raises(CorpusError, match="L5193027_02720000307 is of the multispectral scanner"):
        made("landsat-c2", tmp_path / "mss", tmp_path / "d", chip_px=16)
    (tmp_path / "in" / "L5193027_02720000307_MTL.txt").unlink()
    with pytest.raises(CorpusError, match=r"L5193027_02720000307_MTL\.txt is missing"):
        made("landsat-c2", tmp_path / "in", tmp_path / "e", chip_px=16)
