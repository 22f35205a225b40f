"""Locations of a plan that was drawn before (`swath corpus plan`), perhaps edited or thinned out since."""

from pathlib import Path
from typing import Literal

import geopandas as gpd

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._files import shapes
from swath.corpus.places._types import PlacesConfig
from swath.errors import CorpusError


class Config(PlacesConfig):
    """Settings of the strategy."""

    name: Literal["planned"] = "planned"
    path: Path
    """GeoParquet with the columns of a plan."""


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
