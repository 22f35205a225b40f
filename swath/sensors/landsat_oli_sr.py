"""Landsat Collection 2 level 2, OLI/TIRS (Landsat 8 and 9): surface reflectance and temperature (band 10)."""

from swath.sensors import _landsat
from swath.sensors._types import Sensor

_BANDS = _landsat.reflective(
    "landsat-oli-sr", {n: row for n, row in _landsat.OLI.items() if n <= 7}, "SR_B"
) + _landsat.thermal("landsat-oli-sr", {"ST_B10": _landsat.TIRS[10]})

SENSOR = Sensor(
    name="landsat-oli-sr",
    title="Landsat 8-9 OLI/TIRS SR",
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
    band_scaling={"ST_B10": _landsat.ST_SCALING},
    band_range={"ST_B10": _landsat.THERMAL_RANGE},
    collections=_landsat.LEVEL_2,
    assets=_landsat.level_2_assets(_BANDS, "lwir11"),
    platforms=_landsat.OLI_PLATFORMS,
    shipped_m=_landsat.SHIPPED_M,
    anchor_m=_landsat.ANCHOR_M,
    cloud=_landsat.CLOUD,
    rgb=("SR_B4", "SR_B3", "SR_B2"),
    display_range=_landsat.DISPLAY_RANGE,
)
