"""Formats with a file of each kind for every location, which their names tell."""

from collections.abc import Callable, Mapping
from pathlib import Path

from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Key
from swath.corpus.sources.published._convert import CorpusSpec, Omissions, convert
from swath.corpus.sources.published._images import outlines


def convert_by_key(
    target: Path,
    spec: CorpusSpec,
    omissions: Omissions,
    files: Mapping[Key, dict[str, Path]],
    uid: Callable[[Key], str],
    read: Callable[[Key], Contents],
    *,
    ground: str,
) -> None:
    """Make the corpus of one location a key, or continue one that was interrupted.

    Args:
        target: folder of the corpus.
        spec: what it holds.
        omissions: settings of the format, and what was left out so far.
        files: of each location by kind, as `files_by_key` finds them.
        uid: id of a key's location.
        read: pixels and labels of a key's location; BadFileError where they cannot be had.
        ground: kind of the files whose georeference says where a location is.
    """
    known = outlines((of_kinds[ground] for of_kinds in files.values()), spec.chip_px)
    convert(target, spec, omissions, list(files), lambda key: [uid(key)], read, known)
