"""Small helpers that let a sensor's file be a plain table."""

from collections.abc import Iterable

from swath.sensors._types import Band, Unit


def optical(
    sensor: str, rows: Iterable[tuple[str, str | None, float, float, float]], unit: Unit = "reflectance"
) -> tuple[Band, ...]:
    """Bands from rows of (name, STAC common name, centre µm, width µm, GSD m)."""
    return tuple(Band(sensor, name, centre, width, gsd, unit, common) for name, common, centre, width, gsd in rows)


def edges(
    sensor: str, rows: Iterable[tuple[str, str | None, float, float, float]], unit: Unit = "reflectance"
) -> tuple[Band, ...]:
    """Bands from rows of (name, STAC common name, lower edge µm, upper edge µm, GSD m), as the USGS lists them."""
    return optical(
        sensor,
        (
            (name, common, round((low + high) / 2, 4), round(high - low, 4), gsd)
            for name, common, low, high, gsd in rows
        ),
        unit,
    )
