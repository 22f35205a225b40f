"""From file names to locations: which files belong to which location, sensor and date."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from swath.corpus.sources._names import Key, matching, natural, unreadable, what_is_there
from swath.corpus.sources._raster import Channel, File
from swath.corpus.sources.folder._section import (
    ID_PARTS,
    RESERVED,
    FolderSection,
    ImageEntry,
    LabelEntry,
    QualityEntry,
    ScaleByName,
)
from swath.errors import CorpusError, nearest
from swath.sensors import Scaling

ShotKey = tuple[str, datetime | None, str | None]
"""Sensor, date and tag, which tell the images of a location apart."""


@dataclass(slots=True)
class Shot:
    """The images of one location, sensor and date."""

    entry: ImageEntry
    position: int
    """Number of the entry in `images`, from 0."""
    date: datetime | None
    bands: dict[str, Channel]
    quality: dict[int, Channel] = field(default_factory=dict)
    """Cloud layers by position in `quality`."""
    scalings: dict[str, Scaling] = field(default_factory=dict)
    """Scaling of the files' counts, by band."""

    @property
    def first(self) -> File:
        """The file that messages name for the shot."""
        return next(iter(self.bands.values())).file


@dataclass(slots=True)
class LocationFiles:
    """A location and all of its files."""

    id: str
    shots: dict[ShotKey, Shot] = field(default_factory=dict)
    labels: dict[str, Channel] = field(default_factory=dict)
    """Label files by layer."""
    facts: dict[str, str] = field(default_factory=dict)
    """What file names state about the location: split, parent and scalar labels."""
    strays: list[File] = field(default_factory=list)
    """Cloud layers that belong to none of the location's images."""


def scan(root: Path, section: FolderSection, strays: list[File] | None = None) -> list[LocationFiles]:
    """All locations, in the natural order of their ids.

    Args:
        root: folder of the data.
        section: of the recipe.
        strays: label maps and cloud layers that are of no image are added here.

    Raises:
        CorpusError: a folder cannot be read, a pattern matches nothing, a name does not fit its expression, two files
            are the same location, sensor and date, or a band's file is missing.
    """
    _readable(root)
    strays = [] if strays is None else strays
    locations: dict[str, LocationFiles] = {}
    for position, entry in enumerate(section.images):
        files = list(_matching(root, entry.files, entry.id, f"corpus.source.images.{position}"))
        _check_bands(entry, files)
        for file in files:
            _add_image(locations.setdefault(file.fields["id"], LocationFiles(file.fields["id"])), entry, position, file)
    for location in locations.values():
        _order_bands(location)
    for position, entry in enumerate(section.labels):
        _add_labels(root, locations, entry, f"corpus.source.labels.{position}", strays)
    for position, entry in enumerate(section.quality):
        _add_quality(root, locations, entry, position, strays)
    return sorted(locations.values(), key=lambda location: natural(location.id))


# -- files -------------------------------------------------------------------------------------------------------------


def _matching(root: Path, pattern: str, expression: str, key: str) -> Iterator[File]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise CorpusError(
            f"the pattern '{pattern}' leads out of the data folder", where=f"{key}.files", remedy="make it relative"
        )
    paths = matching(root, pattern)
    if not paths:
        raise CorpusError(
            f"no file matches '{pattern}'", where=f"{key}.files, in {root}", remedy=what_is_there(root, pattern)
        )
    compiled = re.compile(expression)
    parts: dict[str, tuple[File, Key]] = {}
    for path in paths:
        name = path.relative_to(root).as_posix()
        match = compiled.search(name)
        if match is None or not match["id"]:
            raise CorpusError(
                f"{name} has no id by the expression '{expression}'",
                where=f"{key}.id",
                remedy="mend the expression, or let files match fewer names",
            )
        file = File(path, name, _fields(match), key)
        own = tuple(match.groupdict().get(part) or "" for part in ID_PARTS)
        other, others = parts.setdefault(file.fields["id"], (file, own))
        if others != own:
            raise CorpusError(
                f"{other.name} and {name} would be of one location, {file.fields['id']!r}, though the parts of their "
                f"ids differ: {', '.join(others)} and {', '.join(own)}",
                where=f"{key}.id",
                remedy="let the expression find the id in one piece, or in pieces without underscores",
            )
        yield file


def _fields(match: re.Match[str]) -> dict[str, str]:
    """What the groups of an expression found; the parts of an id are joined."""
    fields = {name: text for name, text in match.groupdict().items() if text is not None}
    return fields | {"id": "_".join(fields[part] for part in ID_PARTS if part in fields)}


def _readable(root: Path) -> None:
    """Raise CorpusError for an unreadable folder, which `Path.glob` would skip in silence."""
    if not root.is_dir():
        unreadable(FileNotFoundError(2, "it is not there" if not root.exists() else "it is a file", str(root)))
    for _ in os.walk(root, onerror=unreadable):
        pass


# -- what belongs together ---------------------------------------------------------------------------------------------


def _date(file: File, entry: ImageEntry | QualityEntry) -> datetime | None:
    text = file.fields.get("date")
    if text is None:
        return None
    try:
        return datetime.strptime(text, entry.date_format)
    except ValueError:
        raise CorpusError(
            f"{file.name}: {text!r} is no date of the format '{entry.date_format}'",
            where=f"{file.key}.date_format",
            remedy="say how the date is written, or mend the expression",
        ) from None


def _check_bands(entry: ImageEntry, files: list[File]) -> None:
    """Raise CorpusError if no file is of a wanted band. Files of other bands are skipped: B2 is not b2."""
    if not any(_bands_in(entry, file) for file in files):
        said = sorted({file.fields.get("band", "") for file in files})
        wanted = [str(name) for name in entry.channels.values()]
        raise CorpusError(
            f"no file is of a band of the recipe: names say {', '.join(said[:10])}, the recipe {', '.join(wanted)}",
            where=f"{files[0].key}.bands",
            remedy=f"say the bands by their names there, such as bands: {{{next(iter(entry.channels))}: {said[0]}}}",
        )


def _add_image(location: LocationFiles, entry: ImageEntry, position: int, file: File) -> None:
    date = _date(file, entry)
    key = (entry.sensor, date, entry.tag)
    bands = _bands_in(entry, file)
    if not bands:
        return
    shot = location.shots.setdefault(key, Shot(entry, position, date, {}))
    for band, channel in bands.items():
        if band in shot.bands:
            _refuse_twice(location, shot.bands[band].file, file, band if entry.by_file else None)
        shot.bands[band] = channel
    _note_all(location, file, entry.scaling.group if isinstance(entry.scaling, ScaleByName) else None)


def _bands_in(entry: ImageEntry, file: File) -> dict[str, Channel]:
    if not entry.by_file:
        return {band: Channel(file, int(number)) for band, number in entry.channels.items()}
    said = file.fields.get("band")
    return {band: Channel(file, 1, only=True) for band, name in entry.channels.items() if name == said}


def _refuse_twice(location: LocationFiles, one: File, other: File, band: str | None) -> None:
    what = (
        "the same id, sensor, date and tag" if band is None else f"the same id, sensor, date and tag, and band {band}"
    )
    raise CorpusError(
        f"two files have {what}: {one.name} and {other.name}",
        where=f"{other.key}, id {location.id!r}",
        remedy="let the id expression tell them apart (by id or date), or give their entries different tags",
    )


def _note_all(location: LocationFiles, file: File, besides: str | None = None) -> None:
    """Record what a file's name states about its location, except for what the group `besides` finds."""
    for name, text in file.fields.items():
        if name != besides and (name not in RESERVED or name in ("split", "parent")):
            _note(location, name, text, file)


def _note(location: LocationFiles, name: str, text: str, file: File) -> None:
    if location.facts.setdefault(name, text) != text:
        raise CorpusError(
            f"files of {location.id!r} disagree: {name} is {location.facts[name]!r} and, by {file.name}, {text!r}",
            where=f"{file.key}.id",
            remedy="mend the expression: what it finds must be the same on all dates",
        )


def _order_bands(location: LocationFiles) -> None:
    """Put the bands in the recipe's order; files came in the order of their names."""
    for shot in location.shots.values():
        missing = [band for band in shot.entry.channels if band not in shot.bands]
        if missing:
            raise CorpusError(
                f"no file for band {', '.join(missing)} of {location.id!r}, which has {shot.first.name}",
                where=shot.first.key,
                remedy="add the file, leave the band out of bands, or mend what the group `band` finds",
            )
        shot.bands = {band: shot.bands[band] for band in shot.entry.channels}


def _add_labels(
    root: Path, locations: dict[str, LocationFiles], entry: LabelEntry, key: str, strays: list[File]
) -> None:
    if entry.raster is not None:
        _add_raster(root, locations, entry, entry.raster, f"{key}.raster")
        return
    if entry.files is None or entry.id is None:
        for location in locations.values():
            _label_from_image(location, entry, key)
        return
    for file in _of_locations(_matching(root, entry.files, entry.id, key), locations, strays):
        location = locations[file.fields["id"]]
        _note_all(location, file)
        if entry.layer in location.labels:
            _refuse_twice(location, location.labels[entry.layer].file, file, None)
        location.labels[entry.layer] = Channel(file, entry.channel or 1, only=entry.channel is None)


def _add_raster(root: Path, locations: dict[str, LocationFiles], entry: LabelEntry, name: str, key: str) -> None:
    """Make one raster the label map of all locations."""
    if not (root / name).is_file():
        raise CorpusError(f"the raster {name} is not there", where=f"{root / name}, for {key}", remedy="mend the path")
    for location in locations.values():
        location.labels[entry.layer] = Channel(File(root / name, name, {}, key), entry.channel or 1)


def _label_from_image(location: LocationFiles, entry: LabelEntry, key: str) -> None:
    for shot in location.shots.values():
        if shot.position == entry.images and entry.layer not in location.labels:
            file = shot.first
            location.labels[entry.layer] = Channel(File(file.path, file.name, file.fields, key), entry.channel or 1)


def _add_quality(
    root: Path, locations: dict[str, LocationFiles], entry: QualityEntry, position: int, strays: list[File]
) -> None:
    key = f"corpus.source.quality.{position}"
    if entry.files is None or entry.id is None:
        for location in locations.values():
            for shot in location.shots.values():
                if entry.judges(shot.entry.sensor, shot.entry.tag):
                    file = shot.first
                    shot.quality[position] = Channel(File(file.path, file.name, file.fields, key), entry.channel)
        return
    for file in _of_locations(_matching(root, entry.files, entry.id, key), locations, strays):
        location, date = locations[file.fields["id"]], _date(file, entry)
        shots = [
            shot for (sensor, when, tag), shot in location.shots.items() if when == date and entry.judges(sensor, tag)
        ]
        _check_one(shots, file)
        for shot in shots:
            if position in shot.quality:
                _refuse_twice(location, shot.quality[position].file, file, None)
            shot.quality[position] = Channel(file, entry.channel)
        if not shots:
            location.strays.append(file)
            strays.append(file)


def _check_one(shots: list[Shot], file: File) -> None:
    if len(shots) > 1:
        raise CorpusError(
            f"{file.name} would be the cloud layer of {len(shots)} images: {', '.join(s.first.name for s in shots)}",
            where=f"{file.key}.tag",
            remedy="say of which: an entry under quality for each tag of the images, such as tag: before",
        )


def _of_locations(files: Iterable[File], locations: dict[str, LocationFiles], strays: list[File]) -> list[File]:
    """Files of locations that have images; others are added to `strays`. It is an error if there is none."""
    files = list(files)
    known = [file for file in files if file.fields["id"] in locations]
    strays += [file for file in files if file.fields["id"] not in locations]
    if not known:
        first = files[0]
        raise CorpusError(
            f"no location of these {len(files)} files has an image; {first.name} has the id {first.fields['id']!r}",
            where=f"{first.key}.id",
            remedy=f"let both expressions find the same ids; {nearest(first.fields['id'], list(locations)[:20])}",
        )
    return known
