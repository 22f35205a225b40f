"""Landsat scenes as USGS ships them: names, metadata, calibration and quality bits."""
