"""What a few labels say of all rows: the linear probe's logistic regression, refitted after every act."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, UInt8
from numpy import ndarray

from swath.errors import SwathError
from swath.products.explore._labels import NONE
from swath.products.explore._layout import blocks
from swath.products.search import Index
from swath.tasks.probes import ZScore, linear


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What a classifier says of each row of an index."""

    classes: UInt8[ndarray, " n"]
    """Number of the likeliest class."""
    probability: Float32[ndarray, " n"]
    """How likely that class is, from 0 to 1."""
    entropy: Float32[ndarray, " n"]
    """How uncertain the choice is: 0 where one class is sure, 1 where all that were learnt are equally likely."""


def classify(index: Index, scale: ZScore, given: Int16[ndarray, " n"], classes: int) -> Predicted:
    """Fit a multinomial logistic regression (C = 1) on the labelled rows, and apply it to all.

    Args:
        index: with its vectors.
        scale: of the vectors of the whole index: the few that are labelled say little of it.
        given: number of each row's class, or `NONE`.
        classes: how many there are.

    Raises:
        SwathError: fewer than two classes have labels.
    """
    rows = np.flatnonzero(given != NONE)
    learnt = np.unique(given[rows])
    if len(learnt) < 2:
        raise SwathError(
            f"labels of {'one' if len(learnt) else 'no'} class leave nothing to tell apart",
            remedy="label locations of two classes",
        )
    model = linear.fitted(linear.Config(), 1.0, scale(index.stored.decode(rows)), given[rows].astype(np.int64))
    scores = linear.scored(model, classes, scale)
    chosen, probability, entropy = (np.empty(len(index), kind) for kind in (np.uint8, np.float32, np.float32))
    for part in blocks(len(index)):
        likely = scores(index.stored.decode(part))
        chosen[part], probability[part] = likely.argmax(axis=1), likely.max(axis=1)
        logs = np.log(likely, out=np.zeros_like(likely), where=likely > 0)
        entropy[part] = -(likely * logs).sum(axis=1) / np.log(len(learnt))
    return Predicted(chosen, probability, entropy.clip(0, 1))
