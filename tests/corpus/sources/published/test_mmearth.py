"""MMEarth: what the HDF5 file holds, by h5py and by torchgeo's constants."""

import json
import zlib

import h5py
import numpy as np
import pytest
from torchgeo.datasets import MMEarth

from swath.corpus.sources.published import mmearth as source
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import mmearth
from tests.corpus.sources.reading import labels, log, made, stored, valid


@pytest.fixture
def path(tmp_path):
    return mmearth(tmp_path / "in")


def test_sentinel_2_by_level_with_band_8a_after_band_8(path, tmp_path):
    corpus = made("mmearth", tmp_path / "in", tmp_path / "c")
    order = MMEarth.all_modality_bands["sentinel2"]
    with h5py.File(path) as file:
        optical = file["sentinel2"][:]
    seen = {}
    for level, sensor in source.LEVELS.items():
        bands = corpus.info.sensors[sensor].bands
        assert len(bands) == (13 if level == "l1c" else 12)
        assert bands.index("B8A") == bands.index("B08") + 1
        positions = [order.index(name.replace("B0", "B")) for name in bands]
        for (uid, date), pixels in stored(corpus, sensor).items():
            number = int(uid[1:])
            assert date == f"2018-07-{number + 1:02d}"
            np.testing.assert_array_equal(pixels, optical[number, positions])
            assert not valid(corpus, sensor)[uid, date][:3].any()
            seen[uid] = level
    assert seen == {f"t{k}": "l1c" if k % 2 else "l2a" for k in range(5)}


def test_sentinel_1_of_both_passes(path, tmp_path):
    corpus = made("mmearth", tmp_path / "in", tmp_path / "c")
    with h5py.File(path) as file:
        radar = file["sentinel1"][:]
    chips = corpus.chips_of("sentinel-1-grd")
    assert len(chips) == 9
    assert log(corpus)[0]["where"] == "t1/descending"
    import zarr

    array = zarr.open_group(corpus.path / "pixels" / "sentinel-1-grd.zarr", mode="r")["pixels"]
    for uid, orbit, row in zip(chips["uid"], chips["orbit"], chips["row"], strict=True):
        first = 0 if orbit == "ascending" else 4
        np.testing.assert_array_equal(array[row], radar[int(uid[1:]), first : first + 2])


def test_labels_scalars_cloud_and_split(path, tmp_path):
    corpus = made("mmearth", tmp_path / "in", tmp_path / "c")
    with h5py.File(path) as file:
        for name in source.LAYERS:
            found = labels(corpus, name)
            for number in range(5):
                np.testing.assert_array_equal(found[f"t{number}"], file[name][number, 0])
        scl, bits = file["sentinel2_scl"][0], file["sentinel2_cloudmask"][1]
    places = corpus.locations.set_index("uid")
    assert places["biome"].tolist() == [0, 1, 2, 3, 4]
    assert places["eco_region"].tolist() == [0, 7, 14, 21, 28]
    assert places["split"].tolist() == ["train", "train", "train", "val", "test"]
    assert places.loc["t3", "lat"] == -17.5
    clouds = corpus.chips[corpus.chips["sensor"] != "sentinel-1-grd"].set_index("uid")["cloud"]
    assert clouds["t0"] == pytest.approx(np.isin(scl, [3, 8, 9, 10]).mean())
    assert clouds["t1"] == pytest.approx((bits > 0).mean())
    for name, layer in source.LAYERS.items():
        assert layer.void == MMEarth.no_data_vals[name]


def test_radar_and_labels_can_be_left_out(path, tmp_path):
    corpus = made("mmearth", tmp_path / "in" / "data_1M_v001_64", tmp_path / "c", radar=False, labels=False)
    assert set(corpus.info.sensors) == set(source.LEVELS.values())
    assert not corpus.label_layers


def test_maps_and_weather_if_asked_for(path, tmp_path):
    corpus = made("mmearth", tmp_path / "in", tmp_path / "c", labels=False, maps=True, weather=True)
    with h5py.File(path) as file:
        aster, canopy, weather = (file[name][:] for name in ("aster", "canopy_height_eth", "era5"))
    assert [corpus.info.sensors[name].bands for name in source.MAPS.values()] == [
        ("elevation", "slope"),
        ("height", "deviation"),
    ]
    for (uid, date), pixels in stored(corpus, "aster-gdem").items():
        np.testing.assert_array_equal(pixels, aster[int(uid[1:])])
        assert date is None
    heights = stored(corpus, "eth-canopy-height")
    assert {uid for uid, _ in heights} == {"t0", "t1", "t2", "t3"}  # of the last one nothing is known
    for (uid, date), pixels in heights.items():
        known = valid(corpus, "eth-canopy-height")[uid, date]
        assert not known[5:7].any()
        assert known.mean() == 62 / 64
        np.testing.assert_array_equal(pixels[:, known], canopy[int(uid[1:])][:, known])
    places = corpus.locations.set_index("uid")
    for column, number in zip(source.WEATHER, range(12), strict=True):
        for tile in range(5):
            value = places.loc[f"t{tile}", column]
            assert np.isnan(value) if np.isnan(weather[tile, number]) else value == weather[tile, number]


def test_a_file_without_what_is_asked_for_is_refused(path, tmp_path):
    with h5py.File(path, "a") as file:
        del file["era5"]
        file["era5"] = np.zeros((5, 3), np.float32)
    with pytest.raises(CorpusError, match=r"era5 is \(5, 3\), not \(5, 12\)"):
        made("mmearth", tmp_path / "in", tmp_path / "c", weather=True)


def test_settings_that_ask_for_neither_say_what_they_said_before():
    assert source.Config().model_dump().keys().isdisjoint({"maps", "weather"})
    assert source.Config(maps=True).model_dump()["maps"] is True


def test_files_are_named_as_torchgeo_names_them():
    assert set(source.EDITIONS) == set(MMEarth.filenames.values())


def _break(path, how):
    info = path.with_name(f"{path.stem}_tile_info.json")
    tiles = json.loads(info.read_text())
    if how == "splits":
        path.with_name(f"{path.stem}_splits.json").unlink()
    elif how == "json":
        info.write_text("{")
    elif how == "tile":
        tiles.pop("t2")
        info.write_text(json.dumps(tiles))
    elif how == "too many":
        path.with_name(f"{path.stem}_splits.json").write_text('{"train": [17]}')
    elif how == "h5":
        path.unlink()
    else:
        with h5py.File(path, "a") as file:
            del file["sentinel2"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("splits", "splits.json is missing"),
        ("json", "tile_info.json is damaged"),
        ("tile", "1 tiles are not in the tile info, such as t2"),
        ("too many", "the splits name tile 17"),
        ("h5", "none of data_1M_v001.h5"),
        ("modality", "has no sentinel2"),
    ],
)
def test_bad_files(path, tmp_path, how, words):
    _break(path, how)
    with pytest.raises(CorpusError, match=words):
        made("mmearth", tmp_path / "in", tmp_path / "c")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("S2_DATE", "July", "has no date"), ("S2_type", "l3", "has no level"), ("lat", None, "has no coordinates")],
)
def test_a_bad_tile_is_an_error_or_left_out(path, tmp_path, key, value, words):
    info = path.with_name(f"{path.stem}_tile_info.json")
    tiles = json.loads(info.read_text())
    tiles["t2"][key] = value
    info.write_text(json.dumps(tiles))
    with pytest.raises(CorpusError, match=words):
        made("mmearth", tmp_path / "in", tmp_path / "c")
    corpus = made("mmearth", tmp_path / "in", tmp_path / "d", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == ["t0", "t1", "t3", "t4"]


def test_an_unknown_class_code(path, tmp_path):
    with h5py.File(path, "a") as file:
        file["dynamic_world"][3, 0, 0, 0] = 77
    with pytest.raises(CorpusError, match="dynamic_world of tile t3 holds the code 77"):
        made("mmearth", tmp_path / "in", tmp_path / "c")


def test_a_tile_that_becomes_too_large_is_not_read(path, tmp_path):
    with pytest.raises(CorpusError, match=r"data_1M_v001.*, sentinel2 would take .* the limit is 1e-06"):
        made("mmearth", tmp_path / "in", tmp_path / "c", max_image_gb=1e-6)
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "x")
    with pytest.raises(CorpusError, match="takes elsewhere from another file"):
        made("mmearth", tmp_path / "in", tmp_path / "c")


def test_a_part_that_unpacks_to_something_else(path, tmp_path):
    with h5py.File(path, "a") as file:
        file["sentinel2"].id.write_direct_chunk((2, 0, 0, 0), zlib.compress(bytes(10_000_000)))
    with pytest.raises(CorpusError, match="a part of /sentinel2 does not unpack to"):
        made("mmearth", tmp_path / "in", tmp_path / "c")
    corpus = made("mmearth", tmp_path / "in", tmp_path / "d", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == ["t0", "t1", "t3", "t4"]
