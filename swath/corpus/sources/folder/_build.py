"""A folder of GeoTIFF, PNG or JPEG images, described by a short section of the recipe; see `docs/your-data.md`.

All names and headers are checked before anything is written. Then the images are read in parts, a pool of threads to a
part, and stored in the order of their ids, so that a build that was killed continues to the same corpus.
"""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Num
from numpy import ndarray
from rasterio.errors import NotGeoreferencedWarning

from swath import sensors
from swath._progress import track
from swath.corpus.ground import adjacency
from swath.corpus.sources._contents import cells, read_log, store, write_log
from swath.corpus.sources._growth import OutOfOrderError, Source, Stock, following, places_of, say_unknown
from swath.corpus.sources._position import PIXEL_SIZES, off_size, pixel_m
from swath.corpus.sources._raster import BadFileError, Channel, File, Header, header, read
from swath.corpus.sources._shapes import Shapes
from swath.corpus.sources.folder._check import (
    channels,
    check_channel,
    check_channels,
    check_clouds,
    check_facts,
    check_location_files,
    check_shot,
    finest,
)
from swath.corpus.sources.folder._cut import Plan, chip_locations, cut, nodata_of, shape_of
from swath.corpus.sources.folder._scaling import common, given
from swath.corpus.sources.folder._scan import LocationFiles, Shot, scan
from swath.corpus.sources.folder._section import FolderSection, Ground, ImageEntry
from swath.corpus.store import Corpus, CorpusInfo, CorpusWriter, LabelLayer, SensorLayout
from swath.errors import CorpusError, RecipeError
from swath.settings import PluginSettings


class Config(FolderSection, PluginSettings):
    """A folder of the user's own GeoTIFF, PNG or JPEG images, described file pattern by file pattern."""

    name: Literal["folder"] = "folder"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Args:
        config: the section of the recipe.
        target: folder of the corpus. Whatever is left out is named in its `log.jsonl`.
        data: folder that the section's patterns are relative to.

    Raises:
        RecipeError: no data folder, or a sensor whose pixel size nobody knows.
        CorpusError: files are missing, contradictory or bad; the message names the file and the recipe's key.
    """
    if data is None:
        raise RecipeError("the folder source reads files, but no folder is given", remedy="add data=PATH")
    with warnings.catch_warnings():
        # Images without a reference system are welcome; set here, once, because filters are shared by threads.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            _build(config, Path(target), Path(data), pool)


def _build(config: Config, target: Path, data: Path, pool: ThreadPoolExecutor) -> None:
    strays: list[File] = []
    locations = scan(data, config, strays)
    check_facts(locations, config)
    files = _stock(locations, target)
    if files.known and not files.new and not config.shapes and CorpusInfo.read(target).complete:
        return
    log: list[dict[str, Any]] = []
    headers = headers_of(locations, config, log, pool)
    scale(locations, config, headers, log)
    layouts = layouts_of(locations, config, headers)
    locations = fitting_images(locations, config, layouts, headers, log)
    log += [_stray(file) for file in strays]
    log += _other_sizes(locations, headers)
    log += _by_points(headers)
    log += _nodata_classes(locations, config, headers)
    _check_ids(locations, config, headers)
    layers = {e.layer: LabelLayer(classes=e.classes, colours=e.colours, void=e.void) for e in config.labels}
    shapes = Shapes(config.shapes, data, layers)
    shapes.look_ahead(chip_locations(locations, headers, config.chip_px), config.chip_px)
    log += shapes.log
    provenance = {"source": "folder", "files": len(headers), "section": config.model_dump(mode="json")}
    provenance |= {"shapes": shapes.digests} if config.shapes else {}
    with CorpusWriter(
        target, layouts, config.chip_px, layers | shapes.layers, provenance, config.licences, config.compression
    ) as writer:
        shapes.begin(writer)
        _check_order(files, locations, config, writer.committed)
        if not files.known and not writer.committed:
            files.record()
        if any(not _done(location, headers, config.chip_px, writer.committed) for location in locations):
            groups = _groups(locations, config, headers, log, pool)
            plan = Plan(config, layouts, layers, headers, groups)
            done = partial(_done, headers=headers, px=config.chip_px, committed=frozenset(writer.committed))
            todo, one = following(locations, done, lambda location: cut(location, plan))
            store(writer, todo, lambda location: shapes.add_to(one(location)), pool, log)
        write_log(target, log)
        shapes.finish(writer)
    files.record(pool)


def stock(config: FolderSection, target: Path, data: Path) -> Stock:
    """The files that a section's patterns find, against those of the corpus.

    Raises:
        CorpusError: the folder cannot be read, or a file of a stored location was changed or is gone.
    """
    return _stock(scan(data, config), target)


def _stock(locations: list[LocationFiles], target: Path) -> Stock:
    files = {c.file.name: Source(c.file.path, location.id) for location in locations for c in channels(location)}
    if not (target / "corpus.json").exists():
        return Stock(target, files, ())
    corpus = Corpus.open(target)
    compared = Stock(target, files, places_of(corpus.locations["uid"]))
    if corpus.info.complete and not compared.known:
        compared.compare(set(corpus.chips["source"].dropna()), _images(locations, target))
        say_unknown(target, "images that are new or gone are found by their names, changed ones cannot be told")
    return compared


def _images(locations: list[LocationFiles], target: Path) -> set[str]:
    """Names of the images that become chips, without those of which the corpus's log says that they were left out."""
    notes = read_log(target)
    lost = {note.get("id") for note in notes if note["event"] in {"left out", "bad file"}}
    named = " ".join(str(note.get("where")) for note in notes if note["event"] in {"bad file", "no valid pixel"})
    return {
        shot.first.name
        for location in locations
        for shot in location.shots.values()
        if location.id not in lost and not any(channel.file.name in named for channel in shot.bands.values())
    }


def _check_order(files: Stock, locations: list[LocationFiles], config: Config, committed: Collection[str]) -> None:
    """Raise OutOfOrderError if a stored location has a new file, or new images may join the groups of stored ones."""
    stored = places_of(committed)
    own = {channel.file.name for location in locations if location.id in stored for channel in channels(location)}
    if files.new & own or (files.new and stored and config.group.ground):
        raise OutOfOrderError


def _stray(file: File) -> dict[str, Any]:
    clouds = ".quality." in file.key
    event = f"{'cloud layer' if clouds else 'label map'} without an image"
    what = f"no image has its id{' and date' if clouds else ''}"
    return {"event": event, "id": file.fields["id"], "what": what, "where": file.name}


# -- what fits ---------------------------------------------------------------------------------------------------------


def headers_of(
    locations: list[LocationFiles], config: Config, log: list[dict[str, Any]], pool: ThreadPoolExecutor
) -> dict[str, Header]:
    files = {channel.file.name: channel.file for location in locations for channel in channels(location)}

    def look(file: File) -> Header | BadFileError:
        try:
            return header(file)
        except BadFileError as error:
            return error

    results = dict(zip(files, track(pool.map(look, files.values()), len(files), "reading headers"), strict=True))
    bad = {name: error for name, error in results.items() if isinstance(error, BadFileError)}
    for error in bad.values():
        _reject(error, config, log)
    for location in locations:
        _drop(location, lambda channel: channel.file.name in bad)
    return {name: head for name, head in results.items() if isinstance(head, Header)}


def _reject(error: BadFileError, config: Config, log: list[dict[str, Any]]) -> None:
    if config.on_bad_file == "error":
        raise error
    log.append({"event": "bad file", "what": error.what, "where": error.where})


def _drop(location: LocationFiles, bad: Callable[[Channel], bool]) -> None:
    """Remove shots with a bad file; a location with a bad label map is removed as a whole: a wrong label is
    worse than none.
    """
    if any(bad(channel) for channel in location.labels.values()):
        location.shots.clear()
    for key, shot in list(location.shots.items()):
        if any(bad(channel) for channel in [*shot.bands.values(), *shot.quality.values()]):
            del location.shots[key]


def scale(
    locations: list[LocationFiles], config: Config, headers: dict[str, Header], log: list[dict[str, Any]]
) -> None:
    """Record of every image how its counts become physical values; images with contradictory statements are
    left out.
    """
    for location in locations:
        for key, shot in list(location.shots.items()):
            try:
                check_clouds(location, shot, config)
                check_channels(shot, headers)
                shot.scalings = given(shot, headers)
            except BadFileError as error:
                _reject(error, config, log)
                del location.shots[key]


def fitting_images(
    locations: list[LocationFiles],
    config: Config,
    layouts: dict[str, SensorLayout],
    headers: dict[str, Header],
    log: list[dict[str, Any]],
) -> list[LocationFiles]:
    """Locations that have an image that fits the recipe; others are an error or, if the recipe says so, left out."""
    for location in locations:
        for key, shot in list(location.shots.items()):
            try:
                check_shot(shot, layouts[shot.entry.sensor], config, headers)
            except BadFileError as error:
                _reject(error, config, log)
                del location.shots[key]
        try:
            if location.shots:
                check_location_files(location, config, headers)
        except BadFileError as error:
            _reject(error, config, log)
            location.shots.clear()
    kept = [location for location in locations if location.shots]
    log += [
        {"event": "left out", "id": location.id, "what": "no image of it fits"}
        for location in locations
        if not location.shots
    ]
    if not kept:
        first = next((entry for entry in log if entry.get("where")), log[0])
        raise CorpusError(
            "no image fits the recipe", where=str(first.get("where") or first["id"]), remedy=f"first: {first['what']}"
        )
    return kept


def layouts_of(locations: list[LocationFiles], config: Config, headers: dict[str, Header]) -> dict[str, SensorLayout]:
    layouts: dict[str, SensorLayout] = {}
    for position, entry in enumerate(config.images):
        if entry.sensor not in layouts:
            shots = [s for location in locations for s in location.shots.values() if s.entry.sensor == entry.sensor]
            key = f"corpus.source.images.{position}.gsd_m"
            gsd = entry.gsd_m or _resolution(shots, headers, key)
            layouts[entry.sensor] = _layout(entry, gsd, shots, key)
    return layouts


def _resolution(shots: list[Shot], headers: dict[str, Header], key: str) -> float | None:
    """Pixel size, in metres on the ground, of the first georeferenced image."""
    for shot in shots:
        file, head = finest(shot, headers)
        if (sizes := pixel_m(head)) is not None:
            mean = float(f"{sqrt(sizes[0] * sizes[1]):.6g}")
            if max(sizes) > min(sizes) * (1 + PIXEL_SIZES):
                raise RecipeError(
                    f"the pixels of {file.name} are {sizes[0]:.4g} m wide and {sizes[1]:.4g} m high on the ground",
                    where=f"{key}, {file.path}",
                    remedy=f"bring the images to square pixels, such as in UTM; or say one size: gsd_m: {mean:.4g}",
                )
            return mean
    return None


def _other_sizes(locations: list[LocationFiles], headers: dict[str, Header]) -> Iterator[dict[str, Any]]:
    """Log entries on sensors some of whose images have other pixel sizes than the recipe, or else all others, have."""
    other: dict[str, list[tuple[Shot, tuple[float, float]]]] = {}
    for shot in (shot for location in locations for shot in location.shots.values()):
        gsd = shot.entry.gsd_m
        sizes = None if gsd is None else pixel_m(finest(shot, headers)[1])
        if gsd is not None and sizes and off_size(sizes, gsd):
            other.setdefault(shot.entry.sensor, []).append((shot, sizes))
    for sensor, shots in other.items():
        shot = shots[0][0]
        smallest, largest = (pick(size for _, sizes in shots for size in sizes) for pick in (min, max))
        size = f"{smallest:.4g} to {largest:.4g} m on the ground, not {shot.entry.gsd_m:g}"
        what = f"{len(shots)} images have pixels of {size}"
        yield {"event": "pixel size", "id": sensor, "what": what, "where": str(shot.first.path)}


def _by_points(headers: dict[str, Header]) -> Iterator[dict[str, Any]]:
    """Log entry on files whose position is stated in a way that is not read."""
    if names := [name for name, head in headers.items() if head.points]:
        what = (
            f"{len(names)} files say where they lie by ground control points or rational polynomials, which are not "
            "read: they are taken to say no position (gdalwarp brings them onto a grid)"
        )
        yield {"event": "position not read", "id": "", "what": what, "where": names[0]}


def _nodata_classes(
    locations: list[LocationFiles], config: Config, headers: dict[str, Header]
) -> Iterator[dict[str, Any]]:
    """Notes on label layers with a class whose code is nodata by the files' own words."""
    for entry in config.labels:
        maps = {c.file.name: c for location in locations if (c := location.labels.get(entry.layer)) is not None}
        said = {name: headers[name].nodata[channel.number - 1] for name, channel in maps.items()}
        odd = {name: int(code) for name, code in said.items() if code in entry.classes}
        for code in sorted(set(odd.values())):
            names = [name for name, one in odd.items() if one == code]
            taken = "void there" if entry.raster is not None else "that class, as the recipe says"
            what = f"{len(names)} files say that {code}, the class {entry.classes[code]!r}, is nodata: it is {taken}"
            yield {"event": "nodata is a class", "id": entry.layer, "what": what, "where": names[0]}


def _check_ids(locations: list[LocationFiles], config: Config, headers: dict[str, Header]) -> None:
    """Raise CorpusError if a location has the id of another's chip: it would be taken as stored already."""
    of: dict[str, LocationFiles] = {}
    for location in locations:
        for uid, _, _ in cells(location.id, shape_of(location, headers), config.chip_px):
            if (other := of.setdefault(uid, location)) is not location:
                first, second = (next(iter(one.shots.values())).first.name for one in (other, location))
                raise CorpusError(
                    f"two locations have the id {uid!r}: of {first} and of {second}",
                    where="corpus.source.images",
                    remedy="an image that is cut into chips gives them its id with row and column behind: let the "
                    "expression find other ids",
                )


def _layout(entry: ImageEntry, gsd_m: float | None, shots: list[Shot], key: str) -> SensorLayout:
    sensor = sensors.get(entry.sensor)
    bands = tuple(entry.channels)
    gsd_m = gsd_m or min((sensor.band(band).gsd_m or 0 for band in bands), default=0)
    if not gsd_m:
        raise RecipeError(
            f"nobody knows the pixel size of {entry.sensor} images without a georeference",
            where=key,
            remedy="say the ground sampling distance in metres, such as gsd_m: 10",
        )
    scalings = [common(shot.scalings[band] for shot in shots) if shots else sensor.scaling_of(band) for band in bands]
    return SensorLayout(
        bands=bands,
        gsd_m=gsd_m,
        dtype=entry.dtype or sensor.dtype,
        scale=tuple(scaling.scale for scaling in scalings),
        offset=tuple(scaling.offset for scaling in scalings),
        decibel=any(scaling.decibel for scaling in scalings),
        nodata=nodata_of(entry),
    )


# -- what belongs together ---------------------------------------------------------------------------------------------


def _groups(
    locations: list[LocationFiles],
    config: Config,
    headers: dict[str, Header],
    log: list[dict[str, Any]],
    pool: ThreadPoolExecutor,
) -> dict[str, str]:
    """Group of each location by its id, named after its first member."""
    names = [_group_name(location, config) for location in locations]
    pairs = _touching(locations, config, config.group.ground, headers, log, pool) if config.group.ground else []
    labels = adjacency.linked([[name] for name in names], pairs)
    first = {label: names[position] for position, label in reversed(list(enumerate(labels)))}
    return {location.id: first[label] for location, label in zip(locations, labels, strict=True)}


def _group_name(location: LocationFiles, config: Config) -> str:
    if config.group.by == "parent":
        return location.facts["parent"]
    if config.group.by == "id-block":
        *_, number = re.finditer(r"\d+", location.id)
        start = int(number[0]) // config.group.size * config.group.size
        block = f"{start}-{start + config.group.size - 1}"
        return location.id[: number.start()] + block + location.id[number.end() :]
    return location.id


def _touching(
    locations: list[LocationFiles],
    config: Config,
    ground: Ground,
    headers: dict[str, Header],
    log: list[dict[str, Any]],
    pool: ThreadPoolExecutor,
) -> list[tuple[int, int]]:
    """Positions of locations whose images show the same or touching ground."""
    numbers = sorted({*ground.overlap, *ground.match, *ground.seam})
    files = _comparable(locations, ground, headers, max(numbers, default=1))
    images = pool.map(lambda file: _ground_pixels(file, numbers, config), files)
    seen = list(track(images, len(files), "looking at the ground"))
    readable = [position for position, image in enumerate(seen) if image is not None]
    stack = np.stack([image for image in seen if image is not None])
    kinds = (stack[:, [numbers.index(k) for k in kind]] for kind in (ground.overlap, ground.match, ground.seam))
    links = adjacency.together(*kinds)[1]
    counts = Counter(link.kind for link in links)
    log.append({"event": "same or touching ground", **{kind: counts[kind] for kind in ("overlap", "match", "seam")}})
    return [(readable[link.first], readable[link.second]) for link in links]


def _comparable(locations: list[LocationFiles], ground: Ground, headers: dict[str, Header], channel: int) -> list[File]:
    files = [_ground_file(location, ground) for location in locations]
    shapes = Counter(shape_of(location, headers) for location in locations)
    if len(shapes) > 1:
        raise CorpusError(
            f"images of different sizes ({', '.join(f'{w} x {h}' for h, w in shapes)}) cannot be compared",
            where="corpus.source.group.ground",
            remedy="group by id or parent, or give images of one size",
        )
    for file in files:
        check_channel(Channel(file, channel), headers[file.name])
    return files


def _ground_pixels(file: File, numbers: list[int], config: Config) -> Num[ndarray, "c y x"] | None:
    """Some channels of an image; None for a bad image that will be skipped."""
    try:
        return np.stack(read([Channel(file, number) for number in numbers]))
    except BadFileError:
        if config.on_bad_file == "error":
            raise
        return None


def _ground_file(location: LocationFiles, ground: Ground) -> File:
    for shot in location.shots.values():
        if shot.position == ground.images:
            return shot.first
    raise CorpusError(
        f"location {location.id!r} has no image of images.{ground.images}",
        where="corpus.source.group.ground.images",
        remedy="name an entry that has an image of every location",
    )


# -- writing -----------------------------------------------------------------------------------------------------------


def _done(location: LocationFiles, headers: dict[str, Header], px: int, committed: Collection[str]) -> bool:
    return any(uid in committed for uid, _, _ in cells(location.id, shape_of(location, headers), px))
