"""Features like those of a network, for benchmarks of probes: a few strong directions, many weak ones, classes."""

import numpy as np

from swath.tasks import Features

LABELLED, DIMS, CLASSES = 27_000, 2_048, 10
"""As EuroSAT has images and classes, and ResNet-50 features."""


def labelled(count: int, dims: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (float32, not below 0) of that many samples, and their classes.

    Variances fall with the square of a direction's number, and directions are turned into one another, as in pooled
    features of a ResNet.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    strength = (1 / np.arange(1, dims + 1)).astype(np.float32)
    turned = np.linalg.qr(rng.standard_normal((dims, dims), np.float32))[0]
    typical = rng.standard_normal((CLASSES, dims), np.float32)
    x = (rng.standard_normal((count, dims), np.float32) + 0.5 * typical[y]) * strength
    return np.maximum(x @ turned, 0), y


def split(x: np.ndarray, y: np.ndarray) -> Features:
    """60 % of the samples to learn from, 20 % to choose by, 20 % to be judged by."""
    first, second = len(y) * 6 // 10, len(y) * 8 // 10
    return Features(x[:first], y[:first], x[first:second], y[first:second], x[second:], CLASSES)
