"""Height of the canopy in 2020 from Sentinel-2 and GEDI, and its standard deviation (Lang et al. 2023), in metres."""

from swath.sensors._types import Band, Scaling, Sensor

SENSOR = Sensor(
    name="eth-canopy-height",
    title="ETH canopy height",
    kind="map",
    family="eth-canopy-height",
    bands=(
        Band("eth-canopy-height", "height", None, None, 10.0, "m"),
        Band("eth-canopy-height", "deviation", None, None, 10.0, "m"),
    ),
    dtype="uint8",
    nodata=255.0,
    scaling=Scaling(),
    valid_range=(0.0, 100.0),
    rgb=("height",),
    display_range=(0.0, 50.0),
)
