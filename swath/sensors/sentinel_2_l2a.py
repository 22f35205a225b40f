"""Sentinel-2 level 2A: surface reflectance; the cirrus band B10 has none."""

from swath.sensors import _sentinel_2
from swath.sensors._types import CloudRule, Scaling, Sensor

_BANDS = _sentinel_2.bands("sentinel-2-l2a", without=frozenset({"B10"}))

SENSOR = Sensor(
    name="sentinel-2-l2a",
    title="Sentinel-2 L2A (surface reflectance)",
    kind="optical",
    family="sentinel-2",
    revisit_days=_sentinel_2.REVISIT_DAYS,
    has_baselines=True,
    product_offset=_sentinel_2.PRODUCT_OFFSET,
    bands=_BANDS,
    dtype="uint16",
    nodata=0.0,
    scaling=Scaling(_sentinel_2.SCALE),  # before baseline 04.00, or harmonised: see offset_for_baseline
    valid_range=_sentinel_2.VALID_RANGE,
    collections={"earth-search": "sentinel-2-l2a", "planetary-computer": "sentinel-2-l2a"},
    assets={
        "earth-search": dict(_sentinel_2.EARTH_SEARCH),
        "planetary-computer": {band.name: band.name for band in _BANDS} | {"SCL": "SCL"},
    },
    # no data, saturated, cloud shadow, cloud medium, cloud high, thin cirrus
    cloud=CloudRule("SCL", classes=(0, 1, 3, 8, 9, 10)),
    rgb=("B04", "B03", "B02"),
    display_range=(0.0, 0.3),
)
