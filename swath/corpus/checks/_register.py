"""How far two pictures of one place are displaced: phase correlation of their edges.

Radar and optical pictures of a field have little in common except its borders, so gradient magnitudes are compared.
One pair says little; the cross-power spectra of many locations are averaged before the peak is looked for, which finds
a displacement that all have in common to a tenth of a pixel or better (Kuglin and Hines 1975; the average is the
maximum-likelihood one where noise differs from place to place).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter, sobel

SOFTEN = 1.0
"""Standard deviation in pixels of the low-pass on the correlation: what is finer is noise."""
FARTHEST = 8
"""Pixels within which the peak is looked for."""
GROUPS = 10
"""Groups of the jackknife."""
EDGE_LIMITS = (2, 98)
"""Percentiles at which gradient magnitudes are cut off, so that no single bright roof decides."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Displacement of the second picture relative to the first."""

    down: float
    """Pixels that the second picture lies further down."""
    right: float
    """Pixels that it lies further to the right."""
    confidence: float
    """Height of the correlation peak above the rest, in robust standard deviations of the rest."""
    error: float
    """Standard error of the length, in pixels, by jackknife over groups of places; NaN for a single place."""

    @property
    def length(self) -> float:
        """How far the two pictures are apart, in pixels."""
        return float(np.hypot(self.down, self.right))


def edges(picture: Float[ndarray, "c y x"], sigma: float) -> Float[ndarray, "y x"]:
    """Gradient magnitude over all channels, each divided by its spread; smoothed before by sigma pixels."""
    total = np.zeros(picture.shape[1:])
    for channel in picture.astype(np.float64):
        smooth = gaussian_filter(channel, sigma, mode="nearest")
        smooth /= max(float(smooth.std()), 1e-12)
        total += sobel(smooth, 0) ** 2 + sobel(smooth, 1) ** 2
    return np.sqrt(total)


def cross_power(first: Float[ndarray, "y x"], second: Float[ndarray, "y x"]) -> Complex[ndarray, "y x"]:
    """Phases by which the second differs from the first, frequency by frequency."""
    product = _spectrum(second) * np.conj(_spectrum(first))
    return product / np.maximum(np.abs(product), 1e-12)


def _spectrum(edge: Float[ndarray, "y x"]) -> Complex[ndarray, "y x"]:
    """Fourier transform under a Hann window, which hides that a picture's borders do not fit together."""
    low, high = np.percentile(edge, EDGE_LIMITS)
    edge = np.clip(edge, low, high)
    window = np.hanning(len(edge) + 2)[1:-1]
    return np.fft.fft2((edge - edge.mean()) * window[:, None] * window)


def joint(powers: Sequence[Complex[ndarray, "y x"]]) -> Shift:
    """The displacement that all locations have in common, from their averaged cross-power spectra."""
    total = np.sum(powers, axis=0)
    down, right, confidence = _peak(total)
    groups = [np.sum(powers[k::GROUPS], axis=0) for k in range(min(GROUPS, len(powers)))]
    if len(groups) < 2:
        return Shift(down, right, confidence, float("nan"))
    without = np.array([_peak(total - group)[:2] for group in groups])
    spread = (len(groups) - 1) / len(groups) * ((without - without.mean(axis=0)) ** 2).sum()
    return Shift(down, right, confidence, float(np.sqrt(spread)))


def _peak(power: Complex[ndarray, "y x"]) -> tuple[float, float, float]:
    """Position of the highest correlation, refined by a parabola through its neighbours, and how far it stands out."""
    side = len(power)
    frequency = np.fft.fftfreq(side)
    smooth = np.exp(-2 * (np.pi * SOFTEN) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    surface = np.fft.fftshift(np.fft.ifft2(power * smooth).real)
    centre, reach = side // 2, min(FARTHEST, side // 2 - 2)
    near = surface[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    row, column = (int(i) + centre - reach for i in np.unravel_index(near.argmax(), near.shape))
    rest = np.ones(surface.shape, bool)
    rest[row - 3 : row + 4, column - 3 : column + 4] = False
    middle = np.median(surface[rest])
    noise = 1.4826 * np.median(np.abs(surface[rest] - middle))
    down = row - centre + _vertex(*surface[row - 1 : row + 2, column])
    right = column - centre + _vertex(*surface[row, column - 1 : column + 2])
    return down, right, float((surface[row, column] - middle) / max(noise, 1e-12))


def _vertex(before: float, here: float, after: float) -> float:
    bend = before - 2 * here + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
