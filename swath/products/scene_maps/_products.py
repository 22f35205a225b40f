"""What maps hold: classes with their probabilities, or numbers; how they are stored until all windows are done."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from rasterio.enums import Resampling

from swath.errors import RecipeError
from swath.products.legends import Legend
from swath.tasks.statistics import probabilities

STEPS = 250
"""Steps of a stored probability: 0 is 0, this is 1."""
NOTHING = 255
"""Stored where there is no value."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A file of a map, made of some of the stored bands."""

    ending: str
    """What its name has behind that of the map; empty for the map itself."""
    bands: slice
    names: tuple[str, ...]
    nodata: float | int
    scale: float = 1.0
    resampling: Resampling = Resampling.nearest
    """How its overviews are made."""


@runtime_checkable
class Product(Protocol):
    """Kind of map."""

    @property
    def dtype(self) -> str:
        """NumPy type of what is stored."""
        ...

    def encode(self, values: Float[ndarray, "k h w"], valid: Bool[ndarray, "h w"]) -> Shaped[ndarray, "b h w"]:
        """What is stored of a window's values."""
        ...

    def empty(self, height: int, width: int) -> Shaped[ndarray, "b h w"]:
        """What is stored where there is no value."""
        ...

    def layers(self) -> Iterator[Layer]:
        """The files that become of it."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Plain data that says all of it."""
        ...


@dataclass(frozen=True, slots=True)
class Classes:
    """A class for each pixel, the probabilities of all classes, and how uncertain the choice is."""

    codes: tuple[int, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...]
    """`#rrggbb` of each class."""
    entropy: bool = False
    """Also write the entropy of the probabilities, as a share of the largest possible."""

    def __post_init__(self) -> None:
        if len(self.codes) >= NOTHING:
            raise RecipeError(f"a map holds at most {NOTHING - 1} classes, there are {len(self.codes)}")

    @property
    def dtype(self) -> str:
        """Everything fits in a byte."""
        return "uint8"

    @property
    def coded(self) -> bool:
        """Whether the layer's own codes fit in a byte beside nodata; else classes are counted from 0."""
        return all(0 <= code < NOTHING for code in self.codes)

    @property
    def shown(self) -> tuple[int, ...]:
        """The value of each class in the map."""
        return self.codes if self.coded else tuple(range(len(self.codes)))

    @property
    def legend(self) -> Legend:
        """Names and colours of the map's values."""
        return Legend(self.shown, self.names, self.colours)

    def encode(self, values: Float[ndarray, "k h w"], valid: Bool[ndarray, "h w"]) -> UInt8[ndarray, "b h w"]:
        """The class, the probability of each class, and the entropy."""
        best = np.array(self.shown, np.uint8)[_largest(values)]
        # sums of weighted probabilities are 1 to rounding, so that this is STEPS at most
        stored = [best[None], (values * STEPS + 0.5).astype(np.uint8)]
        if self.entropy:
            share = probabilities.uncertainty(values, axis=0)
            stored.append(np.rint(share * STEPS).clip(0, STEPS).astype(np.uint8)[None])
        result = np.concatenate(stored)
        result[:, ~valid] = NOTHING
        return result

    def empty(self, height: int, width: int) -> UInt8[ndarray, "b h w"]:
        """Stored bands of a window that has no class anywhere."""
        return np.full((1 + len(self.codes) + self.entropy, height, width), NOTHING, np.uint8)

    def layers(self) -> Iterator[Layer]:
        """A file each of the classes, their probabilities and, if asked for, the entropy."""
        k = len(self.codes)
        yield Layer("", slice(0, 1), ("class",), NOTHING, resampling=Resampling.mode)
        yield Layer(".probabilities", slice(1, 1 + k), self.names, NOTHING, 1 / STEPS, Resampling.average)
        if self.entropy:
            yield Layer(".entropy", slice(1 + k, 2 + k), ("entropy",), NOTHING, 1 / STEPS, Resampling.average)

    def as_dict(self) -> dict[str, Any]:
        """Plain data that says all of it."""
        return {
            "kind": "classes",
            "codes": list(self.codes),
            "names": list(self.names),
            "colours": list(self.colours),
            "entropy": self.entropy,
        }


def _largest(values: Float[ndarray, "k h w"]) -> UInt8[ndarray, "h w"]:
    """Position of the largest value, the first of equal ones: five times as fast as `argmax` along the first axis."""
    largest, position = values[0].copy(), np.zeros(values.shape[1:], np.uint8)
    for k in range(1, len(values)):
        position[values[k] > largest] = k
        np.maximum(largest, values[k], out=largest)
    return position


@dataclass(frozen=True, slots=True)
class Presences:
    """A probability for each class by itself, where a location may have several classes."""

    names: tuple[str, ...]
    """Names of the classes."""

    @property
    def dtype(self) -> str:
        """A probability fits in a byte."""
        return "uint8"

    def encode(self, values: Float[ndarray, "k h w"], valid: Bool[ndarray, "h w"]) -> UInt8[ndarray, "k h w"]:
        """The probabilities in steps."""
        return np.where(valid, (values * STEPS + 0.5).astype(np.uint8), np.uint8(NOTHING))

    def empty(self, height: int, width: int) -> UInt8[ndarray, "k h w"]:
        """Stored bands of a window where nothing is known."""
        return np.full((len(self.names), height, width), NOTHING, np.uint8)

    def layers(self) -> Iterator[Layer]:
        """One file, with a band for each class."""
        yield Layer("", slice(0, len(self.names)), self.names, NOTHING, 1 / STEPS, Resampling.average)

    def as_dict(self) -> dict[str, Any]:
        """Plain data that says all of it."""
        return {"kind": "presences", "names": list(self.names)}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number, or several, for each pixel: what a regression estimates, or an embedding."""

    names: tuple[str, ...]
    unit: str = ""

    @property
    def dtype(self) -> str:
        """NumPy type of the numbers: single precision."""
        return "float32"

    def encode(self, values: Float[ndarray, "k h w"], valid: Bool[ndarray, "h w"]) -> Float[ndarray, "k h w"]:
        """The numbers; NaN where there is none."""
        return np.where(valid, values, np.nan).astype(np.float32)

    def empty(self, height: int, width: int) -> Float[ndarray, "k h w"]:
        """Stored bands of a window that has no number anywhere: NaN."""
        return np.full((len(self.names), height, width), np.nan, np.float32)

    def layers(self) -> Iterator[Layer]:
        """One file, with a band for each number."""
        yield Layer("", slice(0, len(self.names)), self.names, float("nan"), resampling=Resampling.average)

    def as_dict(self) -> dict[str, Any]:
        """Plain data that says all of it."""
        return {"kind": "numbers", "names": list(self.names), "unit": self.unit}
