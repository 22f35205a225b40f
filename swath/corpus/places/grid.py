"""A regular grid in metres: centres at equal distances in every UTM zone, for covering an area without gaps."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import shapely
from pydantic import Field

from swath.corpus.ground import utm as _utm
from swath.corpus.ground.utm import NORTH, SOUTH, Footprint
from swath.corpus.places._area import Area, area
from swath.corpus.places._types import Candidates, PlacesConfig, in_blocks

_STRIPE_DEG = 1.0
"""Height in degrees of the stripes in which a zone is gone through, to bound memory."""


class Config(PlacesConfig):
    """A regular grid: centres at equal distances in every UTM zone, to cover an area without gaps."""

    name: Literal["grid"] = "grid"
    spacing_km: float | None = Field(default=None, gt=0)
    """Distance of neighbouring centres in kilometres; by default the chip's width, so that chips lie edge to edge.
    Where two zones meet, a chip that would overlap one of the other zone is left out."""


def candidates(config: Config, footprint: Footprint, rng: np.random.Generator) -> Iterator[Candidates]:
    """All grid points inside the area, zone by zone from west to east; in random order if only some are wanted."""
    spacing = footprint.side_m if config.spacing_km is None else 1000 * config.spacing_km
    # centres of chips whose edges lie on the provider's grid
    blocks = _lattice(area(config.area), spacing, footprint.anchor_m + footprint.side_m / 2)
    if config.count is None:
        yield from blocks
    else:
        listed = list(blocks)
        lon, lat = (np.concatenate([getattr(one, axis) for one in listed] or [np.empty(0)]) for axis in ("lon", "lat"))
        yield from in_blocks(Candidates(lon, lat).at(rng.permutation(len(lon))))


def _lattice(region: Area, spacing: float, first: float) -> Iterator[Candidates]:
    bounds = shapely.bounds(list(region.parts))
    for number in range(1, 61):
        # zones near Norway and Svalbard are up to 9 degrees wide
        middle = 6 * number - 183
        near = bounds[(bounds[:, 0] < middle + 9) & (bounds[:, 2] > middle - 9)]
        if not len(near):
            continue
        south, north = max(SOUTH, near[:, 1].min()), min(NORTH, near[:, 3].max())
        edges = np.arange(np.floor(south / _STRIPE_DEG), np.ceil(north / _STRIPE_DEG)) * _STRIPE_DEG
        for low in edges:
            yield from in_blocks(_stripe(region, number, low, spacing, first))


def _stripe(region: Area, number: int, low: float, spacing: float, first: float) -> Candidates:
    """Grid points of one zone between two parallels, without those that belong to neighbouring zones or lie outside."""
    epsg = (32600 if low >= 0 else 32700) + number
    middle = 6 * number - 183
    lon = np.linspace(middle - 9, middle + 9, 37)
    border = [_utm.from_degrees(epsg).transform(lon, np.full_like(lon, lat)) for lat in (low, low + _STRIPE_DEG)]
    x, y = (np.concatenate(values) for values in zip(*border, strict=True))
    columns, rows = (
        np.arange(np.floor((v.min() - first) / spacing), np.ceil((v.max() - first) / spacing) + 1) * spacing + first
        for v in (x, y)
    )
    x, y = (axis.ravel() for axis in np.meshgrid(columns, rows))
    lon, lat = _utm.unproject(x, y, np.full(len(x), epsg))
    here = (lat >= low) & (lat < low + _STRIPE_DEG) & (_utm.zone(lon, lat) == epsg)
    lon, lat = lon[here], lat[here]
    inside = region.contains(lon, lat)
    return Candidates(lon[inside], lat[inside])
