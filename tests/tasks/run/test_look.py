"""What encoders make of a task's test locations: the tables, and what they are made of."""

from contextlib import nullcontext

import numpy as np
import pytest

from swath.corpus.splits.partition import SplitConfig, split
from swath.corpus.splits.seen import places
from swath.encoders import build, save
from swath.encoders.random_convolutions import Config
from swath.errors import RecipeError, SwathError
from swath.tasks import Seen, TaskConfig, extract, represent, representation
from swath.tasks.run.look import indices_of
from swath.tasks.schema import CLOSEST, LIKENESS, PLANE, PROPERTIES
from swath.tasks.task import Task
from tests.tasks.fakes import ALL, OPTICAL, contract, small_encoder

BANDS = ALL[2:4]


def task_of(corpus, **changes) -> Task:
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"both": BANDS, "optical": ALL[1:3], "alone": ALL[3:4]},
        "probes": [{"name": "knn"}],
    }
    config = TaskConfig.model_validate(settings | {"metric": "accuracy"} | changes)
    fold = SplitConfig(fractions=(0.5, 0.25, 0.25))
    return Task("kinds", config, corpus, split(corpus, fold), fold)


@pytest.fixture(scope="module")
def looked(corpus, tmp_path_factory):
    task, out = task_of(corpus), tmp_path_factory.mktemp("looked")
    seen = [Seen("a", "pretrained", "a", small_encoder(0)), Seen("b", "random-twin", "a", small_encoder(1))]
    stranger = Seen("lost", "pretrained", "lost", small_encoder(0, ALL[:1], 1, fixed=True))
    return task, seen, out, represent(task, ["both"], [*seen, stranger], 3, out, 2000)


def test_properties_are_those_of_the_features_of_the_test_part(looked):
    task, seen, out, said = looked
    assert [line for line in said if line.startswith("lost is left out on both: ")] == said
    table = PROPERTIES.read(out)
    assert table[["row", "role", "of_arm", "seed"]].values.tolist() == [
        ["a", "pretrained", "a", 3],
        ["b", "random-twin", "a", 3],
    ]
    part = task.parts["test"]
    features = extract(seen[0].encoder, task.corpus, part.locations, BANDS)
    first = table.iloc[0]
    assert (first["locations"], first["dims"]) == features.shape
    assert first["rankme"] == pytest.approx(representation.rankme(features), rel=1e-5)
    assert first["uniformity"] == pytest.approx(representation.uniformity(features), rel=1e-4)
    assert first["retrieval_map"] == pytest.approx(representation.retrieval(features, part.y), rel=1e-5)
    groups = np.unique(task.groups[part.locations], return_inverse=True)[1]
    assert first["group_map"] == pytest.approx(representation.retrieval(features, groups), rel=1e-5)
    assert 0 < first["alignment"] < 0.5  # of mirrored chips, whose means are the same


def test_likeness_has_every_pair_and_each_index_of_bands(looked):
    task, seen, out, _ = looked
    table = LIKENESS.read(out)
    assert list(zip(table["row"], table["other"], strict=True)) == [("a", "b")]  # there is no near infrared and no VH
    a, b = (extract(one.encoder, task.corpus, task.parts["test"].locations, BANDS) for one in seen)
    assert table["cka"][0] == pytest.approx(representation.cka(a, b), rel=1e-5)


def test_places_and_neighbours_are_of_the_same_locations(looked):
    task, seen, out, _ = looked
    plane, closest = PLANE.read(out), CLOSEST.read(out)
    uid = task.corpus.locations["uid"].to_numpy()[task.parts["test"].locations]
    assert plane["uid"].tolist() == [*uid, *uid]
    kinds = task.corpus.locations.set_index("uid")["kind"]
    assert plane["label"].tolist() == kinds[plane["uid"]].tolist()
    assert plane["date"].str.startswith("2020-05-").all()
    features = extract(seen[1].encoder, task.corpus, task.parts["test"].locations, BANDS)
    own = closest.loc[closest["row"] == "b"]
    query = own["query"].iloc[0]
    expected = uid[representation.nearest(features, np.flatnonzero(uid == query))[0]]
    assert own.loc[own["query"] == query, "uid"].tolist() == expected.tolist()
    asked = list(dict.fromkeys(own["query"]))
    assert len(asked) == 6
    assert set(kinds[asked[:3]]) == {"class 0", "class 1", "class 2"}


def test_what_cannot_be_looked_at_is_refused(corpus, tmp_path):
    task, one = task_of(corpus), Seen("a", "pretrained", "a", small_encoder(0))
    with pytest.raises(RecipeError, match="no input 'radar'"):
        represent(task, ["radar"], [one], 0, tmp_path, 2000)
    with pytest.raises(RecipeError, match="200000 locations"):
        represent(task, ["both"], [one], 0, tmp_path, 200_000)
    with pytest.raises(RecipeError, match="no encoder can take the input"):
        represent(
            task, ["both"], [Seen("x", "pretrained", "x", small_encoder(0, ALL[:1], 1, fixed=True))], 0, tmp_path, 9
        )
    broken = small_encoder(0)
    broken.network[0].weight.data[:] = float("nan")
    with pytest.raises(SwathError, match="embeddings are not finite"):
        represent(task, ["both"], [Seen("a", "pretrained", "a", broken)], 0, tmp_path, 9)
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_saw_what_is_tested_is_refused(corpus, tmp_path):
    task, settings = task_of(corpus), Config(features=4)
    one = build(settings, contract(ALL, 1))
    for part, met in (("train", False), ("test", True)):
        path = tmp_path / part / "encoder"
        save(one, settings, path, {}, places(corpus, task.parts[part].locations))
        look = [Seen("a", "pretrained", "a", one, path)]
        with pytest.raises(RecipeError, match="a, judged on kinds,") if met else nullcontext():
            assert represent(task, ["both"], look, 0, tmp_path / "out", 2000) == []


def test_fewer_locations_are_drawn_and_said(corpus, tmp_path):
    said = represent(task_of(corpus), ["both"], [Seen("a", "pretrained", "a", small_encoder(0))], 0, tmp_path, 9)
    assert said[0].startswith("9 of ")
    assert PROPERTIES.read(tmp_path)["locations"].tolist() == [9]
    assert len(PLANE.read(tmp_path)) == 9


def test_several_inputs_share_a_plane_where_their_dimensions_agree(corpus, tmp_path):
    task, names = task_of(corpus), ["both", "optical", "alone"]
    represent(task, names, [Seen("a", "pretrained", "a", small_encoder(0))], 0, tmp_path, 9)
    properties, plane = PROPERTIES.read(tmp_path), PLANE.read(tmp_path)
    assert properties[["input", "dims"]].values.tolist() == [["both", 16], ["optical", 16], ["alone", 8]]
    assert plane.groupby("plane", sort=False)["input"].unique().map(list).to_dict() == {
        "both, optical": ["both", "optical"],
        "alone": ["alone"],
    }
    assert plane.drop_duplicates("input")["sensor"].tolist() == [f"{OPTICAL}+sentinel-1-grd", OPTICAL, "sentinel-1-grd"]
    rows = task.corpus.locations["uid"].isin(plane["uid"]).to_numpy().nonzero()[0]
    joint = [extract(small_encoder(0), task.corpus, rows, task.inputs[name].bands) for name in names]
    places = representation.embedded_in_plane(np.concatenate(joint[:2]), 0)
    shown = plane.loc[plane["plane"] == "both, optical", ["x", "y"]].to_numpy()
    np.testing.assert_allclose(shown, places, rtol=1e-4)
    likeness = LIKENESS.read(tmp_path).set_index(["input", "other_input"])["cka"]
    assert likeness["both", "alone"] == pytest.approx(representation.cka(joint[0], joint[2]), rel=1e-4)


def test_indices_of_bands():
    sensor, names = OPTICAL, {"B03": 0.1, "B04": 0.2, "B08": 0.6}
    means = {f"{sensor}/{name}": np.array([value, 0.0]) for name, value in names.items()}
    means |= {"sentinel-1-rtc/VV": np.array([-8.0, -9]), "sentinel-1-rtc/VH": np.array([-14.0, -10])}
    found = indices_of(means)
    assert found[f"NDVI ({sensor})"][0] == pytest.approx(0.5)
    assert found[f"NDWI ({sensor})"][0] == pytest.approx(-5 / 7)
    assert np.isnan(found[f"NDVI ({sensor})"][1])
    assert found["VV/VH (sentinel-1-rtc)"].tolist() == [6, 1]
