"""Sentinel-1 gamma nought, radiometrically terrain-corrected, as Planetary Computer ships it: linear power.

HyP3 and OPERA products are gamma nought too; where they come in dB already, `decibel` has to be off.
"""

from swath.sensors import _sentinel_1
from swath.sensors._types import Scaling, Sensor

SENSOR = Sensor(
    name="sentinel-1-rtc",
    title="Sentinel-1 RTC (gamma nought)",
    kind="radar",
    family="sentinel-1",
    revisit_days=_sentinel_1.REVISIT_DAYS,
    bands=_sentinel_1.bands("sentinel-1-rtc"),
    dtype="float32",
    nodata=-32768.0,
    scaling=Scaling(decibel=True),
    valid_range=(-50.0, 30.0),
    collections={"planetary-computer": "sentinel-1-rtc"},
    assets={"planetary-computer": {name: name.lower() for name in _sentinel_1.POLARISATIONS}},
    rgb=("VV",),
    display_range=(-25.0, 0.0),
)
