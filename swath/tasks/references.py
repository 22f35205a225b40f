"""Networks beside the arms that no pre-training went into: other architectures, and encodings that need none.

A segmenter is trained on the labels alone, by the settings of a probe that trains. So is an encoder that has something
to train; one that has nothing, such as an encoding of coordinates, is read by the probes of frozen features.
"""

from collections.abc import Iterator, Sequence

import torch

from swath import encoders
from swath._memory_guard import same_random_numbers
from swath.encoders import Encoder
from swath.errors import SwathError
from swath.tasks._types import Outcome
from swath.tasks.config import ReferenceConfig
from swath.tasks.data import Bands, contract_of
from swath.tasks.panel import Panel
from swath.tasks.supervised import train_reference
from swath.tasks.task import Task


def panels(config: ReferenceConfig, task: Task) -> list[Panel]:
    """The panels in which a reference has a row: on its inputs, under every probe that trains encoders; an encoder
    without anything to train under every other probe.
    """
    own = [panel for panel in task.panels if panel.input.name in config.inputs]
    trained = config.encoder is None or any(_has_weights(config, task, panel.input.bands) for panel in own)
    return [panel for panel in own if (panel.probe.supervision() is not None) == trained]


def _has_weights(config: ReferenceConfig, task: Task, bands: Bands) -> bool:
    try:
        return any(True for _ in _build(config, task, bands, 0).parameters())
    except SwathError:  # it says why where its outcome should be
        return False


def outcomes(config: ReferenceConfig, task: Task, wanted: Sequence[Panel], seed: int, device: str) -> Iterator[Outcome]:
    """What a reference predicts in some of its panels, for one seed."""
    if config.encoder is not None:
        yield from task.read(lambda bands: _build(config, task, bands, seed).to(device), wanted, seed)
        return
    segmenter = config.segmenter
    assert segmenter is not None
    for panel in wanted:
        how, data = panel.probe.supervision(), task.labelled(panel.input)
        assert how is not None
        yield panel.tried(lambda h=how, d=data: train_reference(h, segmenter, d, task.corpus, seed, device))


def _build(config: ReferenceConfig, task: Task, bands: Bands, seed: int) -> Encoder:
    """The encoder at its random start."""
    assert config.encoder is not None
    with same_random_numbers(torch.device("cpu")):
        torch.manual_seed(seed)
        return encoders.build(config.encoder, contract_of(task.corpus, bands))
