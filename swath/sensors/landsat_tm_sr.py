"""Landsat Collection 2 level 2, TM (Landsat 4 and 5): surface reflectance and temperature (band 6)."""

from swath.sensors import _landsat
from swath.sensors._types import Sensor

_BANDS = _landsat.reflective("landsat-tm-sr", _landsat.TM, "SR_B") + _landsat.thermal(
    "landsat-tm-sr", {"ST_B6": _landsat.TM_THERMAL}
)

SENSOR = Sensor(
    name="landsat-tm-sr",
    title="Landsat 4-5 TM SR",
    kind="optical",
    family="landsat",
    revisit_days=_landsat.REVISIT_DAYS,
    product_offset=_landsat.PRODUCT_OFFSET,
    eight_bit=_landsat.EIGHT_BIT_SR,
    bands=_BANDS,
    dtype="uint16",
    nodata=0.0,
    scaling=_landsat.SR_SCALING,
    valid_range=_landsat.SR_RANGE,
    band_scaling={"ST_B6": _landsat.ST_SCALING},
    band_range={"ST_B6": _landsat.THERMAL_RANGE},
    collections=_landsat.LEVEL_2,
    assets=_landsat.level_2_assets(_BANDS, "lwir"),
    platforms=_landsat.TM_PLATFORMS,
    shipped_m=_landsat.SHIPPED_M,
    anchor_m=_landsat.ANCHOR_M,
    cloud=_landsat.CLOUD,
    rgb=("SR_B3", "SR_B2", "SR_B1"),
    display_range=_landsat.DISPLAY_RANGE,
)
