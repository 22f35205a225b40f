"""Finding the files of a layout by their names, and saying which are missing or too many."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Key = tuple[str, ...]
"""What a name says, field by field: tells the files of one patch from those of another."""


@dataclass(frozen=True, slots=True)
class Names:
    """One kind of file: a path with `{field}` where names differ, such as `DATA_S2/S2_{id}.npy`.

    A field that stands in a name twice must say the same in both places.
    """

    template: str

    @property
    def fields(self) -> Key:
        """Names of the fields, in order."""
        return tuple(dict.fromkeys(re.findall(r"{(\w+)}", self.template)))

    def find(self, root: Path) -> dict[Key, Path]:
        """Files of that kind below a folder."""
        expression = re.compile(_expression(self.template))
        found = {}
        for path in root.glob(re.sub(r"{\w+}", "*", self.template)):
            match = expression.fullmatch(path.relative_to(root).as_posix())
            if match and path.is_file():
                found[tuple(match[name] for name in self.fields)] = path
        return found

    def path(self, root: Path, key: Key) -> Path:
        """Where the file of that key must be."""
        return root / self.template.format(**dict(zip(self.fields, key, strict=True)))


def _expression(template: str) -> str:
    seen: set[str] = set()
    parts = []
    for text, name in re.findall(r"([^{]*)(?:{(\w+)})?", template):
        parts.append(re.escape(text))
        if name:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)")
            seen.add(name)
    return "".join(parts)


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """A sort key by which `a2` comes before `a10`."""
    return tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text))


def in_order(keys: Iterable[Key]) -> list[Key]:
    """Keys in the natural order of what they say."""
    return sorted(keys, key=lambda key: [natural(text) for text in key])


def what_is_there(root: Path, pattern: str) -> str:
    """The deepest folder of a pattern that exists, what it holds, and the nearest name."""
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
