"""Further optical sensors over the landscape: the same spectrum, averaged over other bands."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Shaped
from scipy.ndimage import uniform_filter

from swath.corpus.physics.spectra import WAVELENGTH
from swath.corpus.store import SensorLayout
from swath.errors import RecipeError
from swath.sensors import Band, get

PAINTED_UM = (0.45, 2.3)
"""Centres between which the landscape's spectrum is known; beyond its first and last wavelength it is constant."""
VAPOUR_UM = ((1.3, 1.45), (1.8, 1.95))
"""Centres at which water vapour hides the ground, which the landscape has not."""
COARSEST_M = 30.0
"""What the margin of a rendered chip is wide enough for."""
SAMPLES = 33
"""Wavelengths at which a band's width is sampled."""


def bands_of(sensor: str) -> tuple[Band, ...]:
    """Bands of reflectance that the landscape has a spectrum for.

    Raises:
        RecipeError: there are none, or the sensor resolves less than the landscape's chips show.
    """
    found = tuple(band for band in get(sensor).bands if band.unit == "reflectance" and _painted(band.centre_um))
    if not found:
        raise RecipeError(f"the landscape has no spectrum for any band of {sensor}", remedy="choose an optical sensor")
    if coarse := [band.name for band in found if (band.gsd_m or 0) > COARSEST_M]:
        raise RecipeError(
            f"{sensor} resolves more than {COARSEST_M:g} m in {', '.join(coarse)}, which the landscape cannot paint",
            remedy="choose a sensor with smaller pixels",
        )
    return found


def _painted(centre_um: float | None) -> bool:
    if centre_um is None or not PAINTED_UM[0] <= centre_um <= PAINTED_UM[1]:
        return False
    return not any(low <= centre_um <= high for low, high in VAPOUR_UM)


@lru_cache(maxsize=16)
def _shares(sensor: str) -> Float[np.ndarray, "k c"]:
    """Which share each of the landscape's ten wavelengths has in each band: linear between them, averaged over its
    width."""
    rows = []
    for band in bands_of(sensor):
        assert band.centre_um is not None
        at = band.centre_um + (band.width_um or 0.0) * np.linspace(-0.5, 0.5, SAMPLES)
        rows.append([np.interp(at, WAVELENGTH, one).mean() for one in np.eye(len(WAVELENGTH))])
    return np.array(rows, dtype=np.float32)


def resolved(seen: Float[np.ndarray, "t c h w"], sensor: str) -> Float[np.ndarray, "t k h w"]:
    """Reflectance of the sensor's bands, each blurred to what it resolves, on the grid of 10 m."""
    out = np.einsum("tchw,kc->tkhw", seen, _shares(sensor))
    for k, band in enumerate(bands_of(sensor)):
        side = round((band.gsd_m or 10.0) / 10)
        if side > 1:
            out[:, k] = uniform_filter(out[:, k], size=side, mode="nearest", axes=(1, 2))
    return out


def layout(sensor: str, pixel_m: float) -> SensorLayout:
    """How the chips of the sensor are stored: counts as its provider ships them."""
    own, bands = get(sensor), bands_of(sensor)
    scaling = [own.scaling_of(band.name) for band in bands]
    return SensorLayout(
        bands=tuple(band.name for band in bands),
        gsd_m=pixel_m,
        dtype=own.dtype,
        scale=tuple(one.scale for one in scaling),
        offset=tuple(one.offset for one in scaling),
        nodata=own.nodata,
    )


def counts(seen: Float[np.ndarray, "t k h w"], sensor: str) -> Shaped[np.ndarray, "t k h w"]:
    """Reflectance as the sensor's provider ships it, never what marks missing pixels."""
    stored = layout(sensor, 10.0)
    scale, offset = (np.array(values)[:, None, None] for values in (stored.scale, stored.offset))
    values, kind = (seen - offset) / scale, np.dtype(stored.dtype)
    if kind.kind == "f":
        return values.astype(kind)
    limits, missing = np.iinfo(kind), stored.nodata
    found = np.clip(np.rint(values), limits.min, limits.max)
    if missing is not None:
        found[found == missing] = missing + (1 if missing < limits.max else -1)
    return found.astype(kind)
