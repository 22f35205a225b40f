"""Mean, deviation, minimum and maximum of each band, always read by the linear probe; numbers by ridge regression."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from swath.corpus import Corpus
from swath.encoders import Encoder, image_statistics
from swath.tasks._types import Outcome
from swath.tasks.data import contract_of
from swath.tasks.floors._types import FloorSettings, Task, plain_probe
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation


class Config(FloorSettings):
    """The floor of image statistics: mean, deviation, minimum and maximum of each band. It has no settings."""

    name: Literal["image-statistics"] = "image-statistics"
    row: ClassVar[str] = "image statistics + linear"
    random: ClassVar[bool] = False

    def once(self, probe: ProbeSettings) -> Validation:  # noqa: ARG002 — as every floor
        """Earlier versions learnt from the validation labels, whatever the probe did."""
        return "fits"


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001
) -> Iterator[Outcome]:
    """The linear probe's, which uses the validation labels as the panel's own does."""
    return task.read(lambda bands: build(task.corpus, bands), panels, seed, partial(plain_probe, task))


def build(corpus: Corpus, bands: Sequence[str]) -> Encoder:
    """Statistics of these bands, in standard units."""
    return image_statistics.build(image_statistics.Config(), contract_of(corpus, bands))
