"""What docs/evaluation.md says is what the code does."""

from pathlib import Path

import yaml

from swath import config
from swath.tasks import Claim, TaskConfig, floors, metrics, probes, stated_claims
from swath.tasks.statistics import StatisticsConfig
from swath.tasks.statistics.claims import WORST_COVERAGE
from swath.tasks.statistics.jackknife import LEAST_TRAININGS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(language):
    return [block.split("```")[0] for block in DOCUMENT.split(f"```{language}\n")[1:]]


def test_python_examples_run():
    names: dict = {}
    for block in blocks("python"):
        exec(compile(block, "docs/evaluation.md", "exec"), names)
    assert list(names["claims"].verdict) == ["better"]


def test_the_recipes_section_is_a_task():
    for block in blocks("yaml"):
        document = yaml.safe_load(block)
        for settings in document.get("tasks", {}).values():
            TaskConfig.model_validate(settings)
        recipe = config.load("s4-canada")
        claims = [Claim.model_validate(claim) for claim in document.get("claims", [])]
        assert len(stated_claims(claims, recipe.tasks, list(recipe.arms)) or ()) >= len(claims)


def test_every_probe_floor_and_metric_is_described():
    for name in (*probes.names(), *(floors.find(name).row for name in floors.names()), *metrics.names()):
        assert f"`{name}`" in DOCUMENT, name


def test_the_numbers_are_the_defaults():
    defaults = StatisticsConfig()
    assert f"**{('no', 'one', 'two', 'three')[LEAST_TRAININGS]} trainings of each fold" in DOCUMENT
    assert f"The worst type-I error of these designs is 5.0 %, the worst coverage {WORST_COVERAGE} %" in DOCUMENT
    assert f"{defaults.flips:,} random" in DOCUMENT
    assert f"`p_holm` < {defaults.alpha}" in DOCUMENT
