"""From stored counts to images in physical units: one gather per sensor and batch, decoded by threads in C++."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tensorstore as ts
import torch
from jaxtyping import Bool, Float, Int32, Integer, Shaped
from numpy import ndarray
from torch import Tensor

from swath.batch import NO_DAY, Batch, Image
from swath.corpus import _arrays
from swath.corpus._buffers import Buffers
from swath.corpus.format import Corpus, pixel_path, truth_path, valid_path
from swath.corpus.sampler import Sampler, Selection, days
from swath.errors import CorpusError, nearest
from swath.sensors import band_id

BLOCK_BYTES = 2 * 2**20
"""Converted pixels per block: about the size of a core's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """One sensor's arrays and how to turn its counts into physical values."""

    counts: ts.TensorStore
    valid: ts.TensorStore | None
    bands: Integer[ndarray, " c"] | None
    """Positions of the wanted bands in the array; None for all of them in order."""
    scale: Float[Tensor, "c 1 1"] | None
    """None where all are 1."""
    offset: Float[Tensor, "c 1 1"] | None
    """None where all are 0."""
    decibel: bool
    """Whether the scaled counts are a power that becomes decibels."""
    band_ids: Int32[Tensor, "1 c"]
    gsd_m: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, height and width of one chip as read."""
        bands, height, width = self.counts.shape[1:]
        return bands if self.bands is None else len(self.bands), height, width

    def gather(self, rows: Integer[ndarray, " n"]) -> ts.TensorStore:
        """The wanted bands of these rows, still on disk."""
        return self.counts[rows] if self.bands is None else self.counts.oindex[rows, self.bands]


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
        }
        self._rows = corpus.chip_index["row"].to_numpy()
        names = pd.Categorical(corpus.chip_index["sensor"])
        self._sensor = names.codes
        self._code_of = {name: code for code, name in enumerate(names.categories)}
        self._days = np.nan_to_num(np.floor(days(corpus.chip_index)), nan=NO_DAY).astype(np.int32)
        self._all_valid = corpus.chip_index["valid"].to_numpy() == 1
        self._lonlat = corpus.locations[["lon", "lat"]].to_numpy(dtype=np.float64)
        self._uid = corpus.locations["uid"].to_numpy(dtype=object)
        self._buffers = Buffers()
        self._samplers: dict[Selection, Sampler] = {}

    def read(self, chip_rows: Mapping[str, Integer[ndarray, "b t"]]) -> dict[str, Image]:
        """Images by sensor, in physical units; invalid pixels are 0.

        Args:
            chip_rows: by sensor, positions in `corpus.chips`; -1 is a padding date.
        """
        return {sensor: self._read(sensor, np.asarray(positions)) for sensor, positions in chip_rows.items()}

    def batch(
        self, locations: Integer[ndarray, " b"], select: Selection | None = None, labels: Sequence[str] = ()
    ) -> Batch:
        """Read locations.

        Args:
            locations: row numbers in `corpus.locations`.
            select: which dates (default: one). The choice for a location depends on the seed and the location alone.
            labels: label layers to read; they become targets "b h w" (int64).
        """
        locations = np.asarray(locations, dtype=np.int64)
        return self.gather(locations, self.sampler(select or Selection()).choose(locations), labels)

    def gather(
        self, locations: Integer[ndarray, " b"], chip_rows: Mapping[str, Integer[ndarray, "b t"]], labels: Sequence[str]
    ) -> Batch:
        """Read these chips of these locations, with labels."""
        codes = {name: torch.from_numpy(self.corpus.labels(name, locations).astype(np.int64)) for name in labels}
        return Batch(
            images=self.read(chip_rows),
            lonlat=torch.from_numpy(self._lonlat[locations]),
            uid=self._uid[locations].tolist(),
            targets=codes,
        )

    def sampler(self, select: Selection) -> Sampler:
        """The sampler of a selection over this reader's sensors."""
        if select not in self._samplers:
            self._samplers[select] = Sampler(self.corpus, tuple(self.reads), select)
        return self._samplers[select]

    def _read(self, sensor: str, positions: Integer[ndarray, "b t"]) -> Image:
        source = self._sources[sensor]
        flat = positions.reshape(-1)
        there = flat >= 0
        chips = flat[there]
        if (self._sensor[chips] != self._code_of.get(sensor)).any():
            raise CorpusError(f"a chip of another sensor was asked for as {sensor}", where=str(self.corpus.path))
        reading = source.gather(self._rows[chips]).read()
        valid = self._valid(source, chips)
        counts = reading.result()
        pixels = torch.from_numpy(self._buffers.take(counts.shape, "float32"))
        _to_physical(counts, source, pixels)
        _hide_invalid(
            pixels, valid, masked=not self._all_valid[chips].all(), real=source.decibel or counts.dtype.kind == "f"
        )
        days = np.where(there, self._days[flat], NO_DAY).astype(np.int32).reshape(positions.shape)
        return Image(
            pixels=_spread(pixels, there, positions.shape),
            valid=_spread(valid, there, positions.shape),
            days=torch.from_numpy(days),
            band_ids=source.band_ids.repeat(len(positions), 1),
            gsd_m=source.gsd_m,
        )

    def _valid(self, source: "_Source", chips: Integer[ndarray, " n"]) -> Bool[Tensor, "n y x"]:
        """Validity of these chips; only those with invalid pixels are read."""
        valid = torch.from_numpy(self._buffers.take((len(chips), *source.shape[1:]), "bool")).fill_(value=True)
        partly = np.flatnonzero(~self._all_valid[chips])
        if len(partly) and source.valid is not None:
            valid[partly] = torch.from_numpy(source.valid[self._rows[chips[partly]]].read().result())
        return valid


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
    position = [layout.bands.index(band) for band in bands]
    # only clouds are masked in a generated world
    masked = _arrays.exists(path := valid_path(corpus.path, sensor), "valid") and not clear
    counts = (truth_path(corpus.path, sensor), "clear") if clear else (pixel_path(corpus.path, sensor), "pixels")
    return _Source(
        counts=_open(sensor, *counts, threads),
        valid=_arrays.open_array(path, "valid", threads) if masked else None,
        bands=None if position == list(range(len(layout.bands))) else np.array(position),
        scale=_unless([layout.scale[i] for i in position], neutral=1.0),
        offset=_unless([layout.offset[i] for i in position], neutral=0.0),
        decibel=layout.decibel,
        band_ids=torch.tensor([[band_id(f"{sensor}/{band}") for band in bands]], dtype=torch.int32),
        gsd_m=layout.gsd_m,
    )


def _unless(values: Sequence[float], neutral: float) -> Float[Tensor, "c 1 1"] | None:
    """One number a band, or None where they would change nothing."""
    if all(value == neutral for value in values):
        return None
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def _open(sensor: str, path: Path, name: str, threads: int | None) -> ts.TensorStore:
    if not _arrays.exists(path, name):
        raise CorpusError(
            f"the corpus holds no chip of {sensor}", where=str(path), remedy="read other sensors, or restore the array"
        )
    return _arrays.open_array(path, name, threads)


def _to_physical(counts: Shaped[ndarray, "n c y x"], source: _Source, out: Float[Tensor, "n c y x"]) -> None:
    """Fill `out` with physical values, block by block, so that the second pass over a block finds it in the cache."""
    stored = torch.from_numpy(counts)
    step = max(1, BLOCK_BYTES // max(1, out[:1].nbytes))
    for start in range(0, len(out), step):
        block = out[start : start + step].copy_(stored[start : start + step])
        if source.scale is not None:
            block.mul_(source.scale)
        if source.offset is not None:
            block.add_(source.offset)
        if source.decibel:
            block.log10_().mul_(10)


def _hide_invalid(pixels: Float[Tensor, "n c y x"], valid: Bool[Tensor, "n y x"], *, masked: bool, real: bool) -> None:
    """Set invalid pixels to 0; values that are not finite become invalid.

    Args:
        pixels: changed in place.
        valid: changed in place.
        masked: whether anything can be False in `valid`.
        real: whether values may be other than finite: floating-point counts and decibels.
    """
    if real:
        valid &= pixels.isfinite().all(dim=1)
    if masked or real:
        pixels.masked_fill_(~valid[:, None], 0.0)


def _spread(
    values: Shaped[Tensor, "n ..."], there: Bool[ndarray, " m"], shape: tuple[int, ...]
) -> Shaped[Tensor, "..."]:
    """Put what was read where it belongs among the padding dates."""
    if there.all():
        return values.unflatten(0, shape)
    result = values.new_zeros((len(there), *values.shape[1:]))
    result[torch.from_numpy(there)] = values
    return result.unflatten(0, shape)
