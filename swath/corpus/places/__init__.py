"""Where the chips of a corpus lie: strategies, one file each, that draw locations from a seed.

A strategy defines `Config` and `candidates(config, footprint, rng)`, which yields points in blocks (`StrategyPlugin`);
one that reads its locations from somewhere defines `plan` instead (`ListingStrategyPlugin`). What is the same for all
happens here: the area, the UTM zone and pixel grid, the exact rejection of overlap, and the count.
"""

from collections import Counter
from typing import cast

import geopandas as gpd
import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray

from swath import plugins
from swath._progress import bar, console
from swath.corpus.ground import utm as _utm
from swath.corpus.ground.utm import NORTH, SOUTH, Footprint
from swath.corpus.places._area import Area, area
from swath.corpus.places._files import shapes
from swath.corpus.places._separate import Separation, Squares
from swath.corpus.places._types import Candidates, ListingStrategyPlugin, PlacesConfig, StrategyPlugin
from swath.errors import CorpusError

__all__ = [
    "Candidates",
    "Footprint",
    "ListingStrategyPlugin",
    "PlacesConfig",
    "Separation",
    "StrategyPlugin",
    "draw",
    "shapes",
]

PATIENCE = 10
"""Blocks in a row without a single location that fits, after which an area counts as full."""


def draw(config: PlacesConfig, footprint: Footprint) -> gpd.GeoDataFrame:
    """Draw the locations of a strategy: a function of the settings, the files that they name, and the footprint.

    Returns:
        One row a location: `uid`, `lon` and `lat` of the centre in degrees, `crs` of its UTM zone, `transform` (six
        numbers, as in `locations.parquet`), `px`, the strategy's own columns, and the outline in WGS 84.

    Raises:
        CorpusError: a file that cannot be used, or fewer locations fit than are wanted.
    """
    strategy = plugins.find(__name__, config.name)
    if isinstance(strategy, ListingStrategyPlugin):
        return strategy.plan(config, footprint)
    chosen = _choose(cast(StrategyPlugin, strategy), config, footprint)
    return _frame(chosen, footprint)


def _choose(strategy: StrategyPlugin, config: PlacesConfig, footprint: Footprint) -> list[tuple[Squares, Candidates]]:
    region = None if config.area is None else area(config.area)
    separation = config.separation(footprint)
    chosen: list[tuple[Squares, Candidates]] = []
    dropped: Counter[str] = Counter()
    count = idle = 0
    with bar() as progress:
        task = progress.add_task("drawing locations", total=config.count)
        for block in strategy.candidates(config, footprint, np.random.default_rng(config.seed)):
            squares, kept = _placed(block, region, footprint)
            dropped["outside"] += len(block) - len(kept)
            alive = separation.add(squares) if separation else np.ones(len(kept), bool)
            dropped["overlapping"] += int((~alive).sum())
            rows = np.flatnonzero(alive)[: None if config.count is None else config.count - count]
            chosen.append((squares.at(rows), kept.at(rows)))
            count += len(rows)
            idle = 0 if len(rows) else idle + 1
            progress.update(task, completed=count)
            if count == config.count or (config.count is not None and idle == PATIENCE):
                break
    if not count or (config.count is not None and count < config.count):
        raise CorpusError(
            f"only {count} of {config.count or 'any number of'} locations fit: "
            f"{dropped['overlapping']} candidates overlapped others, {dropped['outside']} lay outside",
            where=config.name,
            remedy="ask for fewer, make the area larger or the chips smaller, or set overlap: allow",
        )
    if config.count is None and dropped.total():
        console().print(
            f"{count:,} of {count + dropped.total():,} candidates are taken: {dropped['overlapping']:,} overlap others "
            f"(overlap: allow keeps them), {dropped['outside']:,} lie outside",
            soft_wrap=True,
        )
    return chosen


def _placed(block: Candidates, region: Area | None, footprint: Footprint) -> tuple[Squares, Candidates]:
    """The candidates of a block whose centre lies in the region, and their footprints."""
    lon = (block.lon + 180) % 360 - 180
    rows = np.flatnonzero(_inside(lon, block.lat, region))
    kept = block.at(rows)
    epsg = _utm.zone(lon[rows], kept.lat)
    west, north = _utm.snapped(*_utm.project(lon[rows], kept.lat, epsg), footprint)
    return Squares(kept.lon, kept.lat, epsg, west, north), kept


def _inside(lon: ndarray, lat: ndarray, region: Area | None) -> Bool[ndarray, " n"]:
    inside = (lat >= SOUTH) & (lat <= NORTH)
    if region is not None:
        inside[inside] = region.contains(lon[inside], lat[inside])
    return inside


def _frame(chosen: list[tuple[Squares, Candidates]], footprint: Footprint) -> gpd.GeoDataFrame:
    squares = [one for one, _ in chosen]
    epsg, west, north = (np.concatenate([getattr(one, name) for one in squares]) for name in ("epsg", "west", "north"))
    half, size = footprint.side_m / 2, float(footprint.gsd_m)
    lon, lat = _utm.unproject(west + half, north - half, epsg)
    table = pd.DataFrame({
        "uid": [f"{number:07d}" for number in range(len(epsg))],
        "lon": lon,
        "lat": lat,
        "crs": [f"EPSG:{code}" for code in epsg],
        "transform": [[size, 0.0, x, 0.0, -size, y] for x, y in zip(west.tolist(), north.tolist(), strict=True)],
        "px": footprint.px,
    })  # fmt: skip
    for name in chosen[0][1].facts:
        table[name] = np.concatenate([candidates.facts[name] for _, candidates in chosen])
    return gpd.GeoDataFrame(table, geometry=_utm.outlines(west, north, footprint.side_m, epsg), crs="EPSG:4326")
