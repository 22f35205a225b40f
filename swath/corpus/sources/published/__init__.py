"""Published data sets as they are downloaded: one format a module, and what all conversions share.

A format's module has `Config` (a `FormatSettings`) and `build(config, target, data)`, which lists what is read at once
(an image, a patch with all of its dates, a table), says how that becomes `Contents`, and hands both to `convert`. What
is imported here is all that a format needs, also one of another package.
"""

from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Key, Names
from swath.corpus.sources._raster import BadFileError, File
from swath.corpus.sources.published._convert import (
    SKIP,
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import chip_of, codes, expect, image, outlines, placed

__all__ = [
    "SKIP",
    "BadFileError",
    "Contents",
    "CorpusSpec",
    "File",
    "FormatSettings",
    "Key",
    "Names",
    "Omissions",
    "chip_of",
    "codes",
    "convert",
    "data_folder",
    "expect",
    "files_by_key",
    "image",
    "outlines",
    "placed",
]
