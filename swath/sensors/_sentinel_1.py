"""What the Sentinel-1 products have in common: a C-band radar at 5.405 GHz."""

from swath.sensors._types import Band

WAVELENGTH_UM = 55465.8
"""Wavelength in micrometres: the speed of light divided by 5.405 GHz."""
REVISIT_DAYS = 6.0
"""Days between acquisitions at the equator with both satellites in orbit."""
POLARISATIONS = ("VV", "VH", "HH", "HV")


def bands(sensor: str) -> tuple[Band, ...]:
    """One band per polarisation, in dB, on the 10 m grid of the IW ground-range products."""
    return tuple(Band(sensor, name, WAVELENGTH_UM, None, 10.0, "dB") for name in POLARISATIONS)
