"""Cloud masks of Sentinel-2 L1C by s2cloudless, the pixel classifier of Sentinel Hub (Zupanc 2017).

The package (CC BY-SA 4.0) is an extra and is used as it is: nothing of it is part of swath.
"""

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from pydantic import Field

from swath.errors import RecipeError
from swath.settings import Settings

if TYPE_CHECKING:
    from s2cloudless.cloud_detector import S2PixelCloudDetector

SENSOR = "sentinel-2-l1c"
BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The classifier's input bands, in its order: reflectance at the top of the atmosphere."""


class S2Cloudless(Settings):
    """Cloud masks of Sentinel-2 L1C by s2cloudless. The radii are those that its authors recommend: 22 and 11
    pixels of 10 m, 4 and 2 of 60 m.
    """

    name: Literal["s2cloudless"] = "s2cloudless"
    threshold: float = Field(default=0.4, gt=0, lt=1)
    """Probability above which a pixel is cloud."""
    average_m: float = Field(default=220.0, ge=0)
    """Radius in metres of the disc over which probabilities are averaged first; 0 for none."""
    dilate_m: float = Field(default=110.0, ge=0)
    """Radius in metres by which clouds are grown; 0 for none."""


def mask(
    reflectance: Float64[ndarray, "c y x"], seen: Bool[ndarray, "y x"], rule: S2Cloudless, gsd_m: float
) -> Bool[ndarray, "y x"]:
    """True for the pixels that s2cloudless classifies as cloudy.

    Args:
        reflectance: of `BANDS`, the offset of baseline 04.00 applied.
        seen: where every band holds data; elsewhere is no cloud, and none comes from there.
        rule: settings.
        gsd_m: size of a pixel.

    Raises:
        RecipeError: the package is not installed.
    """
    detector = _detector(rule.threshold, round(rule.average_m / gsd_m), round(rule.dilate_m / gsd_m))
    pixels = np.moveaxis(reflectance, 0, -1)[np.newaxis]
    # Dask's threads share the cores already
    probability = detector.get_cloud_probability_maps(pixels, num_threads=1)
    cloud = detector.get_mask_from_prob(np.where(seen, probability, 0).astype(np.float32))
    return cloud[0].astype(bool) & seen


def require() -> None:
    """Raise RecipeError if the package is not installed."""
    _package()


@cache
def _detector(threshold: float, average_px: int, dilate_px: int) -> "S2PixelCloudDetector":
    return _package()(threshold=threshold, average_over=average_px, dilation_size=dilate_px)


def _package() -> "type[S2PixelCloudDetector]":
    try:
        from s2cloudless.cloud_detector import S2PixelCloudDetector
    except ImportError as error:
        raise RecipeError(
            f"s2cloudless is not installed ({error.name} is missing)",
            where="corpus.source.products: cloud_mask",
            remedy='pip install "swath[s2cloudless]", on every worker; its licence is CC BY-SA 4.0',
        ) from error
    return S2PixelCloudDetector
