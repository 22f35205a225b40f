"""Where images lie on the ground: whether two files show the same place, and how large their pixels are there."""

from functools import lru_cache
from math import hypot, isfinite

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from swath.corpus.sources._raster import BadFileError, File, Header, corner

SAME = 0.5
"""Corners of two files of one image may differ by this many pixels and still show the same place: with less,
the centre of every pixel lies in the right pixel of the other."""
NOMINAL = 0.01
"""Relative difference between a pixel's size on the ground and in the map's own units up to which the latter is
used: the scale of UTM and of national systems differs from 1 by less."""
PIXEL_SIZES = 0.1
"""Accepted relative difference between the sizes of a sensor's pixels: between width and height, and between places."""
_ROUNDING = 1e-3
"""Tolerance in pixels, because coordinates have finitely many digits."""
_GEOD = Geod(ellps="WGS84")


def check_same_place(file: File, head: Header, other: File, wanted: Header) -> None:
    """Raise BadFileError if a file lies elsewhere than another; one that says no position lies where the other does.

    Args:
        file: it.
        head: its header. Its pixels may be of another size.
        other: the file that it belongs to.
        wanted: the other's header; distances count in pixels of this one.
    """
    if pixels_apart(wanted, head) < SAME - _ROUNDING:
        return
    systems = "" if head.crs == wanted.crs else f" ({head.crs} and {wanted.crs})"
    raise BadFileError(
        f"{file.name} does not lie where {other.name} does: "
        f"their corners are up to {distance(wanted, head)} apart{systems}",
        where=f"{file.path}, for {file.key}",
        remedy="bring them onto one grid, or mend the expression that joins them; or leave such files out: "
        "on_bad_file=skip",
    )


def distance(first: Header, other: Header) -> str:
    """Distance between the corners of two images, in metres, or in pixels of the first where metres are unknown."""
    metres = metres_apart(first, other)
    if not isfinite(metres):
        return f"{pixels_apart(first, other):,.1f} pixels"
    return f"{metres:,.0f} m" if metres >= 100 else f"{metres:.1f} m"


def pixels_apart(first: Header, other: Header) -> float:
    """Largest distance between the corners of two images, in pixels of the first.

    0 where one of them says no position, infinite where the reference system of one does not reach the other. Without
    a reference system, coordinates are taken to be in that of the other image.
    """
    if first.transform is None or other.transform is None:
        return 0.0
    if (first.crs, first.transform, first.height, first.width) == (
        other.crs, other.transform, other.height, other.width
    ):  # fmt: skip
        return 0.0
    x, y = _corners(other).T
    if first.crs and other.crs and first.crs != other.crs:
        x, y = _converted(other.crs, first.crs, x, y)
    if not np.isfinite([x, y]).all():
        return float("inf")
    t = first.transform
    dx, dy, size = x - t.c, y - t.f, t.a * t.e - t.b * t.d
    column, row = (t.e * dx - t.b * dy) / size, (t.a * dy - t.d * dx) / size
    off = np.hypot(column - [0, first.width, 0, first.width], row - [0, 0, first.height, first.height])
    return float(off.max())


def metres_apart(first: Header, other: Header) -> float:
    """Largest distance between the corners of two images, in metres; infinite where nobody knows."""
    if first.crs is None or other.crs is None:
        return float("inf")
    one, two = (_degrees(head.crs, *_corners(head).T) for head in (first, other) if head.crs)
    if not (np.isfinite([one, two]).all() and np.abs([one[1], two[1]]).max() <= 90):
        return float("inf")
    return float(np.max(_GEOD.inv(*one, *two)[2]))


def pixel_m(head: Header) -> tuple[float, float] | None:
    """Width and height, in metres on the ground, of the pixel in the middle of an image; None where nobody knows."""
    if head.crs is None or head.transform is None:
        return None
    middle = head.width / 2, head.height / 2
    points = [corner(head.transform, middle[0] + right, middle[1] + down) for right, down in ((0, 0), (1, 0), (0, 1))]
    lon, lat = _degrees(head.crs, *np.array(points).T)
    if not np.isfinite([lon, lat]).all():
        return None
    across, down = _GEOD.inv(lon[[0, 0]], lat[[0, 0]], lon[1:], lat[1:])[2]
    t = head.transform
    return _rounded(across, hypot(t.a, t.d), head.crs), _rounded(down, hypot(t.b, t.e), head.crs)


def off_size(sizes: tuple[float, float], gsd_m: float) -> bool:
    """Whether the width or height of a pixel differs too much from the declared size."""
    return max(abs(size / gsd_m - 1) for size in sizes) > PIXEL_SIZES


def _rounded(metres: float, units: float, crs: str) -> float:
    """The size in the map's own units where these are as good as metres on the ground."""
    nominal = units * _metres_a_unit(crs)
    return float(f"{nominal if abs(metres - nominal) < NOMINAL * nominal else metres:.6g}")


def _corners(head: Header) -> Float[ndarray, "4 2"]:
    """Native coordinates of the corners: upper left, upper right, lower left, lower right."""
    assert head.transform is not None
    ends = ((0, 0), (head.width, 0), (0, head.height), (head.width, head.height))
    return np.array([corner(head.transform, *end) for end in ends])


def _degrees(crs: str, x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> Float[ndarray, "2 n"]:
    return _converted(crs, "EPSG:4326", x, y)


def _converted(crs: str, to: str, x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> Float[ndarray, "2 n"]:
    """Coordinates in another reference system; infinite where it does not reach them."""
    try:
        return np.array(_between(crs, to).transform(x, y))
    except ProjError:
        return np.full((2, len(x)), np.inf)


@lru_cache(256)
def _between(crs: str, to: str) -> Transformer:
    return Transformer.from_crs(_system(crs), _system(to), always_xy=True)


@lru_cache(256)
def _metres_a_unit(crs: str) -> float:
    """Metres per unit of a reference system; 0 where the unit is no length."""
    system = _system(crs)
    return system.axis_info[0].unit_conversion_factor if system.is_projected else 0.0


@lru_cache(256)
def _system(crs: str) -> CRS:
    return CRS.from_user_input(crs)
