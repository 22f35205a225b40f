"""A corpus whose source data have changed since it was made.

New files are added so that the result is that of one ingest of all; files that were changed or are gone, and changed
settings, are reported as errors.
"""

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from swath._files import replacing
from swath._parquet import measured
from swath._progress import console
from swath.corpus.sources._contents import Contents, write_log
from swath.corpus.store import CorpusInfo
from swath.corpus.store import index as _index
from swath.errors import CorpusError
from swath.settings import Settings, differences

FILES = "files.parquet"
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("place", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("checksum", pa.string()),
    ]
)
ANSWERS = ("on_bad_file", "on_failure", "limits", "retries", "backoff_s", "timeout_s", "max_image_gb")
"""Settings that say how a build reacts to failures on the way. They may change in a corpus that was begun,
since nothing that is stored depends on them."""
NAMED = 5
ANEW = "give another folder for a new corpus, or remove this one to make it anew"

Portion = TypeVar("Portion")


class OutOfOrderError(Exception):
    """New data would have to be stored before or among what is already stored."""


# -- settings ----------------------------------------------------------------------------------------------------------


def same_settings(config: Settings, target: Path) -> None:
    """Raise CorpusError if the corpus at `target` was made from another source, or with other settings."""
    if not (target / "corpus.json").exists():
        return
    info = CorpusInfo.read(target)
    entries = [entry for entry in info.provenance if "source" in entry]
    if not entries or not (info.complete or _index.parts(target)):
        return
    source, now = entries[-1]["source"], config.model_dump(mode="json")
    if source != now["name"]:
        raise CorpusError(f"the corpus was made from {source}, not {now['name']}", where=str(target), remedy=ANEW)
    was = _said(
        config, next((entries[-1][key] for key in ("settings", "section", "config") if key in entries[-1]), now)
    )
    free = dict.fromkeys(ANSWERS)
    if said := list(differences({**was, **free}, {**now, **free})):
        raise CorpusError(
            "the corpus was made with other settings:\n" + "\n".join(f"    {one}" for one in said),
            where=str(target),
            remedy=f"give the same settings, {ANEW}",
        )


def _said(config: Settings, stored: dict[str, Any]) -> dict[str, Any]:
    """Settings as stored, completed by the defaults of those that an earlier swath did not have."""
    try:
        return type(config).model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored


# -- files -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One of the files that a corpus is made of."""

    path: Path
    place: str | None = None
    """Id of the location that the file belongs to; None where that is not known."""


class Stock:
    """The files of a source as they are now, compared with the files that the corpus was made of."""

    def __init__(self, target: Path, files: Mapping[str, Source], stored: Collection[str] | None = None):
        """Look at the files' sizes and times.

        Args:
            target: folder of the corpus; `files.parquet` there says what it was made of.
            files: by name, as the corpus calls them.
            stored: locations that are in the corpus; None where every file's are.

        Raises:
            CorpusError: a file of a stored location was changed or is gone.
        """
        self._path, self._files = target / FILES, files
        self._was = _recorded(self._path)
        stats = {name: source.path.stat() for name, source in files.items()}
        self._size = {name: stat.st_size for name, stat in stats.items()}
        self._modified = {name: stat.st_mtime_ns for name, stat in stats.items()}
        own = {name for name, was in self._was.items() if stored is None or was["place"] in stored}
        changed = {name for name in self._was if name in files and self._changed(name)}
        self.new = (set(files) - set(self._was) if self.known else set()) | (changed - own)
        """Files that the corpus does not know, or that it noted as unusable."""
        self._require(sorted(own - set(files)), sorted(changed & own))

    @property
    def known(self) -> bool:
        """Whether the corpus recorded its files; corpora of an earlier swath did not."""
        return bool(self._was)

    @property
    def named(self) -> str:
        """The first few of the new files, for a message."""
        return _named(sorted(self.new))

    def compare(self, stored: Collection[str], images: Collection[str]) -> None:
        """Find what is new to a corpus that an earlier swath made, by nothing but the images that its chips name.

        Args:
            stored: names of the images that the corpus's chips were made of.
            images: names of those that would be stored now.

        Raises:
            CorpusError: an image of the corpus is gone.
        """
        self._require(sorted(set(stored) - set(self._files)), [])
        self.new = set(images) - set(stored)

    def _require(self, gone: Sequence[str], changed: Sequence[str]) -> None:
        said = [
            f"{len(names)} {what}: {_named(names)}" for names, what in ((gone, "gone"), (changed, "changed")) if names
        ]
        if said:
            raise CorpusError(
                f"files that the corpus was made of are not what they were: {'; '.join(said)}",
                where=str(self._path.parent),
                remedy=f"put them back, {ANEW}",
            )

    def _changed(self, name: str) -> bool:
        """Whether a file was changed: judged by size and time, and where only the time differs, by its content."""
        was = self._was[name]
        if self._size[name] != was["size"]:
            return True
        if self._modified[name] == was["modified"]:
            return False
        return was["checksum"] is None or _checksum(self._files[name].path) != was["checksum"]

    def _checksum_of(self, name: str) -> str | None:
        """Checksum of a file; None if it changed while it was read."""
        path = self._files[name].path
        try:
            checksum, stat = _checksum(path), path.stat()
        except OSError:
            return None
        return checksum if (stat.st_size, stat.st_mtime_ns) == (self._size[name], self._modified[name]) else None

    def record(self, pool: ThreadPoolExecutor | None = None) -> None:
        """Write down what the corpus is made of; with a pool, checksums too, for when only the files' times change."""
        known = {name: was["checksum"] for name, was in self._was.items() if name not in self.new}
        lacking = [name for name in self._files if known.get(name) is None] if pool else []
        if pool:
            known |= zip(lacking, pool.map(self._checksum_of, lacking), strict=True)
        rows = [
            {
                "name": name,
                "place": source.place,
                "size": self._size[name],
                "modified": self._modified[name],
                "checksum": known.get(name),
            }
            for name, source in self._files.items()
        ]
        with replacing(self._path) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary)
        self._was = {row["name"]: row for row in rows}


def say_unknown(target: Path, what: str) -> None:
    """Tell, on the terminal and in the log, what cannot be known about the files of a corpus of an earlier swath."""
    what = f"the corpus was made by an earlier swath, which did not note its files: {what}"
    console().print(f"{target}: {what}", style="yellow", soft_wrap=True, markup=False)
    with suppress(OSError):  # a corpus that is only read
        write_log(target, [{"event": "files not noted", "id": "", "what": what}])


def _recorded(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        return {row["name"]: row for row in pq.read_table(measured(path), schema=SCHEMA).to_pylist()}
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(f"{FILES} cannot be read: {error}", where=str(path), remedy=f"restore it, {ANEW}") from error


def below(root: Path, target: Path) -> dict[str, Source]:
    """All files in a folder except hidden ones, and except the corpus's own if it is written into that folder."""
    root, target = root.resolve(), target.resolve()
    own = root / target.relative_to(root).parts[0] if root in target.parents else None
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(root).as_posix(): Source(path) for path in files if own not in (path, *path.parents)}


def places_of(uids: Iterable[str]) -> set[str]:
    """Ids of the images that these chips were cut from: the chip's own id, or without row and column."""
    return {name for uid in uids for name in (uid, re.sub(r"_\d+_\d+$", "", uid))}


def _checksum(path: Path) -> str:
    result = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(4 * 2**20):
            result.update(block)
    return result.hexdigest().decode()


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


# -- order -------------------------------------------------------------------------------------------------------------


def following(
    portions: Sequence[Portion], done: Callable[[Portion], bool], read: Callable[[Portion], Contents]
) -> tuple[list[Portion], Callable[[Portion], Contents]]:
    """Portions that are not stored, and how to read them: one before the last that is stored may give no location.

    Those were left out before; a location of theirs is new, and the corpus has to be made anew (OutOfOrderError).
    """
    stored = [done(portion) for portion in portions]
    last = max((position for position, one in enumerate(stored) if one), default=-1)
    todo = [(position, portion) for position, portion in enumerate(portions) if not stored[position]]
    early = {id(portion) for position, portion in todo if position < last}

    def careful(portion: Portion) -> Contents:
        contents = read(portion)
        if contents.locations and id(portion) in early:
            raise OutOfOrderError
        return contents

    return [portion for _, portion in todo], careful


def settle(target: Path) -> None:
    """Finish an exchange of an old corpus for a new one that was interrupted."""
    old, new = _beside(target, "old"), _beside(target, "new")
    if not target.exists() and old.exists() and (new / "corpus.json").exists():
        new.rename(target)
    if target.exists():
        for rest in (old, new):
            shutil.rmtree(rest, ignore_errors=True)


def anew(target: Path, build: Callable[[Path], None], why: str) -> None:
    """Make a corpus anew beside the existing one, and replace that one once the new one is whole."""
    settle(target)
    old, new = _beside(target, "old"), _beside(target, "new")
    console().print(f"{why}: the corpus is made anew from all files", soft_wrap=True, markup=False)
    build(new)
    target.rename(old)
    new.rename(target)
    shutil.rmtree(old)


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")
