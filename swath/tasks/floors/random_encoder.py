"""The arm's own network as it was before its pre-training, frozen: its random twin."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from swath.encoders import Encoder
from swath.tasks._types import Outcome
from swath.tasks.floors._types import FloorSettings, Task
from swath.tasks.panel import Panel
from swath.tasks.schema import Role


class Config(FloorSettings):
    """The floor of an arm's own network before its pre-training, frozen: its random twin. It has no settings."""

    name: Literal["random-encoder"] = "random-encoder"
    row: ClassVar[str] = "random encoder (frozen)"
    role: ClassVar[Role] = "random-twin"

    def stands(self, task: Task, panel: Panel) -> bool:  # noqa: ARG002 — as every floor
        """Under probes that keep the encoder as it is: with one that trains it, this would be `scratch`."""
        return panel.probe.keeps_encoder()


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,
) -> Iterator[Outcome]:
    """Predictions of the panels' probes from the untrained network, read as from a pre-trained encoder."""
    assert network is not None
    return task.outcomes(network, panels, seed)
