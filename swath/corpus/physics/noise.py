"""Randomness as a pure function of seed, stream name and place: any part of a world can be made alone, in any order."""

import zlib

import numpy as np
from jaxtyping import Float, UInt64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STD = 151 / 315
"""Standard deviation of a 2-D cubic B-spline sum of unit-variance lattice values, averaged over positions:
the mean square weight of one axis is the septic B-spline at 0, 151/315, and two axes multiply before the root."""


def stream(seed: int, name: str) -> int:
    """A 64-bit key for one purpose; different names never share random numbers."""
    return ((seed & 0xFFFFFFFF) << 32) | zlib.crc32(name.encode())


def scramble(key: int, *numbers: np.ndarray | int) -> np.ndarray:
    """64 random-looking bits for each element of the broadcast integers (chained splitmix64 finaliser).

    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    state = np.full(1, key, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for number in numbers:
            state = _finalise((state ^ np.asarray(number).astype(np.uint64)) + _GOLDEN)
    return state


def _finalise(z: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(key: int, *numbers: np.ndarray | int) -> np.ndarray:
    """Uniform numbers in [0, 1), one for each element of the broadcast integers."""
    return (scramble(key, *numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: int, *numbers: np.ndarray | int) -> np.ndarray:
    """Standard normal numbers (Box-Muller), one for each element of the broadcast integers."""
    radius = np.sqrt(-2 * np.log1p(-uniform(key, *numbers, 1)))
    return radius * np.cos(2 * np.pi * uniform(key, *numbers, 2))


def smooth(key: int, x: Float[np.ndarray, " w"], y: Float[np.ndarray, " h"], cell: float) -> Float[np.ndarray, "h w"]:
    """Value noise of mean 0 and variance 1 on the grid of world coordinates `x`, `y` (metres).

    A cubic B-spline over random values on a lattice of `cell` metres: twice differentiable, and the same at the same
    place whichever chip asks.
    """
    (first_x, weights_x), (first_y, weights_y) = _spline(x / cell), _spline(y / cell)
    columns = first_x + np.arange(weights_x.shape[1])
    rows = first_y + np.arange(weights_y.shape[1])
    lattice = (uniform(key, columns[None, :], rows[:, None]) - 0.5) * np.sqrt(12)
    return (weights_y @ lattice @ weights_x.T) / _STD


def smooth_at(key: int, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], cell: float) -> Float[np.ndarray, " n"]:
    """The same noise as `smooth`, at scattered points."""
    (column, wx), (row, wy) = _taps(x / cell), _taps(y / cell)
    step = np.arange(-1, 3)
    lattice = uniform(key, (column[:, None] + step)[:, None, :], (row[:, None] + step)[:, :, None])
    return np.einsum("nyx,ny,nx->n", (lattice - 0.5) * np.sqrt(12), wy, wx) / _STD


def fractal(
    key: int, x: Float[np.ndarray, " w"], y: Float[np.ndarray, " h"], cell: float, octaves: int, gain: float = 0.5
) -> Float[np.ndarray, "h w"]:
    """Sum of `smooth` noises whose cells halve and whose amplitudes shrink by `gain`; mean 0, variance 1.

    Args:
        key: of the random numbers.
        x: world coordinates in metres.
        y: likewise.
        cell: of the coarsest noise, in metres.
        octaves: number of noises.
        gain: ratio of consecutive amplitudes.
    """
    amplitudes = gain ** np.arange(octaves)
    total = sum(a * smooth(key + i, x, y, cell / 2**i) for i, a in enumerate(amplitudes))
    return total / np.sqrt(np.sum(amplitudes**2))


def _taps(t: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """Integer parts, and the four cubic B-spline weights of the lattice points -1..2 around them."""
    base = np.floor(t)
    f = t - base
    square, cube = f**2, f**3
    weights = np.empty((len(t), 4))
    weights[:, 0] = (1 - f) ** 3
    weights[:, 1] = 3 * cube - 6 * square + 4
    weights[:, 2] = 3 * (f + 1 - square) * f + 1
    weights[:, 3] = cube
    return base.astype(np.int64), weights / 6


def _spline(t: Float[np.ndarray, " n"]) -> tuple[int, np.ndarray]:
    """First lattice index, and the dense (positions, lattice points) weights."""
    base, taps = _taps(t)
    first = int(base.min()) - 1
    weights = np.zeros((len(t), int(base.max()) + 3 - first))
    weights[np.arange(len(t))[:, None], (base - 1 - first)[:, None] + np.arange(4)] = taps
    return first, weights
