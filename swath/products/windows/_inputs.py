"""What a path holds: a raster, a folder of them, or a cube."""

import datetime as dt
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rasterio
from pydantic import ValidationError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from swath import _yaml, sensors
from swath._progress import console
from swath.corpus.sources import folder
from swath.errors import CorpusError, SwathError
from swath.products.windows._corpus import corpus_zones
from swath.products.windows._cube import CUBES, cube
from swath.products.windows._types import Raster
from swath.products.windows._zone import Zone, on_day, zones
from swath.sensors import LOCATION

RASTERS = (".tif", ".tiff", ".vrt", ".jp2")
"""Endings of files that are taken as images where nothing else is said."""
STEM = r"(?P<id>.+)\.[^.]+$"


@dataclass(frozen=True, slots=True)
class Input:
    """Where pixels come from, and what is not as the sensor has it."""

    path: Path
    """A raster file, a folder of them, a cube (NetCDF or Zarr), or a corpus."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """`images` and `quality` as under `corpus.source` in a recipe of the folder source, or `cube`; what is not said is
    as the sensor has it, with bands by the channels' names or in order."""
    date: dt.date | None = None
    """The only day to use."""

    @property
    def is_corpus(self) -> bool:
        """Whether a corpus lies there."""
        return (self.path / "corpus.json").exists()

    @property
    def is_cube(self) -> bool:
        """Whether its path is that of a NetCDF file or a Zarr store."""
        return self.path.suffix.lower() in CUBES or (self.path / "zarr.json").exists()

    def as_dict(self) -> dict[str, Any]:
        """Plain data that says all of it, for records."""
        return {"path": str(self.path.absolute()), "source": dict(self.source), "date": str(self.date or "")}


def open_zones(given: Input, bands: Sequence[str], *, series: bool = False) -> list[Zone]:
    """What an input holds, by reference system, of a corpus by what lies side by side; nothing but headers is read.

    Args:
        given: the input.
        bands: band keys, `sensor/band`, that are wanted, of one sensor or several; the location is there anyway, see
            `Zone.location`.
        series: every day is a date of its own; else everything is one mosaic, in which of pixels that overlap the
            earliest valid one counts.

    Returns:
        A zone for each reference system, or group of locations, all with every sensor of the bands.

    Raises:
        CorpusError: there is nothing, it has other bands, types or scalings than the sensor's or those that are said,
            it says no reference system, its rasters are on several lattices, or there are several dates of the same
            ground where no series is wanted.
    """
    by_sensor = names_by_sensor(bands)
    by_sensor.pop(LOCATION, None)
    if given.is_corpus:
        if given.source:
            raise CorpusError(
                "a corpus says itself what its pixels are", where=str(given.path), remedy="leave --source out"
            )
        return corpus_zones(given.path, by_sensor, given.date, series=series)
    with warnings.catch_warnings():
        # it is refused below, by a message of its own
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasters = _rasters(given, by_sensor)
    if given.date is not None:
        rasters = on_day(rasters, given.date)
    found = zones(rasters, series=series)
    for zone in found:
        if missing := [sensor for sensor in by_sensor if sensor not in zone.frames]:
            raise CorpusError(
                f"there is no image of {', '.join(missing)} in {zone.crs}",
                where=str(given.path),
                remedy="add the images, on the grid of the others",
            )
    return found


def described(file: Path) -> dict[str, Any]:
    """What a YAML file says of an input's files: a recipe by its `corpus.source`, or that section alone.

    Raises:
        CorpusError: it cannot be read, or says nothing of images or a cube.
    """
    try:
        content, _ = _yaml.read(file.read_text(encoding="utf-8"))
    except (OSError, SwathError) as error:
        raise CorpusError(f"it cannot be read: {error}", where=str(file), remedy="give a YAML file") from None
    said = content if isinstance(content, dict) else {}
    for key in ("corpus", "source"):
        said = said[key] if isinstance(said.get(key), dict) else said
    found = {key: said[key] for key in ("images", "quality", "cube") if said.get(key)}
    if not found:
        raise CorpusError(
            "it says nothing of images or a cube",
            where=str(file),
            remedy="write images: [...] as under corpus.source in a recipe (docs/your-data.md)",
        )
    return found


def names_by_sensor(bands: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names of the bands of each sensor, in the order given."""
    found: dict[str, tuple[str, ...]] = {}
    for key in bands:
        sensor, _, name = key.partition("/")
        found[sensor] = (*found.get(sensor, ()), name)
    return found


def _rasters(given: Input, bands: Mapping[str, tuple[str, ...]]) -> list[Raster]:
    path = given.path
    if not path.exists():
        raise CorpusError("there is no such file or folder", where=str(path), remedy="mend the path")
    _check_is_described(given)
    if given.is_cube:
        return [*cube(path, bands, given.source.get("cube") or {})]
    root, section = _section(given, bands)
    found, notes = folder.scenes(section, root)
    for note in notes:
        console().print(f"left out: {note['what']} ({note.get('where') or note.get('id')})", soft_wrap=True)
    return [*found]


def _check_is_described(given: Input) -> None:
    """Raise CorpusError where something else is described than what lies there."""
    wanted, what = ({"cube"}, "a cube") if given.is_cube else ({"images", "quality"}, "rasters")
    if given.source and not wanted & set(given.source):
        raise CorpusError(
            f"{', '.join(given.source)} is described, and this is {what}",
            where=str(given.path),
            remedy=f"describe {' and '.join(sorted(wanted))}, or leave --source out",
        )


def _section(given: Input, bands: Mapping[str, tuple[str, ...]]) -> tuple[Path, folder.FolderSection]:
    """The folder and the section of a recipe that describe an input's images."""
    path = given.path.resolve()
    said = {key: given.source[key] for key in ("images", "quality") if given.source.get(key) is not None}
    if said.get("images"):
        root, entries = path if path.is_dir() else path.parent, [_entry(one, path) for one in said["images"]]
        quality = list(said.get("quality") or ())
    else:
        root, (entries, quality) = path.parent, _usual(path, bands)
        quality = list(said.get("quality", quality))
    wanted = [_restricted(entry, bands, path) for entry in entries if entry.get("sensor") in bands]
    if not wanted:
        raise CorpusError(
            f"the images are of {', '.join(str(one.get('sensor')) for one in entries)}, and "
            f"{', '.join(bands)} is wanted",
            where=str(path),
            remedy="give images of the encoder's own sensor",
        )
    quality = [one for one in quality if one.get("sensor") in bands]
    return root, _validated({"chip_px": 1, "images": wanted, "quality": quality}, path)


def _entry(said: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """An entry of images that somebody gave; of a single file its pattern is the file's name."""
    entry = {"files": "*", "id": STEM, **said}
    if path.is_file():
        fits = re.search(str(entry["id"]), path.name)
        entry |= {"files": _literal(path.name), "id": entry["id"] if fits else STEM}
    return entry


Entries = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Entries of `images` and of `quality`."""


def _usual(path: Path, bands: Mapping[str, tuple[str, ...]]) -> Entries:
    """The entries of images of which nothing is said, with patterns relative to the folder above.

    Channels by name or in order, or a band a file by its name; and each sensor's own quality layer, where there is a
    channel or a file of its name.
    """
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.suffix.lower() in RASTERS)
    if not files:
        raise CorpusError(
            f"there is no raster ({', '.join(RASTERS)}) here", where=str(path), remedy="give another folder"
        )
    entries, quality = [], []
    for sensor, names in bands.items():
        by_file = len(files) > 1 and set(names) <= _said_bands(files, names)
        entry, clouds = (_bands_as_files if by_file else _bands_as_channels)(path, files, sensor, names)
        entries.append(entry)
        quality += clouds
    return entries, quality


def _bands_as_files(
    path: Path, files: Sequence[Path], sensor: str, names: tuple[str, ...]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    entry = {"files": _pattern(path, files), "id": _by_band(names), "sensor": sensor, "bands": {n: n for n in names}}
    rule = sensors.get(sensor).cloud
    if rule is None or not _said_bands(files, (rule.layer,)):
        return entry, []
    pattern = _pattern(path, [file for file in files if _said_bands([file], (rule.layer,))], rule.layer)
    return entry, [{"sensor": sensor, "files": pattern, "id": _by_band((rule.layer,)).replace("?P<band>", "?:")}]


def _bands_as_channels(
    path: Path, files: Sequence[Path], sensor: str, names: tuple[str, ...]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    entry = {"files": _pattern(path, files), "id": STEM, "sensor": sensor}
    rule = sensors.get(sensor).cloud
    number = None if rule is None else _channel_named(files, rule.layer)
    clouds = [] if number is None else [{"sensor": sensor, "channel": number}]
    return entry | {"bands": channels(files, names, sensor)}, clouds


def _channel_named(files: Sequence[Path], name: str) -> int | None:
    """Number of the channel of that name, the same in all files; None if they have none."""
    said = [_descriptions(file) for file in files]
    found = {own.index(name) + 1 if name in own else None for own in said}
    return found.pop() if len(found) == 1 else None


def _descriptions(file: Path) -> list[str | None]:
    """What a file says of each of its channels; CorpusError where it is no raster."""
    try:
        with rasterio.open(file) as source:
            return list(source.descriptions)
    except (RasterioError, OSError) as error:
        raise CorpusError(f"it cannot be read: {error}", where=str(file), remedy="give a raster") from None


def _pattern(path: Path, files: Sequence[Path], said: str = "") -> str:
    """The glob, from the folder above, of some files of a folder, whose names say something; or of the only file."""
    if path.is_file():
        return _literal(path.name)
    endings = {file.suffix for file in files}
    end = f"*{endings.pop()}" if len(endings) == 1 else "*"
    return f"{_literal(path.name)}/{f'*{said}{end}' if said else end}"


def _literal(name: str) -> str:
    """A glob that matches one name alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _by_band(names: Sequence[str]) -> str:
    """The id expression of files of one band each, whose names say it between points, hyphens or underscores.

    What follows the band (`_10m`) is no part of the id. A file of another band has no group `band`, and is left out.
    """
    choice = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return rf"^(?P<id>.+?)(?:[_./-](?P<band>{choice})(?:[_.-][^/]*)?)?\.[^./]+$"


def _said_bands(files: Sequence[Path], names: Sequence[str]) -> set[str]:
    """The bands that names of files say."""
    found = (re.search(_by_band(names), f"{file.parent.name}/{file.name}") for file in files)
    return {match["band"] for match in found if match and match["band"]}


def channels(files: Sequence[Path], names: Sequence[str], sensor: str) -> dict[str, int]:
    """Number of each band's channel: by the channels' descriptions where they are the bands' names, else in order.

    Args:
        files: that belong together.
        names: of the wanted bands.
        sensor: whose bands they are.

    Raises:
        CorpusError: a file has other bands, or another order than the first.
    """
    first = _channels(files[0], names, sensor)
    for file in files[1:]:
        if (own := _channels(file, names, sensor)) != first:
            raise CorpusError(
                f"the channels are in another order than those of {files[0].name}: {_shown(own)}; {_shown(first)}",
                where=str(file),
                remedy="take files of each order by themselves, or bring the channels into one",
            )
    return first


def _shown(channels: Mapping[str, int]) -> str:
    return ", ".join(sorted(channels, key=channels.__getitem__))


def _channels(file: Path, names: Sequence[str], sensor: str) -> dict[str, int]:
    """Number of each band's channel in one file; see `channels`."""
    described = _descriptions(file)
    count = len(described)
    if set(names) <= set(described):
        return {name: described.index(name) + 1 for name in names}
    own = [str(name) for name in described if name]
    others = [have for have, name in zip(described, names, strict=False) if have and have != name]
    if count != len(names) or not _are_numbers(others):
        there = f"{count} channel(s)" + (f", {', '.join(own)}" if own else " without names")
        raise CorpusError(
            f"the file has {there}; wanted are {len(names)} of {sensor}: {', '.join(names)}",
            where=str(file),
            remedy="describe the channels by the bands' names, or say where they are: images: [{sensor: "
            f"{sensor}, bands: {{{names[0]}: 1, ...}}}}]",
        )
    return {name: number for number, name in enumerate(names, 1)}


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether descriptions say no more than that a channel is one, such as `Band 1`."""
    return all(re.fullmatch(r"(?i)(band|channel|layer)?[ _]?\d+", name) for name in names)


def _restricted(entry: dict[str, Any], bands: Mapping[str, tuple[str, ...]], path: Path) -> dict[str, Any]:
    """An entry with the wanted bands alone, in their order."""
    sensor, own = str(entry["sensor"]), entry.get("bands")
    if isinstance(own, list | tuple):
        by_file = "(?P<band>" in str(entry["id"])
        own = {str(band): str(band) if by_file else k for k, band in enumerate(own, 1) if band not in (None, "-")}
    if not isinstance(own, Mapping):
        return entry
    if missing := [name for name in bands[sensor] if name not in own]:
        raise CorpusError(
            f"the images have {', '.join(own)} of {sensor}; wanted are {', '.join(bands[sensor])}",
            where=str(path),
            remedy=f"give images with {', '.join(missing)} too",
        )
    return entry | {"bands": {name: own[name] for name in bands[sensor]}}


def _validated(section: dict[str, Any], path: Path) -> folder.FolderSection:
    try:
        return folder.FolderSection.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        raise CorpusError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": "),
            where=str(path),
            remedy="docs/your-data.md says what images and quality may hold",
        ) from None
