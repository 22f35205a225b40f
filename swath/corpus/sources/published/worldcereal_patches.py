"""WorldCereal patches (NetCDF): Sentinel-1 and Sentinel-2 image series of 640 m sites, with crop maps.

Files have WorldCereal's own names, or any others: then what a file is of is told by its variables, and which files are
of one site by the ground that they cover.

Everything is brought to the 20 m grid that all sites have. Labels come at 10 m: a 20 m pixel has the code that most of
its four have, if at least two have it; pixels without a code do not vote, and a tie is void.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Integer, UInt16
from numpy import ndarray
from pydantic import Field

from swath import sensors
from swath.corpus.sources._contents import Contents, cells, moved, window
from swath.corpus.sources._names import Key, Names, in_order, what_is_there
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import _worldcereal as legend
from swath.corpus.sources.published._convert import (
    SKIP,
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import covering
from swath.corpus.sources.published._netcdf import Cube, FileGrid, opened
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.errors import CorpusError

BANDS = ("B05", "B06", "B07", "B8A", "B11", "B12")
FINE_BANDS = ("B02", "B03", "B04", "B08")
POLARISATIONS = ("VV", "VH")
LAYERS = ("CT", "LC", "IRR")
"""Label layers by variable: crop type, land cover, irrigation."""
PX = 32
"""Side of a site, in pixels of 20 m."""
RADAR_SCALE = 1e-4
"""Decibels per count."""
_NAME = "{site}_{epsg}_{start}_{end}.nc"
KINDS = {
    "radar": Names(f"S1_GRD-*_20m_{_NAME}"),
    "optical": Names(f"S2_L2A_20m_{_NAME}"),
    "labels": Names(f"OUTPUT_*_10m_{_NAME}"),
}
FINE = Names(f"S2_L2A_10m_{_NAME}")
HOLDS = {"radar": POLARISATIONS, "optical": (*BANDS, "SCL"), "labels": LAYERS, "fine": FINE_BANDS}
"""Variables that identify what a file of unknown name contains."""
UNUSED = ("AgERA5_*.nc", "CropCalendar_*.nc", "L8_*.nc", "S2_L2A_10m_*.nc")


class Config(FormatSettings):
    """WorldCereal patches (NetCDF): how the sites' series are cut, which bands are stored and whether clouds
    are masked.
    """

    name: Literal["worldcereal-patches"] = "worldcereal-patches"
    chip_px: int = Field(PX, ge=1, le=PX)
    """Sites are cut into chips of this many pixels of 20 m."""
    fine_bands: bool = False
    """Also store the 10 m bands, as means of four pixels. Sites without a file of them are then bad ones."""
    mask_clouds: bool = True
    """Treat what the scene classification calls cloud, shadow or defective as invalid; otherwise only its share is
    noted."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, of other types, or do not cover the same ground.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    kinds = KINDS | ({"fine": FINE} if config.fine_bands else {})
    named = any(names.find(root) for names in kinds.values())
    sites = files_by_key(root, kinds, omissions, unused=UNUSED) if named else _by_content(root, list(kinds), omissions)
    layers = _layers(sites, omissions)
    bands = (*FINE_BANDS, *BANDS) if config.fine_bands else BANDS
    spec = CorpusSpec(
        chip_px=config.chip_px,
        sensors={
            legend.OPTICAL: SensorLayout.of(sensors.get(legend.OPTICAL), bands, 20.0),
            legend.RADAR: SensorLayout(
                bands=POLARISATIONS, gsd_m=20.0, dtype="int32", scale=(RADAR_SCALE,) * 2, nodata=0.0
            ),
        },
        labels=layers,
    )

    def uids(key: Key) -> list[str]:
        return [uid for uid, _, _ in cells(key[0], (PX, PX), config.chip_px)]

    known = (_covering(key, files, config) for key, files in sites.items())
    convert(target, spec, omissions, list(sites), uids, lambda key: _site(sites[key], key, spec, config), known)


# -- files of other names ----------------------------------------------------------------------------------------------


def _by_content(root: Path, kinds: list[str], omissions: Omissions) -> dict[Key, dict[str, Path]]:
    """Files of each site by kind; a site is called as its optical file, and its season is not known."""
    grounds: dict[tuple[str | float, ...], dict[str, list[Path]]] = {}
    for path in sorted(root.glob("*.nc")):
        try:
            with opened(path, omissions.settings.max_image_gb) as cube:
                kind = next((kind for kind in HOLDS if set(HOLDS[kind]) <= set(cube.variables)), None)
                if kind not in kinds:
                    what = "holds no variables of a kind that is read"
                    what = "holds bands of 10 m, which fine_bands=true stores" if kind == "fine" else what
                    omissions.log.append({"event": "extra file", "id": path.name, "what": what, "where": path.name})
                    continue
                ground = (cube.grid.crs, *(round(edge) for edge in cube.grid.bounds))
        except BadFileError as error:
            omissions.reject(error, path.stem)
            continue
        grounds.setdefault(ground, {}).setdefault(kind, []).append(path)
    if not grounds:
        names = " or ".join(names.template for names in KINDS.values())
        raise CorpusError(
            f"no file is named {names}, and none holds their variables",
            where=str(root),
            remedy=what_is_there(root, KINDS["optical"].template),
        )
    sites = {}
    for files in grounds.values():
        if error := _not_one_of_each(files, kinds):
            omissions.reject(error, next(iter(files.values()))[0].stem)
        else:
            sites[files["optical"][0].stem, "", "", ""] = {kind: paths[0] for kind, paths in files.items()}
    return {key: sites[key] for key in in_order(sites)}


def _not_one_of_each(files: dict[str, list[Path]], kinds: list[str]) -> BadFileError | None:
    """A message on files that cover the same ground but are not one of each kind."""
    first = next(iter(files.values()))[0]
    for kind in kinds:
        paths = files.get(kind, [])
        if not paths:
            what = f"no {kind} file ({', '.join(HOLDS[kind])}) covers the ground of {first.name}"
            return BadFileError(what, where=str(first), remedy=SKIP)
        if len(paths) > 1:
            what = f"{len(paths)} {kind} files cover one ground: {', '.join(path.name for path in paths)}"
            remedy = "give every season a folder of its own, or WorldCereal's own names, which tell them apart"
            return BadFileError(what, where=str(paths[1]), remedy=remedy)
    return None


# -- labels ------------------------------------------------------------------------------------------------------------


def _layers(sites: dict[Key, dict[str, Path]], omissions: Omissions) -> dict[str, LabelLayer]:
    """The layers that hold a code, with the classes that occur."""
    present: dict[str, set[int]] = {layer: set() for layer in LAYERS}
    for key, files in list(sites.items()):
        try:
            with opened(files["labels"], omissions.settings.max_image_gb) as cube:
                for layer in LAYERS:
                    present[layer].update(np.unique(cube.counts(layer, "uint16")).tolist())
        except BadFileError as error:
            omissions.reject(error, key[0])
            del sites[key]
    names = {"CT": legend.CROPS, "LC": legend.LAND_COVER, "IRR": {}}
    return {
        layer: LabelLayer(classes={code: names[layer].get(code, str(code)) for code in sorted(codes - {0})}, void=0)
        for layer, codes in present.items()
        if codes - {0}
    }


def coarser(codes: Integer[ndarray, "y x"]) -> Integer[ndarray, "y2 x2"]:
    """The most frequent code of each four pixels; 0 where fewer than two agree, or two agree with each other
    and two others.
    """
    four = np.stack([codes[row::2, column::2] for row in (0, 1) for column in (0, 1)])
    votes = np.where(four == 0, 0, (four[:, None] == four[None]).sum(axis=0))
    highest = votes.max(axis=0)
    winner = np.take_along_axis(four, votes.argmax(axis=0)[None], axis=0)[0]
    tied = ((votes == highest) & (four != winner)).any(axis=0)
    return np.where((highest >= 2) & ~tied, winner, 0)


def mean_of_four(counts: UInt16[ndarray, "t y x"]) -> UInt16[ndarray, "t y2 x2"]:
    """Rounded mean of each four pixels; 0, which is nodata, where one of them is 0."""
    four = np.stack([counts[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]).astype(np.uint32)
    return np.where((four == 0).any(axis=0), 0, (four.sum(axis=0) + 2) // 4).astype(np.uint16)


# -- a site ------------------------------------------------------------------------------------------------------------


def _site(files: dict[str, Path], key: Key, spec: CorpusSpec, config: Config) -> Contents:
    limit = config.max_image_gb
    with opened(files["radar"], limit) as cube:
        grid = _grid(cube, PX, None)
        radar = np.stack([cube.counts(band, "int32") for band in POLARISATIONS], axis=1)
        radar_dates = cube.dates("timestamp")
    with opened(files["optical"], limit) as cube:
        _grid(cube, PX, grid)
        optical = np.stack([cube.counts(band, "uint16") for band in BANDS], axis=1)
        cloudy = np.isin(cube.counts("SCL", "uint8"), _cloud_classes())
        dates = cube.dates("timestamp")
    if config.fine_bands:
        optical = np.concatenate([_fine(files["fine"], grid, dates, limit), optical], axis=1)
    with opened(files["labels"], limit) as cube:
        _grid(cube, 2 * PX, grid)
        labels = {layer: coarser(cube.counts(layer, "uint16")) for layer in spec.labels}
    contents = Contents()
    orbit = next((one for one in ("ascending", "descending") if one in files["radar"].name.lower()), None)
    for uid, row, column in cells(key[0], (PX, PX), config.chip_px):
        here = window(row, column, config.chip_px)
        chips = _optical(uid, optical, cloudy, dates, here, files["optical"].name, config)
        chips += [
            Chip(uid, legend.RADAR, counts[:, *here], datetime=date, source=files["radar"].name, orbit=orbit)
            for date, counts in zip(radar_dates, radar, strict=True)
        ]
        location = Location(
            uid=uid,
            crs=grid.crs,
            transform=moved(grid.transform, row, column, config.chip_px),
            group=key[0],
            scalars={"season_start": key[2] or None, "season_end": key[3] or None},
        )
        contents.add(location, chips, {layer: codes[here] for layer, codes in labels.items()}, spec.sensors)
    return contents


def _covering(key: Key, files: dict[str, Path], config: Config) -> Location:
    """The ground that the locations of a site cover."""
    with opened(files["labels"], config.max_image_gb) as cube:
        return covering(key[0], cube.grid, config.chip_px)


def _optical(
    uid: str,
    counts: UInt16[ndarray, "t c y x"],
    cloudy: Bool[ndarray, "t y x"],
    dates: list[datetime],
    here: tuple[slice, slice],
    source: str,
    config: Config,
) -> list[Chip]:
    return [
        Chip(
            uid,
            legend.OPTICAL,
            counts[k][:, *here],
            valid=~cloudy[k][here] if config.mask_clouds else None,
            datetime=date,
            cloud=float(cloudy[k][here].mean()),
            source=source,
        )
        for k, date in enumerate(dates)
    ]


def _cloud_classes() -> list[int]:
    rule = sensors.get(legend.OPTICAL).cloud
    assert rule is not None
    return list(rule.classes)


def _fine(path: Path, grid: FileGrid, dates: list[datetime], limit_gb: float) -> UInt16[ndarray, "t c y x"]:
    with opened(path, limit_gb) as cube:
        _grid(cube, 2 * PX, grid)
        if cube.dates("timestamp") != dates:
            raise cube.bad("has other dates than the 20 m bands")
        return np.stack([mean_of_four(cube.counts(band, "uint16")) for band in FINE_BANDS], axis=1)


def _grid(cube: Cube, px: int, like: FileGrid | None) -> FileGrid:
    """Grid of a file, which must have this many pixels and cover the same ground."""
    grid = cube.grid
    if (grid.height, grid.width) != (px, px):
        raise cube.bad(f"has {grid.width} x {grid.height} pixels, not {px} x {px}")
    if like and (grid.crs != like.crs or not np.allclose(grid.bounds, like.bounds, atol=0.5)):
        raise cube.bad(f"covers {grid.bounds} in {grid.crs}, the radar {like.bounds} in {like.crs}")
    return grid
