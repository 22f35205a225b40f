"""DFC2020 (GeoTIFF): Sentinel-1, Sentinel-2 and land cover of 10 m in ten classes, 256 x 256 px."""

from pathlib import Path
from typing import Literal

from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Key, Names
from swath.corpus.sources._raster import File
from swath.corpus.sources.published import _sen12
from swath.corpus.sources.published._by_key import convert_by_key
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import declared, placed

KINDS = {
    kind: Names(f"ROIs0000_{{part}}/{kind}_{{scene}}/{{front}}_{kind}_{{rest}}.tif") for kind in ("s1", "s2", "dfc")
}


class Config(FormatSettings):
    """DFC2020, the land-cover data of the IEEE GRSS Data Fusion Contest 2020: how its parts become a split."""

    name: Literal["dfc2020"] = "dfc2020"
    validation_as: Literal["train", "val"] = "train"
    """Part of the split that the contest's validation patches become: the contest trained on SEN12MS, whereas a
    probe trains on them."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, or of another type or size.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    files = files_by_key(root, KINDS, omissions)
    spec = CorpusSpec(_sen12.PX, _sen12.layouts(), {"dfc": _sen12.DFC})

    def read(key: Key) -> Contents:
        return _read(files[key], key, root, spec, config)

    convert_by_key(target, spec, omissions, files, _uid, read, ground="s2")


def _uid(key: Key) -> str:
    return f"{key[2]}_{key[3]}"


def _read(files: dict[str, Path], key: Key, root: Path, spec: CorpusSpec, config: Config) -> Contents:
    chips, of = _sen12.chips(_uid(key), files, root)
    cover = _sen12.pixels(files["dfc"], root, 1, ("uint8", "uint16", "int16"), of)[0][0]
    codes = declared(cover, _sen12.DFC, File(files["dfc"], files["dfc"].name))
    split = "test" if key[0] == "test" else config.validation_as
    contents = Contents()
    contents.add(placed(_uid(key), of[1], split=split), chips, {"dfc": codes}, spec.sensors)
    return contents
