"""From stored counts to images in physical units: a batch in a few large gathers, decoded by threads in C++."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import tensorstore as ts
import torch
from jaxtyping import Bool, Float, Float64, Int32, Integer, Shaped
from numpy import ndarray
from torch import Tensor

from swath._device import CPU, room_to_send, send
from swath._threads import each
from swath.batch import NO_DAY, Batch, Calibration, Counts, Image
from swath.corpus import store
from swath.corpus.reading._buffers import Buffers
from swath.corpus.reading._kept import KeptArray, is_small
from swath.corpus.reading._plain import PlainArray, stretches
from swath.corpus.reading.sampler import Sampler, Selection, days
from swath.corpus.store import Corpus, pixel_path, truth_path, valid_path
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError, nearest
from swath.sensors import LOCATION, band_id

BLOCK_BYTES = 2 * 2**20
"""Bytes of converted pixels per block: about the size of a core's cache."""
PIECE_BYTES = 24 * 2**20
"""Bytes of counts that are decoded at a time: the system maps larger memory anew each time, a page fault per 4 KiB."""

GATHERING = 4
"""Largest number of threads that gather: beside a training on an H200, one, two and four took equally long."""
ReadRows = Callable[[ndarray, ndarray | None], ndarray]
"""A function from row numbers, and positions of bands or None for all, to these rows."""
FEWEST = 8
"""Least number of chips per gathering thread."""
TRAVELLING = {
    np.dtype(name): getattr(torch, name)
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32")
}
"""Types of counts that every device can convert to float32."""


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """One sensor's arrays, and what is needed to turn its counts into physical values."""

    counts: ts.TensorStore
    plain: PlainArray | None
    """The array of counts, where its rows are stored uncompressed and are not kept; else None."""
    read: ReadRows
    """Reads rows of counts."""
    read_valid: ReadRows | None
    """Reads rows of validity; None where all pixels are valid."""
    bands: Integer[ndarray, " c"] | None
    """Positions of the wanted bands in the array; None for all bands in order."""
    calibration: Calibration
    band_ids: Int32[Tensor, "1 c"]
    gsd_m: float

    @property
    def dtype(self) -> np.dtype:
        """Type of the stored counts."""
        return self.counts.dtype.numpy_dtype

    @property
    def ids(self) -> tuple[int, ...]:
        """Rows of the global band table for the wanted bands, in order."""
        return tuple(self.band_ids[0].tolist())

    @property
    def real(self) -> bool:
        """Whether decoded values may be non-finite, as floating-point counts and decibels can be."""
        return self.calibration.decibel or self.dtype.kind == "f"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, height and width of one chip as read."""
        bands, height, width = self.counts.shape[1:]
        return bands if self.bands is None else len(self.bands), height, width

    @property
    def per_block(self) -> int:
        """Number of chips per block of converted pixels."""
        return max(1, BLOCK_BYTES // max(1, 4 * int(np.prod(self.shape))))


@dataclass(frozen=True, slots=True, eq=False)
class _Coordinates:
    """Makes images of where locations lie: nothing of them is stored but the coordinates."""

    columns: Integer[ndarray, " c"]
    """Which of longitude and latitude are wanted, in order."""
    ids: tuple[int, ...]

    @classmethod
    def of(cls, bands: Sequence[str]) -> "_Coordinates":
        """Longitude, latitude or both by their bands' names; RecipeError if there is no such band."""
        ids = tuple(band_id(f"{LOCATION}/{band}") for band in bands)
        return cls(np.array([("lon", "lat").index(band) for band in bands]), ids)

    def image(self, lonlat: Float[ndarray, "b 2"]) -> Image:
        """One pixel of one date a location, invalid where its coordinates are unknown."""
        known = np.asarray(np.isfinite(lonlat).all(axis=1))
        degrees = np.where(known[:, None], lonlat, 0.0)[:, self.columns].astype(np.float32)
        return Image(
            pixels=torch.from_numpy(degrees)[:, None, :, None, None],
            valid=torch.from_numpy(known)[:, None, None, None],
            days=torch.full((len(lonlat), 1), NO_DAY, dtype=torch.int32),
            band_ids=torch.tensor([self.ids] * len(lonlat), dtype=torch.int32).view(len(lonlat), len(self.ids)),
            gsd_m=1.0,
            common_ids=self.ids,
        )


class Reader:
    """Reads chips of a corpus as images. Safe to use from several threads."""

    def __init__(
        self,
        corpus: Corpus,
        reads: Mapping[str, Sequence[str]],
        threads: int | None = None,
        *,
        clear: Collection[str] = (),
    ):
        """Open the arrays of these sensors.

        Args:
            corpus: whole or being built.
            reads: band names by sensor, in the order wanted; the first sensor leads in the choice of dates.
            threads: cores to decode with; default all.
            clear: sensors of a generated world whose chips are read as they would be under a clear sky.

        Raises:
            CorpusError: the corpus lacks a sensor or band.
        """
        self.corpus = corpus
        self.reads = {sensor: tuple(bands) for sensor, bands in reads.items()}
        self._sources = {
            sensor: _source(corpus, sensor, bands, threads, clear=sensor in clear)
            for sensor, bands in self.reads.items()
            if sensor != LOCATION
        }
        self._coordinates = _Coordinates.of(self.reads[LOCATION]) if LOCATION in self.reads else None
        self._rows = corpus.chip_index["row"].to_numpy()
        names = pd.Categorical(corpus.chip_index["sensor"])
        self._sensor = names.codes
        self._code_of = {name: code for code, name in enumerate(names.categories)}
        self._days = np.nan_to_num(np.floor(days(corpus.chip_index)), nan=NO_DAY).astype(np.int32)
        self._all_valid = corpus.chip_index["valid"].to_numpy() == 1
        self._lonlat = corpus.locations[["lon", "lat"]].to_numpy(dtype=np.float64)
        self._uid = corpus.locations["uid"].to_numpy(dtype=object)
        self._buffers = Buffers()
        self._threads = threads or torch.get_num_threads()
        self._samplers: dict[Selection, Sampler] = {}
        self._columns: dict[str, Float64[ndarray, " n"]] = {}

    def read(
        self, chip_rows: Mapping[str, Integer[ndarray, "b t"]], device: torch.device | str = CPU
    ) -> dict[str, Image]:
        """Images by sensor, in physical units; invalid pixels are 0.

        Args:
            chip_rows: by sensor, positions in `corpus.chips`; -1 is a padding date.
            device: where the images shall be. Counts travel to another device than the CPU, and are decoded there.
        """
        device = torch.device(device)
        if device.type == "cpu":
            return {sensor: self._read(sensor, np.asarray(positions)) for sensor, positions in chip_rows.items()}
        return {sensor: counts.to(device).decode() for sensor, counts in self.counts(chip_rows, device).items()}

    def counts(
        self, chip_rows: Mapping[str, Integer[ndarray, "b t"]], device: torch.device | str = CPU
    ) -> dict[str, Counts]:
        """Read the same chips as `read` does, as stored counts; their `decode` makes the images, on whatever device
        they are.

        Args:
            chip_rows: by sensor, positions in `corpus.chips`; -1 is a padding date.
            device: where they will be sent; they are read into memory from where that is fast.

        Raises:
            CorpusError: counts of a type that devices do not know.
        """
        device = torch.device(device)
        return {sensor: self._gather(sensor, np.asarray(positions), device) for sensor, positions in chip_rows.items()}

    def batch(
        self,
        locations: Integer[ndarray, " b"],
        select: Selection | None = None,
        labels: Sequence[str] = (),
        device: torch.device | str = CPU,
    ) -> Batch:
        """Fetch the chips of locations, as counts or images of their sensors, and their labels.

        Args:
            locations: row numbers in `corpus.locations`.
            select: which dates (default: one). The choice for a location depends on the seed and the location alone.
            labels: what becomes the batch's targets; see `about`.
            device: where the batch shall be; see `read`.
        """
        locations = np.asarray(locations, dtype=np.int64)
        chip_rows = self.sampler(select or Selection()).choose(locations)
        return self.about(locations, self.read(chip_rows, device), labels, device)

    def about(
        self,
        locations: Integer[ndarray, " b"],
        images: dict[str, Image],
        labels: Sequence[str] = (),
        device: torch.device | str = CPU,
    ) -> Batch:
        """A batch of these locations' images, with positions, ids and labels.

        Args:
            locations: row numbers in `corpus.locations`.
            images: of these locations, by sensor.
            labels: label layers, which become targets "b h w" of codes (int64); and columns of the locations, which
                become targets "b" (float64, NaN where there is none): of texts their positions in `texts`.
            device: where the labels shall be.
        """
        device = torch.device(device)
        if self._coordinates is not None:
            images = images | {LOCATION: self._coordinates.image(self._lonlat[locations]).to(device)}
        codes = {name: send(self._label(name, locations), device) for name in labels}
        return Batch(
            images=images,
            lonlat=send(torch.from_numpy(self._lonlat[locations]), device),
            uid=self._uid[locations].tolist(),
            targets=codes,
        )

    def _label(self, name: str, locations: Integer[ndarray, " b"]) -> Shaped[Tensor, "b *n"]:
        if name in self.corpus.label_layers:
            return torch.from_numpy(self.corpus.labels(name, locations)).long()
        if name not in self._columns:
            self._columns[name] = column_values(self.corpus, name)
        return torch.from_numpy(self._columns[name][locations])

    def sampler(self, select: Selection) -> Sampler:
        """The sampler of a selection over this reader's sensors."""
        if select not in self._samplers:
            self._samplers[select] = Sampler(self.corpus, tuple(self._sources), select)
        return self._samplers[select]

    def complete(self, locations: Integer[ndarray, " n"], select: Selection) -> Integer[ndarray, " m"]:
        """The locations among these that have an eligible chip of every sensor; and are located, where that is read."""
        return self.located(self.sampler(select).complete(locations))

    def located(self, locations: Integer[ndarray, " n"]) -> Integer[ndarray, " m"]:
        """The locations among these that have coordinates; all of them where none are read."""
        return locations if self._coordinates is None else locations[np.isfinite(self._lonlat[locations]).all(axis=1)]

    def _read(self, sensor: str, positions: Integer[ndarray, "b t"]) -> Image:
        source, flat = self._sources[sensor], positions.reshape(-1)
        filled, chips = self._there(sensor, flat)
        with self.corpus.naming_locations(sensor):
            valid = self._valid(source, flat)
        pixels = torch.from_numpy(self._buffers.take((len(flat), *source.shape), "float32"))
        pixels.numpy()[flat < 0] = 0.0
        masked = not self._all_valid[chips].all()
        with self.corpus.naming_locations(sensor):
            for part, counts in self._counts(source, self._rows[chips]):
                _to_physical(counts, source, filled[part], pixels, valid, masked=masked)
        return Image(
            pixels=pixels.unflatten(0, positions.shape),
            valid=valid.unflatten(0, positions.shape),
            days=self._days_of(positions),
            band_ids=source.band_ids.repeat(len(positions), 1),
            gsd_m=source.gsd_m,
            common_ids=source.ids,
        )

    def _gather(self, sensor: str, positions: Integer[ndarray, "b t"], device: torch.device) -> Counts:
        source, flat = self._sources[sensor], positions.reshape(-1)
        filled, chips = self._there(sensor, flat)
        stored = room_to_send((len(flat), *source.shape), _travelling(source.dtype, sensor), device)
        known = None
        with self.corpus.naming_locations(sensor):
            self._fill(source, self._rows[chips], filled, stored.numpy())
            if len(filled) < len(flat) or not self._all_valid[chips].all():
                known = torch.from_numpy(np.packbits(self._valid(source, flat).flatten(1).numpy(), axis=1))
        return Counts(
            stored=stored.unflatten(0, positions.shape),
            known=None if known is None else known.unflatten(0, positions.shape),
            days=self._days_of(positions),
            band_ids=source.band_ids.repeat(len(positions), 1),
            gsd_m=source.gsd_m,
            calibration=source.calibration,
            common_ids=source.ids,
        )

    def _fill(
        self,
        source: _Source,
        rows: Integer[ndarray, " n"],
        place: Integer[ndarray, " n"],
        stored: Shaped[ndarray, "m c y x"],
    ) -> None:
        """Copy the counts of these rows to their positions, on several threads; rows of one file are read together."""
        order = np.argsort(rows, kind="stable")
        shares = np.array_split(order, max(1, min(self._threads, GATHERING, len(order) // FEWEST)))

        def fill(share: Integer[ndarray, " k"]) -> None:
            if source.plain is not None:
                source.plain.gather(rows[share], source.bands, place[share], stored)
                return
            for part, counts in self._counts(source, rows[share]):
                stored[place[share[part]]] = counts

        each(fill, shares)

    def _there(
        self, sensor: str, flat: Integer[ndarray, " m"]
    ) -> tuple[Integer[ndarray, " n"], Integer[ndarray, " n"]]:
        """Positions that are no padding, and the chips there; CorpusError if one is another sensor's."""
        filled = np.flatnonzero(flat >= 0)
        chips = flat[filled]
        if (self._sensor[chips] != self._code_of.get(sensor)).any():
            raise CorpusError(f"a chip of another sensor was asked for as {sensor}", where=str(self.corpus.path))
        return filled, chips

    def _days_of(self, positions: Integer[ndarray, "b t"]) -> Int32[Tensor, "b t"]:
        return torch.from_numpy(np.where(positions >= 0, self._days[positions], NO_DAY).astype(np.int32))

    def _counts(self, source: _Source, rows: Integer[ndarray, " n"]) -> Iterator[tuple[slice, Shaped[ndarray, "..."]]]:
        """Yield the counts of these rows piece by piece; each piece has to be used before the next is asked for."""
        if source.plain is not None:
            yield from source.plain.pieces(rows, source.bands, source.per_block)
            return
        step = max(1, PIECE_BYTES // max(1, source.dtype.itemsize * int(np.prod(source.shape))))
        for start in range(0, len(rows), step):
            part = slice(start, min(start + step, len(rows)))
            yield part, source.read(rows[part], source.bands)

    def _valid(self, source: _Source, flat: Integer[ndarray, " m"]) -> Bool[Tensor, "m y x"]:
        """Validity of these chips, False for padding (-1); only masks of chips with invalid pixels are read."""
        valid = torch.from_numpy(self._buffers.take((len(flat), *source.shape[1:]), "bool")).fill_(value=True)
        valid.numpy()[flat < 0] = False
        partly = np.flatnonzero((flat >= 0) & ~self._all_valid[flat])
        if len(partly) and source.read_valid is not None:
            valid[partly] = torch.from_numpy(source.read_valid(self._rows[flat[partly]], None))
        return valid


def texts(corpus: Corpus, column: str) -> list[str]:
    """The different texts of a column of the locations, sorted; none where it holds numbers.

    Raises:
        CorpusError: there is no such column, or it holds neither.
    """
    table = corpus.locations
    if column not in table or column in store.index.LOCATION_COLUMNS or column == "geometry":
        known = [name for name in table if name not in (*store.index.LOCATION_COLUMNS, "geometry")]
        remedy = nearest(column, known) if known else "the corpus has neither label layers nor columns of its own"
        raise CorpusError(f"the corpus has no label {column!r}", where=str(corpus.path), remedy=remedy)
    held = table[column].dropna()
    if pd.api.types.is_numeric_dtype(held):
        return []
    if not all(isinstance(value, str) for value in held):
        raise CorpusError(
            f"column {column!r} holds neither numbers nor texts", where=str(corpus.path), remedy="choose another one"
        )
    return sorted(held.unique())


def column_values(corpus: Corpus, column: str) -> Float64[ndarray, " n"]:
    """A column of all locations as numbers: of texts their positions in `texts`; NaN where there is none.

    Raises:
        CorpusError: there is no such column, or it holds neither numbers nor texts.
    """
    known, held = texts(corpus, column), corpus.locations[column]
    if not known:
        return held.to_numpy(dtype=np.float64, na_value=np.nan)
    codes = pd.Categorical(held, categories=known).codes.astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _source(corpus: Corpus, sensor: str, bands: Sequence[str], threads: int | None, *, clear: bool) -> _Source:
    layout = corpus.info.sensors.get(sensor)
    if layout is None:
        known = corpus.info.sensors
        raise CorpusError(f"the corpus has no sensor {sensor!r}", where=str(corpus.path), remedy=nearest(sensor, known))
    for band in bands:
        if band not in layout.bands:
            raise CorpusError(
                f"the corpus has no band {sensor}/{band}", where=str(corpus.path), remedy=nearest(band, layout.bands)
            )
    position, own = [layout.bands.index(band) for band in bands], layout.only(bands)
    # only clouds are masked in a generated world
    valid = None if clear else _validity(corpus, sensor, threads)
    path, name = (truth_path(corpus.path, sensor), "clear") if clear else (pixel_path(corpus.path, sensor), "pixels")
    if not _arrays.exists(path, name):
        raise CorpusError(
            f"the corpus holds no chip of {sensor}", where=str(path), remedy="read other sensors, or restore the array"
        )
    array = _arrays.open_array(path, name, threads) if clear else corpus.pixel_array(sensor, threads)
    return _Source(
        counts=array,
        plain=None if is_small(array) else PlainArray.of(array),
        read=_reading(array),
        read_valid=None if valid is None else _reading(valid),
        bands=None if position == list(range(len(layout.bands))) else np.array(position),
        calibration=Calibration.of(own.scale, own.offset, decibel=own.decibel),
        band_ids=torch.tensor([[band_id(f"{sensor}/{band}") for band in bands]], dtype=torch.int32),
        gsd_m=layout.gsd_m,
    )


def _reading(array: ts.TensorStore) -> ReadRows:
    return KeptArray.of(array).read if is_small(array) else partial(_arrays.read, array)


def _validity(corpus: Corpus, sensor: str, threads: int | None) -> ts.TensorStore | None:
    array = corpus.valid_array(sensor, threads, sparse=False)
    own = (corpus.chip_index["sensor"] == sensor).to_numpy()
    if array is None and (corpus.chip_index["valid"].to_numpy()[own] < 1).any():
        raise CorpusError(
            f"chips of {sensor} have invalid pixels, but the array that says which is missing",
            where=str(valid_path(corpus.path, sensor)),
            remedy="restore the folder, or build the corpus again",
        )
    return array


def _travelling(dtype: np.dtype, sensor: str) -> torch.dtype:
    if dtype not in TRAVELLING:
        raise CorpusError(
            f"counts of type {dtype} cannot be decoded on a GPU",
            where=f"the stored array of {sensor}",
            remedy=f"store them as one of {', '.join(map(str, TRAVELLING))}, or train on the CPU",
        )
    return TRAVELLING[dtype]


def _to_physical(
    counts: Shaped[ndarray, "n c y x"],
    source: _Source,
    place: Integer[ndarray, " n"],
    pixels: Float[Tensor, "m c y x"],
    valid: Bool[Tensor, "m y x"],
    *,
    masked: bool,
) -> None:
    """Put counts as physical values where they belong; invalid pixels become 0, those not finite invalid.

    Block by block, so that every pass over a block but the first finds it in the cache.

    Args:
        counts: as stored.
        source: says what they mean.
        place: where each chip belongs, ascending.
        pixels: changed in place.
        valid: changed in place.
        masked: whether anything can be False in `valid`.
    """
    stored = torch.from_numpy(counts)
    stretches = list(_stretches(place, source.per_block))
    if len(stretches) > 1 and len(counts) <= source.per_block:
        # many short stretches, as of series of pixels with gaps: converted together, then put where they belong
        block, known = stored.float(), valid[place]
        _convert(block, known, source, masked=masked)
        pixels[place], valid[place] = block, known
        return
    for taken, put in stretches:
        _convert(pixels[put].copy_(stored[taken]), valid[put], source, masked=masked)


def _convert(block: Float[Tensor, "n c y x"], valid: Bool[Tensor, "n y x"], source: _Source, *, masked: bool) -> None:
    """Turn counts, as float32, into physical values in place; invalid pixels become 0, those not finite invalid."""
    source.calibration.apply(block)
    # one number tells that all are finite; that it is not, they may still be
    doubtful = source.real and not block.sum().isfinite()
    if doubtful:
        valid &= block.isfinite().all(dim=1)
    if masked or doubtful:
        block.masked_fill_(~valid[:, None], 0.0)


def _stretches(place: Integer[ndarray, " n"], most: int) -> Iterator[tuple[slice, slice]]:
    """Runs of consecutive positions, of limited length: slices of where they come from and where they go."""
    for first, end in stretches(place, 1):
        for start in range(first, end, most):
            count = min(most, end - start)
            yield slice(start, start + count), slice(int(place[start]), int(place[start]) + count)
