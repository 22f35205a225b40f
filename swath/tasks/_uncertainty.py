"""How uncertain class scores are: the entropy of their classes, in one place."""

import numpy as np
from jaxtyping import Float, UInt8

LEAST = 1e-12
"""Scores below this count as this much: none of them makes a label impossible."""


def uncertainty(scores: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
    """Entropy of the classes along an axis, as a share of the largest there can be: 0 sure, 1 all alike."""
    entropy = -(scores * np.log(np.maximum(scores, LEAST))).sum(axis=axis)
    return entropy / np.log(max(2, scores.shape[axis]))


def in_bytes(scores: Float[np.ndarray, "..."], axis: int = -1) -> UInt8[np.ndarray, "..."]:
    """The uncertainty in whole numbers from 0 to 255, as maps keep it."""
    return np.round(255 * np.clip(uncertainty(scores, axis), 0, 1)).astype(np.uint8)
