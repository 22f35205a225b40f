"""L7 Irish and L8 Biome: pixels by rasterio and the handbook's formulas, torchgeo's classes and split."""

import numpy as np
import pytest
import torch
from torchgeo.datasets import L7Irish, L8Biome, random_bbox_assignment
from torchgeo.datasets.l7irish import L7IrishImage, L7IrishMask
from torchgeo.datasets.l8biome import L8BiomeImage, L8BiomeMask

from swath import sensors
from swath.corpus.sources.landsat import _validation as validation
from swath.corpus.sources.landsat import l7_irish as irish_source
from swath.corpus.sources.landsat import l8_biome as biome_source
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import BIOMES, IRISH, l7_irish, l8_biome, noise, read, tif
from tests.corpus.sources.reading import labels, log, made, stored, valid

ETM, OLI = "landsat-etm-toa", "landsat-oli-toa"


def parts_of(uid: str) -> tuple[str, slice, slice]:
    scene, row, column = uid.rsplit("_", 2)
    return scene, slice(16 * int(row), 16 * int(row) + 16), slice(16 * int(column), 16 * int(column) + 16)


def test_l7_irish(tmp_path):
    l7_irish(tmp_path / "in")
    corpus = made("l7-irish", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert len(corpus) == 5 * 2 * 2
    images = {name: read(tmp_path / "in" / folder / f"{name}.TIF") for folder, (name, _) in IRISH.items()}
    masks = {name: read(tmp_path / "in" / folder / f"{mask}.TIF")[0] for folder, (name, mask) in IRISH.items()}
    codes, good = labels(corpus, "cloud"), valid(corpus, ETM)
    irradiance = [1997.0, 1812.0, 1533.0, 1039.0, 230.8, None, None, 84.9, 1362.0]
    for (uid, date), pixels in stored(corpus, ETM).items():
        scene, rows, columns = parts_of(uid)
        radiance = (191.6 + 6.2) / 254 * (images[scene][:, rows, columns].astype(float) - 1) - 6.2
        day = np.datetime64(date) - np.datetime64(f"{date[:4]}-01-01")
        distance = 1 - 0.01672 * np.cos(np.deg2rad(0.9856 * (int(day.astype(int)) + 1 - 4)))
        mask = good[uid, date]
        for one, flux, solar in zip(pixels, radiance, irradiance, strict=True):
            if solar is None:
                flux = np.where(flux > 0, flux, np.nan)
                wanted = np.nan_to_num(1282.71 / np.log(666.09 / flux + 1))
            else:
                wanted = np.pi * flux * distance**2 / (solar * np.sin(np.deg2rad(43.2)))
            np.testing.assert_allclose(one[mask], wanted[mask], rtol=2e-5)
        expected = L7IrishMask.ordinal_map[torch.from_numpy(masks[scene][rows, columns].astype(int))]
        np.testing.assert_array_equal(codes[uid], expected.numpy())
    assert sorted(corpus.locations["biome"].unique()) == ["austral", "boreal"]


def test_l8_biome(tmp_path):
    l8_biome(tmp_path / "in")
    corpus = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16)
    biome = {scene: name for name, scenes in BIOMES.items() for scene in scenes}
    codes, good = labels(corpus, "cloud"), valid(corpus, OLI)
    places = corpus.locations.set_index("uid")
    for (uid, date), pixels in stored(corpus, OLI).items():
        scene, rows, columns = parts_of(uid)
        folder = tmp_path / "in" / biome[scene] / scene
        counts = read(folder / f"{scene}.TIF")[:, rows, columns].astype(float)
        wanted = (2e-5 * counts - 0.1) / np.sin(np.deg2rad(33.0))
        for band, k1, k2 in ((9, 774.8853, 1321.0789), (10, 480.8883, 1201.1442)):
            wanted[band] = k2 / np.log(k1 / (3.342e-4 * counts[band] + 0.1) + 1)
        mask = good[uid, date]
        np.testing.assert_allclose(pixels[:, mask], wanted[:, mask], rtol=2e-5, atol=1e-7)
        expected = L8BiomeMask.ordinal_map[torch.from_numpy(read(folder / f"{scene}_fixedmask.TIF")[0].astype(int))]
        np.testing.assert_array_equal(codes[uid], expected.numpy()[rows, columns])
        assert places.loc[uid, "biome"] == biome[scene]
        assert places.loc[uid, "group"] == scene
        assert date == str(np.datetime64(f"{scene[9:13]}-01-01") + int(scene[13:16]) - 1)
    assert not good["LC80420082013220LGN00_0_0", "2013-08-08"][:4, :4].any()


def test_classes_are_torchgeos():
    for peer in (L7IrishMask, L8BiomeMask):
        names = dict(enumerate(name.lower() for name in peer.classes))
        assert names == {0: "fill"} | validation.LAYER.classes
        assert [int(peer.ordinal_map[code]) for code in validation.CLASSES] == [0, 1, 2, 3, 4]
    assert validation.LAYER.void == 0
    assert L7IrishImage.all_bands == irish_source.BANDS
    assert tuple(band.name for band in sensors.get(OLI).bands) == L8BiomeImage.all_bands


@pytest.mark.parametrize("peer", ["irish", "biome"])
def test_the_split_is_torchgeos(tmp_path, peer):
    if peer == "irish":
        l7_irish(tmp_path / "in")
        corpus, theirs = made("l7-irish", tmp_path / "in", tmp_path / "c", chip_px=16), L7Irish(tmp_path / "in")
    else:
        l8_biome(tmp_path / "in")
        corpus, theirs = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16), L8Biome(tmp_path / "in")
    generator = torch.Generator().manual_seed(0)
    parts = random_bbox_assignment(theirs, [0.6, 0.2, 0.2], generator)
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        days = {interval.left.strftime("%Y-%m-%d") for interval in part.index.index}
        chips = corpus.chips[corpus.chips["uid"].isin(corpus.locations["uid"][corpus.locations["split"] == name])]
        assert set(chips["datetime"].dt.strftime("%Y-%m-%d")) == days


@pytest.mark.parametrize("count", [1, 2, 5, 96, 206])
def test_parts_have_torchgeos_sizes(count):
    from torchgeo.datasets.splits import _fractions_to_lengths

    found = validation.split(count)
    assert [found.count(part) for part in ("train", "val", "test")] == _fractions_to_lengths([0.6, 0.2, 0.2], count)


def test_bytes_of_ssl4eo_l(tmp_path):
    l8_biome(tmp_path / "in")
    real = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16)
    small = made("l8-biome", tmp_path / "in", tmp_path / "d", chip_px=16, uint8=True)
    values, good = stored(real, OLI), valid(real, OLI)
    for key, encoded in stored(small, OLI).items():
        low = np.array([0.0] * 9 + [248.15] * 2)[:, None, None]
        high = np.array([0.4] * 9 + [318.15] * 2)[:, None, None]
        wanted = np.clip(255 * (values[key].astype(float) - low) / (high - low), 0, 255).astype(np.uint8)
        mask = good[key]
        np.testing.assert_array_equal(encoded[:, mask], wanted[:, mask])


def test_copies_of_8_bits_need_to_be_told_what_a_step_is(tmp_path):
    l8_biome(tmp_path / "in", dtype="uint8")
    with pytest.raises(CorpusError, match="values of type: uint8") as error:
        made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16)
    assert "say counts_per_step" in str(error.value)
    assert "16-bit files divided by the copy tell" in str(error.value)
    assert "get the file again" not in str(error.value)
    corpus = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16, counts_per_step=257.0)
    (uid, date), pixels = next(iter(stored(corpus, OLI).items()))
    scene, rows, columns = parts_of(uid)
    counts = read(next((tmp_path / "in").rglob(f"{scene}.TIF")))[1, rows, columns].astype(float) * 257
    mask = valid(corpus, OLI)[uid, date]
    wanted = (2e-5 * counts - 0.1) / np.sin(np.deg2rad(33.0))
    np.testing.assert_allclose(pixels[1][mask], wanted[mask], rtol=1e-5)


def test_a_stated_part_of_the_biomes(tmp_path):
    l8_biome(tmp_path / "in")
    whole = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16).locations.set_index("uid")
    chosen = min(BIOMES)
    part = made("l8-biome", tmp_path / "in", tmp_path / "d", chip_px=16, biomes=(chosen,))
    assert set(part.locations["biome"]) == {chosen}
    assert part.locations.set_index("uid")["split"].equals(whole[whole["biome"] == chosen]["split"])
    assert part.info.provenance[0]["settings"]["biomes"] == [chosen]
    assert any("scenes are here: the split is dealt among these" in entry["what"] for entry in log(part))
    with pytest.raises(CorpusError, match="no scene of 'moon' is here"):
        made("l8-biome", tmp_path / "in", tmp_path / "e", chip_px=16, biomes=("moon",))


def test_a_stated_part_of_the_zones(tmp_path):
    l7_irish(tmp_path / "in")
    whole = made("l7-irish", tmp_path / "in", tmp_path / "c", chip_px=16).locations.set_index("uid")
    chosen = min(set(whole["biome"]))
    part = made("l7-irish", tmp_path / "in", tmp_path / "d", chip_px=16, biomes=(chosen,)).locations.set_index("uid")
    assert 0 < len(part) < len(whole)
    assert part["split"].equals(whole[whole["biome"] == chosen]["split"])


def _break(folder, scene, mask, how):
    image, metadata = folder / f"{scene}.TIF", folder / f"{scene}_MTL.txt"
    if how == "code":
        tif(folder / f"{mask}.TIF", np.full((1, 36, 40), 7, np.uint8))
    elif how == "small mask":
        tif(folder / f"{mask}.TIF", np.zeros((1, 16, 16), np.uint8))
    elif how == "metadata":
        metadata.unlink()
    else:
        text = metadata.read_text()
        tif(image, noise(0, (9, 36, 40), dtype="uint16") if how == "type" else noise(0, (8, 36, 40)))
        metadata.write_text(text)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("code", "holds the code 7"),
        ("small mask", "rows and columns"),
        ("metadata", r"_MTL\.txt of .* are missing"),
        ("type", "values of type: uint16"),
        ("bands", "bands: 8"),
    ],
)
def test_a_bad_scene_is_an_error_or_left_out(tmp_path, how, words):
    l7_irish(tmp_path / "in")
    folder, (scene, mask) = next(iter(IRISH.items()))
    _break(tmp_path / "in" / folder, scene, mask, how)
    with pytest.raises(CorpusError, match=words):
        made("l7-irish", tmp_path / "in", tmp_path / "c", chip_px=16)
    corpus = made("l7-irish", tmp_path / "in", tmp_path / "d", chip_px=16, on_bad_file="skip")
    assert scene not in set(corpus.locations["group"])
    assert {e["event"] for e in log(corpus)} == {"bad file", "subset"}  # and these are not all 96 scenes


def test_no_scene_and_no_room(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(CorpusError, match="no scene is here"):
        made("l8-biome", tmp_path / "in", tmp_path / "c")
    l8_biome(tmp_path / "in")
    with pytest.raises(CorpusError, match="no chip of 224 pixels fits"):
        made("l8-biome", tmp_path / "in", tmp_path / "c")


def test_missing_metadata_can_be_estimated(tmp_path):
    l8_biome(tmp_path / "in")
    for path in (tmp_path / "in").rglob("*_MTL.txt"):
        path.unlink()
    corpus = made("l8-biome", tmp_path / "in", tmp_path / "c", chip_px=16, missing_metadata="estimate")
    assert biome_source.SENSOR in corpus.info.sensors
