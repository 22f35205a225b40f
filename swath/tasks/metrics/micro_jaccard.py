"""Micro Jaccard: the intersection over union of all classes' pixels together.

SSL4EO-L reports it as mIoU, and so does torchgeo by default. It says nothing that accuracy does not say: it is
accuracy / (2 - accuracy). It is not to be compared with the mean over classes, `miou`.
"""

import numpy as np
from jaxtyping import Float

from swath.tasks.metrics._confusion import hits, ratio
from swath.tasks.metrics._types import Metric


def micro_jaccard(cm: Float[np.ndarray, "*batch k k"]) -> Float[np.ndarray, "*batch"]:
    """Units that are right, over those that are right plus twice those that are wrong: a mistake is in two unions."""
    right = hits(cm).sum(-1)
    return ratio(right, 2 * cm.sum((-2, -1)) - right)


METRIC = Metric(
    name="micro_jaccard",
    label="micro Jaccard",
    single_label=micro_jaccard,
)
