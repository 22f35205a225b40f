"""Sentinel-1 IW GRD, calibrated to sigma nought in decibels.

ESA ships uncalibrated amplitudes: `sigma0 = (DN² - noise) / A²` with a look-up table per scene, then `10 * log10`. No
single scale can say that, so this sensor is what Earth Engine's `COPERNICUS/S1_GRD`, SEN12MS and SSL4EO-S12 hold:
sigma nought already in dB. The STAC collections named `sentinel-1-grd` hold uncalibrated
amplitudes and are therefore not listed here.
"""

from swath.sensors import _sentinel_1
from swath.sensors._types import Scaling, Sensor

SENSOR = Sensor(
    name="sentinel-1-grd",
    title="Sentinel-1 GRD (sigma nought)",
    kind="radar",
    family="sentinel-1",
    revisit_days=_sentinel_1.REVISIT_DAYS,
    bands=_sentinel_1.bands("sentinel-1-grd"),
    dtype="float32",
    nodata=None,
    scaling=Scaling(),
    valid_range=(-50.0, 30.0),
    rgb=("VV",),
    display_range=(-25.0, 0.0),
)
