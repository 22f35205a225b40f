"""SSL4EO-S12 v1.1 (Blumenstiel et al. 2025): the images of v1.0 on one grid for radar and optics, as Zarr in zip files.

Two editions, told apart by their file names; both hold four dates a location in `{train,val}/{S2L1C,S2L2A,S1GRD,...}/`:

* shards (2026): `ssl4eos12_shard_<n>.tar` with a `<key>.zarr.zip` a location, whose key is the same for all modalities;
* chunks (2025): `ssl4eos12_<part>_seasonal_data_<n>.zarr.zip` with 64 locations each. Optical counts have 1000 added.

NDVI and S2RGB, which follow from the bands, and the elevation model are not stored.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from affine import Affine
from jaxtyping import Int64, Shaped
from numpy import ndarray

from swath import sensors
from swath._progress import track
from swath.corpus.sources import _legends as legends
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import Names, what_is_there
from swath.corpus.sources._raster import BadFileError, File, Header
from swath.corpus.sources.published import _tar
from swath.corpus.sources.published._convert import (
    SKIP,
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import placed, same_ground
from swath.corpus.sources.published._zarr import Array, Zipped, arrays, dtype, times, when
from swath.corpus.store import Chip, Location, SensorLayout
from swath.corpus.store.codes import codes_of_map
from swath.errors import CorpusError

Modality = Literal["S2L1C", "S2L2A", "S1GRD"]
SENSORS: dict[Modality, str] = {"S2L1C": "sentinel-2-l1c", "S2L2A": "sentinel-2-l2a", "S1GRD": "sentinel-1-grd"}
COVER = "LULC"
PX = 264
DATES = 4
ADDED = 1000
"""Offset that the edition in chunks adds to optical counts, as ESA does since processing baseline 04.00."""
TYPES = {"S2L1C": ("int16", "uint16"), "S2L2A": ("int16", "uint16"), "S1GRD": ("float16", "float32")}
CLOUD, SHADOW, NODATA = (3, 4), 5, 6
"""Codes of the cloud mask: thin and thick cloud; shadow; no data. 0 is land, 1 water, 2 snow."""
SHARDS = "{{part}}/{folder}/ssl4eos12_shard_{{number}}.tar"
CHUNKS = "{{part}}/{folder}/ssl4eos12_{{part}}_seasonal_data_{{number}}.zarr.zip"


class Config(FormatSettings):
    """SSL4EO-S12 v1.1 (Blumenstiel et al. 2025): which parts and labels to store, and whether clouds are masked."""

    name: Literal["ssl4eo-s12-v1-1"] = "ssl4eo-s12-v1-1"
    modalities: tuple[Modality, ...] = ()
    """Which of the data set's parts to store; by default those whose folders are there."""
    labels: bool = True
    """Store Esri's land cover as well, where its folder is there; the edition in chunks has none."""
    mask_clouds: bool = False
    """Thin and thick clouds and their shadows count as missing in optical images; their share is noted either way."""


@dataclass(frozen=True, slots=True)
class Edition:
    """How the files of an edition are named and read."""

    template: str
    added: int
    """Offset added to the optical counts."""
    batched: bool
    """Whether arrays have an axis of locations."""
    time: str
    """Names of the arrays of acquisition times and of the coordinates."""
    x: str
    y: str


IN_SHARDS = Edition(SHARDS, 0, batched=False, time="time", x="x", y="y")
IN_CHUNKS = Edition(CHUNKS, ADDED, batched=True, time="time_", x="x_", y="y_")


@dataclass(frozen=True, slots=True)
class StoredLocation:
    """One location: a file of its own per modality, or a position in files of many locations."""

    uid: str
    part: str
    files: dict[str, Zipped]
    position: int = 0


@dataclass(slots=True)
class Recent:
    """Keeps recently decoded files of the edition in chunks, each of which holds many locations that are read
    in turn.
    """

    held: dict[Path, dict[str, Array]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, file: Zipped, decode: Callable[[], dict[str, Array]], keep: int) -> dict[str, Array]:
        """Decode a file, or return it from memory; the last `keep` files are kept."""
        with self.lock:
            if file.path not in self.held:
                content = decode()
                while len(self.held) >= keep:
                    self.held.pop(next(iter(self.held)))
                self.held[file.path] = content
            return self.held[file.path]


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder, or zarr is not installed.
        CorpusError: no part of the data set is there, or a file is missing or not as it should be.
    """
    root = data_folder(data)
    edition = _edition(root)
    folders = _folders(root, config, edition)
    omissions = Omissions(config, root)
    kinds = {name: Names(edition.template.format(folder=name)) for name in folders}
    units = list(_units(root, edition, files_by_key(root, kinds, omissions), omissions))
    if not units:
        raise CorpusError(
            "no location is complete", where=str(root), remedy=f"see what is left out: {omissions.log[:1]}"
        )
    spec = CorpusSpec(
        PX,
        {
            SENSORS[name]: _layout(name, edition, units[0].files[name], config.max_image_gb)
            for name in SENSORS
            if name in folders
        },
        {"landcover": legends.ESRI} if COVER in folders else {},
        ("CC-BY-4.0",),
    )
    reader = _Reader(config, edition, spec, folders)
    known = (location for unit in units for location in reader.grounds(unit))
    convert(target, spec, omissions, units, lambda unit: [unit.uid], reader.contents_of, known)


def _edition(root: Path) -> Edition:
    for edition in (IN_SHARDS, IN_CHUNKS):
        if next(root.glob(_pattern(edition)), None):
            return edition
    remedy = f"{what_is_there(root, 'train')}; give the folder that holds train and val"
    raise CorpusError("no file is named as in either edition", where=str(root / _pattern(IN_SHARDS)), remedy=remedy)


def _pattern(edition: Edition) -> str:
    return edition.template.format(folder="*").replace("{part}", "*").replace("{number}", "*")


def _folders(root: Path, config: Config, edition: Edition) -> list[str]:
    """The folders to read."""
    there = {path.parent.name for path in root.glob(_pattern(edition))}
    wanted = config.modalities or tuple(name for name in SENSORS if name in there)
    if not wanted or set(wanted) - there:
        missing = min(set(wanted) - there, default="S2L1C, S2L2A or S1GRD")
        remedy = f"there are {', '.join(sorted(there))}: give the folder that holds train and val, or other modalities"
        raise CorpusError(f"no folder {missing} here", where=str(root), remedy=remedy)
    return [*(name for name in SENSORS if name in wanted), *([COVER] if config.labels and COVER in there else [])]


# -- what there is -----------------------------------------------------------------------------------------------------


def _units(
    root: Path, edition: Edition, files: Mapping[tuple[str, ...], dict[str, Path]], omissions: Omissions
) -> Iterator[StoredLocation]:
    members = _in_chunk if edition.batched else _in_shard
    seen: set[str] = set()
    for key, paths in track(files.items(), len(files), "listing locations"):
        try:
            locations = members(root, key[0], paths, omissions)
        except BadFileError as error:
            omissions.reject(error, "_".join(key))
            continue
        for unit in locations:
            if unit.uid in seen:
                what = f"{unit.uid} is in two files"
                omissions.reject(BadFileError(what, where=str(next(iter(paths.values()))), remedy=SKIP), unit.uid)
            else:
                seen.add(unit.uid)
                yield unit


def _in_chunk(root: Path, part: str, paths: Mapping[str, Path], omissions: Omissions) -> list[StoredLocation]:
    files = {name: Zipped(path, path.relative_to(root).as_posix()) for name, path in paths.items()}
    limit = omissions.settings.max_image_gb
    samples = {
        name: arrays(file, ["sample"], limit)["sample"].values.astype(str).tolist() for name, file in files.items()
    }
    first = next(iter(samples))
    for name, uids in samples.items():
        if uids != samples[first]:
            raise files[name].bad(f"holds other locations than {files[first].name}")
    return [StoredLocation(uid, part, files, position) for position, uid in enumerate(samples[first])]


def _in_shard(root: Path, part: str, paths: Mapping[str, Path], omissions: Omissions) -> list[StoredLocation]:
    members = {name: _members(root, path) for name, path in paths.items()}
    units = []
    for key in sorted({key for of_file in members.values() for key in of_file}):
        if lacking := [name for name, of_file in members.items() if key not in of_file]:
            path = paths[lacking[0]]
            what = f"{key} is missing in {path.relative_to(root).as_posix()}"
            omissions.reject(BadFileError(what, where=str(path), remedy=SKIP), key)
        else:
            units.append(StoredLocation(key, part, {name: of_file[key] for name, of_file in members.items()}))
    return units


def _members(root: Path, path: Path) -> dict[str, Zipped]:
    name = path.relative_to(root).as_posix()
    inside = [member for member in _tar.members(path, name) if member.name.endswith(".zarr.zip")]
    if not inside:
        raise BadFileError(f"{name} holds no *.zarr.zip", where=str(path), remedy=SKIP)
    keys = {Path(one.name).name.removesuffix(".zarr.zip"): one for one in inside}
    return {key: Zipped(path, f"{name}/{one.name}", one.offset_data, one.size) for key, one in keys.items()}


def _layout(modality: Modality, edition: Edition, file: Zipped, limit_gb: float) -> SensorLayout:
    """All bands with the type that the first file has; the others must have it too."""
    kind = dtype(file, "bands", limit_gb)
    if kind not in TYPES[modality]:
        raise file.bad(f"has values of type {kind}, where {modality} has {TYPES[modality][0]}")
    bands = ("VV", "VH") if modality == "S1GRD" else None
    layout = SensorLayout.of(sensors.get(SENSORS[modality]), bands, 10, kind)
    added = 0 if modality == "S1GRD" else edition.added
    offset = tuple(-added * scale for scale in layout.scale)
    return layout.model_copy(update={"nodata": None, "offset": offset})


# -- one location ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reader:
    config: Config
    edition: Edition
    spec: CorpusSpec
    folders: list[str]
    recent: Recent = field(default_factory=Recent)

    def contents_of(self, unit: StoredLocation) -> Contents:
        """The location, its chips and its land cover."""
        heads: list[Header] = []
        chips: list[Chip] = []
        sample = unit.uid
        contents = Contents()
        for name, sensor in SENSORS.items():
            if name in self.folders:
                file, own = unit.files[name], self._arrays(unit, name)
                sample = str(own["sample"].values)
                heads.append(_header(file, own, self.edition))
                same_ground(File(file.path, file.name), heads[-1], heads[0])
                chips += self._chips(unit.uid, sensor, file, own, contents)
        labels = {"landcover": self._cover(unit)} if COVER in self.folders else {}
        location = placed(unit.uid, heads[0], split=unit.part, scalars={"sample": sample})
        contents.add(location, chips, labels, self.spec.sensors)
        return contents

    def grounds(self, unit: StoredLocation) -> Iterator[Location]:
        """Outline of the location, by its coordinates alone; none where they cannot be read."""
        file, edition = unit.files[next(name for name in SENSORS if name in self.folders)], self.edition
        with suppress(BadFileError):
            read = arrays(file, ["crs", edition.x, edition.y], self.config.max_image_gb)
            yield placed(unit.uid, _header(file, _own(read, unit) if edition.batched else read, edition))

    def _arrays(self, unit: StoredLocation, modality: str) -> dict[str, Array]:
        """The arrays of this location only."""
        file, edition, limit = unit.files[modality], self.edition, self.config.max_image_gb
        names = ["sample", "band", "bands", "crs", edition.time, edition.x, edition.y]
        if not edition.batched:
            return arrays(file, names, limit, ["cloud_mask"])
        keep = 2 * len(self.folders)
        of_file = self.recent.read(file, lambda: arrays(file, names, limit, ["cloud_mask"]), keep)
        shared = {"band": of_file["band"]}
        return _own({name: one for name, one in of_file.items() if name not in shared}, unit) | shared

    def _chips(
        self, uid: str, sensor: str, file: Zipped, own: Mapping[str, Array], contents: Contents
    ) -> Iterator[Chip]:
        layout = self.spec.sensors[sensor]
        pixels = _ordered(file, own, layout)
        dates = times(file, own[self.edition.time])
        _expect(file, self.edition.time, dates, (DATES,))
        mask = own["cloud_mask"].values if "cloud_mask" in own else None
        if mask is not None:
            _expect(file, "cloud_mask", mask, (DATES, PX, PX))
        for number in range(DATES):
            valid = (pixels[number] != 0).any(axis=0)
            cloud = None
            if mask is not None:
                cloud = float(np.isin(mask[number], CLOUD).mean())
                valid &= ~np.isin(mask[number], (NODATA, *((*CLOUD, SHADOW) if self.config.mask_clouds else ())))
            if (date := when(dates[number])) is None:
                what = f"{sensor}, image {number}: no time"
                contents.left_out.append({"event": "no time", "id": uid, "what": what, "where": file.name})
            yield Chip(uid, sensor, pixels[number], valid, date, cloud=cloud, source=f"{file.name}/{uid}_{number}")

    def _cover(self, unit: StoredLocation) -> Int64[ndarray, "y x"]:
        """Esri's map, before clouds and snow of the images are drawn into it."""
        file = unit.files[COVER]
        codes = arrays(file, ["esri_original"], self.config.max_image_gb)["esri_original"].values
        _expect(file, "esri_original", codes, (*codes.shape[:-2], PX, PX))
        first, legend = codes.reshape(-1, PX, PX)[0], legends.ESRI
        try:
            return codes_of_map(first, legend.codes, legend.void)
        except ValueError as error:
            raise file.bad(str(error)) from None


def _own(of_file: Mapping[str, Array], unit: StoredLocation) -> dict[str, Array]:
    """One location's part of arrays of many locations, copied so that the rest of the file can be freed."""
    return {name: Array(np.array(one.values[unit.position]), one.attributes) for name, one in of_file.items()}


def _ordered(file: Zipped, own: Mapping[str, Array], layout: SensorLayout) -> Shaped[ndarray, "t c y x"]:
    """Pixels with the bands in the layout's order."""
    names = [str(name).upper() for name in own["band"].values]
    if sorted(names) != sorted(layout.bands):
        raise file.bad(f"has the bands {', '.join(names)}, not {', '.join(layout.bands)}")
    pixels = own["bands"].values
    _expect(file, "bands", pixels, (DATES, len(names), PX, PX))
    if pixels.dtype.name != layout.dtype:
        raise file.bad(f"has values of type {pixels.dtype}, the other files {layout.dtype}")
    return np.ascontiguousarray(pixels[:, [names.index(band) for band in layout.bands]])


def _header(file: Zipped, own: Mapping[str, Array], edition: Edition) -> Header:
    """Where the pixels lie; coordinates are taken as those of their centres."""
    x, y = own[edition.x].values, own[edition.y].values
    _expect(file, edition.x, x, (PX,))
    _expect(file, edition.y, y, (PX,))
    a, e = float(x[-1] - x[0]) / (PX - 1), float(y[-1] - y[0]) / (PX - 1)
    if not a or not e or not np.isfinite([a, e]).all():
        raise file.bad("has coordinates that are no grid")
    transform = Affine(a, 0, float(x[0]) - a / 2, 0, e, float(y[0]) - e / 2)
    return Header(height=PX, width=PX, crs=f"EPSG:{int(own['crs'].values)}", transform=transform)


def _expect(file: Zipped, name: str, values: Shaped[ndarray, "..."], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise file.bad(f"holds {name} of shape {values.shape}, not {shape}")
