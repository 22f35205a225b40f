"""PASTIS-R: every pixel of every date against the NumPy files, and torchgeo's reader as a second witness."""

import json
import shutil

import numpy as np
import pytest
from pyproj import Transformer

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published.pastis_r import CLASSES, Config, split_of
from swath.errors import CorpusError
from tests.corpus.sources.published.formats import pastis_r as files
from tests.corpus.sources.reading import labels, log, stored, valid

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"


def made(data, target, **settings) -> Corpus:
    build(Config(**settings), target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("pastis")
    folder = files.write(root)
    return folder, made(root, root / "corpus", sensors=("s2", "s1a", "s1d"))


def test_a_stated_part_of_the_folds(written, tmp_path):
    folder, whole = written
    shutil.copytree(folder, tmp_path / "PASTIS-R")
    gone = files.IDS[2]  # of fold 3
    for path in (tmp_path / "PASTIS-R").rglob(f"*_{gone}.npy"):
        path.unlink()
    with pytest.raises(CorpusError, match=f"{gone}.* is missing"):
        made(tmp_path, tmp_path / "c")
    part = made(tmp_path, tmp_path / "c", folds=(1, 5), sensors=("s2", "s1a", "s1d"))
    kept = whole.locations[whole.locations["fold"].isin([1, 5])]
    assert part.locations["uid"].tolist() == kept["uid"].tolist()
    assert part.locations["digest"].tolist() == kept["digest"].tolist()
    assert part.info.provenance[0]["settings"]["folds"] == [1, 5]
    assert not (tmp_path / "c" / "log.jsonl").exists()  # what was not asked for is no finding


def iso(date: int) -> str:
    text = str(date)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def test_every_pixel_has_its_date(written):
    folder, corpus = written
    optical, radar = stored(corpus, OPTICAL), stored(corpus, RADAR)
    for number, patch in enumerate(files.IDS):
        counts = np.load(folder / "DATA_S2" / f"S2_{patch}.npy")
        for k, date in enumerate(files.dates("S2", number)):
            np.testing.assert_array_equal(optical[str(patch), iso(date)], counts[k])
        power = np.load(folder / "DATA_S1D" / f"S1D_{patch}.npy")
        last = files.dates("S1A", number)[-1]  # a date that the other orbit does not have
        np.testing.assert_array_equal(
            radar[str(patch), iso(last)], np.load(folder / "DATA_S1A" / f"S1A_{patch}.npy")[-1, :2]
        )
        rows = corpus.chips[(corpus.chips["uid"] == str(patch)) & (corpus.chips["orbit"] == "descending")]
        assert len(rows) == len(power)
    np.testing.assert_array_equal(valid(corpus, OPTICAL)["10000", "2018-09-17"][:5, :5].sum(), 9)


def colour(rgb) -> str:
    return "#" + bytes(rgb[:3]).hex()


def test_dates_are_in_order_however_they_are_written(written):
    _, corpus = written
    for _, series in corpus.chips.groupby(["uid", "sensor", "orbit"], dropna=False):
        assert series["datetime"].is_monotonic_increasing


def test_labels_names_colours_and_void(written):
    folder, corpus = written
    for patch in files.IDS:
        target = np.load(folder / "ANNOTATIONS" / f"TARGET_{patch}.npy")[0]
        np.testing.assert_array_equal(labels(corpus, "crop")[str(patch)], target)
    layer = corpus.label_layers["crop"]
    assert layer.void == 19
    assert list(layer.classes) == list(range(19))
    assert (layer.classes[0], layer.classes[9], layer.classes[18]) == ("Background", "Beet", "Sorghum")
    assert layer.colours[1] == colour((174, 199, 232))


@pytest.mark.filterwarnings("ignore:Could not parse column")  # dates that are no JSON, in torchgeo's reader
def test_torchgeo_agrees(written):
    datasets = pytest.importorskip("torchgeo.datasets")
    folder, corpus = written
    theirs = datasets.PASTIS(folder.parent, bands="s2")
    names = [name for name, _ in CLASSES]
    optical = stored(corpus, OPTICAL)
    for k, patch in enumerate(theirs.idxs):
        sample = theirs[k]
        number = files.IDS.index(patch)
        for position, date in enumerate(files.dates("S2", number)):
            np.testing.assert_array_equal(optical[str(patch), iso(date)], sample["image"][position].numpy())
        np.testing.assert_array_equal(labels(corpus, "crop")[str(patch)], sample["mask"].numpy())
    colours = [corpus.label_layers["crop"].colours[code] for code in range(20)]
    assert colours == [colour(theirs.cmap[code]) for code in range(20)]
    assert len(names) == len(theirs.classes) - 1


def test_folds_are_the_given_split(written, tmp_path):
    folder, corpus = written
    assert corpus.locations["fold"].tolist() == [1, 2, 3, 4, 5]
    assert corpus.locations["split"].tolist() == ["train", "train", "train", "val", "test"]
    turned = made(folder.parent, tmp_path / "c", test_fold=2, sensors=("s2",))
    assert turned.locations["split"].tolist() == ["val", "test", "train", "train", "train"]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [((1, 2, 3), 4, 5), ((2, 3, 4), 5, 1), ((3, 4, 5), 1, 2), ((4, 5, 1), 2, 3), ((5, 1, 2), 3, 4)],
)
def test_the_five_official_splits(train, val, test):
    assert {fold for fold in range(1, 6) if split_of(fold, test) == "train"} == set(train)
    assert (split_of(val, test), split_of(test, test)) == ("val", "test")


def test_places_come_from_the_outlines(written):
    _, corpus = written
    lon, lat = Transformer.from_crs(2154, 4326, always_xy=True).transform(900_640, 6_500_640)
    assert corpus.locations.loc[0, ["lon", "lat"]].tolist() == pytest.approx([lon, lat], abs=1e-6)


def test_patches_can_be_cut(written, tmp_path):
    folder, whole = written
    corpus = made(folder.parent, tmp_path / "c", chip_px=64, sensors=("s2",))
    assert len(corpus.locations) == 4 * len(files.IDS)
    assert corpus.locations["group"].nunique() == len(files.IDS)
    part = stored(corpus, OPTICAL)["10000_0_1", "2018-09-24"]
    np.testing.assert_array_equal(part, stored(whole, OPTICAL)["10000", "2018-09-24"][:, :64, 64:])
    places = corpus.locations.set_index("uid")
    assert places.loc["10000_0_1", "lon"] > places.loc["10000_0_0", "lon"]
    assert places.loc["10000_1_0", "lat"] < places.loc["10000_0_0", "lat"]
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_pastis_without_radar(tmp_path):
    files.write(tmp_path, kinds=("S2",))
    assert set(made(tmp_path, tmp_path / "c", sensors=("s2",)).info.sensors) == {OPTICAL}
    with pytest.raises(CorpusError, match=r"DATA_S1A/S1A_\{id\}\.npy"):
        made(tmp_path, tmp_path / "d")


def test_radar_keeps_the_precision_of_its_files(tmp_path):
    folder = files.write(tmp_path)
    half = made(tmp_path, tmp_path / "half")
    path = folder / "DATA_S1A" / "S1A_10001.npy"
    np.save(path, np.load(path).astype("float32") + np.float32(1e-4))
    single = made(tmp_path, tmp_path / "single")
    assert (half.info.sensors[RADAR].dtype, single.info.sensors[RADAR].dtype) == ("float16", "float32")
    last = iso(files.dates("S1A", 1)[-1])
    np.testing.assert_array_equal(stored(single, RADAR)["10001", last], np.load(path)[-1, :2])


def _other_shape(folder):
    path = folder / "DATA_S2" / "S2_10001.npy"
    np.save(path, np.load(path)[:, :9])


def _more_images(folder):
    path = folder / "DATA_S1A" / "S1A_10001.npy"
    np.save(path, np.load(path).repeat(2, axis=0))


def _unknown_code(folder):
    path = folder / "ANNOTATIONS" / "TARGET_10001.npy"
    np.save(path, np.load(path) + 20)


def _pickled(folder):
    np.save(folder / "DATA_S2" / "S2_10001.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_shape, r"S2_10001\.npy has the shape 4 x 9 x 128 x 128, not any x 10 x 128 x 128"),
        (_more_images, r"has 10 images, but metadata\.geojson lists 5 dates"),
        (_unknown_code, r"TARGET_10001\.npy holds the code"),
        (_pickled, r"S2_10001\.npy holds object, not int16"),
    ],
)
def test_a_bad_file_stops_or_is_named_in_the_log(tmp_path, spoil, said):
    folder = files.write(tmp_path, ids=files.IDS[:2], kinds=("S2", "S1A"))
    spoil(folder)
    with pytest.raises(CorpusError, match=said) as error:
        made(tmp_path, tmp_path / "c")
    assert "on_bad_file=skip" in str(error.value)
    corpus = made(tmp_path, tmp_path / "c", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == ["10000"]
    assert [entry["id"] for entry in log(corpus)] == ["10001"]


def test_an_extra_file_is_an_error_where_it_looks_like_data_and_a_note_where_not(tmp_path):
    folder = files.write(tmp_path, ids=files.IDS[:2], kinds=("S2", "S1A"))
    (folder / "DATA_S2" / "thumbs.db").touch()
    assert [entry["id"] for entry in log(made(tmp_path, tmp_path / "c"))] == ["thumbs.db"]
    shutil.copy(folder / "DATA_S2" / "S2_10001.npy", folder / "DATA_S2" / "S2_99999.npy")
    with pytest.raises(CorpusError, match=r"S2_99999\.npy is in no table"):
        made(tmp_path, tmp_path / "d")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda said: said | {"dates-S2": "soon"}, "says dates that cannot be understood"),
        (lambda said: said | {"dates-S2": {"0": 20180917, "2": 20180924}}, "positions are not 0, 1, 2"),
        (lambda said: {key: value for key, value in said.items() if key != "Fold"}, "lacks 'Fold'"),
        (lambda said: said | {"Fold": 7}, "knows a fold 7"),
    ],
)
def test_a_bad_table_is_named(tmp_path, change, said):
    folder = files.write(tmp_path, ids=files.IDS[:1], kinds=("S2", "S1A"))
    path = folder / "metadata.geojson"
    table = json.loads(path.read_text())
    table["features"][0]["properties"] = change(table["features"][0]["properties"])
    path.write_text(json.dumps(table))
    with pytest.raises(CorpusError, match=said) as error:
        made(tmp_path, tmp_path / "c")
    assert "metadata.geojson" in str(error.value)


def test_a_folder_without_the_table_is_told_what_it_holds(tmp_path):
    folder = files.write(tmp_path, ids=files.IDS[:1], kinds=("S2", "S1A"))
    (folder / "metadata.geojson").rename(folder / "meta.geojson")
    with pytest.raises(CorpusError, match=r"no metadata\.geojson") as error:
        made(tmp_path, tmp_path / "c")
    assert "nearest: 'meta.geojson'" in error.value.remedy
