"""Supervised networks beside the arms: trained from scratch, on the labels alone, by the settings of a probe."""

from collections.abc import Iterator, Sequence

from swath.tasks._types import Outcome
from swath.tasks.config import ReferenceConfig
from swath.tasks.panel import Panel
from swath.tasks.supervised import train_reference
from swath.tasks.task import Task


def panels(config: ReferenceConfig, task: Task) -> list[Panel]:
    """The panels in which a reference has a row: on its inputs, under every probe that trains encoders."""
    return [panel for panel in task.panels if panel.input.name in config.inputs and panel.probe.supervision()]


def outcomes(config: ReferenceConfig, task: Task, wanted: Sequence[Panel], seed: int, device: str) -> Iterator[Outcome]:
    """What a reference predicts in some of its panels, for one seed."""
    for panel in wanted:
        how, data = panel.probe.supervision(), task.labelled(panel.input)
        assert how is not None
        yield panel.tried(lambda h=how, d=data: train_reference(h, config.segmenter, d, task.corpus, seed, device))
