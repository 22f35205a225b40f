"""Landsat Collection 2, OLI/TIRS (Landsat 8 and 9): top-of-atmosphere reflectance and brightness temperature."""

from swath.sensors import _landsat
from swath.sensors._types import Scaling, Sensor

_THERMAL = _landsat.thermal("landsat-oli-toa", {f"B{number}": row for number, row in _landsat.TIRS.items()})
_BANDS = _landsat.reflective("landsat-oli-toa", _landsat.OLI, "B") + _THERMAL

SENSOR = Sensor(
    name="landsat-oli-toa",
    title="Landsat 8-9 OLI/TIRS TOA",
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
    platforms=_landsat.OLI_PLATFORMS,
    shipped_m=_landsat.SHIPPED_M,
    anchor_m=_landsat.ANCHOR_M,
    cloud=_landsat.CLOUD,
    rgb=("B4", "B3", "B2"),
    display_range=_landsat.DISPLAY_RANGE,
)
