"""Locations of a plan that was drawn before (`swath corpus plan`), perhaps edited or thinned out since."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
from pyproj import Transformer
from pyproj.exceptions import ProjError

from swath.corpus.ground.utm import METRES_PER_DEGREE, Footprint
from swath.corpus.places._files import shapes
from swath.corpus.places._types import PlacesConfig
from swath.errors import CorpusError


class Config(PlacesConfig):
    """The locations of a plan that `swath corpus plan` wrote, perhaps edited since."""

    name: Literal["planned"] = "planned"
    path: Path
    """GeoParquet file with the columns of a plan."""


def plan(config: Config, footprint: Footprint) -> gpd.GeoDataFrame:
    """The file's locations, the first `count` of them if it is given.

    Raises:
        CorpusError: it is no plan, or one for chips of another size.
    """
    where = f"{config.path}, for path"
    table = shapes(config.path, "path")
    if missing := {"uid", "lon", "lat", "crs", "transform", "px"} - {*table.columns}:
        raise CorpusError(
            f"the file has no column {min(missing)!r}", where=where, remedy="give a file that `swath corpus plan` wrote"
        )
    if len(set(table["uid"])) < len(table):
        raise CorpusError("two locations have one uid", where=where, remedy="make the column uid unique")
    for row in table.to_dict("records"):
        if problem := _problem(row):
            raise CorpusError(
                f"location {row['uid']!r} {problem}",
                where=where,
                remedy="give a file that `swath corpus plan` wrote, of which rows may be left out",
            )
    size = {(px, abs(transform[0])) for px, transform in zip(table["px"], table["transform"], strict=True)}
    if size != {(footprint.px, footprint.gsd_m)}:
        px, gsd = min(size)
        raise CorpusError(
            f"the plan is for chips of {px} x {px} pixels of {gsd:g} m, "
            f"wanted are {footprint.px} of {footprint.gsd_m:g} m",
            where=where,
            remedy="draw it anew, or ask for chips of its size",
        )
    return table.head(config.count) if config.count else table


def _problem(row: dict[Hashable, Any]) -> str | None:
    """Why a row of a plan is unusable. It states its position three times, of which pixels follow only one, so all must
    agree.
    """
    try:
        a, _, west, _, e, north = (float(number) for number in row["transform"])
        size = int(row["px"])
        there = Transformer.from_crs(row["crs"], "EPSG:4326", always_xy=True).transform(
            west + a * size / 2, north + e * size / 2
        )
        said = [(float(row["lon"]), float(row["lat"])), (row["geometry"].centroid.x, row["geometry"].centroid.y)]
    except (TypeError, ValueError, AttributeError, ProjError) as error:
        return f"has no position that can be understood: {str(error).splitlines()[0]}"
    if not np.isfinite([a, *there, *said[0], *said[1]]).all():
        return "has a position that is no number"
    pixel = abs(a) / METRES_PER_DEGREE
    # outlines of chips across the antimeridian have their centre elsewhere
    near = [np.hypot((x - there[0]) * np.cos(np.radians(there[1])), y - there[1]) <= pixel * size / 2 for x, y in said]
    crosses = row["geometry"].geom_type == "MultiPolygon"
    return (
        None if near[0] and (near[1] or crosses) else "lies elsewhere by its transform than by its lon, lat or outline"
    )
