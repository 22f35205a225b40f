"""Radar pictures of 8 bits without a physical unit; value = counts / 255. Band P is of unknown polarisation."""

from swath.sensors._types import Band, Scaling, Sensor

SENSOR = Sensor(
    name="display-radar",
    title="Radar display imagery",
    kind="radar",
    family="display",
    bands=tuple(Band("display-radar", name, None, None, None, "display") for name in ("VV", "VH", "HH", "HV", "P")),
    dtype="uint8",
    nodata=None,
    scaling=Scaling(1 / 255),
    valid_range=(0.0, 1.0),
    rgb=("P",),
)
