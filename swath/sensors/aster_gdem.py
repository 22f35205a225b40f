"""Elevation and slope of the ground from ASTER's stereo pictures (GDEM), in metres and degrees."""

from swath.sensors._types import Band, Scaling, Sensor

SENSOR = Sensor(
    name="aster-gdem",
    title="ASTER GDEM",
    kind="map",
    family="aster-gdem",
    bands=(
        Band("aster-gdem", "elevation", None, None, 30.0, "m"),
        Band("aster-gdem", "slope", None, None, 30.0, "degree"),
    ),
    dtype="int16",
    nodata=None,
    scaling=Scaling(),
    valid_range=(-500.0, 9000.0),
    band_range={"slope": (0.0, 90.0)},
    rgb=("elevation",),
    display_range=(0.0, 1000.0),
)
