"""A sensor as plain data, in the form of YAML files, recipes, corpora and checkpoints that define one."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from swath.sensors._types import Band, Kind, Scaling, Sensor, Unit
from swath.settings import Settings


def _sensor_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{name[:LONGEST_NAME]!r} is no name of a sensor: lower-case letters, digits and single hyphens between "
            f"them, {LONGEST_NAME} characters at most"
        )
    return name


def _band_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{name[:LONGEST_NAME]!r} is no name of a band: letters, digits, '_', '.' and '-', "
            f"{LONGEST_NAME} characters at most"
        )
    return name


LONGEST_NAME = 64
SensorName = Annotated[str, AfterValidator(_sensor_name)]
"""The name of a sensor: part of file names, and of every band's key before the slash."""
BandName = Annotated[str, AfterValidator(_band_name)]
Positive = Annotated[float, Field(gt=0)]
Range = tuple[float, float]

WAVELENGTHS_UM: dict[str, Range] = {
    "reflectance": (0.2, 5.0),
    "K": (2.0, 50.0),
    "dB": (2e3, 3e6),
    "display": (0.2, 3e6),
}
"""Plausible wavelengths in micrometres by unit; a number outside is probably in another unit of length."""
UNITS: dict[Kind, tuple[Unit, ...]] = {
    "optical": ("reflectance", "K", "display"),
    "radar": ("dB", "display"),
    "map": ("m", "degree", "share"),
}
PLAUSIBLE: dict[Unit, Range] = {
    "reflectance": (-0.1, 2.0),
    "dB": (-50.0, 30.0),
    "K": (150.0, 373.0),
    "display": (0.0, 1.0),
    "m": (-500.0, 9000.0),
    "degree": (0.0, 360.0),
    "share": (0.0, 1.0),
}
SHOWN: dict[Unit, Range] = {
    "reflectance": (0.0, 0.3),
    "dB": (-25.0, 0.0),
    "K": (265.0, 310.0),
    "display": (0.0, 1.0),
    "m": (0.0, 1000.0),
    "degree": (0.0, 45.0),
    "share": (0.0, 1.0),
}
"""Default physical values that pictures map to black and white, by unit."""
PICTURE_ONLY = {"title", "rgb", "display_range"}
"""Fields in which two definitions of one sensor may differ, as they change pictures and no number."""


class BandDefinition(Settings):
    """One band of a sensor."""

    name: BandName
    unit: Unit
    """Physical unit after scaling: reflectance (0 to 1), dB, K, or display for pictures without a unit; of a map m,
    degree or share (0 to 1)."""
    centre_um: Positive | None = None
    """Centre wavelength in micrometres; needed for reflectance and kelvin."""
    width_um: Positive | None = None
    """Full width at half maximum in micrometres."""
    gsd_m: Positive | None = None
    """Native ground sampling distance in metres; null for pictures of no fixed pixel size."""
    common_name: BandName | None = None
    """STAC common name, such as `red`, `nir08` or `swir16`."""
    scale: Positive | None = None
    """`scale` and `offset` of a band that is scaled otherwise than the sensor's other bands."""
    offset: float | None = None
    valid_range: Range | None = None
    """Plausible physical values, if not the usual ones of the unit."""

    @model_validator(mode="after")
    def _of_light(self) -> "BandDefinition":
        if self.centre_um is None and self.unit in ("reflectance", "K"):
            raise ValueError(f"band {self.name}: a band of {self.unit} needs centre_um, its wavelength in micrometres")
        if self.centre_um is not None and self.unit not in WAVELENGTHS_UM:
            raise ValueError(f"band {self.name}: nothing in {self.unit} has a wavelength: leave centre_um out")
        low, high = WAVELENGTHS_UM.get(self.unit, (0.0, 0.0))
        if self.centre_um is not None and not low <= self.centre_um <= high:
            hint = "; are these nanometres?" if low <= self.centre_um / 1000 <= high else ""
            raise ValueError(
                f"band {self.name}: nothing in {self.unit} is measured at {self.centre_um:g} micrometres "
                f"({low:g} to {high:g}){hint}"
            )
        if self.width_um is not None and (self.centre_um is None or self.width_um >= self.centre_um):
            raise ValueError(f"band {self.name}: width_um must be smaller than centre_um")
        _ordered(self.valid_range, f"band {self.name}: valid_range")
        return self


class SensorDefinition(Settings):
    """An instrument at one processing level: its bands, what its counts mean, and what marks missing pixels."""

    kind: Kind
    """`optical` for reflected light and heat, which clouds hide; `radar` for backscatter; `map` for what was
    made of many pictures, such as elevation."""
    bands: tuple[BandDefinition, ...] = Field(min_length=1, max_length=1000)
    dtype: Literal["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32"]
    """NumPy type of the counts as shipped."""
    scale: Positive = 1.0
    """Factor of `physical value = counts * scale + offset`."""
    offset: float = 0.0
    decibel: bool = False
    """The scaled counts are a linear power, and the physical value is 10 * log10 of it."""
    nodata: float | None = None
    """Count that marks missing pixels; null where every count is data. NaN is always missing."""
    family: SensorName | None = None
    """The instrument without the processing level; the sensor's own name if not given."""
    top_of_atmosphere: bool = False
    """Whether its reflectance is that at the top of the atmosphere."""
    product_offset: Positive | None = None
    """Reflectance that the provider adds before it stores the values."""
    revisit_days: Positive | None = None
    title: str = Field(default="", max_length=100)
    """Name in reports; by default the sensor's name."""
    rgb: tuple[BandName, ...] = ()
    """Bands for a picture: three for colour, one for grey. If not given, those whose common names are red, green and
    blue, or else the first band."""
    display_range: Range | None = None
    """Physical values that a picture maps to black and white."""

    @model_validator(mode="after")
    def _consistent(self) -> "SensorDefinition":
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        names = [band.name for band in self.bands]
        if twice := [name for name in names if names.count(name) > 1]:
            yield f"the band {twice[0]!r} is listed twice"
        for band in self.bands:
            if band.unit not in (units := UNITS[self.kind]):
                yield f"band {band.name}: the bands of a sensor of kind {self.kind} are in {' or '.join(units)}"
        if self.decibel and any(band.unit != "dB" for band in self.bands):
            yield "decibel: all bands of such a sensor are in dB"
        integers = np.dtype(self.dtype).kind in "iu"
        for band in self.bands:
            if integers and band.unit == "reflectance" and (band.scale or self.scale) == 1:
                yield f"band {band.name}: whole numbers are no reflectance; give their scale, such as 0.0001"
        if self.nodata is not None and not _holds(self.dtype, self.nodata):
            yield f"nodata: {self.dtype} does not hold {self.nodata:g}"
        if len(self.rgb) not in (0, 1, 3) or not set(self.rgb) <= set(names):
            yield f"rgb: one or three of {', '.join(names)}"
        _ordered(self.display_range, "display_range")

    def facts(self) -> dict[str, Any]:
        """Everything that numbers depend on, as plain data with bands by name, to compare with another definition's."""
        content = self.model_dump(mode="json", exclude=PICTURE_ONLY)
        return content | {"bands": {band["name"]: band for band in content["bands"]}}

    def sensor(self, name: str) -> Sensor:
        """The `Sensor` that this defines, under a name."""
        own = {band.name: band for band in self.bands if band.scale is not None or band.offset is not None}
        unit = self.bands[0].unit
        ranges = {band.name: band.valid_range or PLAUSIBLE[band.unit] for band in self.bands}
        rgb = self.rgb or _in_colour(self.bands)
        units: dict[str, Unit] = {band.name: band.unit for band in self.bands}
        return Sensor(
            name=name,
            title=self.title or name,
            kind=self.kind,
            family=self.family or name,
            top_of_atmosphere=self.top_of_atmosphere,
            revisit_days=self.revisit_days,
            product_offset=self.product_offset,
            bands=tuple(
                Band(name, b.name, b.centre_um, b.width_um, b.gsd_m, b.unit, b.common_name) for b in self.bands
            ),
            dtype=self.dtype,
            nodata=self.nodata,
            scaling=Scaling(self.scale, self.offset, self.decibel),
            valid_range=PLAUSIBLE[unit],
            band_scaling={
                key: Scaling(
                    self.scale if band.scale is None else band.scale,
                    self.offset if band.offset is None else band.offset,
                    self.decibel,
                )
                for key, band in own.items()
            },
            band_range={key: one for key, one in ranges.items() if one != PLAUSIBLE[unit]},
            rgb=rgb,
            display_range=self.display_range or SHOWN[units[rgb[0]]],
        )


def definition_of(sensor: Sensor) -> SensorDefinition:
    """The definition of a sensor as plain data, without what only catalogues need."""
    return SensorDefinition(
        kind=sensor.kind,
        bands=tuple(_band_definition(sensor, band) for band in sensor.bands),
        dtype=sensor.dtype,  # pyright: ignore[reportArgumentType] - validated
        scale=sensor.scaling.scale,
        offset=sensor.scaling.offset,
        decibel=sensor.scaling.decibel,
        nodata=sensor.nodata,
        family=sensor.family,
        top_of_atmosphere=sensor.top_of_atmosphere,
        product_offset=sensor.product_offset,
        revisit_days=sensor.revisit_days,
        title=sensor.title,
        rgb=sensor.rgb,
        display_range=sensor.display_range,
    )


def _band_definition(sensor: Sensor, band: Band) -> BandDefinition:
    scaling = sensor.scaling_of(band.name)
    differs = (scaling.scale, scaling.offset) != (sensor.scaling.scale, sensor.scaling.offset)
    return BandDefinition(
        name=band.name,
        unit=band.unit,
        centre_um=band.centre_um,
        width_um=band.width_um,
        gsd_m=band.gsd_m,
        common_name=band.common_name,
        scale=scaling.scale if differs else None,
        offset=scaling.offset if differs else None,
        valid_range=sensor.range_of(band.name),
    )


def _in_colour(bands: tuple[BandDefinition, ...]) -> tuple[str, ...]:
    by_name = {band.common_name: band.name for band in reversed(bands)}
    colours = ("red", "green", "blue")
    return tuple(by_name[one] for one in colours) if by_name.keys() >= set(colours) else (bands[0].name,)


def _ordered(limits: Range | None, what: str) -> None:
    if limits is not None and not limits[0] < limits[1]:
        raise ValueError(f"{what}: {limits[0]:g} must be less than {limits[1]:g}")


def _holds(dtype: str, value: float) -> bool:
    """Whether a NumPy type can hold exactly this value."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max
