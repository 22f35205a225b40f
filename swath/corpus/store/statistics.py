"""Mean, spread and range of every band, in physical units, in constant memory.

Blocks of chips are pooled with the exact formula for means and variances of groups (facts of torchgeo's SSL4EO-L
statistics script; Chan et al. 1983): with counts N, means m and sums of squared deviations S of two groups,
S = S1 + S2 + (m2 - m1)^2 N1 N2 / (N1 + N2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Shaped
from numpy import ndarray

from swath._progress import track
from swath.corpus.store import arrays as _arrays
from swath.corpus.store.format import BandStatistics, Corpus, SensorLayout

BLOCK_BYTES = 4 * 2**20
"""Bytes of counts in memory at once; as float64 they take up to eight times as much."""


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Running moments of the physical values of every band."""

    count: int
    mean: Float64[ndarray, " c"]
    squares: Float64[ndarray, " c"]
    """Sum of squared deviations from the mean."""
    low: Float64[ndarray, " c"]
    high: Float64[ndarray, " c"]

    def joined(self, other: "_Moments") -> "_Moments":
        total = self.count + other.count
        apart = other.mean - self.mean
        return _Moments(
            count=total,
            mean=self.mean + apart * (other.count / total),
            squares=self.squares + other.squares + apart**2 * (self.count * other.count / total),
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
        )


def band_statistics(corpus: Corpus, locations: Sequence[int] | None = None) -> dict[str, dict[str, BandStatistics]]:
    """Statistics of all valid pixels by sensor and band, in physical units; bands without a valid pixel are left out.

    Args:
        corpus: whole or being built.
        locations: rows of the locations to use, such as the training ones; default all.

    The result depends on the order of the chips only, not on how the corpus was built or how often interrupted.
    """
    chips = corpus.chips if locations is None else corpus.chips[corpus.chips["location"].isin(locations)]
    result = {}
    for sensor, layout in corpus.info.sensors.items():
        moments = None
        rows = chips.loc[chips["sensor"] == sensor, "row"].to_numpy()
        for counts, valid in track(_blocks(corpus, sensor, rows), None, f"statistics of {sensor}"):
            if valid.any():
                block = _moments(counts, valid, layout)
                moments = block if moments is None else moments.joined(block)
        result[sensor] = {} if moments is None else _by_band(moments, layout.bands)
    return result


def _blocks(
    corpus: Corpus, sensor: str, rows: ndarray
) -> Iterator[tuple[Shaped[ndarray, "n c y x"], Bool[ndarray, "n y x"]]]:
    if not len(rows):
        return
    counts, valid = corpus.pixel_array(sensor), corpus.valid_array(sensor)
    size = max(1, BLOCK_BYTES // (counts.dtype.numpy_dtype.itemsize * int(np.prod(counts.shape[1:]))))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        with corpus.naming_locations(sensor):
            pixels = _arrays.read(counts, block)
            good = np.ones(pixels[:, 0].shape, bool) if valid is None else _arrays.read(valid, block)
        yield pixels, good


def _moments(counts: Shaped[ndarray, "n c y x"], valid: Bool[ndarray, "n y x"], layout: SensorLayout) -> _Moments:
    per_band = [layout.physical(counts[:, band][valid], band) for band in range(len(layout.bands))]
    means = np.array([values.mean() for values in per_band])
    return _Moments(
        count=int(valid.sum()),
        mean=means,
        squares=np.array([np.square(v - m).sum() for v, m in zip(per_band, means, strict=True)]),
        low=np.array([values.min() for values in per_band]),
        high=np.array([values.max() for values in per_band]),
    )


def _by_band(moments: _Moments, bands: Sequence[str]) -> dict[str, BandStatistics]:
    stds = np.sqrt(moments.squares / max(moments.count - 1, 1))
    columns = zip(moments.mean.tolist(), stds.tolist(), moments.low.tolist(), moments.high.tolist(), strict=True)
    return {
        band: BandStatistics(mean=mean, std=std, min=low, max=high, count=moments.count)
        for band, (mean, std, low, high) in zip(bands, columns, strict=True)
    }
