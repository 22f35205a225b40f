"""Finding the files of a layout by their names, and saying which are missing or too many."""

import difflib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from swath.errors import CorpusError

Key = tuple[str, ...]
"""The fields of a file's name that tell the files of one patch from those of another."""


@dataclass(frozen=True, slots=True)
class Names:
    """One kind of file: a path with `{field}` where names differ, such as `DATA_S2/S2_{id}.npy`.

    A field that stands in a name twice must say the same in both places. `*` is a word that tells no files apart; of
    several that differ in it alone, the first by name is taken.
    """

    template: str

    @property
    def fields(self) -> Key:
        """Names of the fields, in order."""
        return tuple(dict.fromkeys(re.findall(r"{(\w+)}", self.template)))

    def find(self, root: Path) -> dict[Key, Path]:
        """Files of this kind below a folder, by the values of the fields in their names."""
        expression = re.compile(_expression(self.template))
        files = {}
        for path in sorted(root.glob(re.sub(r"{\w+}", "*", self.template))):
            match = expression.fullmatch(path.relative_to(root).as_posix())
            if match and path.is_file():
                files.setdefault(tuple(match[name] for name in self.fields), path)
        return files

    def path(self, root: Path, key: Key) -> Path:
        """Path at which the file with this key must lie."""
        return root / self.template.format(**dict(zip(self.fields, key, strict=True)))


def _expression(template: str) -> str:
    seen: set[str] = set()
    parts = []
    for text, name in re.findall(r"([^{]*)(?:{(\w+)})?", template):
        parts.append(re.escape(text).replace(r"\*", "[^/_]+"))
        if name:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)")
            seen.add(name)
    return "".join(parts)


def matching(root: Path, pattern: str) -> list[Path]:
    """Files below a folder that fit a glob, `**` for any depth, in the order of their paths.

    Links to folders are entered, and links that lead nowhere are files, so that reading says what is wrong with them.
    """
    wanted = Path(pattern).parts
    if "**" in wanted:
        # from where the pattern begins, so that a link below it is entered also where it leads to a folder beside it
        fixed = itertools.takewhile(lambda part: not re.search(r"[*?\[]", part), wanted)
        top = root.joinpath(*fixed)
        return [path for path in (below(top) if top.is_dir() else []) if _fits(path.relative_to(root).parts, wanted)]
    return sorted(path for path in root.glob(pattern) if _is_file(path))


def below(root: Path) -> list[Path]:
    """All files below a folder, in the order of their paths.

    A folder that links lead to as well is entered once, by its own path where that is below `root`; links to a folder
    that they lie in are passed over.

    Raises:
        CorpusError: a folder cannot be read.
    """
    entered: set[str] = set()
    files: list[Path] = []
    folders = [root]
    while folders:
        links: list[Path] = []
        for folder in folders:
            files += _walk(folder, entered, links)
        folders = sorted(links)
    return sorted(files)


def _walk(top: Path, entered: set[str], links: list[Path]) -> Iterator[Path]:
    """Files of a folder, links to folders aside, which are added to `links`."""
    for folder, inner, files in os.walk(top, onerror=unreadable):
        real = os.path.realpath(folder)
        if real in entered:
            inner.clear()
            continue
        entered.add(real)
        here = Path(folder)
        links += [here / name for name in inner if (here / name).is_symlink() and not _around(here / name, real)]
        yield from (here / name for name in files if _is_file(here / name))


def unreadable(error: OSError) -> None:
    """Raise CorpusError for an unreadable folder, which globs and walks would skip in silence."""
    raise CorpusError(
        f"cannot read the folder: {error.strerror}",
        where=str(error.filename),
        remedy="give the data folder (data=PATH), or the right to read it",
    )


def _around(link: Path, folder: str) -> bool:
    """Whether a link leads to a folder that contains the link."""
    target = os.path.realpath(link)
    return os.path.commonpath([target, folder]) == target


def _is_file(path: Path) -> bool:
    return path.is_file() or (path.is_symlink() and not path.exists())


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """A sort key by which `a2` comes before `a10`."""
    # decimals alone: "²" is a digit, and no number
    return tuple(
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text)
    )


def in_order(keys: Iterable[Key]) -> list[Key]:
    """Keys in the natural order of their values."""
    return sorted(keys, key=lambda key: [natural(text) for text in key])


def what_is_there(root: Path, pattern: str) -> str:
    """The deepest existing folder of a pattern, what it holds, and the nearest name, for a message."""
    folder, parts = root, list(Path(pattern).parts)
    while len(parts) > 1 and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    where = folder.relative_to(root).as_posix()
    shown = f"the folder {'' if where == '.' else where + ' '}".strip()
    if not names:
        return f"{shown} is empty: give the folder that holds the data, or another pattern"
    listing = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    close = difflib.get_close_matches(parts[0], names, n=1, cutoff=0.3)
    return f"{shown} holds {listing}" + (f"; nearest: {close[0]!r}" if close else "")
