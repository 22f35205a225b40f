"""Vectors as bytes: what a number becomes, how to undo it, and how much it changes."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int8
from numpy import ndarray
from pydantic import Field

from swath.settings import Settings

Method = Literal["linear", "signed-power"]
MOST = 127
"""Largest stored number; -128 is never a value."""
UNDONE = {
    "linear": "value[d] = stored[d] * scale[d]",
    "signed-power": "value[d] = sign(stored[d]) * (stored[d] / 127)**2 * scale[d]",
}
"""How to get values back, by method, as the metadata says it."""


class Quantisation(Settings):
    """How float32 vectors became int8, a scale for each dimension.

    `linear` stores round(value / scale) with scale = largest magnitude / 127. `signed-power` stores
    round(sign(value) · √(|value| / scale) · 127) with scale = largest magnitude, which keeps more of small values.
    """

    method: Method
    scale: tuple[float, ...] = Field(min_length=1)

    @classmethod
    def fitted(cls, method: Method, blocks: Iterable[Float32[ndarray, "_ d"]]) -> "Quantisation":
        """Scales from the largest magnitude of each dimension; 1 where all values are 0."""
        most = np.max([np.abs(block).max(axis=0) for block in blocks], axis=0).astype(np.float64)
        scale = np.where(most > 0, most / (MOST if method == "linear" else 1), 1.0)
        return cls(method=method, scale=tuple(scale.tolist()))

    def encode(self, vectors: Float[ndarray, "n d"]) -> Int8[ndarray, "n d"]:
        """What is stored of these vectors."""
        part = vectors / np.array(self.scale)
        if self.method == "signed-power":
            part = np.sign(part) * np.sqrt(np.abs(part)) * MOST
        return np.clip(np.rint(part), -MOST, MOST).astype(np.int8)

    def decode(self, stored: Int8[ndarray, "n d"]) -> Float32[ndarray, "n d"]:
        """The vectors that the stored bytes stand for."""
        scale = np.array(self.scale, np.float32)
        if self.method == "linear":
            return stored.astype(np.float32) * scale
        return self.table[stored.astype(np.int16) + MOST + 1] * scale

    @property
    def table(self) -> Float32[ndarray, "256"]:
        """For each byte from -128 to 127, its value in units of the scale."""
        byte = np.arange(-MOST - 1, MOST + 1, dtype=np.float32)
        return byte if self.method == "linear" else np.sign(byte) * np.square(byte / np.float32(MOST))
