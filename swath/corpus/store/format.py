"""The content of `corpus.json`, and an opened corpus. `docs/corpus-format.md` describes the files."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import tensorstore as ts
from jaxtyping import Bool, Float64, Integer, Shaped
from numpy import ndarray
from pydantic import Field, ValidationError, field_validator, model_validator

from swath._files import file_name, parse_json, read_json, write_whole
from swath.corpus.store import arrays as _arrays
from swath.corpus.store import index as _index
from swath.corpus.store.codes import holds, undeclared
from swath.errors import CorpusError, RecipeError, nearest
from swath.sensors import Sensor, SensorDefinition, SensorName, declare, physical
from swath.settings import Settings, plainly

FORMAT = 2
"""Version of the layout on disk that this code writes. Arrays of version 1 have no checksums, and its
corpus.json has none for the index."""
DEFINING = 3
"""Version of corpora whose corpus.json defines sensors of one's own, which an earlier swath does not know."""
NEWEST = 4
"""Version of corpora whose corpus.json names units of scalar labels, which an earlier swath does not know."""
HASHED_FORMAT = 1
"""Version that enters the content hash. It does not change, so that equal content keeps an equal hash."""


def pixel_type(name: str) -> str:
    """NumPy's own name of a type that counts may be stored in; ValueError for any other."""
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "iuf" or dtype.itemsize > 4:
        raise ValueError(f"{name} is no pixel type: use 8, 16 or 32 bit integers, float16 or float32")
    return dtype.name


class SensorLayout(Settings):
    """How one sensor's counts are stored: bands in order, and how counts become physical values."""

    bands: tuple[str, ...] = Field(min_length=1)
    """Band names in the order of the array's band axis, without the sensor's name."""
    gsd_m: float = Field(gt=0)
    """Ground sampling distance of the stored pixels, in metres."""
    dtype: str
    """NumPy type of the stored counts, such as `uint16`."""
    scale: tuple[float, ...] = ()
    """Scale of each band: physical value = counts * scale + offset. Default 1."""
    offset: tuple[float, ...] = ()
    """Offset of each band. Default 0."""
    decibel: bool = False
    """Whether the scaled counts are a linear power whose physical value is 10 * log10 of it, undefined where it
    is not positive."""
    nodata: float | None = None
    """Count that marks a missing pixel (in any band); None where every count is data. NaN is always missing."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        bands = values.get("bands", ()) if isinstance(values, dict) else None
        if not isinstance(bands, list | tuple):
            return values  # what is wrong is said of the fields
        count = len(bands)
        filled = {"scale": (1.0,) * count, "offset": (0.0,) * count}
        return values | {name: values.get(name) or default for name, default in filled.items()}

    @model_validator(mode="after")
    def _consistent(self) -> "SensorLayout":
        if len({len(self.bands), len(self.scale), len(self.offset)}) != 1:
            raise ValueError(f"{len(self.bands)} bands, {len(self.scale)} scales, {len(self.offset)} offsets")
        if len(set(self.bands)) != len(self.bands):
            raise ValueError(f"a band is listed twice: {', '.join(self.bands)}")
        return self

    @field_validator("dtype")
    @classmethod
    def _plain(cls, dtype: str) -> str:
        return pixel_type(dtype)

    @classmethod
    def of(
        cls,
        sensor: Sensor,
        bands: Sequence[str] | None = None,
        gsd_m: float | int | None = None,
        dtype: str | None = None,
    ) -> "SensorLayout":
        """The layout of some bands (default: all) of a sensor, with the counts as its provider ships them.

        Raises:
            CorpusError: no GSD was given, and the sensor (display imagery) has none of its own.
        """
        bands = tuple(bands or (band.name for band in sensor.bands))
        scalings = [sensor.scaling_of(band) for band in bands]
        native = [gsd for band in bands if (gsd := sensor.band(band).gsd_m) is not None]
        if gsd_m is None and not native:
            raise CorpusError(f"{sensor.name} has no pixel size of its own", remedy="give gsd_m, in metres")
        return cls(
            bands=bands,
            gsd_m=min(native) if gsd_m is None else gsd_m,
            dtype=dtype or sensor.dtype,
            scale=tuple(s.scale for s in scalings),
            offset=tuple(s.offset for s in scalings),
            decibel=any(s.decibel for s in scalings),
            nodata=sensor.nodata,
        )

    @property
    def real(self) -> bool:
        """Whether physical values may be non-finite, as of floating-point counts and decibels they can be."""
        return self.decibel or np.dtype(self.dtype).kind == "f"

    def only(self, bands: Sequence[str]) -> "SensorLayout":
        """The layout of some of its bands, in this order."""
        at = [self.bands.index(band) for band in bands]
        scale, offset = (tuple(numbers[i] for i in at) for numbers in (self.scale, self.offset))
        return self.model_copy(update={"bands": tuple(bands), "scale": scale, "offset": offset})

    def physical(self, counts: Shaped[ndarray, "..."], band: int) -> Float64[ndarray, "..."]:
        """Physical values of counts of the band at that position; not finite where there is none."""
        return physical(counts, self.scale[band], self.offset[band], decibel=self.decibel)

    def usable(self, counts: Shaped[ndarray, "*n c y x"]) -> Bool[ndarray, "*n y x"]:
        """True where every band holds a finite physical value and none is nodata."""
        good = np.isfinite(counts)
        if self.nodata is not None:
            good &= counts != self.nodata
        if self.decibel:
            scale, offset = (np.array(numbers)[:, None, None] for numbers in (self.scale, self.offset))
            good &= physical(counts, scale, offset) > 0
        return np.asarray(good.all(axis=-3))


class LabelLayer(Settings):
    """A map of class codes, one per location."""

    classes: dict[int, str]
    """Name of every code that may occur, apart from `void`."""
    colours: dict[int, str] = Field(default_factory=dict)
    """Colour of a code for pictures, `#rrggbb`."""
    void: int | None = None
    """Code of pixels without a label; None where every pixel has one."""

    @property
    def codes(self) -> tuple[int, ...]:
        """All codes that may occur, `void` included, ascending."""
        return tuple(sorted({*self.classes, *([] if self.void is None else [self.void])}))

    @property
    def labelled(self) -> dict[int, str]:
        """Names of the codes that are a label, ascending: `void` is none, whatever it is called."""
        return {code: self.classes[code] for code in sorted(self.classes) if code != self.void}

    @property
    def dtype(self) -> str:
        """NumPy type of the stored codes: the first of these that holds them all."""
        low, high = min(self.codes, default=0), max(self.codes, default=0)
        kinds = (np.iinfo(kind) for kind in ("uint8", "int32", "int64"))
        return next(kind.dtype.name for kind in kinds if kind.min <= low and high <= kind.max)


class BandStatistics(Settings):
    """Statistics of all valid pixels of one band, in its physical unit."""

    mean: float
    std: float
    """Standard deviation with one degree of freedom removed (n - 1)."""
    min: float
    max: float
    count: int
    """Number of valid pixels."""


class CorpusInfo(Settings):
    """The content of `corpus.json`."""

    format: int = Field(default=FORMAT, ge=1)
    complete: bool = False
    """False while the corpus is being built: committed parts can be read, statistics and hash are missing."""
    chip_px: int = Field(gt=0)
    """Width and height of every chip, in pixels."""
    sensors: dict[str, SensorLayout]
    definitions: dict[SensorName, SensorDefinition] = Field(default_factory=dict)
    """Definitions of those sensors that swath does not ship, so that every machine can read the corpus."""
    labels: dict[str, LabelLayer] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    """Units of numerical scalar labels by column, `1` for numbers without a unit; a column may be missing here."""
    statistics: dict[str, dict[str, BandStatistics]] = Field(default_factory=dict)
    """Statistics by sensor and band, in physical units; a band without a valid pixel has none."""
    provenance: tuple[dict[str, Any], ...] = ()
    """Origin of the pixels: one entry per build that added to the corpus."""
    licences: tuple[str, ...] = ()
    locations: int = 0
    chips: int = 0
    index: dict[str, str] = Field(default_factory=dict)
    """CRC-32C of locations.parquet and chips.parquet of a finished corpus, as hexadecimal numbers."""
    content_hash: str | None = None
    """Hash of everything that a reader sees except provenance; independent of interruptions."""

    digest: str | None = None
    """BLAKE2b of the rest of a finished corpus.json, compared at opening; None in one of an earlier swath."""

    def write(self, folder: Path) -> None:
        """Replace the corpus.json of a corpus."""
        left_out = {"digest", *(name for name in ("definitions", "units") if not getattr(self, name))}
        content = parse_json(self.model_dump_json(exclude=left_out))
        content |= {"format": DEFINING} if self.definitions else {}
        content |= {"format": NEWEST} if self.units else {}
        content |= {"digest": _digest(content)} if self.complete else {}
        write_whole(folder / "corpus.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "CorpusInfo":
        """Read the corpus.json of a corpus.

        Raises:
            CorpusError: there is none, it was written by a newer format, or it is damaged.
        """
        path = folder / "corpus.json"
        if not path.is_file():
            raise CorpusError(
                "no corpus here", where=str(folder), remedy="give the folder that holds corpus.json, or build one"
            )
        try:
            content = read_json(path)
            version = content["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError("corpus.json is damaged", where=str(path), remedy="build the corpus again") from error
        if isinstance(version, int) and version > NEWEST:
            raise CorpusError(
                f"the corpus has format {version}, this swath reads up to {NEWEST}",
                where=str(folder),
                remedy="use a newer swath",
            )
        try:
            info = cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise CorpusError(
                f"corpus.json is damaged: {key}: {plainly(first)}",
                where=str(path),
                remedy="restore the file, or build the corpus again",
            ) from error
        if info.digest is not None and info.digest != _digest(content):
            raise CorpusError(
                "corpus.json is not the file that was written when the corpus was finished: its digest is another",
                where=str(path),
                remedy="restore the file, or build the corpus again; only colours of classes may be edited",
            )
        try:
            declare(info.definitions, str(path))
        except RecipeError as error:
            raise CorpusError(error.what, where=str(path), remedy=error.remedy) from None
        return info


def _digest(content: dict[str, Any]) -> str:
    """Digest of a corpus.json without the digest itself and without colours, which only pictures show."""
    labels = {name: layer | {"colours": {}} for name, layer in content.get("labels", {}).items()}
    rest = {key: value for key, value in content.items() if key != "digest"} | {"labels": labels}
    return hashlib.blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).hexdigest()


class Corpus:
    """An opened corpus: what is needed to choose chips is in memory, the rest stays on disk. Use `Corpus.open`."""

    def __init__(
        self,
        path: Path,
        info: CorpusInfo,
        locations: gpd.GeoDataFrame,
        chips: pd.DataFrame | None = None,
        chip_index: pd.DataFrame | None = None,
    ):
        """At least one of `chips` and `chip_index` is given; chips that are not are read when they are asked for."""
        if chips is not None:
            self.chips = chips
        self.path = path
        self.info = info
        self.locations = locations
        """One row a location, index 0..n-1: uid, geometry (WGS 84 or null), crs, transform, group, split, lon, lat,
        digest, and the scalar labels."""
        self.chip_index = self.chips if chip_index is None else chip_index
        """The columns of `chips` that decide what is read: location, sensor, row, datetime, tag, valid. Of millions of
        chips these are a tenth of all."""

    @cached_property
    def chips(self) -> pd.DataFrame:
        """One row a chip, index 0..n-1: uid, location (row number), sensor, row (in the array), datetime (UTC), tag,
        cloud, valid (share of usable pixels), source, orbit, digest."""
        # rows that were added to the corpus since it was opened are not this object's
        return _index.read_chips(self.path, complete=True).iloc[: len(self.chip_index)]

    @classmethod
    def open(cls, path: Path | str) -> "Corpus":
        """Open a corpus, whole or still being built.

        Raises:
            CorpusError: no corpus there, a newer format, or damaged files: the index is not the one that was finished.
        """
        path = Path(path)
        info = CorpusInfo.read(path)
        if not info.complete:
            return cls(path, info, _index.read_locations(path, complete=False), _index.read_chips(path, complete=False))
        _index.verify(path, info.index)
        corpus = cls(path, info, _index.read_locations(path, complete=True), chip_index=_index.read_chip_index(path))
        for name, said, count in (
            ("locations", info.locations, len(corpus)),
            ("chips", info.chips, len(corpus.chip_index)),
        ):
            if said != count:
                raise CorpusError(
                    f"corpus.json names {said} {name}, the index holds {count}",
                    where=str(path / f"{name}.parquet"),
                    remedy="restore corpus.json and the index of the same build, or build the corpus again",
                )
        return corpus

    @property
    def statistics(self) -> dict[str, dict[str, BandStatistics]]:
        """By sensor and band, over the valid pixels of all locations, in physical units; empty until finished."""
        return self.info.statistics

    @property
    def label_layers(self) -> dict[str, LabelLayer]:
        """Label layers by name."""
        return self.info.labels

    @cached_property
    def content_hash(self) -> str:
        """Hash of what a reader sees; for a corpus still being built, of what is committed."""
        return self.info.content_hash or _index.content_hash(self.info_header(), self.locations, self.chips)

    def chips_of(self, sensor: str) -> pd.DataFrame:
        """Chips of one sensor, with the index of `chips`."""
        return pd.DataFrame(self.chips[self.chips["sensor"] == sensor])

    def info_header(self) -> dict[str, Any]:
        """The part of corpus.json that the content hash covers."""
        said = self.info.model_dump(mode="json", include={"chip_px", "sensors", "labels"})
        own = {name: definition.facts() for name, definition in self.info.definitions.items()}
        more = {"definitions": own, "units": self.info.units}
        return {"format": HASHED_FORMAT, **said, **{name: value for name, value in more.items() if value}}

    def __len__(self) -> int:
        return len(self.locations)

    def __repr__(self) -> str:
        return f"Corpus({str(self.path)!r}, {len(self.locations)} locations, {len(self.chip_index)} chips)"

    def labels(self, layer: str, location_rows: Sequence[int] | Integer[ndarray, " n"]) -> Integer[ndarray, "n y x"]:
        """Class codes of these locations, each of which the layer declares.

        Raises:
            CorpusError: no such layer, a damaged file, or a code that is not declared.
        """
        rows = np.asarray(location_rows, dtype=np.int64)
        codes = self.stored_labels(layer, rows)
        if unknown := undeclared(codes, declared := self.info.labels[layer].codes):
            first = next(row for row, one in zip(rows, codes, strict=True) if undeclared(one, declared))
            raise CorpusError(
                f"the label map {holds(unknown)}",
                where=f"{label_path(self.path, layer)}, location {self.locations['uid'].iloc[first]}",
                remedy="declare the code as a class or as void, and build the corpus again; "
                f"declared: {', '.join(map(str, declared))}",
            )
        return codes

    def stored_labels(
        self, layer: str, location_rows: Sequence[int] | Integer[ndarray, " n"]
    ) -> Integer[ndarray, "n y x"]:
        """Codes of these locations as they are on disk, declared or not: for whoever looks for damage.

        Raises:
            CorpusError: no such layer, or a damaged file.
        """
        rows = np.asarray(location_rows, dtype=np.int64)
        if layer not in self.info.labels:
            raise CorpusError(
                f"no label layer {layer!r}", where=str(self.path), remedy=nearest(layer, self.info.labels)
            )
        if layer not in self._label_arrays:
            self._label_arrays[layer] = self.label_array(layer)
        with self.naming_locations():
            return _arrays.read(self._label_arrays[layer], rows)

    @cached_property
    def _label_arrays(self) -> dict[str, ts.TensorStore]:
        return {}

    def pixel_array(self, sensor: str, threads: int | None = None) -> ts.TensorStore:
        """A sensor's counts "n c y x" on disk; `threads` as in `_arrays.open_array`.

        Raises:
            CorpusError: the array is not there, damaged, or not as corpus.json says.
        """
        layout, px = self.info.sensors[sensor], self.info.chip_px
        return self._array(
            pixel_path(self.path, sensor), "pixels", (len(layout.bands), px, px), layout.dtype, threads=threads
        )

    def valid_array(self, sensor: str, threads: int | None = None, *, sparse: bool = True) -> ts.TensorStore | None:
        """A sensor's validity "n y x" on disk; None where every pixel is valid.

        Args:
            sensor: one of the corpus's.
            threads: as in `_arrays.open_array`.
            sparse: rows that are not there are valid everywhere, as those of the chips before the first that is not.

        Raises:
            CorpusError: as for the counts.
        """
        if not _arrays.exists(path := valid_path(self.path, sensor), "valid"):
            return None
        px = self.info.chip_px
        return self._array(path, "valid", (px, px), "bool", threads=threads, sparse=sparse)

    def label_array(self, layer: str) -> ts.TensorStore:
        """A layer's codes "n y x" on disk.

        Raises:
            CorpusError: as for the counts.
        """
        px = self.info.chip_px
        return self._array(label_path(self.path, layer), "labels", (px, px), self.info.labels[layer].dtype)

    def _array(
        self,
        path: Path,
        name: str,
        row: tuple[int, ...],
        dtype: str,
        *,
        threads: int | None = None,
        sparse: bool = False,
    ) -> ts.TensorStore:
        if not _arrays.exists(path, name):
            raise CorpusError(
                f"the array of {name} is missing", where=str(path), remedy="restore the folder, or build again"
            )
        array = _arrays.open_array(path, name, threads, sparse=sparse)
        shape, kind = tuple(array.shape[1:]), array.dtype.numpy_dtype.name
        if (shape, kind) != (row, dtype):
            raise CorpusError(
                f"the array of {name} holds {kind} of shape {shape}, corpus.json says {dtype} of shape {row}",
                where=str(path),
                remedy="restore corpus.json, or the folder, from the same build",
            )
        return array

    @contextmanager
    def naming_locations(self, sensor: str | None = None) -> Iterator[None]:
        """Complete the error of a damaged row by the id of its location; without a sensor, rows are locations."""
        try:
            yield
        except _arrays.DamagedError as error:
            if error.row is None or (uid := self._uid_of(sensor, error.row)) is None:
                raise
            raise _arrays.damaged(Path(error.where or ""), error.why, error.row, uid) from None

    def _uid_of(self, sensor: str | None, row: int) -> str | None:
        if sensor is None:
            rows = np.array([row])
        else:
            chips = self.chip_index
            rows = chips["location"].to_numpy()[((chips["sensor"] == sensor) & (chips["row"] == row)).to_numpy()]
        return None if not len(rows) or rows[0] >= len(self) else str(self.locations["uid"].iloc[rows[0]])


def pixel_path(corpus: Path, sensor: str) -> Path:
    """Zarr group of a sensor's counts."""
    return corpus / "pixels" / f"{file_name(sensor)}.zarr"


def valid_path(corpus: Path, sensor: str) -> Path:
    """Zarr group of a sensor's validity; absent where every pixel is valid."""
    return corpus / "valid" / f"{file_name(sensor)}.zarr"


def label_path(corpus: Path, layer: str) -> Path:
    """Zarr group of a label layer."""
    return corpus / "labels" / f"{file_name(layer)}.zarr"


def truth_path(corpus: Path, sensor: str) -> Path:
    """Zarr group of the truth about a sensor's chips in a generated world: `truth`, and `clear`, row by row."""
    return corpus / "truth" / f"{file_name(sensor)}.zarr"
