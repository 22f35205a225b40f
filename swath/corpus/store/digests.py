"""Digests of what is stored: written into the index with every chip and label map, and compared by `check`."""

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray


def pixel_digest(pixels: Shaped[ndarray, "c y x"], good: Bool[ndarray, "y x"]) -> str:
    """128-bit BLAKE2b of a chip's counts and validity."""
    result = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16)
    result.update(np.packbits(good).data)
    return result.hexdigest()


def label_digest(maps: Mapping[str, Integer[ndarray, "y x"]]) -> str:
    """128-bit BLAKE2b of a location's class codes in all layers, which have the types that the layers are stored in."""
    result = hashlib.blake2b(digest_size=16)
    for name in sorted(maps):
        width = "int64" if maps[name].dtype == np.int64 else "int32"
        result.update(name.encode() + np.ascontiguousarray(maps[name], dtype=width).tobytes())
    return result.hexdigest()
