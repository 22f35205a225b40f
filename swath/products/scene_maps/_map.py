"""A map of an input by a predictor, window by window, in processes; killed at any moment, it continues."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import rasterio
import torch
from filelock import FileLock, Timeout
from rasterio.errors import RasterioError

from swath import sensors
from swath._files import file_name, read_json, write_whole
from swath._processes import side_by_side
from swath._progress import console, track
from swath.corpus import cluster
from swath.errors import SwathError
from swath.products._checksums import changes
from swath.products.scene_maps._area import area_of
from swath.products.scene_maps._files import SETTINGS, write_layers, write_mosaic
from swath.products.scene_maps._layout import Layout
from swath.products.scene_maps._predictors import Predictor
from swath.products.scene_maps._products import Classes, Product
from swath.products.scene_maps._work import ZoneWork, compute, settle
from swath.products.windows import Input, Zone, open_zones
from swath.settings import differences

SHARES = 4
"""Parts of a map for each process: enough that none waits long for the last."""
LOCK = "lock"
"""File of the working folder that whoever writes there holds."""


@dataclass(frozen=True, slots=True)
class How:
    """How a map is computed; nothing of it changes what comes out but window and overlap."""

    window: int | None = None
    """Side in pixels of the windows that the network sees; by default what suits the network."""
    overlap: int | None = None
    """Pixels that neighbouring windows share."""
    jobs: int = 1
    """Processes on this machine."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers compute, and share this file system, instead of processes."""
    device: str | None = None
    """`cpu` or `cuda`; by default a GPU where there is one."""

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.jobs > 1:
            raise SwathError(
                f"the workers of {self.scheduler} compute, and no processes of this machine",
                where="--jobs",
                remedy="leave --jobs or --scheduler out",
            )


def map_scene(
    predictor: Predictor,
    product: Product,
    given: Input,
    to: Path,
    *,
    about: Mapping[str, Any],
    clip: Path | None = None,
    how: How | None = None,
) -> list[Path]:
    """Write the map of an input.

    Of several reference systems each has a map of its own, `NAME_EPSG.tif`; of a corpus each group of locations side by
    side, `NAME_UID.tif` by its first one. `NAME.vrt` is all of them. What is finished is kept in a folder beside the
    map until it is whole; the same call continues it.

    Args:
        predictor: maps windows.
        product: what the map holds.
        given: the input.
        to: GeoTIFF to write.
        about: plain data that says which network it is.
        clip: vector file of polygons outside of which there is nothing.
        how: windows and processes.

    Returns:
        The files, the map first; files beside it have its name and another ending.

    Raises:
        CorpusError: the input or the area cannot be used; see `open_zones`.
        ContractError: the input's units or pixel size are not the network's.
        SwathError: another process writes the map, it is there with other settings, or the disk is full.
    """
    how = how or How()
    if to.suffix.lower() not in {".tif", ".tiff"}:
        raise SwathError(f"a map is a GeoTIFF, not {to.suffix or 'a folder'}", where=str(to), remedy="--to map.tif")
    zones = open_zones(given, predictor.bands, series=predictor.series)
    for sensor in _under_clouds(zones):
        console().print(f"{sensor} comes without a quality layer: clouds are mapped like anything else", soft_wrap=True)
    areas = [None] * len(zones) if clip is None else area_of(clip, zones)
    settings = _settings(predictor, product, given, clip, how, about)
    written: list[Path] = []
    finished: list[Path] = []
    for zone, area in zip(zones, areas, strict=True):
        if clip is not None and area is None:
            continue
        path = _own(to, zone.name, len(zones))
        work = _work(zone, predictor, product, how, path, area)
        if files := _map_zone(work, path, settings | {"crs": zone.crs}, how):
            written += files
            finished.append(path)
        else:
            console().print(f"{zone.name} has no valid pixel, and no map", soft_wrap=True)
    if not finished:
        raise SwathError(
            "no pixel of the input is valid, so there is nothing to map",
            where=str(given.path),
            remedy="look at its nodata and clouds, and at the area of --clip",
        )
    legend = product.legend if isinstance(product, Classes) else None
    return written if len(zones) == 1 else [*write_mosaic(finished, to.with_suffix(".vrt"), legend), *written]


def _under_clouds(zones: list[Zone]) -> list[str]:
    """Optical sensors of which some raster has no quality layer, though the sensor is shipped with one."""
    bare = dict.fromkeys(raster.sensor for zone in zones for raster in zone.all_rasters if not raster.masks_clouds)
    return [name for name in bare if sensors.get(name).cloud is not None]


def _own(to: Path, zone: str, zones: int) -> Path:
    """The file of a zone."""
    return to if zones == 1 else to.with_name(f"{to.stem}_{file_name(zone.removeprefix('EPSG-'))}{to.suffix}")


def _work(zone: Zone, predictor: Predictor, product: Product, how: How, path: Path, area: Any) -> ZoneWork:
    cell, multiple = predictor.cell, predictor.multiple
    overlap = predictor.overlap if how.overlap is None else how.overlap
    if overlap and not predictor.overlap:
        raise SwathError(
            "what is said of the chip around each cell is the same in any window: there is nothing to blend",
            where="--overlap",
            remedy="leave it out; --cell says how far chips are apart",
        )
    layout = Layout(
        height=math.ceil(zone.height / cell),
        width=math.ceil(zone.width / cell),
        window=predictor.window if how.window is None else how.window,
        overlap=overlap,
        multiple=multiple,
        fixed=predictor.fixed,
    )
    folder = path.with_name(f".{path.name}.windows")
    return ZoneWork(zone, predictor, product, layout, folder, area, _device(how))


def _device(how: How) -> str:
    """The device that is asked for, or a GPU where there is one.

    Raises:
        SwathError: there is no such device here.
    """
    there = torch.cuda.is_available()
    name = how.device or ("cuda" if there else "cpu")
    if name.partition(":")[0] not in ({"cpu", "cuda"} if there else {"cpu"}):
        raise SwathError(
            f"there is no device {name!r} here", where="--device", remedy=f"give cpu{' or cuda' if there else ''}"
        )
    return name


def _settings(
    predictor: Predictor, product: Product, given: Input, clip: Path | None, how: How, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Plain data of everything that a map depends on."""
    said = {
        "model": dict(about),
        "product": product.as_dict(),
        "input": given.as_dict() | {"files": _stamp(given.path)},
        "clip": None if clip is None else hashlib.sha256(clip.read_bytes()).hexdigest()[:20],
        "window": predictor.window if how.window is None else how.window,
        "overlap": predictor.overlap if how.overlap is None else how.overlap,
        "cell": predictor.cell,
    }
    return json.loads(json.dumps(said, default=str))


def _stamp(path: Path) -> str:
    """What tells whether the input's files are still the same: names, sizes and times of change."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    said = [(str(one.relative_to(path)), one.stat().st_size, one.stat().st_mtime_ns) for one in files]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]


def _map_zone(work: ZoneWork, path: Path, settings: dict[str, Any], how: How) -> list[Path]:
    """Map a zone; the files, none where no pixel is valid."""
    with _alone(work.folder, path):
        if _is_there(path, settings):
            console().print(f"{path} is there already, made with the same settings", soft_wrap=True)
            return [path]
        _begin(work, path, settings)
        missing = [number for number in range(len(work.layout)) if not work.computed(number)]
        if done := len(work.layout) - len(missing):
            console().print(f"{done} of {len(work.layout)} windows are there already", soft_wrap=True)
        _compute_all(work, missing, how)
        for number in range(len(work.layout)):
            settle(work, number)
        empty = sum(work.path(number, "empty").exists() for number in range(len(work.layout)))
        if empty:
            console().print(f"{empty} of {len(work.layout)} windows hold nothing: nodata", soft_wrap=True)
        written = [] if empty == len(work.layout) else write_layers(work, path, settings)
        _end(work)
        return written


def _compute_all(work: ZoneWork, numbers: list[int], how: How) -> None:
    if how.scheduler is not None:
        with cluster.cluster(address=how.scheduler) as client:
            parts = _parts(numbers, len(client.scheduler_info()["workers"]) * SHARES)
            futures = [client.submit(compute, work, part, pure=False) for part in parts]
            for future in track(futures, len(futures), "mapping, parts"):
                future.result()
    elif how.jobs > 1:
        parts = _parts(numbers, how.jobs * SHARES)
        side_by_side(compute, [(work, part) for part in parts], how.jobs, "mapping, parts")
    else:
        compute(work, numbers, progress="mapping, windows")


def _parts(numbers: list[int], count: int) -> list[list[int]]:
    """Consecutive numbers in so many parts of about the same length, none empty."""
    bounds = [round(len(numbers) * k / count) for k in range(count + 1)]
    return [numbers[a:b] for a, b in pairwise(bounds) if b > a]


# -- what is there already ---------------------------------------------------------------------------------------------


@contextmanager
def _alone(folder: Path, path: Path) -> Iterator[None]:
    """Keep other processes from the same map, whose working folder this is.

    Raises:
        SwathError: one is writing it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SwathError(
            "another process is writing this map", where=str(path), remedy="wait for it, or write to another file"
        ) from None
    try:
        yield
        if {file.name for file in folder.iterdir()} == {LOCK}:
            (folder / LOCK).unlink()
            folder.rmdir()
    finally:
        lock.release()


def _is_there(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the map is there already.

    Raises:
        SwathError: a file is there that is no map of these settings, or was changed.
    """
    if not path.exists():
        return False
    try:
        with rasterio.open(path) as file:
            was = json.loads(file.tags().get(SETTINGS, "null"))
    except (RasterioError, ValueError):
        was = None
    if was == settings:
        if changed := changes(path):
            raise SwathError(
                f"the map is there already, and not as it was written: {changed[0]}",
                where=str(path),
                remedy="remove it: it is made again",
            )
        return True
    raise _others("there is a map of other settings", path, was, settings)


def _begin(work: ZoneWork, path: Path, settings: dict[str, Any]) -> None:
    """Say in the working folder what is made there, or find it as a call with the same settings left it."""
    record = work.folder / "settings.json"
    if record.exists():
        was = read_json(record)
        if was != settings:
            raise _others("a map of other settings is under way", path, was, settings, work.folder)
        return
    write_whole(record, json.dumps(settings, indent=1))


def _others(what: str, path: Path, was: Any, now: Mapping[str, Any], folder: Path | None = None) -> SwathError:
    said = "; ".join(differences(was, dict(now))) if isinstance(was, dict) else "the file is no map of swath's"
    remedy = f"write to another file, or remove {folder or path}"
    return SwathError(f"{what}: {said}", where=str(path), remedy=remedy)


def _end(work: ZoneWork) -> None:
    """Empty the working folder: all that it holds is in the map."""
    for file in work.folder.iterdir():
        if file.name != LOCK:
            file.unlink()
