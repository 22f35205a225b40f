"""The area that a map is cut to: the polygons of a vector file."""

from pathlib import Path

import numpy as np
import shapely

from swath._progress import console
from swath.corpus.ground import vector
from swath.errors import CorpusError
from swath.products.windows import Zone

POLYGONS = [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON]


def area_of(path: Path, zones: list[Zone]) -> list[shapely.STRtree | None]:
    """The polygons of a file in the reference system of each zone, by where they lie; None where they do not reach.

    Polygons that cross themselves are mended, and it is said how many; so it is of those outside of all zones, and of
    points, lines and empty shapes.

    Raises:
        CorpusError: the file cannot be read or says no reference system, it holds no polygon, or none of them lies in
            a zone.
    """
    shapes = vector.read(path, "--clip")
    geometries = shapes.geometry.to_numpy()
    has_area = np.isin(shapely.get_type_id(geometries), POLYGONS) & ~shapely.is_empty(geometries)
    if not has_area.any():
        kinds = ", ".join(sorted({"nothing" if one is None else one.geom_type for one in geometries}))
        raise CorpusError(f"it holds no polygon, but {kinds}", where=f"{path}, for --clip", remedy="give polygons")
    broken = ~shapely.is_valid(geometries[has_area])
    shapes = shapes.loc[has_area].set_geometry(shapely.make_valid(geometries[has_area]), crs=shapes.crs)
    found, reached = [], np.zeros(len(shapes), bool)
    by_crs = {crs: shapes.to_crs(crs).geometry.to_numpy() for crs in {zone.crs for zone in zones}}
    for zone in zones:
        own = by_crs[zone.crs]
        box = shapely.box(*_bounds(zone))
        here = np.isfinite(shapely.bounds(own)).all(axis=1) & shapely.intersects(own, box)
        reached |= here
        parts = shapely.get_parts(shapely.get_parts(own[here]))
        # mending leaves lines of what has no area, and a line would count as the pixels that it crosses
        parts = parts[np.isin(shapely.get_type_id(parts), POLYGONS)]
        found.append(shapely.STRtree(parts) if len(parts) else None)
    if not reached.any():
        raise CorpusError(
            "none of its polygons lies in the input",
            where=f"{path}, for --clip",
            remedy=f"the input covers {', '.join(f'{_shown(zone)} in {zone.crs}' for zone in zones)}",
        )
    for count, what in (
        (int((~has_area).sum()), "no polygons, and left out"),
        (int(broken.sum()), "polygons that cross themselves, and mended"),
        (int((~reached).sum()), "polygons out of the input"),
    ):
        if count:
            console().print(f"{count} of the {len(has_area)} shapes of {path.name} are {what}", soft_wrap=True)
    return found


def _bounds(zone: Zone) -> tuple[float, float, float, float]:
    """West, south, east and north in native coordinates."""
    t = zone.transform
    xs, ys = sorted((t.c, t.c + t.a * zone.width)), sorted((t.f, t.f + t.e * zone.height))
    return xs[0], ys[0], xs[1], ys[1]


def _shown(zone: Zone) -> str:
    return " ".join(f"{value:,.6g}" for value in _bounds(zone))
