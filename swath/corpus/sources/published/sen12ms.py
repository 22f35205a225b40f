"""SEN12MS (GeoTIFF): Sentinel-1, Sentinel-2 at the top of the atmosphere and MODIS land cover, 256 x 256 px."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

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
from swath.corpus.store import LabelLayer
from swath.errors import CorpusError

KINDS = {
    kind: Names(f"{{season}}/{kind}_{{scene}}/{{season}}_{kind}_{{scene}}_p{{patch}}.tif")
    for kind in ("s1", "s2", "lc")
}
BAD = (("ROIs1868_summer", "146", "202"),)
"""Patches that the authors say to drop: the radar holds no numbers."""
IGBP = (
    "Evergreen needleleaf forests",
    "Evergreen broadleaf forests",
    "Deciduous needleleaf forests",
    "Deciduous broadleaf forests",
    "Mixed forests",
    "Closed shrublands",
    "Open shrublands",
    "Woody savannas",
    "Savannas",
    "Grasslands",
    "Permanent wetlands",
    "Croplands",
    "Urban and built-up lands",
    "Cropland/natural vegetation mosaics",
    "Permanent snow and ice",
    "Barren",
    "Water bodies",
)
TO_DFC = np.array([0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 8, 9, 10])
"""DFC2020's class of each IGBP code, as the SEN12MS toolbox has it."""
UNCLASSIFIED = 255


class Config(FormatSettings):
    """SEN12MS (Schmitt et al. 2019): which seasons to store, with or without the official split."""

    name: Literal["sen12ms"] = "sen12ms"
    split: Literal["official", "none"] = "official"
    """`official` for the lists train_list.txt and test_list.txt beside the seasons' folders, or no split."""
    seasons: tuple[Literal["spring", "summer", "fall", "winter"], ...] = ()
    """Only patches of these seasons, a subset that the corpus's provenance names; by default all that are there."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, or of another type or size; a list of the split is missing.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    parts = _parts(root) if config.split == "official" else {}
    keys = {key for names in KINDS.values() for key in names.find(root)} if config.seasons else set()
    if missing := sorted(set(config.seasons) - {_season(key) for key in keys}):
        remedy = "unpack it beside the others, or name the seasons that are there"
        raise CorpusError(f"no patch of {missing[0]} is here", where=str(root), remedy=remedy)
    files = files_by_key(root, KINDS, omissions, unwanted={key for key in keys if _season(key) not in config.seasons})
    for key in BAD:
        if files.pop(key, None):
            what = "the authors say to drop it: the radar holds no numbers"
            omissions.log.append({"event": "left out", "id": _uid(key), "what": what, "where": "_".join(key)})
    layers = {"igbp": LabelLayer(classes=dict(enumerate(IGBP, 1)), void=0), "dfc": _sen12.DFC}
    spec = CorpusSpec(_sen12.PX, _sen12.layouts(), layers)

    def read(key: Key) -> Contents:
        return _read(files[key], key, root, spec, parts)

    convert_by_key(target, spec, omissions, files, _uid, read, ground="s2")


def _uid(key: Key) -> str:
    return f"{key[0]}_{key[1]}_p{key[2]}"


def _season(key: Key) -> str:
    return key[0].partition("_")[2]


def _parts(root: Path) -> Mapping[Key, Literal["train", "test"]]:
    """Part of each patch that is on one of the official lists."""
    parts: dict[Key, Literal["train", "test"]] = {}
    for part in ("train", "test"):
        path = root / f"{part}_list.txt"
        if not path.is_file():
            remedy = "get the lists of the split, or store the patches without one: split=none"
            raise CorpusError(f"the list {path.name} of the split is missing", where=str(path), remedy=remedy)
        for line in path.read_text().split():
            fields = line.removesuffix(".tif").split("_")
            parts["_".join(fields[:2]), fields[3], fields[4].removeprefix("p")] = part
    return parts


def _read(files: dict[str, Path], key: Key, root: Path, spec: CorpusSpec, parts: Mapping[Key, str]) -> Contents:
    uid = _uid(key)
    chips, of = _sen12.chips(uid, files, root)
    cover = _sen12.pixels(files["lc"], root, 4, ("uint8", "uint16", "int16"), of)[0][0]
    cover = np.where(cover == UNCLASSIFIED, 0, cover)
    igbp = declared(cover, spec.labels["igbp"], File(files["lc"], files["lc"].name))
    labels = {"igbp": igbp, "dfc": TO_DFC[igbp]}
    scalars = {"season": _season(key)} | {name: _dominant(codes, spec.labels[name]) for name, codes in labels.items()}
    location = placed(uid, of[1], group=f"{key[0]}_{key[1]}", split=parts.get(key), scalars=scalars)
    contents = Contents()
    contents.add(location, chips, labels, spec.sensors)
    return contents


def _dominant(codes: Integer[ndarray, "y x"], layer: LabelLayer) -> str | None:
    """Name of the class of most pixels; None where none is labelled."""
    labelled = codes[codes != layer.void]
    return layer.classes[int(np.bincount(labelled).argmax())] if labelled.size else None
