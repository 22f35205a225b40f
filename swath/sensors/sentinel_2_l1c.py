"""Sentinel-2 level 1C: top-of-atmosphere reflectance, all 13 bands."""

from swath.sensors import _sentinel_2
from swath.sensors._types import Scaling, Sensor

SENSOR = Sensor(
    name="sentinel-2-l1c",
    title="Sentinel-2 L1C (top of atmosphere)",
    kind="optical",
    family="sentinel-2",
    top_of_atmosphere=True,
    revisit_days=_sentinel_2.REVISIT_DAYS,
    has_baselines=True,
    product_offset=_sentinel_2.PRODUCT_OFFSET,
    bands=_sentinel_2.bands("sentinel-2-l1c"),
    dtype="uint16",
    nodata=0.0,
    scaling=Scaling(_sentinel_2.SCALE),  # before baseline 04.00, or harmonised: see offset_for_baseline
    valid_range=_sentinel_2.VALID_RANGE,
    collections={"earth-search": "sentinel-2-l1c"},
    assets={
        "earth-search": {name: key for name, key in _sentinel_2.EARTH_SEARCH.items() if name != "SCL"}
        | {"B10": "cirrus"}
    },
    rgb=("B04", "B03", "B02"),
    display_range=(0.0, 0.3),
)
