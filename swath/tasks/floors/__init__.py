"""What every comparison has beside it: rows that no pre-training went into."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from swath.corpus import Corpus
from swath.encoders import Encoder, image_statistics, random_convolutions
from swath.tasks._types import Prediction, Units
from swath.tasks.data.features import contract_of
from swath.tasks.data.labels import Labelled

FloorName = Literal[
    "majority",
    "image-statistics",
    "random-convolutions",
    "random-encoder",
    "scratch",
    "random-forest",
    "logistic-regression",
]

ROWS: dict[FloorName, str] = {
    "majority": "majority",
    "image-statistics": "image statistics + linear",
    "random-convolutions": "random convolutions",
    "random-encoder": "random encoder (frozen)",
    "scratch": "scratch",
    "random-forest": "random forest",
    "logistic-regression": "logistic regression",
}
"""What the floors are called in the tables.

majority: the most frequent class of the training part (or all that more than half of it has), whatever the input.
image statistics + linear: per-band statistics, always read by the linear probe.
random convolutions: features of random filters, read by the cell's own probe (linear if that trains encoders).
random encoder (frozen): the arms' network as it was before pre-training, read by the cell's own probe.
scratch: the arms' network trained end to end on the labelled training part; named inputs only. Where the probe trains
    encoders, by exactly its settings.
random forest, logistic regression: on the raw series of a pixel, where pixels have the classes or chips are one pixel;
    no probe.
Where pixels have the classes only majority, scratch and the last two stand.
"""


def needs_encoder(floor: FloorName) -> bool:
    """Whether the floor is the arms' own network."""
    return floor in {"random-encoder", "scratch"}


def is_random(floor: FloorName) -> bool:
    """Whether seeds make a difference."""
    return floor not in {"majority", "image-statistics", "logistic-regression"}


def of_series(floor: FloorName) -> bool:
    """Whether the floor reads raw series of single pixels."""
    return floor in {"random-forest", "logistic-regression"}


def majority(train: Labelled, units: Units, classes: int) -> Prediction:
    """The most frequent training class for every unit or pixel; its scores are the training part's shares.

    Where units have several classes: those that more than half of the training part has.
    """
    counts = train.counts(classes)
    if train.multi_label:
        return Prediction.of(np.tile((counts / len(train)).astype(np.float32), (len(units), 1)), multi_label=True)
    y_pred = np.full(units.y_true.shape, counts.argmax())
    if train.per_pixel:
        return Prediction(y_pred)
    return Prediction(y_pred, np.tile((counts / counts.sum()).astype(np.float32), (len(units), 1)))


def image_statistics_encoder(corpus: Corpus, bands: Sequence[str]) -> Encoder:
    """Statistics of these bands, in standard units."""
    return image_statistics.build(image_statistics.Config(), contract_of(corpus, bands))


def random_convolutions_encoder(corpus: Corpus, bands: Sequence[str], seed: int) -> Encoder:
    """Random filters over these bands, no larger than a chip."""
    size = min(random_convolutions.Config().kernel_size, corpus.info.chip_px)
    return random_convolutions.build(
        random_convolutions.Config(seed=seed, kernel_size=size), contract_of(corpus, bands)
    )
