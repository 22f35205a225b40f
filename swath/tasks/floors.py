"""What every comparison has beside it: rows that no pre-training went into."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from swath.corpus import Corpus
from swath.encoders import Encoder, image_statistics, random_convolutions
from swath.tasks._types import Prediction
from swath.tasks.features import contract_of

FloorName = Literal["majority", "image-statistics", "random-convolutions", "random-encoder", "scratch"]

ROWS: dict[FloorName, str] = {
    "majority": "majority",
    "image-statistics": "image statistics + linear",
    "random-convolutions": "random convolutions",
    "random-encoder": "random encoder (frozen)",
    "scratch": "scratch",
}
"""What the floors are called in the tables.

majority: the most frequent class of the training part, whatever the input.
image statistics + linear: per-band statistics, always read by the linear probe.
random convolutions: features of random filters, read by the cell's own probe.
random encoder (frozen): the arms' network as it was before pre-training, read by the cell's own probe.
scratch: the arms' network trained end to end on the labelled training part; no probe, named inputs only.
"""


def majority(train_y: Int[np.ndarray, " n"], test: int, classes: int) -> Prediction:
    """The most frequent training class for every one of `test` units; its scores are the training part's shares."""
    counts = np.bincount(train_y, minlength=classes)
    scores = np.tile((counts / counts.sum()).astype(np.float32), (test, 1))
    return Prediction(np.full(test, counts.argmax()), scores)


def image_statistics_encoder(corpus: Corpus, bands: Sequence[str]) -> Encoder:
    """Statistics of these bands, in standard units."""
    return image_statistics.build(image_statistics.Config(), contract_of(corpus, bands))


def random_convolutions_encoder(corpus: Corpus, bands: Sequence[str], seed: int) -> Encoder:
    """Random filters over these bands."""
    return random_convolutions.build(random_convolutions.Config(seed=seed), contract_of(corpus, bands))
