"""Optical reflectance: spectra of what the land is made of, mixed by how much of each a pixel shows.

Values are typical of the public spectral libraries' shapes (green peak, red edge, water absorption at 1.6 and 2.2 µm),
rounded; they are not measurements of one sample.
"""

import numpy as np
from jaxtyping import Float

from swath.corpus.physics.phenology import State

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
COARSE = (3, 4, 5, 7, 8, 9)
"""Positions of the bands that Sentinel-2 measures at 20 m."""
WAVELENGTH = np.array([0.49, 0.56, 0.665, 0.705, 0.74, 0.783, 0.842, 0.865, 1.61, 2.19])
"""Band centres in micrometres."""
EXTINCTION = 0.55
"""How strongly a unit of leaf area index attenuates light that is seen from above (Beer's law)."""


def _spectrum(*reflectance: float) -> np.ndarray:
    return np.array(reflectance, dtype=np.float32)


LEAVES = {
    "cereal": _spectrum(0.028, 0.060, 0.028, 0.085, 0.30, 0.39, 0.42, 0.44, 0.21, 0.090),
    "crop": _spectrum(0.027, 0.066, 0.027, 0.092, 0.34, 0.45, 0.48, 0.50, 0.22, 0.095),
    "broadleaf": _spectrum(0.020, 0.046, 0.022, 0.072, 0.25, 0.33, 0.36, 0.38, 0.17, 0.070),
    "needle": _spectrum(0.016, 0.030, 0.017, 0.045, 0.135, 0.17, 0.19, 0.20, 0.085, 0.038),
    "grass": _spectrum(0.032, 0.068, 0.038, 0.105, 0.29, 0.36, 0.39, 0.41, 0.23, 0.115),
}
STRAW = _spectrum(0.080, 0.120, 0.170, 0.200, 0.230, 0.250, 0.270, 0.290, 0.340, 0.240)
FLOWER = _spectrum(0.050, 0.165, 0.160, 0.220, 0.360, 0.420, 0.440, 0.460, 0.220, 0.100)
SOIL_DARK = _spectrum(0.042, 0.056, 0.075, 0.088, 0.098, 0.108, 0.118, 0.128, 0.180, 0.150)
SOIL_BRIGHT = _spectrum(0.100, 0.140, 0.190, 0.213, 0.232, 0.248, 0.265, 0.285, 0.370, 0.330)
WATER_CLEAR = _spectrum(0.030, 0.027, 0.017, 0.014, 0.010, 0.009, 0.008, 0.007, 0.003, 0.002)
WATER_TURBID = _spectrum(0.060, 0.088, 0.072, 0.062, 0.040, 0.037, 0.032, 0.027, 0.010, 0.006)
BUILT = np.stack(
    [
        _spectrum(0.190, 0.210, 0.230, 0.240, 0.250, 0.255, 0.260, 0.265, 0.280, 0.260),  # concrete, gravel
        _spectrum(0.065, 0.085, 0.150, 0.170, 0.180, 0.190, 0.200, 0.210, 0.260, 0.230),  # tiled roof
        _spectrum(0.070, 0.078, 0.088, 0.092, 0.096, 0.100, 0.104, 0.108, 0.130, 0.125),  # asphalt, dark roof
    ]
)
CLOUD = _spectrum(0.70, 0.70, 0.69, 0.69, 0.69, 0.69, 0.69, 0.69, 0.46, 0.35)


def cover(lai: np.ndarray) -> np.ndarray:
    """Share of the ground that leaves hide, seen from above (Beer-Lambert gap fraction)."""
    return 1 - np.exp(-EXTINCTION * lai)


def canopy(
    state: State, leaf: Float[np.ndarray, "u c"], pigment: Float[np.ndarray, " u"]
) -> Float[np.ndarray, "t u c"]:
    """Spectrum of each unit's closed canopy on each date: leaves, straw and flowers.

    Args:
        state: Ripeness and flowering of each unit.
        leaf: Leaf spectrum of each unit's class.
        pigment: Factor on the visible and red-edge reflectance (less chlorophyll: brighter), per unit.
    """
    tint = np.where(WAVELENGTH < 0.73, pigment[:, None], 1.0)
    ripe, flower = state.ripe[..., None], state.flower[..., None]
    green = (1 - ripe) * leaf * tint + ripe * STRAW
    return ((1 - flower) * green + flower * FLOWER).astype(np.float32)


def soil(
    brightness: Float[np.ndarray, " p"], moisture: Float[np.ndarray, "t p"], residue: Float[np.ndarray, "t p"]
) -> Float[np.ndarray, "t p c"]:
    """Spectrum of the ground: from dark loam (0) to bright sand (1), darkened by water, partly under straw.

    A soil at saturation (0.45 m³/m³) reflects half of what it does when dry (Lobell and Asner 2002, SSSAJ 66:722).
    """
    dry = SOIL_DARK + brightness[:, None] * (SOIL_BRIGHT - SOIL_DARK)
    wet = dry * (0.45 + 0.55 * np.exp(-5.5 * moisture))[..., None]
    share = residue[..., None]
    return (wet * (1 - share) + STRAW * share).astype(np.float32)


def blur(image: Float[np.ndarray, "... h w"], side: float = 0.14) -> Float[np.ndarray, "... h w"]:
    """Point spread of the instrument: each axis weighs (side, 1 - 2 side, side); edges lose one pixel's truth."""
    out = image.copy()
    out[..., 1:-1, :] += side * (image[..., :-2, :] - 2 * image[..., 1:-1, :] + image[..., 2:, :])
    rows = out.copy()
    out[..., 1:-1] += side * (rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:])
    return out


def coarsen(image: Float[np.ndarray, "... h w"]) -> Float[np.ndarray, "... h w"]:
    """A 20 m band on the 10 m grid: means of 2 x 2 pixels, each repeated (nearest neighbour)."""
    *lead, h, w = image.shape
    mean = image.reshape(*lead, h // 2, 2, w // 2, 2).mean(axis=(-3, -1))
    return mean.repeat(2, axis=-2).repeat(2, axis=-1)


def atmosphere(
    surface: Float[np.ndarray, "t c h w"],
    haze: Float[np.ndarray, "t h w"],
    illumination: Float[np.ndarray, "t c"],
) -> Float[np.ndarray, "t c h w"]:
    """Imperfect atmospheric correction: a gain that depends on view and sun, and haze that is bluer than white.

    Haze adds path reflectance falling with wavelength^-1.3 (aerosol) and dims what is below it.
    """
    spectrum = (WAVELENGTH / 0.49) ** -1.3
    share = haze[:, None] * spectrum[:, None, None]
    return surface * illumination[..., None, None] * (1 - share) + 0.35 * share


def overcast(
    surface: Float[np.ndarray, "t c h w"],
    cloud: Float[np.ndarray, "t h w"],
    shadow: Float[np.ndarray, "t h w"],
) -> Float[np.ndarray, "t c h w"]:
    """Put clouds of an opacity in [0, 1] over the surface, and their shadows on it.

    A shadow keeps the diffuse light of the sky, which is bluer: 45 % of blue light, 18 % of that at 2.2 µm.
    """
    kept = (0.45 * (WAVELENGTH / 0.49) ** -0.6)[:, None, None]
    return covered(surface * (1 - shadow[:, None] * (1 - kept)), cloud, CLOUD)


def covered(
    surface: Float[np.ndarray, "t c h w"], cloud: Float[np.ndarray, "t h w"], spectrum: Float[np.ndarray, " c"]
) -> Float[np.ndarray, "t c h w"]:
    """Clouds of an opacity in [0, 1] and a spectrum over a surface.

    They go on brightening with their thickness after nothing can be seen through them any more.
    """
    opacity = cloud[:, None]
    brightness = 1.1 - 0.5 * (1 - np.minimum(opacity, 1)) ** 0.2
    return surface * (1 - opacity) + spectrum[:, None, None] * brightness * opacity


def counts(reflectance: Float[np.ndarray, "t c h w"], scale: float, offset: float) -> np.ndarray:
    """Reflectance as Sentinel-2 ships it: unsigned 16-bit, never 0, which means nodata."""
    return np.clip(np.rint((reflectance - offset) / scale), 1, 65535).astype(np.uint16)
