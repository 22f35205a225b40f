"""Where a location lies, as if an instrument had measured it: longitude and latitude of its centre, in one pixel.

No provider ships it and no corpus stores it: the reader makes it from the coordinates that every corpus has of its
locations. So whatever takes bands takes the place as well.
"""

from swath.sensors._types import Band, Scaling, Sensor

SENSOR = Sensor(
    name="location",
    title="Longitude and latitude",
    kind="map",
    family="location",
    bands=tuple(Band("location", name, None, None, None, "degree") for name in ("lon", "lat")),
    dtype="float32",
    nodata=None,
    scaling=Scaling(),
    valid_range=(-180.0, 180.0),
    band_range={"lat": (-90.0, 90.0)},
    rgb=("lat",),
    display_range=(-90.0, 90.0),
)
