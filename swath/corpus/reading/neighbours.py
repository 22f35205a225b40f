"""Which other locations lie near a location, and which of them a step takes: a pure function of the seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from pyproj import Geod
from scipy.spatial import KDTree

from swath.corpus.reading.sampler import uniform
from swath.errors import CorpusError

_GEOD = Geod(ellps="WGS84")
_RADIUS_M = 6_335_439.0
"""Smallest radius of curvature of the ellipsoid, in metres: on a sphere of it no distance is longer than on the
ground."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each of some locations, the other ones within a distance."""

    start: Integer[ndarray, " n"]
    """By row of the corpus, where the neighbours of that location begin in `row`."""
    count: Integer[ndarray, " n"]
    row: Integer[ndarray, " m"]
    """Rows of the corpus: the neighbours of all locations, one location after the other."""

    @classmethod
    def within(
        cls, metres: float, lonlat: Float[ndarray, "n 2"], rows: Integer[ndarray, " k"], where: str
    ) -> "Neighbours":
        """Find the neighbours of some locations among themselves.

        Args:
            metres: largest distance between centres, on the ellipsoid.
            lonlat: centres of all locations of a corpus in degrees; NaN where unknown.
            rows: which of them.
            where: of the corpus, for messages.

        Raises:
            CorpusError: it is not known where any of them lies.
        """
        known = rows[np.isfinite(lonlat[rows]).all(axis=1)]
        if not len(known):
            raise CorpusError(
                "neighbours are wanted, and it is not known where any location lies",
                where=where,
                remedy="build the corpus from georeferenced images, or choose views of one location, such as two-crops",
            )
        first, second = _pairs(lonlat[known], metres)
        first, second = known[first], known[second]
        order = np.lexsort((second, first))
        count = np.bincount(first, minlength=len(lonlat))
        return cls(np.cumsum(count) - count, count, second[order])

    def choose(self, rows: Integer[ndarray, " b"], seed: int) -> Integer[ndarray, " b"]:
        """A random neighbour of each location, all equally likely; each location must have one."""
        luck = uniform(seed, rows[:, None], np.arange(1))[:, 0]
        return self.row[self.start[rows] + (luck * self.count[rows]).astype(np.int64)]


def _pairs(lonlat: Float[ndarray, "k 2"], metres: float) -> tuple[Integer[ndarray, " m"], Integer[ndarray, " m"]]:
    """All ordered pairs of locations that are at most so many metres apart."""
    lon, lat = np.deg2rad(lonlat).T
    points = _RADIUS_M * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    one, other = KDTree(points).query_pairs(metres, output_type="ndarray").T
    apart = _GEOD.inv(*lonlat[one].T, *lonlat[other].T)[2]
    near = apart <= metres
    one, other = one[near], other[near]
    return np.concatenate([one, other]), np.concatenate([other, one])
