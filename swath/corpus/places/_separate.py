"""Exact rejection of footprints that overlap an earlier one.

The result is as if the candidates were looked at one by one. A k-d tree finds all pairs that could overlap, an exact
test decides each, and one pass over the overlapping pairs, in order, settles which stay.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import KDTree

from swath.corpus.ground import utm as _utm

_RADIUS_M = 6_371_008.8


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """Footprints of candidates, each in its own UTM zone."""

    lon: Float[ndarray, " n"]
    """Degrees of the point as drawn, before its footprint was snapped to the pixel grid."""
    lat: Float[ndarray, " n"]
    epsg: Int[ndarray, " n"]
    west: Float[ndarray, " n"]
    """Metres in the square's own zone."""
    north: Float[ndarray, " n"]

    def at(self, rows: Int[ndarray, " m"]) -> "Squares":
        """The squares at these positions."""
        return Squares(self.lon[rows], self.lat[rows], self.epsg[rows], self.west[rows], self.north[rows])

    def then(self, other: "Squares") -> "Squares":
        """These squares, followed by the others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("lon", "lat", "epsg", "west", "north"))
        return Squares(*(np.concatenate(pair) for pair in pairs))


class Separation(ABC):
    """Decides which squares to accept, and remembers them."""

    def __init__(self) -> None:
        self._accepted: Squares | None = None

    def add(self, block: Squares) -> Bool[ndarray, " n"]:
        """True for the squares of a block that overlap neither an accepted square nor an earlier one that
        stays; these are accepted.
        """
        alive = np.ones(len(block.lon), bool)
        tree = self._tree(block)
        if self._accepted is not None:
            old = self._tree(self._accepted)
            near = old.sparse_distance_matrix(tree, self._reach, p=self._norm, output_type="coo_matrix")
            first, second = near.row, near.col
            alive[second[self._overlap(self._accepted.at(first), block.at(second))]] = False
        pairs = tree.query_pairs(self._reach, p=self._norm, output_type="ndarray")
        pairs = pairs[self._overlap(block.at(pairs[:, 0]), block.at(pairs[:, 1]))]
        for first, second in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
            if alive[first]:
                alive[second] = False
        kept = block.at(np.flatnonzero(alive))
        self._accepted = kept if self._accepted is None else self._accepted.then(kept)
        return alive

    _norm: float
    """The norm in which the tree measures distances: 2 is Euclidean, infinity the larger of the two differences."""
    _reach: float
    """Squares farther apart than this cannot overlap."""

    @abstractmethod
    def _tree(self, squares: Squares) -> KDTree: ...

    @abstractmethod
    def _overlap(self, first: Squares, second: Squares) -> Bool[ndarray, " n"]: ...


class InMetres(Separation):
    """Squares on the ground: exact in a common zone, and by projected corners across the border of two zones."""

    def __init__(self, side_m: float):
        super().__init__()
        self._side = side_m
        self._norm = 2.0
        self._reach = 1.02 * np.sqrt(2) * side_m  # UTM is off by less than 1 %, twice; and snapping by less than that

    def _tree(self, squares: Squares) -> KDTree:
        middle = self._side / 2
        lon, lat = _utm.unproject(squares.west + middle, squares.north - middle, squares.epsg)
        lon, lat = np.radians(lon), np.radians(lat)
        return KDTree(_RADIUS_M * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1))

    def _overlap(self, first: Squares, second: Squares) -> Bool[ndarray, " n"]:
        result = (np.abs(first.west - second.west) < self._side) & (np.abs(first.north - second.north) < self._side)
        other = np.flatnonzero(first.epsg != second.epsg)
        result[other] = self._across(first.at(other), second.at(other))
        return result

    def _across(self, first: Squares, second: Squares) -> Bool[ndarray, " n"]:
        """Whether squares of different zones overlap: the second's corners are brought into the zone of the first."""
        x, y = self._corners(second)
        for source, target in {*zip(second.epsg.tolist(), first.epsg.tolist(), strict=True)}:
            rows = (second.epsg == source) & (first.epsg == target)
            x[rows], y[rows] = _utm.between(source, target).transform(x[rows], y[rows])
        one, two = (shapely.polygons(np.stack(xy, axis=-1)) for xy in (self._corners(first), (x, y)))
        # not `intersects`: the corners of a shared edge differ by rounding once one of them is projected
        shared = np.asarray(shapely.area(shapely.intersection(one, two)))
        return shared > 1e-9 * self._side**2

    def _corners(self, squares: Squares) -> tuple[Float[ndarray, "n 4"], Float[ndarray, "n 4"]]:
        x = squares.west[:, None] + np.array([0, self._side, self._side, 0])
        return x, squares.north[:, None] - np.array([0, 0, self._side, self._side])


class InDegrees(Separation):
    """SSL4EO-L's rule: equal boxes in degrees around the points as drawn, where boxes that touch overlap."""

    def __init__(self, side_deg: float):
        super().__init__()
        self._norm = np.inf
        self._reach = side_deg

    def _tree(self, squares: Squares) -> KDTree:
        return KDTree(np.stack([squares.lon, squares.lat], axis=1))

    def _overlap(self, first: Squares, second: Squares) -> Bool[ndarray, " n"]:
        apart = np.maximum(np.abs(first.lon - second.lon), np.abs(first.lat - second.lat))
        return apart <= self._reach
