"""What the Landsat Collection 2 products have in common (USGS LSDS-1618, LSDS-1619).

TOA sensors hold what Earth Engine's `*_TOA` collections hold, as float32: reflectance corrected for the sun's
elevation, and kelvin. From a level-1 file: `reflectance = (M * DN + A) / sin(sun elevation)` and
`T = K2 / ln(K1 / L + 1)`, with the coefficients of its MTL file.
"""

from swath.sensors._build import edges
from swath.sensors._types import METADATA, Band, CloudRule, Scaling, Unit

SR_SCALING = Scaling(2.75e-5, -0.2)
ST_SCALING = Scaling(0.00341802, 149.0)
SR_RANGE = (-0.1999, 1.6022)
"""Reflectance of counts 1 to 65535; 0 marks missing pixels."""
TOA_RANGE = (-0.1, 2.0)
PRODUCT_OFFSET = 0.2
"""Reflectance added to surface reflectance before it is stored. Sensors of level 1 carry it too, because it shows when
level-2 counts are mistaken for theirs."""
REVISIT_DAYS = 8.0
"""Days between acquisitions at the equator by two satellites, such as Landsat 8 and 9."""
EIGHT_BIT_TOA: dict[Unit, tuple[float, float]] = {"reflectance": (0.0, 0.4), "K": (248.15, 318.15)}
EIGHT_BIT_SR: dict[Unit, tuple[float, float]] = {"reflectance": (0.0, 0.3), "K": (248.15, 318.15)}
"""SSL4EO-L's tables (Stewart et al. 2023); temperatures are -25 to 45 degrees Celsius."""
THERMAL_RANGE = (150.0, 373.0)
DISPLAY_RANGE = (0.0, 0.3)
CLOUD = CloudRule("QA_PIXEL", bits=(0, 1, 2, 3, 4), dtype="uint16", fill=1)
"""Bits of the quality layer that make a pixel unusable: fill, dilated cloud, cirrus (never set for TM and ETM+), cloud,
cloud shadow."""

# (STAC common name, lower edge µm, upper edge µm, GSD m) by band number
OLI = {
    1: ("coastal", 0.435, 0.451, 30.0),
    2: ("blue", 0.452, 0.512, 30.0),
    3: ("green", 0.533, 0.590, 30.0),
    4: ("red", 0.636, 0.673, 30.0),
    5: ("nir08", 0.851, 0.879, 30.0),
    6: ("swir16", 1.566, 1.651, 30.0),
    7: ("swir22", 2.107, 2.294, 30.0),
    8: ("pan", 0.503, 0.676, 15.0),
    9: ("cirrus", 1.363, 1.384, 30.0),
}
TIRS = {10: ("lwir11", 10.6, 11.19, 100.0), 11: ("lwir12", 11.5, 12.51, 100.0)}
ETM = {
    1: ("blue", 0.45, 0.52, 30.0),
    2: ("green", 0.52, 0.60, 30.0),
    3: ("red", 0.63, 0.69, 30.0),
    4: ("nir08", 0.77, 0.90, 30.0),
    5: ("swir16", 1.55, 1.75, 30.0),
    7: ("swir22", 2.09, 2.35, 30.0),
}
ETM_PAN = ("pan", 0.52, 0.90, 15.0)
ETM_THERMAL = ("lwir", 10.4, 12.5, 60.0)
TM = {
    1: ("blue", 0.45, 0.52, 30.0),
    2: ("green", 0.52, 0.60, 30.0),
    3: ("red", 0.63, 0.69, 30.0),
    4: ("nir08", 0.76, 0.90, 30.0),
    5: ("swir16", 1.55, 1.75, 30.0),
    7: ("swir22", 2.08, 2.35, 30.0),
}
TM_THERMAL = ("lwir", 10.4, 12.5, 120.0)

Row = tuple[str, float, float, float]


def reflective(sensor: str, table: dict[int, Row], prefix: str) -> tuple[Band, ...]:
    """Reflectance bands, named by a prefix and a number."""
    return edges(sensor, ((f"{prefix}{number}", *row) for number, row in table.items()))


def thermal(sensor: str, table: dict[str, Row]) -> tuple[Band, ...]:
    """Thermal bands by name, in kelvin."""
    return edges(sensor, ((name, *row) for name, row in table.items()), "K")


def level_2_assets(bands: tuple[Band, ...], thermal_asset: str) -> dict[str, dict[str, str]]:
    """Asset keys of the level-2 collections: the common names, the thermal band's own, and the quality layer.

    USGS keeps surface temperature in a collection of its own, `landsat-c2l2-st`, which has no part here.
    """
    keys = {b.name: b.common_name or b.name for b in bands if b.unit == "reflectance"} | {"QA_PIXEL": "qa_pixel"}
    both = keys | {b.name: thermal_asset for b in bands if b.unit == "K"}
    return {"earth-search": both, "planetary-computer": both, "usgs": keys}


def level_1_assets(bands: tuple[Band, ...]) -> dict[str, dict[str, str]]:
    """Asset keys of the level-1 collection, with the metadata that calibrate it.

    Thermal bands are found by the ends of their files' names, which say which of ETM+'s two gains is meant.
    """
    keys = {b.name: b.common_name or b.name for b in bands if b.unit == "reflectance"}
    keys |= {b.name: f"*_{b.name}.TIF" for b in bands if b.unit == "K"}
    return {"usgs": keys | {"QA_PIXEL": "qa_pixel", METADATA: "MTL.txt"}}


LEVEL_2 = {"earth-search": "landsat-c2-l2", "planetary-computer": "landsat-c2-l2", "usgs": "landsat-c2l2-sr"}
"""Collection by catalogue. One collection holds all Landsats, so searches filter by `platform` as well."""
LEVEL_1 = {"usgs": "landsat-c2l1"}
TM_PLATFORMS = ("landsat-4", "landsat-5")
ETM_PLATFORMS = ("landsat-7",)
OLI_PLATFORMS = ("landsat-8", "landsat-9")
SHIPPED_M = 30.0
"""Pixel size of thermal bands as shipped: that of the reflective bands."""
ANCHOR_M = 15.0
"""Coordinates of a pixel edge: pixel centres, not edges, lie on multiples of 30 m."""
