"""What the Sentinel-2 products have in common: the MSI's bands and the offset by processing baseline."""

import re

from swath.errors import CorpusError
from swath.sensors._build import optical
from swath.sensors._types import Band

# Spectral response of Sentinel-2A (ESA, response functions 3.0); 2B differs by up to 16 nm, in B12.
_BANDS = (
    ("B01", "coastal", 0.4427, 0.021, 60.0),
    ("B02", "blue", 0.4924, 0.066, 10.0),
    ("B03", "green", 0.5598, 0.036, 10.0),
    ("B04", "red", 0.6646, 0.031, 10.0),
    ("B05", "rededge071", 0.7041, 0.015, 20.0),
    ("B06", "rededge075", 0.7405, 0.015, 20.0),
    ("B07", "rededge078", 0.7828, 0.020, 20.0),
    ("B08", "nir", 0.8328, 0.106, 10.0),
    ("B8A", "nir08", 0.8647, 0.021, 20.0),
    ("B09", "nir09", 0.9451, 0.020, 60.0),
    ("B10", "cirrus", 1.3735, 0.031, 60.0),
    ("B11", "swir16", 1.6137, 0.091, 20.0),
    ("B12", "swir22", 2.2024, 0.175, 20.0),
)
EARTH_SEARCH = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}
"""Asset keys of the catalogue Earth Search v1, by band."""
SCALE = 1e-4
PRODUCT_OFFSET = 0.1
"""Reflectance added before storing, since processing baseline 04.00."""
REVISIT_DAYS = 5.0
"""Days between acquisitions at the equator with both satellites in orbit."""
VALID_RANGE = (-0.1, 2.0)
"""Plausible reflectance: clouds, snow and glint exceed 1, and shaded pixels of the newer baselines fall below 0."""


def bands(sensor: str, without: frozenset[str] = frozenset()) -> tuple[Band, ...]:
    """The MSI's bands in the order of its focal plane, without those named."""
    return optical(sensor, (row for row in _BANDS if row[0] not in without))


def offset_for_baseline(baseline: str) -> float:
    """Counts to add before scaling: 0 for products before processing baseline 04.00, -1000 from it on.

    A property of the processing, not of the date: reprocessed archives carry a new baseline on old acquisitions. Where
    a provider removed the offset itself (Earth Engine's `*_HARMONIZED`, some Earth Search items) it is 0 whatever the
    baseline.

    Args:
        baseline: `04.00` as in the product metadata, or `N0400` as in the file name.

    Raises:
        CorpusError: that is no baseline.
    """
    number = re.fullmatch(r"N?(\d{1,2})\.?(\d{2})", baseline.strip())
    if number is None:
        raise CorpusError(
            f"{baseline!r} is no Sentinel-2 processing baseline",
            remedy="take it from the metadata's PROCESSING_BASELINE, such as 04.00, or the file name, such as N0400",
        )
    return -1000.0 if int(number[1]) >= 4 else 0.0
