"""Landsat as USGS ships it: whole scenes with their metadata, and the cloud validation sets made of such scenes."""

from swath.corpus.sources.landsat._calibrate import physical
from swath.corpus.sources.landsat._mtl import Calibration, calibration, parsed

__all__ = ["Calibration", "calibration", "parsed", "physical"]
