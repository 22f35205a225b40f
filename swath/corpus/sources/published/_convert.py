"""What the published formats have in common: settings, checks for missing and extra files, and the build itself.

A format's module lists its portions (a patch, a site, a table), says how one is read, and calls `convert`.
"""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field
from rasterio.errors import NotGeoreferencedWarning

from swath.corpus.sources._contents import Contents, LogEntry, store, write_log
from swath.corpus.sources._growth import ANEW, following
from swath.corpus.sources._names import Key, Names, in_order, what_is_there
from swath.corpus.sources._raster import MAX_IMAGE_GB, BadFileError
from swath.corpus.sources._shapes import ShapeLayer, Shapes
from swath.corpus.store import CorpusWriter, LabelLayer, Location, SensorLayout
from swath.corpus.store.arrays import Compression
from swath.errors import CorpusError, RecipeError
from swath.settings import PluginSettings

SKIP = "get the file again, or leave such files out: on_bad_file=skip"
"""Advice for a file that cannot be used."""

Portion = TypeVar("Portion")


class FormatSettings(PluginSettings):
    """Base of every published format's `Config`: the settings that all of them have."""

    on_bad_file: Literal["error", "skip"] = "error"
    """Files that are missing, cannot be read or do not fit: stop, or leave out what they belong to and name them in
    the corpus's `log.jsonl`."""
    max_image_gb: float = Field(default=MAX_IMAGE_GB, gt=0)
    """Gigabytes up to which a file may be decoded in one piece, judged by its header; larger ones count as bad
    files and are not unpacked."""
    shapes: tuple[ShapeLayer, ...] = ()
    """Label layers of your own, from polygons or points in vector files."""
    compression: Compression = "fast"
    """How pixels are packed: `none`, `fast` to read, or `small` on disk (Zstandard), several times slower to read."""


@dataclass(slots=True)
class Omissions:
    """What is left out of a corpus: raised as an error or written to its log, as the settings say."""

    settings: FormatSettings
    root: Path
    """Folder of the data set."""
    log: list[LogEntry] = field(default_factory=list)

    def reject(self, error: BadFileError, name: str = "") -> None:
        """Raise the error, or note it in the log if bad files are to be skipped."""
        if self.settings.on_bad_file == "error":
            raise error
        self.log.append(_entry(error, name))


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """What a format's corpus holds: chip size, bands, label layers and licences."""

    chip_px: int
    sensors: dict[str, SensorLayout]
    labels: dict[str, LabelLayer] = field(default_factory=dict)
    licences: tuple[str, ...] = ()


def data_folder(data: Path | None) -> Path:
    """The folder to read.

    Raises:
        RecipeError: none is given.
        CorpusError: it is not there, or is no folder.
    """
    if data is None:
        raise RecipeError("this source reads files, but no folder is given", remedy="add data=PATH")
    data = Path(data)
    if not data.is_dir():
        what = "it is a file" if data.exists() else "it is not there"
        raise CorpusError(f"cannot read the folder: {what}", where=str(data), remedy="give the data's own folder")
    return data


def files_by_key(
    root: Path,
    kinds: Mapping[str, Names],
    omissions: Omissions,
    listed: Collection[Key] | None = None,
    unused: Sequence[str] = (),
    unwanted: Collection[Key] = (),
) -> dict[Key, dict[str, Path]]:
    """The files of every key by kind, in natural order of the keys; a key that lacks a file is an error or left out.

    Args:
        root: folder of the data.
        kinds: names of each kind of file; all have the same fields.
        omissions: takes what is wrong. Files in the same folders that are of no kind are noted, never an error.
        listed: keys that a table of the format lists; others are extra, and those without files are missing.
        unused: patterns of files that the layout has, but that are not read.
        unwanted: keys that the settings leave out, whether their files are there or not.

    Raises:
        CorpusError: there is no file of a kind at all.
        BadFileError: a file is missing or extra and the settings do not say `skip`.
    """
    by_kind = {kind: names.find(root) for kind, names in kinds.items()}
    for kind, names in kinds.items():
        if not by_kind[kind]:
            raise CorpusError(
                f"no file is named {names.template}", where=str(root), remedy=what_is_there(root, names.template)
            )
    complete = {}
    for key in in_order({key for files in by_kind.values() for key in files}.union(listed or ())):
        there = {kind: files[key] for kind, files in by_kind.items() if key in files}
        if key in unwanted:
            continue
        if error := _wrong(root, kinds, key, there, listed):
            omissions.reject(error, "_".join(key))
        else:
            complete[key] = there
    known = {path for files in by_kind.values() for path in files.values()}
    labelling = (one.file.name for one in omissions.settings.shapes)
    _note_strangers(root, known, (*unused, "README*", *labelling), omissions)
    return complete


def _wrong(
    root: Path, kinds: Mapping[str, Names], key: Key, there: Mapping[str, Path], listed: Collection[Key] | None
) -> BadFileError | None:
    if listed is not None and key not in listed:
        path = next(iter(there.values()))
        remedy = "remove it, or add it to the table; or leave such files out: on_bad_file=skip"
        return BadFileError(f"{path.name} is in no table of the data set", where=str(path), remedy=remedy)
    missing = [names.path(root, key) for kind, names in kinds.items() if kind not in there]
    if not missing:
        return None
    # with folders: the files of one key may all be named alike
    name, *others = (path.relative_to(root).as_posix() for path in (missing[0], *there.values()))
    beside = f"; {others[0]} is there" if others else ""
    return BadFileError(f"{name} is missing{beside}", where=str(missing[0]), remedy=SKIP)


def _note_strangers(root: Path, known: set[Path], unused: Sequence[str], omissions: Omissions) -> None:
    """Log files that lie among the data but belong to no kind of file: perhaps their names are misspelt."""
    for folder in sorted({path.parent for path in known}):
        for path in sorted(folder.iterdir()):
            expected = path in known or path.name.startswith(".") or any(path.match(one) for one in unused)
            if path.is_file() and not expected:
                name = path.relative_to(root).as_posix()
                what = "not of the layout, not read"
                entry = {"event": "extra file", "id": path.name, "what": what, "where": name}
                omissions.log.append(entry)


def convert(
    target: Path,
    spec: CorpusSpec,
    omissions: Omissions,
    portions: Sequence[Portion],
    uids: Callable[[Portion], Iterable[str]],
    read: Callable[[Portion], Contents],
    known: Iterable[Location] = (),
) -> None:
    """Make the corpus, or continue one that was interrupted.

    Args:
        target: folder of the corpus.
        spec: what it holds.
        omissions: settings of the format, and what was left out so far.
        portions: what is read at once, in the order of the corpus.
        uids: ids of the locations that a portion may become.
        read: a portion's pixels and labels; BadFileError where they cannot be had.
        known: all locations that the corpus may get, or what covers them, where a format knows their ground before
            pixels are read, such as `outlines` of its images. Shapes that meet none of them are refused then.
    """

    def careful(portion: Portion) -> Contents:
        try:
            return read(portion)
        except BadFileError as error:
            if omissions.settings.on_bad_file == "error":
                raise
            return Contents(left_out=[_entry(error, next(iter(uids(portion)), ""))])

    shapes = Shapes(omissions.settings.shapes, omissions.root, spec.labels)
    if shapes.layers:
        shapes.look_ahead(known, spec.chip_px)
    omissions.log += shapes.log
    provenance = {"source": omissions.settings.name, "settings": omissions.settings.model_dump(mode="json")}
    provenance |= {"shapes": shapes.digests} if omissions.settings.shapes else {}
    labels = spec.labels | shapes.layers
    target = Path(target)
    licences, keep = spec.licences, omissions.settings.compression
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # Set here, once, because filters are shared by threads.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with CorpusWriter(target, spec.sensors, spec.chip_px, labels, provenance, licences, keep) as writer:
            shapes.begin(writer)
            _none_gone(target, writer.committed, portions, uids)
            todo, one = following(portions, lambda portion: not writer.committed.isdisjoint(uids(portion)), careful)
            store(writer, todo, lambda portion: shapes.add_to(one(portion)), pool, omissions.log)
            write_log(target, omissions.log)
            shapes.finish(writer)


def _none_gone(
    target: Path, committed: Collection[str], portions: Sequence[Portion], uids: Callable[[Portion], Iterable[str]]
) -> None:
    """Raise CorpusError if the corpus holds locations that the data set no longer has."""
    gone = set(committed).difference(uid for portion in portions for uid in uids(portion)) if committed else set()
    if gone:
        raise CorpusError(
            f"the corpus holds {len(gone)} locations that the data do not, such as {min(gone)}",
            where=str(target),
            remedy=f"put their files back, {ANEW}",
        )


def _entry(error: BadFileError, name: str) -> LogEntry:
    return {"event": "bad file", "id": name, "what": error.what, "where": error.where or ""}
