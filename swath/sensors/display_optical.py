"""Optical pictures of 8 bits without a physical unit: stretched, compressed or converted; value = counts / 255.

Name a channel by the STAC common name of what it shows, or C1 to C4 where nobody knows. Wavelengths are nominal. The
stretch differs from picture to picture, so an encoder trained here is for such pictures only.
"""

from swath.sensors._types import Band, Scaling, Sensor

_CENTRES = {
    "coastal": 0.443,
    "blue": 0.49,
    "green": 0.56,
    "red": 0.665,
    "rededge": 0.705,
    "nir": 0.842,
    "nir08": 0.865,
    "swir16": 1.61,
    "swir22": 2.19,
    "pan": 0.59,
}

SENSOR = Sensor(
    name="display-optical",
    title="Optical display imagery",
    kind="optical",
    family="display",
    bands=(
        *(Band("display-optical", name, centre, None, None, "display", name) for name, centre in _CENTRES.items()),
        *(Band("display-optical", f"C{i}", None, None, None, "display") for i in range(1, 5)),
    ),
    dtype="uint8",
    nodata=None,
    scaling=Scaling(1 / 255),
    valid_range=(0.0, 1.0),
    rgb=("red", "green", "blue"),
)
