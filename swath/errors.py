"""One exception for every mistake that a user can make and mend.

The command line prints the message alone and exits with 2; anything that is not a `SwathError` is a bug of swath's.
"""

import difflib
import re
from collections.abc import Iterable

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters other than tabs and line ends, and surrogates that stand for bytes outside UTF-8. No text of a
user means them, terminals obey them, and files cannot hold them."""


class SwathError(Exception):
    """Says what was wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None):
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.remedy:
            lines.append(f"  do:    {self.remedy}")
        return "\n".join(lines)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[SwathError], what: str, where: str | None, remedy: str | None) -> SwathError:
    return kind(what, where=where, remedy=remedy)


class RecipeError(SwathError):
    """A recipe says something that swath does not know or cannot do."""


class CorpusError(SwathError):
    """Source files or a corpus on disk are not what they should be."""


class ContractError(SwathError):
    """An encoder was given other bands, units or shapes than it was made for."""


class CheckpointError(SwathError):
    """A saved encoder is missing, damaged, or of another version."""


class TrainingError(SwathError):
    """A run collapsed, became non-finite, or cannot be continued."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the closest known name, then all of them.

    >>> nearest("byool", ["byol", "simclr"])
    "did you mean 'byol'? known: byol, simclr"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listing = f"known: {', '.join(known)}" if known else "none are known"
    return f"did you mean {close[0]!r}? {listing}" if close else listing


def known_name(kind: str, name: str | None, known: Iterable[str], where: str | None = None) -> str:
    """A name that is known, or the first known one where none is said.

    Raises:
        RecipeError: an unknown name, or none is said and none is known.
    """
    names = list(known)
    if name is None and names:
        return names[0]
    if name is None or name not in names:
        what = f"there is no {kind}" + (f" {name!r}" if name else "")
        raise RecipeError(what, where=where, remedy=nearest(name or "", names))
    return name
