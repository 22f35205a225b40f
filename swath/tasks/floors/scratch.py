"""The arm's own network trained end to end on the labelled training part: what the labels alone are worth.

Under a probe that trains encoders by exactly its settings, else by the task's own (`scratch`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from swath.encoders import Encoder
from swath.errors import SwathError
from swath.tasks._types import Outcome
from swath.tasks.data import Bands, match_bands, with_corpus_statistics
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation
from swath.tasks.schema import Role
from swath.tasks.supervised import Supervision, plain, train_encoder, used


class Config(FloorSettings):
    """The floor of an arm's own network trained from scratch on the labels. The task's `scratch` says how it is
    trained.
    """

    name: Literal["scratch"] = "scratch"
    row: ClassVar[str] = "scratch"
    role: ClassVar[Role] = "scratch"
    task_settings: ClassVar[tuple[str, ...]] = ("scratch",)

    def once(self, probe: ProbeSettings) -> Validation:  # noqa: ARG002 — as every floor
        """Earlier versions chose the epoch by the validation labels, whatever the probe did."""
        return "tunes"

    def stands(self, task: Task, panel: Panel) -> bool:
        """On named inputs only: under a band-wise probe it would cost a training per band."""
        return panel.input.name in task.config.inputs


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,
) -> Iterator[Outcome]:
    """Predictions of networks trained from scratch: one for each input, way to train and use of the validation
    labels.
    """
    assert network is not None
    lent = with_corpus_statistics(network, task.corpus, task.bands)
    made: dict[tuple[str, Supervision, Validation], Outcome] = {}
    for panel in panels:
        settings = panel.probe.supervision() or plain(task.config.scratch)
        use = panel.probe.validation()
        key = (panel.input.name, settings, use)
        if key not in made:
            data = used(task.labelled(panel.input), use)
            note = _note(lent, panel.input.bands)
            made[key] = panel.tried(lambda s=settings, d=data: train_encoder(s, lent, d, seed), note)
        yield replace(made[key], probe=panel.probe.label())


def _note(encoder: Encoder, bands: Bands) -> str:
    try:
        return match_bands(encoder.contract, bands).note
    except SwathError:  # training says so itself
        return ""
