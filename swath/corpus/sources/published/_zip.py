"""Members of zip files, measured before they are unpacked."""

import zipfile
from collections.abc import Sequence

from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published._convert import SKIP

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that Python unpacks no further than asked; with others a few bytes become gigabytes at once."""


def check(file: File, members: Sequence[zipfile.ZipInfo], limit_gb: float) -> None:
    """Raise BadFileError if members would take more gigabytes than a limit, or are packed as no archive here is."""
    for member in members:
        if member.compress_type not in _METHODS:
            what = f"{file.name} packs {member.filename} in another way than deflate"
            raise BadFileError(what, where=str(file.path), remedy=SKIP)
    check_size(file, sum(member.file_size for member in members), limit_gb)


def content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Content of a member, of which no more is unpacked than the archive states."""
    with archive.open(member) as stream:
        return stream.read(member.file_size)
