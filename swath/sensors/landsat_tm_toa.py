"""Landsat Collection 2, TM (Landsat 4 and 5): top-of-atmosphere reflectance and brightness temperature."""

from swath.sensors import _landsat
from swath.sensors._types import Scaling, Sensor

_THERMAL = _landsat.thermal("landsat-tm-toa", {"B6": _landsat.TM_THERMAL})
_REFLECTIVE = _landsat.reflective("landsat-tm-toa", _landsat.TM, "B")
# in the order of the files and of SSL4EO-L: the thermal band stands between 5 and 7
_BANDS = (*_REFLECTIVE[:5], *_THERMAL, *_REFLECTIVE[5:])

SENSOR = Sensor(
    name="landsat-tm-toa",
    title="Landsat 4-5 TM TOA",
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
    platforms=_landsat.TM_PLATFORMS,
    shipped_m=_landsat.SHIPPED_M,
    anchor_m=_landsat.ANCHOR_M,
    cloud=_landsat.CLOUD,
    rgb=("B3", "B2", "B1"),
    display_range=_landsat.DISPLAY_RANGE,
)
