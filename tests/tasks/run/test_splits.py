"""Random splits against blocks and regions: on places whose label nobody can know who has not been there."""

import numpy as np
import pytest

from swath import sensors
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.corpus.splits import SplitConfig, rotations, split
from swath.errors import CorpusError, RecipeError
from swath.tasks import Encoders, Splits, TaskConfig, Wanted, compare_splits, floors
from swath.tasks.schema import SPLIT_VALUES
from swath.tasks.task import Task

S2 = "sentinel-2-l2a"
BANDS = tuple(band.name for band in sensors.get(S2).bands)
GROUPS, EACH = 12, 5
TASK = {
    "target": {"rule": "scalar", "column": "kind"},
    "inputs": {"own": [f"{S2}/{name}" for name in BANDS]},
    "floors": ["majority", "image-statistics", "scratch"],
}
NOBODY = Encoders({}, lambda arm, number: pytest.fail(f"{arm}, {number}"), 1)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Farms with a colour and a kind each, that have nothing to do with each other."""
    path, rng = tmp_path_factory.mktemp("corpus") / "farms", np.random.default_rng(1)
    layout = SensorLayout(bands=BANDS, gsd_m=10, dtype="float32")
    locations, chips = [], []
    for g in range(GROUPS):
        colour, kind = rng.normal(0.3, 0.1, (len(BANDS), 1, 1)), f"kind {g % 2}"
        for i in range(EACH):
            uid, lonlat = f"farm {g} field {i}", (5 + 0.4 * (g % 4) + 0.001 * i, 50 + 0.4 * (g // 4))
            scalars = {"kind": kind, "country": "abc"[g % 3]}
            locations.append(Location(uid=uid, group=f"farm {g}", lonlat=lonlat, scalars=scalars))
            chips.append(Chip(uid, S2, (colour + rng.normal(0, 1e-3, (len(BANDS), 2, 2))).astype(np.float32)))
    with CorpusWriter(path, {S2: layout}, 2) as writer:
        writer.append(Part(locations, chips))
        writer.finish()
    return Corpus.open(path)


@pytest.fixture(scope="module")
def compared(places, tmp_path_factory):
    out, task = tmp_path_factory.mktemp("stress"), TaskConfig.model_validate(TASK)
    said = compare_splits({"kinds": task}, places, NOBODY, Wanted(), Splits(folds=3, block_km=3.0), out)
    return task, out, said


def test_what_cannot_be_known_elsewhere_is_the_optimism_of_a_random_split(compared):
    _, out, said = compared
    assert said == ["1 left out, which would be trained for each fold: scratch"]
    table = SPLIT_VALUES.read(out)
    own = table.loc[table["row"] == "image statistics + linear"].set_index("split")
    assert own["value"]["random"] > 0.9
    for name in ("blocks", "regions"):
        assert own["value"][name] < 0.75
        assert own["optimism"][name] == pytest.approx(own["value"]["random"] - own["value"][name])
        assert own["optimism_low"][name] > 0
    assert np.isnan(own["optimism"]["random"])
    assert own["n_units"].tolist() == [GROUPS * EACH] * 3
    assert own["n_groups"].tolist() == [GROUPS] * 3
    assert own["train"]["regions"] == 20


def test_each_fold_is_what_the_task_says_of_it_alone(compared, places):
    task, out, _ = compared
    right = 0.0
    for fold in rotations(places, SplitConfig(by="group", folds=3, fold=0)):
        alone = Task("kinds", task, places, split(places, fold), fold)
        (outcome,) = floors.outcomes(task.floors[1], alone, alone.panels, 0)
        right += float((outcome.prediction.y_pred == alone.units.y_true).sum())
    table = SPLIT_VALUES.read(out).set_index(["row", "split"])
    assert table["value"]["image statistics + linear", "regions"] == pytest.approx(right / (GROUPS * EACH))


def test_regions_may_be_a_column_and_what_there_is_not_is_said(places, tmp_path):
    tasks = {"kinds": TaskConfig.model_validate(TASK | {"floors": ["majority"]})}
    assert compare_splits(tasks, places, NOBODY, Wanted(), Splits(folds=3, region="country"), tmp_path) == []
    own = SPLIT_VALUES.read(tmp_path).set_index("split")
    assert (own["folds"]["regions"], own["n_groups"]["random"]) == (3, 3)
    said = compare_splits(tasks, places, NOBODY, Wanted(), Splits(folds=3, region="county"), tmp_path)
    assert said == ["no split by regions: the corpus has no column 'county'"]
    # blocks that hold several farms are what is left out for the intervals, of all splits
    assert compare_splits(tasks, places, NOBODY, Wanted(), Splits(folds=3, block_km=60.0), tmp_path) == []
    assert 3 <= SPLIT_VALUES.read(tmp_path)["n_groups"].unique().item() < GROUPS
    with pytest.raises(RecipeError, match="there is no row of frozen features 'scratch'"):
        compare_splits(tasks, places, NOBODY, Wanted(rows=("scratch",)), Splits(folds=3), tmp_path)
    assert len(SPLIT_VALUES.read(tmp_path)) == 3
    with pytest.raises(RecipeError, match="there is no task 'kind"):
        compare_splits(tasks, places, NOBODY, Wanted(task="kind"), Splits(), tmp_path)
    with pytest.raises(CorpusError, match="nothing to compare"):
        compare_splits(tasks, places, NOBODY, Wanted(), Splits(folds=70), tmp_path)


def test_only_the_rows_that_are_asked_for_are_computed(places, tmp_path, monkeypatch):
    monkeypatch.setattr(Task, "read", lambda *_: pytest.fail("image statistics were computed"))
    wanted, task = Wanted(rows=("majority",)), TaskConfig.model_validate(TASK)
    compare_splits({"kinds": task}, places, NOBODY, wanted, Splits(folds=3), tmp_path)
    assert set(SPLIT_VALUES.read(tmp_path)["row"]) == {"majority"}


def test_a_group_with_half_of_all_locations_is_said_beside_every_interval(tmp_path):
    corpus = unequal(tmp_path / "corpus")
    tasks = {"kinds": TaskConfig.model_validate(TASK | {"floors": ["majority", "image-statistics"]})}
    assert compare_splits(tasks, corpus, NOBODY, Wanted(), Splits(folds=3, block_km=3.0), tmp_path) == []
    table = SPLIT_VALUES.read(tmp_path)
    half = "7 groups only: they say as much as 3.4 of equal size, and intervals may be too narrow; "
    half += "the largest group holds 50 % of the units"
    assert all(note.endswith(half) for note in table["note"])
    # where that group is tested, half of the locations are not there to be learnt from
    fewer = table.loc[table["note"].str.contains("far fewer locations")]
    assert set(fewer["split"]) == {"blocks", "regions"}
    assert fewer["note"].str.contains("random ones from 24").all()


def unequal(path) -> Corpus:
    """A farm of 36 fields, and six of 6."""
    layout, rng = SensorLayout(bands=BANDS, gsd_m=10, dtype="float32"), np.random.default_rng(2)
    fields = [(g, i) for g, count in enumerate((36, *[6] * 6)) for i in range(count)]
    locations = [
        Location(
            uid=f"{g}-{i}", group=f"farm {g}", lonlat=(5 + 0.4 * g, 50 + 1e-4 * i), scalars={"kind": f"kind {i % 2}"}
        )
        for g, i in fields
    ]
    chips = [Chip(one.uid, S2, rng.normal(0.3, 0.1, (len(BANDS), 2, 2)).astype(np.float32)) for one in locations]
    with CorpusWriter(path, {S2: layout}, 2) as writer:
        writer.append(Part(locations, chips))
        writer.finish()
    return Corpus.open(path)
