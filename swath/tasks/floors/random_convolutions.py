"""Features of random filters (RCF), read by the panel's own probe; by the linear one where that trains encoders."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from swath.corpus import Corpus
from swath.encoders import Encoder, random_convolutions
from swath.tasks._types import Outcome
from swath.tasks.data import contract_of
from swath.tasks.floors._types import FloorSettings, Task, plain_probe
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation


class Config(FloorSettings):
    """The floor of random filters (MOSAIKS; Rolf et al. 2021), read by the panel's probe. It has no settings."""

    name: Literal["random-convolutions"] = "random-convolutions"
    row: ClassVar[str] = "random convolutions"

    def once(self, probe: ProbeSettings) -> Validation | None:
        """Earlier versions learnt from the validation labels beside a probe that trains encoders."""
        return "fits" if probe.supervision() else None


def outcomes(
    config: Config,  # noqa: ARG001 — as every floor
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001
) -> Iterator[Outcome]:
    """A panel's probe on the features of its bands."""
    return task.read(lambda bands: build(task.corpus, bands, seed), panels, seed, partial(_reader, task))


def _reader(task: Task, probe: ProbeSettings) -> ProbeSettings:
    return plain_probe(task, probe) if probe.supervision() else probe


def build(corpus: Corpus, bands: Sequence[str], seed: int) -> Encoder:
    """Random filters over these bands, no larger than a chip."""
    size = min(random_convolutions.Config().kernel_size, corpus.info.chip_px)
    settings = random_convolutions.Config(seed=seed, kernel_size=size)
    return random_convolutions.build(settings, contract_of(corpus, bands))
