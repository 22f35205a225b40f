"""Whether sensors see the same ground, and whether different groups do not."""

from collections.abc import Iterator
from itertools import combinations

import geopandas as gpd
import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section

STAGE = 2
SMALL = 0.5
"""Overlap (intersection over union) of two sensors' usable pixels below which a location is reported."""
LOCATIONS_SHARE = 0.05
"""Share of locations with a small overlap that is accepted."""
DATES = 4
"""Number of chips of a location that are put together: clouds come and go, a missing strip stays."""
COMMON = 0.05
"""Share of a footprint that another group may cover: neighbours of two UTM zones overlap by a strip."""
MOST = 100_000
"""Largest number of locations whose footprints are compared with each other."""


def inspect(sample: Sample) -> Section:
    """Compare where the sensors of a location have usable pixels; find groups whose footprints overlap."""
    meaning = (
        "Overlap of the usable pixels of two sensors (intersection over union, after putting several dates together): "
        "a low one means cut or displaced footprints."
    )
    layouts = sample.corpus.info.sensors
    seen = {sensor: _seen(sample, sensor) for sensor in layouts}
    findings, table = list(_between_groups(sample)), []
    for first, second in combinations(layouts, 2):
        size = (layouts[first].gsd_m / layouts[second].gsd_m) ** 2
        if size != 1:
            what = f"chips of {first} cover {size:.2g} of the area of those of {second}: their pixels differ in size"
            remedy = "bring both to one pixel size where pixels are compared one by one"
            findings.append(Finding("warning", what, f"{first}, {second}", remedy))
            continue
        one, other = seen[first], seen[second]
        overlap = np.array([_overlap(one[i], other[i]) for i in one.keys() & other.keys()])
        if not len(overlap):
            continue
        row = {"sensors": f"{first}, {second}", "locations": len(overlap), "median": f"{np.median(overlap):.0%}"}
        table.append(row | {"smallest": f"{overlap.min():.0%}", f"below {SMALL:.0%}": int((overlap < SMALL).sum())})
        if (share := (overlap < SMALL).mean()) > LOCATIONS_SHARE:
            what = f"at {share:.0%} of the locations the sensors share less than half of their pixels"
            remedy = "leave such locations out, or cut the sensors' scenes by the same footprint"
            findings.append(Finding("warning", what, f"{first}, {second}", remedy))
    idle = "" if table else "No location has chips of two sensors, so there is nothing to compare."
    return Section("Footprints", meaning, findings, table, idle=idle)


def _seen(sample: Sample, sensor: str) -> dict[int, Bool[ndarray, "y x"]]:
    """By location, the pixels that are usable on at least one of the clearest dates."""
    px, rows = sample.corpus.info.chip_px, sample.corpus.chips["row"].to_numpy()
    share, result = sample.corpus.chips["valid"].to_numpy(), {}
    for location, positions in sample.clearest(sensor, DATES).items():
        any_complete = (share[positions] == 1).any()
        result[location] = (
            np.ones((px, px), bool) if any_complete else sample.stored(sensor, rows[positions])[1].any(axis=0)
        )
    return result


def _overlap(one: Bool[ndarray, "y x"], other: Bool[ndarray, "y x"]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _between_groups(sample: Sample) -> Iterator[Finding]:
    """A finding on locations of different groups that show the same ground, which a split by group would not keep
    apart.
    """
    places = sample.corpus.locations
    places = gpd.GeoDataFrame(places[places.geometry.notna()])
    if len(places) < 2 or len(places) > MOST:
        return
    shapes, group = list(places.geometry), places["group"].to_numpy(dtype=str)
    one, other = places.sindex.query(places.geometry, predicate="intersects")
    apart = (one < other) & (group[one] != group[other])
    one, other = one[apart], other[apart]
    areas = np.array([shapes[i].intersection(shapes[j]).area / shapes[i].area for i, j in zip(one, other, strict=True)])
    if not (areas > COMMON).any():
        return
    worst = int(areas.argmax())
    names = places["uid"].to_numpy()
    what = f"{int((areas > COMMON).sum())} pairs of locations overlap, but are in different groups"
    where = f"{names[one[worst]]} and {names[other[worst]]} ({areas[worst]:.0%})"
    yield Finding("warning", what, where, "give overlapping locations one group, or split by block with a buffer")
