"""From longitude and latitude to features: fixed functions with nothing to learn, one a file.

All take degrees on WGS 84, longitude first, longitudes from -180 to 180, and compute in float64.
"""

from swath.encoders.location.encodings._base import (
    Encoding,
    EncodingPlugin,
    EncodingSettings,
    build,
    check_degrees,
    names,
)

__all__ = ["Encoding", "EncodingPlugin", "EncodingSettings", "build", "check_degrees", "names"]
