"""Harmonised Landsat and Sentinel-2 v2: the seven reflectance bands that L30 and S30 have in common, at 30 m.

The two number their bands differently (red is B04 in both, but near infrared is B05 in L30 and B8A in S30), so here
bands carry the common names. S30 is adjusted to OLI's bandpasses, which stand here.
"""

from swath.sensors import _landsat
from swath.sensors._build import edges
from swath.sensors._types import CloudRule, Scaling, Sensor

_NAMES = ("COASTAL", "BLUE", "GREEN", "RED", "NIR", "SWIR1", "SWIR2")


def _assets(*keys: str) -> dict[str, str]:
    return dict(zip((*_NAMES, "Fmask"), (*keys, "Fmask"), strict=True))


SENSOR = Sensor(
    name="hls",
    title="Harmonised Landsat Sentinel-2",
    kind="optical",
    family="hls",
    revisit_days=2.5,
    bands=edges("hls", ((name, *row) for name, row in zip(_NAMES, _landsat.OLI.values(), strict=False))),
    dtype="int16",
    nodata=-9999.0,
    scaling=Scaling(1e-4),
    valid_range=(-0.2, 2.0),
    collections={"planetary-computer:hls2-l30": "hls2-l30", "planetary-computer:hls2-s30": "hls2-s30"},
    assets={
        "planetary-computer:hls2-l30": _assets("B01", "B02", "B03", "B04", "B05", "B06", "B07"),
        "planetary-computer:hls2-s30": _assets("B01", "B02", "B03", "B04", "B8A", "B11", "B12"),
    },
    # cloud, adjacent to cloud or shadow, cloud shadow
    cloud=CloudRule("Fmask", bits=(1, 2, 3), fill=255),
    rgb=("RED", "GREEN", "BLUE"),
    display_range=(0.0, 0.3),
)
