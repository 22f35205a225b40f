"""What was labelled, in a file that only grows: each act is a line, on the disk before anybody is told that it is done.

The file is JSON Lines. Its first line says the format and the corpus; then come `class` (a class and its colour),
`label` (a class, or none, for locations by name) and `undo` (takes the last act back that was not taken back yet).
"""

import errno
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Int, Int16
from numpy import ndarray

from swath._files import named, parse_json
from swath.corpus import LabelLayer
from swath.corpus.labels import class_colours
from swath.errors import UNPRINTABLE, SwathError, nearest

FORMAT = 1
NONE = -1
"""Number of the class of what has no label."""
MOST_CLASSES, LONGEST_NAME = 250, 80
COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class LabelClass:
    """A class that labels may have."""

    name: str
    colour: str
    """As `#rrggbb`."""


def tidy(name: str) -> str:
    """The name of a class as it is kept: without space around it, and with single spaces inside."""
    return " ".join(name.split())


class Labels:
    """Classes, and the class of each row of an index; every act is saved before it counts."""

    def __init__(self, path: Path, names: Sequence[str], corpus: str):
        """Open a file of labels, or begin one.

        Args:
            path: of the file; its folder is there.
            names: of the index's rows, each once.
            corpus: content hash of the index's corpus.

        Raises:
            SwathError: another process has it open, it is damaged, or its labels are of another corpus.
        """
        self.path, self.notes = path, list[str]()
        self.classes: list[LabelClass] = []
        self.given: Int16[ndarray, " n"] = np.full(len(names), NONE, np.int16)
        """Number of the class of each row, or `NONE`."""
        self.files: list[str] = []
        """Digests of the vector files whose labels were taken."""
        self._row_of = {name: row for row, name in enumerate(names)}
        self._names = names
        self._done: list[dict[str, Any]] = []
        self._before: list[tuple[Int[ndarray, " m"], Int16[ndarray, " m"]]] = []
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SwathError(
                "another swath explore has these labels open",
                where=str(path),
                remedy="close it, or give other --labels",
            ) from None
        try:
            self._file = self._opened(corpus)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let others open the file."""
        self._file.close()
        self._lock.release()

    @property
    def counts(self) -> list[int]:
        """Number of rows that have each class."""
        return np.bincount(self.given[self.given != NONE], minlength=len(self.classes)).tolist()

    @property
    def acts(self) -> int:
        """How many acts can be undone."""
        return len(self._done)

    @property
    def polygons(self) -> list[tuple[str, list[list[float]]]]:
        """Class and corners, x and y, of the polygons that were drawn and not undone."""
        return [(act["class"], act["polygon"]) for act in self._done if act.get("polygon") and act["class"]]

    def number_of(self, name: str) -> int:
        """The number of a class.

        Raises:
            SwathError: it is not declared.
        """
        names = [one.name for one in self.classes]
        if name not in names:
            raise SwathError(f"the class {name!r} is not declared", where=str(self.path), remedy=nearest(name, names))
        return names.index(name)

    def declare(self, name: str, colour: str | None = None) -> None:
        """Add a class; its colour is one that the name suggests, or a free one, if not given.

        Raises:
            SwathError: there is one of that name, or name or colour are none.
        """
        name = tidy(name)
        colour = self._next_colour(name) if colour is None else colour.lower()
        if not name or len(name) > LONGEST_NAME or UNPRINTABLE.search(name):
            raise SwathError(f"{name!r} is no name of a class", remedy=f"give 1 to {LONGEST_NAME} characters")
        if not COLOUR.fullmatch(colour):
            raise SwathError(f"{colour!r} is no colour", remedy="give one such as #0072b2")
        if any(one.name == name for one in self.classes):
            raise SwathError(f"there is a class {name!r} already", remedy="take it, or give another name")
        if len(self.classes) == MOST_CLASSES:
            raise SwathError(f"there are {MOST_CLASSES} classes, which is the most", remedy="take one of them")
        self._save({"do": "class", "name": name, "colour": colour})

    def _next_colour(self, name: str) -> str:
        """A colour that the name suggests, or one that no class has."""
        own = {number: one.colour for number, one in enumerate(self.classes)}
        names = dict(enumerate([*(one.name for one in self.classes), name]))
        return class_colours(LabelLayer(classes=names, colours=own))[len(own)]

    def give(self, name: str | None, rows: Int[ndarray, " m"], **origin: Any) -> None:
        """Give rows a class, or take theirs away.

        Args:
            name: of a class that is declared; None for no class.
            rows: of the index.
            origin: what is saved beside it: the `polygon` that was drawn.

        Raises:
            SwathError: the class is not declared, or there are no rows.
        """
        self.give_many([(name, rows)], **origin)

    def give_many(self, given: Sequence[tuple[str | None, Int[ndarray, " _"]]], **origin: Any) -> None:
        """Give several classes in one act, which is undone as one; see `give`.

        Args:
            given: class and rows of each.
            origin: what is saved beside it: the digest of a `file`.

        Raises:
            SwathError: a class is not declared, or there are no rows.
        """
        for name, rows in given:
            if name is not None:
                self.number_of(name)
            if not len(rows):
                raise SwathError("no location is there to be labelled", remedy="choose at least one")
        parts = [{"class": name, "names": [self._names[row] for row in rows]} for name, rows in given]
        first = parts[0] if len(parts) == 1 else {"parts": parts}
        self._save({"do": "label", **first, **origin})

    def undo(self) -> bool:
        """Take the last act back; whether there was one."""
        if not self._done:
            return False
        self._save({"do": "undo"})
        return True

    def _save(self, act: dict[str, Any]) -> None:
        """Write an act to the disk, then do it; of one that cannot be written nothing stays."""
        end = self._file.tell()
        try:
            self._append(json.dumps(act).encode() + b"\n")
        except OSError:
            self._file.truncate(end)
            self._file.seek(end)
            raise
        self._do(act)

    def _append(self, line: bytes) -> None:
        with named(self.path):
            if self._file.write(line) != len(line):  # the disk took a part of it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())

    def _do(self, act: dict[str, Any]) -> None:
        if act["do"] == "undo":
            self._undo()
            return
        rows, before = np.empty(0, np.int64), np.empty(0, np.int16)
        if act["do"] == "class":
            self.classes.append(LabelClass(act["name"], act["colour"]))
        else:
            parts = act.get("parts", [act])
            rows = np.array([self._row_of[name] for part in parts for name in part["names"] if name in self._row_of])
            rows = np.unique(rows.astype(np.int64))
            before = self.given[rows]
            for part in parts:
                number = NONE if part["class"] is None else self.number_of(part["class"])
                self.given[[self._row_of[name] for name in part["names"] if name in self._row_of]] = number
        if "file" in act:
            self.files.append(act["file"])
        self._done.append(act)
        self._before.append((rows, before))

    def _undo(self) -> None:
        act, (rows, before) = self._done.pop(), self._before.pop()
        self.given[rows] = before
        if act["do"] == "class":
            self.classes.pop()
        if "file" in act:
            self.files.remove(act["file"])

    def _opened(self, corpus: str) -> BinaryIO:
        head = {"do": "begin", "format": FORMAT, "corpus": corpus}
        with named(self.path):
            file = self.path.open("a+b", buffering=0)
        file.seek(0)
        said = file.read()
        whole = said[: said.rfind(b"\n") + 1]
        if len(whole) < len(said):
            file.truncate(len(whole))
            if whole:
                self.notes.append("the last act was not written whole when swath was stopped, and is left out")
        file.seek(len(whole))
        if not whole:
            file.write(json.dumps(head).encode() + b"\n")
            return file
        try:
            self._replay(whole.splitlines(), head)
        except BaseException:
            file.close()
            raise
        return file

    def _replay(self, lines: list[bytes], head: dict[str, Any]) -> None:
        known = self._row_of.keys()
        lost: set[str] = set()
        for number, line in enumerate(lines, 1):
            try:
                act = parse_json(line)
                if number == 1:
                    self._check(act, head)
                    continue
                lost.update(
                    name for part in act.get("parts", [act]) for name in part.get("names", ()) if name not in known
                )
                self._do(act)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                raise SwathError(
                    "the labels are damaged",
                    where=f"{self.path}, line {number}",
                    remedy="mend or remove that line, or give other --labels",
                ) from None
        if lost:
            self.notes.append(f"{len(lost):,} labelled locations are not in this index, such as {min(lost)}")

    def _check(self, act: dict[str, Any], head: dict[str, Any]) -> None:
        if act["do"] != "begin" or act["format"] != FORMAT:
            raise SwathError(
                f"these labels have format {act['format']!r}, this swath reads {FORMAT}",
                where=str(self.path),
                remedy="use the swath that wrote them, or give other --labels",
            )
        if act["corpus"] != head["corpus"]:
            raise SwathError(
                "these are labels of another corpus than the index's",
                where=str(self.path),
                remedy="give other --labels; a GeoPackage goes from one to the other",
            )
