"""WorldCereal cubes (NetCDF): monthly Sentinel-1 and Sentinel-2 composites of an area, to map from a series.

Every `*.nc` file of the folder is an area, cut into chips. Areas that share ground share a group. Variables are named
`B02` and `VV`, or `S2-L2A-B02` and `S1-SIGMA0-VV`. The label layer `cropland`, where a file has it, is WorldCereal's
own map: a product, not the truth.
"""

from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Integer
from numpy import ndarray
from pydantic import Field

from swath.corpus.ground import adjacency
from swath.corpus.sources._contents import Contents, cells, moved, window
from swath.corpus.sources._names import Key, Names
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import _worldcereal as legend
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._netcdf import Cube, FileGrid, opened
from swath.corpus.store import Chip, LabelLayer, Location

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
POLARISATIONS = ("VV", "VH")
CUBES = Names("{area}.nc")
MAP, LAYER, VOID = "worldcereal_cropland", "cropland", 255
CROPLAND = LabelLayer(classes={0: "no cropland", 100: "temporary crops"}, colours={100: "#e07f2b"}, void=VOID)


class Config(FormatSettings):
    """WorldCereal cubes (NetCDF): the side of the chips that each area's monthly composites are cut into."""

    name: Literal["worldcereal-cubes"] = "worldcereal-cubes"
    chip_px: int = Field(50, ge=1)
    """Areas are cut into chips of this many pixels of 10 m; what is left over at the right and lower edge is unused."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: there is no file, or one is damaged or lacks variables.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    areas = files_by_key(root, {"cube": CUBES}, omissions)
    grids: dict[Key, FileGrid] = {}
    for key, files in areas.items():
        try:
            with opened(files["cube"], config.max_image_gb) as cube:
                grids[key] = cube.grid
        except BadFileError as error:
            omissions.reject(error, key[0])
    groups = _groups(grids)
    sensors = {legend.OPTICAL: legend.optical_layout(BANDS, 10.0), legend.RADAR: legend.radar_layout(10.0)}
    spec = CorpusSpec(config.chip_px, sensors, {LAYER: CROPLAND})

    def uids(key: Key) -> list[str]:
        return [uid for uid, _, _ in cells(key[0], (grids[key].height, grids[key].width), config.chip_px)]

    def read(key: Key) -> Contents:
        return _area(areas[key]["cube"], key, groups[key], spec, config.max_image_gb)

    known = (
        Location(uid, crs=grid.crs, transform=moved(grid.transform, row, column, config.chip_px))
        for key, grid in grids.items()
        for uid, row, column in cells(key[0], (grid.height, grid.width), config.chip_px)
    )
    convert(target, spec, omissions, list(grids), uids, read, known)


def _groups(grids: dict[Key, FileGrid]) -> dict[Key, str]:
    """Group of each area: the name of the first area that shares ground with it."""
    keys = list(grids)
    pairs = [(i, j) for i, j in combinations(range(len(keys)), 2) if _overlap(grids[keys[i]], grids[keys[j]])]
    joined = adjacency.joined(len(keys), pairs)
    first = {label: key[0] for key, label in reversed(list(zip(keys, joined, strict=True)))}
    return {key: first[label] for key, label in zip(keys, joined, strict=True)}


def _overlap(one: FileGrid, other: FileGrid) -> bool:
    (w1, s1, e1, n1), (w2, s2, e2, n2) = one.bounds, other.bounds
    return one.crs == other.crs and w1 < e2 and w2 < e1 and s1 < n2 and s2 < n1


def _area(path: Path, key: Key, group: str, spec: CorpusSpec, limit_gb: float) -> Contents:
    with opened(path, limit_gb) as cube:
        grid, dates = cube.grid, cube.dates("t")
        optical = np.stack([_variable(cube, band, "S2-L2A") for band in BANDS], axis=1)
        radar = legend.decibels(np.stack([_variable(cube, band, "S1-SIGMA0") for band in POLARISATIONS], axis=1))
        cropland = _cropland(cube, (grid.height, grid.width))
    contents = Contents()
    px = spec.chip_px
    for uid, row, column in cells(key[0], (grid.height, grid.width), px):
        here = window(row, column, px)
        chips = [
            Chip(uid, sensor, np.ascontiguousarray(counts[k][:, *here]), datetime=date, source=path.name)
            for sensor, counts in ((legend.OPTICAL, optical), (legend.RADAR, radar))
            for k, date in enumerate(dates)
        ]
        location = Location(uid=uid, crs=grid.crs, transform=moved(grid.transform, row, column, px), group=group)
        contents.add(location, chips, {LAYER: cropland[here]}, spec.sensors)
    return contents


def _variable(cube: Cube, band: str, prefix: str) -> Integer[ndarray, "t y x"]:
    name = f"{prefix}-{band}"
    return cube.counts(name if name in cube.variables else band, "uint16")


def _cropland(cube: Cube, shape: tuple[int, int]) -> Integer[ndarray, "y x"]:
    """The map, which the file repeats for every month; void where it has none."""
    if MAP not in cube.variables:
        return np.full(shape, VOID)
    months = cube.counts(MAP, "uint16")
    if (months != months[0]).any():
        raise cube.bad(f"has another {MAP} in some months")
    return np.where(months[0] == legend.NODATA, VOID, months[0].astype(np.int64))
