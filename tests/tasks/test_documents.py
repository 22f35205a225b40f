"""What docs/evaluation.md says is what the code does."""

from pathlib import Path

import yaml

from swath.tasks import TaskConfig, floors, metrics, probes
from swath.tasks.statistics import StatisticsConfig

DOCUMENT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(language):
    return [block.split("```")[0] for block in DOCUMENT.split(f"```{language}\n")[1:]]


def test_python_examples_run():
    names: dict = {}
    for block in blocks("python"):
        exec(compile(block, "docs/evaluation.md", "exec"), names)
    assert list(names["comparisons"].verdict) == ["better"]


def test_the_recipes_section_is_a_task():
    for block in blocks("yaml"):
        for settings in yaml.safe_load(block)["tasks"].values():
            TaskConfig.model_validate(settings)


def test_every_probe_floor_and_metric_is_described():
    for name in (*probes.names(), *(floors.find(name).row for name in floors.names()), *metrics.names()):
        assert f"`{name}`" in DOCUMENT, name


def test_the_numbers_are_the_defaults():
    config = StatisticsConfig()
    assert f"{config.resamples:,} bootstrap" in DOCUMENT
    assert f"{config.flips:,} random" in DOCUMENT
    assert f"`p_holm` < {config.alpha}" in DOCUMENT
