"""C-band backscatter of soil under vegetation, forest, water and buildings, and its speckle.

Vegetation: water-cloud model (Attema and Ulaby 1978, Radio Science 13:357)
`sigma0 = A cos(theta) (1 - tau2) + tau2 * soil`, `tau2 = exp(-2 B LAI / cos(theta))`.
"""

import numpy as np
from jaxtyping import Float

SOIL_DRY = np.array([-16.5, -24.5])
"""Backscatter of bare, completely dry soil of mean roughness at 38 degrees, dB (VV, VH)."""
SOIL_SLOPE = np.array([25.0, 20.0])
"""dB for one m³/m³ of water in the soil."""
WATER = np.array([-20.5, -27.5])
"""Open water in a mean wind, dB."""
WIND = np.array([2.5, 1.2])
"""dB for one standard deviation of wind."""
CROSS = 0.14
"""VH to VV power of buildings."""


def soil(
    moisture: Float[np.ndarray, "t p"], roughness: Float[np.ndarray, " p"], angle: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 2 p"]:
    """Linear power of bare soil, whose decibels are linear in its water, its roughness and the incidence angle.

    Args:
        moisture: volumetric water content, m³/m³.
        roughness: added, in dB.
        angle: incidence in radians; 0.15 dB per degree.
    """
    steeper = 0.15 * (38 - np.rad2deg(angle))[:, None, None]
    decibel = SOIL_DRY[:, None] + SOIL_SLOPE[:, None] * moisture[:, None] + roughness + steeper
    return power(decibel)


def vegetated(
    ground: Float[np.ndarray, "t 2 p"],
    lai: Float[np.ndarray, "t p"],
    albedo: Float[np.ndarray, "2 p"],
    extinction: Float[np.ndarray, "2 p"],
    angle: Float[np.ndarray, " t"],
) -> Float[np.ndarray, "t 2 p"]:
    """Linear power of ground under a canopy (water-cloud model).

    Args:
        ground: linear power of the ground.
        lai: leaf area index, m²/m².
        albedo: backscatter of an opaque canopy, linear power.
        extinction: one-way extinction per unit of leaf area index.
        angle: incidence in radians.
    """
    cosine = np.cos(angle)[:, None, None]
    tau2 = np.exp(-2 * extinction * lai[:, None] / cosine)
    return albedo * cosine * (1 - tau2) + tau2 * ground


def water(wind: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 2"]:
    """Linear power of open water on each date."""
    return power(WATER + WIND * wind[:, None])


def speckle(intensity: Float[np.ndarray, "..."], looks: float, rng: np.random.Generator) -> Float[np.ndarray, "..."]:
    """Multiply by gamma noise of mean 1 and variance 1 / looks (fully developed speckle, multi-looked intensity)."""
    noise = rng.standard_gamma(looks, size=intensity.shape, dtype=np.float32)
    return intensity * noise / np.float32(looks)


def power(decibel: np.ndarray) -> np.ndarray:
    """Linear power of decibels."""
    return 10 ** (decibel / 10)


def decibel(intensity: np.ndarray) -> np.ndarray:
    """Decibels of linear power."""
    return 10 * np.log10(np.maximum(intensity, 1e-5))
