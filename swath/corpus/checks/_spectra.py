"""How likely bands are to be what they are called, from the spectra that land can have.

Pixels of any landscape are mixtures of a few materials under some haze and cloud. Of many random mixtures the second
moment M = E[x xᵀ] of unit-length spectra x is computed once for the bands' wavelengths; a corpus whose pixels have the
second moment S is then scored by tr(M⁻¹ S): the Gaussian negative log-likelihood without its constant. Exchanging two
bands permutes S alone, so that every exchange can be tried in a moment.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from swath.corpus.physics import spectra as land

_LAND = [
    *land.LEAVES.values(),
    land.STRAW,
    land.FLOWER,
    land.SOIL_DARK,
    land.SOIL_BRIGHT,
    land.WATER_CLEAR,
    land.WATER_TURBID,
    *land.BUILT,
]
_SNOW = np.array([0.95, 0.94, 0.92, 0.91, 0.90, 0.88, 0.84, 0.83, 0.12, 0.10])
"""Reflectance of fine-grained snow at the wavelengths of `spectra`."""
MIXTURES = 6000
RAYLEIGH = (0.05, 0.10)
"""Reflectance of clean air at 0.49 µm, from the sun in the zenith to a low one."""
NOISE = 0.1
"""Relative noise of every band by itself: what no mixture of these materials explains."""


def expected(wavelengths: Float[ndarray, " c"], *, above_air: bool = False) -> Float[ndarray, "c c"]:
    """Inverse second moment of spectra that land can have, at these wavelengths in micrometres.

    Args:
        wavelengths: of the bands.
        above_air: seen from above the atmosphere, whose molecules add blue light.
    """
    rng = np.random.default_rng(0)
    spectra, snow, cloud = (_at(table, wavelengths) for table in (np.stack(_LAND), _SNOW[None], land.CLOUD[None]))
    mixed = rng.dirichlet(np.full(len(spectra), 0.25), MIXTURES) @ spectra
    mixed *= np.exp(0.25 * rng.standard_normal((MIXTURES, 1)))  # slope, sun, wetness
    thick = (rng.random((MIXTURES, 1)) < 0.3) * rng.random((MIXTURES, 1))
    mixed += (rng.exponential(0.03, (MIXTURES, 1)) + 0.05 * thick) * (wavelengths / 0.49) ** -1.3
    if above_air:
        mixed += rng.uniform(*RAYLEIGH, (MIXTURES, 1)) * (wavelengths / 0.49) ** -4.0
    for share, bright in ((0.15, cloud), (0.05, snow)):
        opacity = (rng.random((MIXTURES, 1)) < share) * rng.random((MIXTURES, 1))
        mixed = mixed * (1 - opacity) + bright * opacity
    mixed *= np.exp(NOISE * rng.standard_normal(mixed.shape))
    return np.linalg.inv(second_moment(mixed))


def _at(table: Float[ndarray, "m k"], wavelengths: Float[ndarray, " c"]) -> Float[ndarray, "m c"]:
    return np.stack([np.interp(wavelengths, land.WAVELENGTH, row) for row in table])


def second_moment(pixels: Float[ndarray, "n c"]) -> Float[ndarray, "c c"]:
    """Second moment of spectra brought to unit length, so that bright pixels count no more than dark ones."""
    length = np.linalg.norm(pixels, axis=1, keepdims=True)
    unit = (pixels / np.where(length > 0, length, 1))[length[:, 0] > 0]
    return unit.T @ unit / max(1, len(unit))


def best_order(inverse: Float[ndarray, "c c"], seen: Float[ndarray, "c c"]) -> tuple[Int[ndarray, " c"], float]:
    """The order of the bands that exchanges of two at a time lead to, and its score relative to the given order.

    At position i of the order stands the stored band that looks like band i. The relative score is 1 where no exchange
    helps, nor where every pixel is 0, and near 0 where the stored order is absurd.
    """
    order = np.arange(len(seen))
    first = score = float((inverse * seen).sum())
    while True:
        tried = []
        for i, j in combinations(range(len(order)), 2):
            other = order.copy()
            other[[i, j]] = other[[j, i]]
            tried.append((float((inverse * seen[np.ix_(other, other)]).sum()), i, j))
        best, i, j = min(tried, default=(score, 0, 0))
        if best >= score:
            return order, score / first if first > 0 else 1.0
        order[[i, j]] = order[[j, i]]
        score = best
