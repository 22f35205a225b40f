"""Level-1 metadata files (`*_MTL.txt`) of all times, and what calibrates a scene.

Names of the fields changed twice: `LMAX_BAND1` (before 2012), `RADIANCE_MAXIMUM_BAND_1` (pre-collection and Collection
1), and the same in other groups (Collection 2).
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import SKIP

SOLAR_IRRADIANCE = {
    "landsat-etm-toa": {"B1": 1997.0, "B2": 1812.0, "B3": 1533.0, "B4": 1039.0, "B5": 230.8, "B7": 84.9, "B8": 1362.0},
    "landsat-tm-toa": {"B1": 1983.0, "B2": 1796.0, "B3": 1536.0, "B4": 1031.0, "B5": 220.0, "B7": 83.44},
}
"""Mean exoatmospheric irradiance in W/(m² µm), Chander, Markham & Helder 2009, tables 3 and 4 (Landsat 5 for TM)."""
THERMAL_CONSTANTS = {
    "landsat-etm-toa": {"B6_VCID_1": (666.09, 1282.71), "B6_VCID_2": (666.09, 1282.71)},
    "landsat-tm-toa": {"B6": (607.76, 1260.56)},
    "landsat-oli-toa": {"B10": (774.8853, 1321.0789), "B11": (480.8883, 1201.1442)},
}
"""K1 in W/(m² sr µm) and K2 in kelvin, where the metadata do not say (same source; USGS for OLI/TIRS)."""
OLI_REFLECTANCE = (2e-5, -0.1)
"""Multiplier and addend of every reflective band of Landsat 8 and 9: the same for all scenes."""
TIRS_RADIANCE = (3.342e-4, 0.1)


@dataclass(frozen=True, slots=True)
class Reflectance:
    """Coefficients of `(multiplier * DN + addend) / sin(sun elevation)`."""

    multiplier: float
    addend: float


@dataclass(frozen=True, slots=True)
class Temperature:
    """Coefficients of `K2 / ln(K1 / (multiplier * DN + addend) + 1)`."""

    multiplier: float
    addend: float
    k1: float
    k2: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How counts become reflectance and brightness temperature at the top of the atmosphere."""

    bands: dict[str, Reflectance | Temperature]
    sun_elevation: float
    """Degrees above the horizon at the scene's centre."""


Fields = dict[str, str]


def fields(path: Path) -> Fields:
    """Fields of a metadata file, those of level-2 products left out.

    Raises:
        BadFileError: it is no metadata file, or cut off.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFileError(f"{path.name} cannot be read: {error}", where=str(path), remedy=SKIP) from error
    return parsed(text, path)


def parsed(text: str, path: Path) -> Fields:
    """Fields of a metadata file's text, those of level-2 products left out.

    Args:
        text: all of the file.
        path: of it, for messages.

    Raises:
        BadFileError: it is no metadata file, or cut off.
    """
    entries: Fields = {}
    level_2 = False
    for name, value in re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        if name == "GROUP":
            level_2 = value.startswith("LEVEL2")
        elif not level_2 and name != "END_GROUP":
            entries.setdefault(name, value.strip('"'))
    if not re.search(r"^\s*END\s*\0*\s*$", text, re.MULTILINE) or not entries:
        raise BadFileError(f"{path.name} is cut off, or no metadata file", where=str(path), remedy=SKIP)
    return entries


def acquired(entries: Fields, path: Path) -> datetime:
    """Time of acquisition, at the scene's centre."""
    day = _get(entries, path, "DATE_ACQUIRED", "ACQUISITION_DATE")
    clock = next(
        (entries[name] for name in ("SCENE_CENTER_TIME", "SCENE_CENTER_SCAN_TIME") if name in entries), "00:00:00"
    )
    try:
        return datetime.fromisoformat(f"{day}T{clock.rstrip('Z')[:15]}").replace(tzinfo=UTC)
    except ValueError:
        raise BadFileError(f"{path.name} says no time: {day} {clock}", where=str(path), remedy=SKIP) from None


def collection(entries: Fields) -> int:
    """Number of the collection; 0 for scenes that were processed before there were any, whose metadata name none."""
    said = entries.get("COLLECTION_NUMBER", "")
    return int(said) if said.isdecimal() else 0


def calibration(entries: Fields, path: Path, sensor: str, bands: dict[str, str]) -> Calibration:
    """Calibration of a level-1 scene.

    Args:
        found: fields of the metadata file.
        path: of that file, for messages.
        sensor: such as `landsat-etm-toa`.
        bands: unit (`reflectance` or `K`) by band.

    Raises:
        BadFileError: a coefficient is missing.
    """
    elevation = _number(entries, path, "SUN_ELEVATION")
    if elevation > 90:
        raise BadFileError(f"{path.name} has the sun at {elevation}°", where=str(path), remedy=SKIP)
    if elevation <= 0:
        raise BadFileError(f"the sun is below the horizon ({elevation}°)", where=str(path), remedy=SKIP)
    made = {
        band: _temperature(entries, path, sensor, band) if unit == "K" else _reflectance(entries, path, sensor, band)
        for band, unit in bands.items()
    }
    return Calibration(made, elevation)


def _reflectance(entries: Fields, path: Path, sensor: str, band: str) -> Reflectance:
    number = band.removeprefix("B")
    if f"REFLECTANCE_MULT_BAND_{number}" in entries:
        return Reflectance(
            *(_number(entries, path, f"REFLECTANCE_{coefficient}_BAND_{number}") for coefficient in ("MULT", "ADD"))
        )
    if sensor not in SOLAR_IRRADIANCE:
        raise BadFileError(f"{path.name} has no REFLECTANCE_MULT_BAND_{number}", where=str(path), remedy=SKIP)
    multiplier, addend = _radiance(entries, path, number)
    day = acquired(entries, path).timetuple().tm_yday
    usual = 1 - 0.01672 * math.cos(math.radians(0.9856 * (day - 4)))
    distance = _number({"EARTH_SUN_DISTANCE": str(usual)} | entries, path, "EARTH_SUN_DISTANCE")
    factor = math.pi * distance**2 / SOLAR_IRRADIANCE[sensor][band]
    return Reflectance(multiplier * factor, addend * factor)


def _temperature(entries: Fields, path: Path, sensor: str, band: str) -> Temperature:
    number = band.removeprefix("B")
    known = THERMAL_CONSTANTS[sensor][band]
    names = [f"K{i}_CONSTANT_BAND_{number}" for i in (1, 2)]
    usual = {name: str(value) for name, value in zip(names, known, strict=True)}
    k1, k2 = (_number(usual | entries, path, name) for name in names)
    return Temperature(*_radiance(entries, path, number), k1, k2)


def _radiance(entries: Fields, path: Path, number: str) -> tuple[float, float]:
    """Multiplier and addend of counts to radiance in W/(m² sr µm)."""
    if f"RADIANCE_MULT_BAND_{number}" in entries:
        multiplier, addend = (
            _number(entries, path, f"RADIANCE_{coefficient}_BAND_{number}") for coefficient in ("MULT", "ADD")
        )
        return multiplier, addend
    old = f"BAND{number.replace('_VCID_', '')}"
    high, low, last, first = (
        _number(entries, path, f"{new}_BAND_{number}", f"{short}_{old}")
        for new, short in (
            ("RADIANCE_MAXIMUM", "LMAX"),
            ("RADIANCE_MINIMUM", "LMIN"),
            ("QUANTIZE_CAL_MAX", "QCALMAX"),
            ("QUANTIZE_CAL_MIN", "QCALMIN"),
        )
    )
    gain = (high - low) / (last - first)
    return gain, low - gain * first


def _get(entries: Fields, path: Path, *names: str) -> str:
    for name in names:
        if name in entries:
            return entries[name]
    raise BadFileError(f"{path.name} has no {names[0]}", where=str(path), remedy=SKIP)


def _number(entries: Fields, path: Path, *names: str) -> float:
    """A finite number; a factor of counts must not be one that makes nothing of them."""
    text = _get(entries, path, *names)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value == 0 and "MULT" in names[0]):
        raise BadFileError(f"{path.name}: {names[0]} is {text}", where=str(path), remedy=SKIP)
    return value


# -- without metadata --------------------------------------------------------------------------------------------------


def estimated(bands: dict[str, str], date: datetime, lonlat: tuple[float, float]) -> Calibration:
    """Calibration of a scene of Landsat 8 or 9 without metadata.

    Coefficients are the same for all scenes; the sun's elevation is that of the orbit's mean local time at this
    latitude, which is within about two degrees.
    """
    made: dict[str, Reflectance | Temperature] = {
        band: Temperature(*TIRS_RADIANCE, *THERMAL_CONSTANTS["landsat-oli-toa"][band])
        if unit == "K"
        else Reflectance(*OLI_REFLECTANCE)
        for band, unit in bands.items()
    }
    return Calibration(made, sun_elevation(date.timetuple().tm_yday, lonlat[1], local_hour(lonlat[1])))


def local_hour(lat: float) -> float:
    """Mean local solar time at which Landsat 8 and 9 pass a latitude southwards, in hours.

    They cross the equator at 10:12; the orbit, inclined by 98.2°, leads in longitude by asin(tan(lat) / tan(i)).
    """
    lead = math.asin(max(-1.0, min(1.0, math.tan(math.radians(lat)) / -math.tan(math.radians(98.2)))))
    return 10.2 + math.degrees(lead) / 15


def sun_elevation(day_of_year: int, lat: float, hour: float) -> float:
    """Elevation of the sun in degrees at a mean local solar time, by Spencer's series of 1971."""
    b = 2 * math.pi * (day_of_year - 1 + (hour - 12) / 24) / 365
    sin, cos = math.sin, math.cos
    declination = 0.006918 - 0.399912 * cos(b) + 0.070257 * sin(b) - 0.006758 * cos(2 * b)
    declination += 0.000907 * sin(2 * b) - 0.002697 * cos(3 * b) + 0.00148 * sin(3 * b)
    equation = 0.000075 + 0.001868 * cos(b) - 0.032077 * sin(b) - 0.014615 * cos(2 * b) - 0.040849 * sin(2 * b)
    angle = math.radians(15 * (hour + 229.18 * equation / 60 - 12))
    phi = math.radians(lat)
    return math.degrees(math.asin(sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(angle)))
