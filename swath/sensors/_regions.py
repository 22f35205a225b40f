"""Parts of the spectrum by name, for groups of bands."""

from swath.sensors._registry import band, get

REGIONS = (("visible", 0.7), ("red edge", 0.785), ("near infrared", 1.3), ("shortwave infrared", 3.0))
"""Parts of the spectrum, each up to so many micrometres; what is longer is heat."""


def spectral_region(key: str) -> str:
    """The part of the spectrum that a band lies in, visible to thermal infrared; of others what the sensor measures."""
    one, kind = band(key), get(key.partition("/")[0]).kind
    if kind != "optical" or one.centre_um is None:
        return kind
    return next((region for region, end in REGIONS if one.centre_um <= end), "thermal infrared")
