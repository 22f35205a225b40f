"""Landsat Collection 2, ETM+ (Landsat 7): top-of-atmosphere reflectance and brightness temperature."""

from swath.sensors import _landsat
from swath.sensors._types import Scaling, Sensor

_THERMAL = _landsat.thermal("landsat-etm-toa", {"B6_VCID_1": _landsat.ETM_THERMAL, "B6_VCID_2": _landsat.ETM_THERMAL})
_REFLECTIVE = _landsat.reflective("landsat-etm-toa", _landsat.ETM | {8: _landsat.ETM_PAN}, "B")
# in the order of the files and of SSL4EO-L: the thermal bands (low and high gain) stand between 5 and 7
_BANDS = (*_REFLECTIVE[:5], *_THERMAL, *_REFLECTIVE[5:])

SENSOR = Sensor(
    name="landsat-etm-toa",
    title="Landsat 7 ETM+ TOA",
    kind="optical",
    family="landsat",
    top_of_atmosphere=True,
    revisit_days=_landsat.REVISIT_DAYS,
    product_offset=_landsat.PRODUCT_OFFSET,
    eight_bit=_landsat.EIGHT_BIT_TOA,
    bands=_BANDS,
    dtype="float32",
    nodata=None,
    scaling=Scaling(),
    valid_range=_landsat.TOA_RANGE,
    band_range={band.name: _landsat.THERMAL_RANGE for band in _THERMAL},
    collections=_landsat.LEVEL_1,
    assets=_landsat.level_1_assets(_BANDS),
    platforms=_landsat.ETM_PLATFORMS,
    shipped_m=_landsat.SHIPPED_M,
    anchor_m=_landsat.ANCHOR_M,
    cloud=_landsat.CLOUD,
    rgb=("B3", "B2", "B1"),
    display_range=_landsat.DISPLAY_RANGE,
)
