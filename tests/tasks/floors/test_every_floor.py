"""What holds for every floor: found by name, a row of its own, and an outcome in every panel where it stands."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from swath import plugins
from swath.corpus.splits.partition import SplitConfig, split
from swath.errors import RecipeError
from swath.tasks import Task, TaskConfig, floors
from swath.tasks.schema import ROLES
from tests.tasks.fakes import ALL, dense_encoder, small_encoder

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
TRAINED = {"name": "fine-tune", "epochs": 1, "batch_size": 16}


def settings(**changes):
    return TaskConfig.model_validate({"inputs": {"optical": ALL[:3]}, "scratch": {"epochs": 1}, **changes})


@pytest.fixture(scope="module")
def worlds(corpus, fields):
    """A task whose locations have classes, one whose pixels do, and one of numbers, each with an encoder for it."""
    locations = settings(target={"rule": "scalar", "column": "kind"}, probes=[{"name": "knn"}, TRAINED])
    pixels = settings(target={"rule": "pixels", "layer": "crops"}, probes=[TRAINED], dates="all", metric="miou")
    degrees = {"rule": "value", "column": "lat", "unit": "degrees"}
    numbers = settings(target=degrees, probes=[{"name": "ridge"}, TRAINED], metric="r2")
    return [
        (Task("kinds", locations, corpus, split(corpus, SPLIT), SPLIT), small_encoder),
        (Task("crops", pixels, fields, split(fields, SPLIT), SPLIT), dense_encoder),
        (Task("latitudes", numbers, corpus, split(corpus, SPLIT), SPLIT), small_encoder),
    ]


@pytest.fixture(params=floors.names())
def floor(request):
    few = {"trees": 5} if request.param.endswith("forest") else {}
    few |= {"pixels": 300} if request.param.endswith(("forest", "regression")) else {}
    return plugins.find("swath.tasks.floors", request.param).Config(**few)


def test_what_the_tables_have_to_know_of_it_is_there(floor):
    assert isinstance(plugins.find("swath.tasks.floors", floor.name), floors.FloorPlugin)
    assert isinstance(floor, floors.FloorSettings)
    assert floor.row
    assert floor.role in ROLES
    assert floor.needs_network == (floor.role in {"random-twin", "scratch"})
    assert all(name in TaskConfig.model_fields for name in floor.task_settings)
    assert floors.find(floor.name).name == floor.name


def test_rows_have_names_of_their_own():
    rows = [floors.find(name).row for name in floors.names()]
    assert len(set(rows)) == len(rows)


def test_it_says_something_wherever_it_stands(floor, worlds):
    stood = 0
    for task, build in worlds:
        standing = [panel for panel in task.panels if floor.stands(task, panel)]
        network = build(0) if floor.needs_network else None
        made = list(floors.outcomes(floor, task, task.panels, 0, network))
        assert [(one.input, one.probe) for one in made] == [panel.key for panel in standing]
        for one in made:
            assert one.prediction is not None, one.note
            assert one.prediction.y_pred.shape == task.units.y_true.shape
            assert task.regression or one.prediction.y_pred.max() < len(task.classes)
            assert one.prediction.y_pred.dtype.kind == ("f" if task.regression else "i")
            if one.prediction.scores is not None:
                assert one.prediction.scores.sum(1) == pytest.approx(np.ones(len(task.units)), abs=1e-5)
        assert list(floors.outcomes(floor, task, [], 0, network)) == []
        stood += len(standing)
    assert stood


def test_settings_are_strict(floor):
    with pytest.raises(ValidationError):
        type(floor).model_validate({"name": floor.name, "leaves": 3})


def test_recipes_name_floors_and_may_say_more():
    task = settings(
        target={"rule": "scalar", "column": "kind"}, floors=["majority", {"name": "random-forest", "trees": 5}]
    )
    assert [floor.row for floor in task.floors] == ["majority", "random forest"]
    assert task.floors[1].trees == 5
    assert task.model_dump(mode="json")["floors"] == [
        "majority",
        {"name": "random-forest", "trees": 5, "pixels": 20000},
    ]
    usual = settings(target={"rule": "scalar", "column": "kind"})
    assert usual.model_dump(mode="json")["floors"] == list(floors.USUAL)
    assert TaskConfig.model_validate(usual.model_dump(mode="json")) == usual
    with pytest.raises(ValidationError, match="'majorty' found using 'name' does not match any of the expected"):
        settings(target={"rule": "scalar", "column": "kind"}, floors=["majorty"])
    with pytest.raises(RecipeError, match="unknown floor 'majorty'"):
        floors.find("majorty")


def test_a_floor_is_one_file(add_plugin, worlds):
    add_plugin(
        "swath.tasks.floors",
        "coin",
        """
        from typing import ClassVar, Literal

        import numpy as np

        from swath.tasks import Prediction
        from swath.tasks.floors import FloorSettings


        class Config(FloorSettings):
            name: Literal["coin"] = "coin"
            row: ClassVar[str] = "a coin"


        def outcomes(config, task, panels, seed, network):
            rng = np.random.default_rng(seed)
            for panel in panels:
                yield panel.outcome(Prediction(rng.integers(0, len(task.classes), len(task.units))))
        """,
    )
    assert "coin" in floors.names()
    assert "coin" not in floors.USUAL
    task, _ = worlds[0]
    (first, _) = floors.outcomes(floors.find("coin"), task, task.panels, 0)
    assert set(first.prediction.y_pred) == {0, 1, 2}
    assert TypeAdapter(plugins.union("swath.tasks.floors")).validate_python({"name": "coin"}).row == "a coin"
