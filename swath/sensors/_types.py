"""Bands and sensors as types. No torch and no raster library here: these are facts about instruments."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from swath.sensors._counts import physical

METADATA = "MTL"
"""Key, among a sensor's assets, of the text file with a scene's calibration."""
Unit = Literal["reflectance", "dB", "K", "display", "m", "degree", "share"]
Kind = Literal["optical", "radar", "map"]
"""What an instrument measures: light and heat, which clouds hide, or the speckled echo of its own microwaves.
A `map` is what was made of many pictures, such as elevation: there once and for all, and of no wavelength."""


@dataclass(frozen=True, slots=True)
class Band:
    """One spectral or polarisation band of a sensor."""

    sensor: str
    """Name of the sensor, such as `sentinel-2-l2a`."""
    name: str
    """The provider's name, such as `B8A` or `VV`."""
    centre_um: float | None
    """Centre wavelength in micrometres; None where the band has none that means anything."""
    width_um: float | None
    """Full width at half maximum in micrometres."""
    gsd_m: float | None
    """Native ground sampling distance in metres; None for pictures of no fixed pixel size."""
    unit: Unit
    """Physical unit after scaling."""
    common_name: str | None = None
    """STAC common name, such as `red`, `nir08` or `swir16`."""

    @property
    def key(self) -> str:
        """Name in the global band table: `sensor/band`."""
        return f"{self.sensor}/{self.name}"


@dataclass(frozen=True, slots=True)
class Scaling:
    """How stored counts become physical values: `counts * scale + offset`, in dB if the result is a linear power."""

    scale: float = 1.0
    offset: float = 0.0
    decibel: bool = False
    """Whether the scaled counts are a linear power, whose physical value is `10 * log10` of it."""

    def physical(self, counts: np.ndarray) -> np.ndarray:
        """Physical values of counts, float32; NaN where a power is not positive and has no decibels."""
        return physical(counts, self.scale, self.offset, decibel=self.decibel).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CloudRule:
    """Which pixels of a quality layer are unusable: listed classes, or any of the listed bits."""

    layer: str
    """Name of the quality layer, such as `SCL`, `QA_PIXEL` or `Fmask`."""
    classes: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()
    dtype: str = "uint8"
    """NumPy type of the layer."""
    fill: int = 0
    """Value of the layer where nothing was observed."""

    def unusable(self, layer: np.ndarray) -> np.ndarray:
        """True where a quality layer marks a pixel as cloudy or otherwise unusable."""
        codes = layer.astype(np.int64)
        return (codes & sum(1 << bit for bit in self.bits) != 0) | np.isin(codes, self.classes)


@dataclass(frozen=True, slots=True)
class Sensor:
    """An instrument at one processing level, as its provider ships it."""

    name: str
    title: str
    """Human name for reports."""
    kind: Kind
    """Whether it is optical or radar; pictures without a unit have a kind too."""
    family: str
    """The instrument without the processing level, such as `sentinel-2`, or the series of instruments that continue one
    another, such as `landsat`."""
    bands: tuple[Band, ...]
    dtype: str
    """NumPy type of the counts as shipped."""
    nodata: float | None
    """Count that marks missing pixels; None where every count is data."""
    scaling: Scaling
    """Counts to physical units for most bands."""
    valid_range: tuple[float, float]
    """Plausible physical values: checks report values outside, and nothing is ever clipped to it."""
    top_of_atmosphere: bool = False
    """Whether reflectance is measured above the atmosphere, whose scattered light is part of it."""
    revisit_days: float | None = None
    """Days between acquisitions at the equator with all platforms in orbit; None where that is unknown."""
    has_baselines: bool = False
    """Whether the offset of the counts depends on the processing baseline of the product."""
    product_offset: float | None = None
    """Reflectance that the provider adds before it stores the values; None where it adds nothing."""
    eight_bit: dict[Unit, tuple[float, float]] = field(default_factory=dict)
    """By unit, the physical values that become 0 and 255 where values are stored as bytes; empty where no table is
    agreed upon."""
    band_scaling: dict[str, Scaling] = field(default_factory=dict)
    """Bands that are scaled differently, such as Landsat's thermal ones."""
    band_range: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Valid range of bands that differ from `valid_range`."""
    collections: dict[str, str] = field(default_factory=dict)
    """STAC collection by catalogue (`earth-search`, `planetary-computer`, `usgs`). A catalogue that keeps the sensor in
    several collections appears once for each, as `catalogue:collection`."""
    assets: dict[str, dict[str, str]] = field(default_factory=dict)
    """STAC asset key by catalogue and band name, the quality layer of `cloud` included, and `METADATA` where counts
    need the coefficients of a text file beside them. A key that begins with `*` is the end of a file's name."""
    platforms: tuple[str, ...] = ()
    """STAC platforms, where one collection holds those of several sensors; empty if all of it is this sensor's."""
    shipped_m: float | None = None
    """Pixel size of the provider's files, where it is finer than what a band resolves."""
    anchor_m: float = 0.0
    """UTM coordinate of one pixel edge of the provider's grid, modulo the pixel size."""
    cloud: CloudRule | None = None
    rgb: tuple[str, ...] = ()
    """Bands for a picture: three for colour, one for grey."""
    display_range: tuple[float, float] = (0.0, 1.0)
    """Physical values that a picture maps to black and white."""

    def band(self, name: str) -> Band:
        """The band of that name; KeyError if there is none."""
        for band in self.bands:
            if band.name == name:
                return band
        raise KeyError(name)

    def pixel_m(self, band: str) -> float | None:
        """Pixel size of that band's file, in metres."""
        sizes = [size for size in (self.band(band).gsd_m, self.shipped_m) if size is not None]
        return min(sizes, default=None)

    def scaling_of(self, band: str) -> Scaling:
        """The scaling of that band's counts to physical values."""
        return self.band_scaling.get(band, self.scaling)

    def range_of(self, band: str) -> tuple[float, float]:
        """Plausible physical values of that band."""
        return self.band_range.get(band, self.valid_range)
