"""The part of a corpus that the checks read: some locations, and pixels of them that several kinds of check share."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Integer, Shaped
from numpy import ndarray

from swath import sensors
from swath._progress import track
from swath.corpus.reading import Reader
from swath.corpus.store import Corpus
from swath.corpus.store import arrays as _arrays

BLOCK = 64
"""Chips in memory at a time."""
SPECTRA_CHIPS = 256
"""Chips of a sensor that pixels are drawn from; more where chips are smaller than a few pixels."""
SPECTRA = 20_000
"""Pixels that are drawn of a sensor."""
CLEAR = 0.3
"""Chips with more cloud than this are not drawn from while there are others."""


class StoredChips(NamedTuple):
    """Some chips of one sensor as they are stored."""

    chips: pd.DataFrame
    counts: Shaped[ndarray, "n c y x"]
    valid: Bool[ndarray, "n y x"]


class Sample:
    """Some locations of a corpus, the same for all kinds of check."""

    def __init__(self, corpus: Corpus, locations: int | None = None, seed: int = 0):
        """Draw locations.

        Args:
            corpus: whole or being built.
            locations: how many; None for all.
            seed: of the choice.
        """
        self.corpus, self.seed = corpus, seed
        self._drawn: dict[str, Float[ndarray, "n c"]] = {}
        order = np.random.default_rng(seed).permutation(len(corpus))
        self.locations: Int[ndarray, " n"] = np.sort(order[:locations])
        """Row numbers in `corpus.locations`."""

    @property
    def complete(self) -> bool:
        """Whether every location of the corpus is in the sample."""
        return len(self.locations) == len(self.corpus)

    def chips(self, sensor: str) -> pd.DataFrame:
        """The sample's chips of a sensor; the index is that of `corpus.chips`."""
        chips = self.corpus.chips_of(sensor)
        return chips if self.complete else pd.DataFrame(chips[chips["location"].isin(self.locations.tolist())])

    def blocks(self, sensor: str) -> Iterator[StoredChips]:
        """All of the sample's chips of a sensor as stored, in constant memory, with a progress bar."""
        chips = self.chips(sensor)
        for start in track(range(0, len(chips), BLOCK), None, f"checking {sensor}"):
            block = chips.iloc[start : start + BLOCK]
            yield StoredChips(block, *self.stored(sensor, block["row"].to_numpy()))

    def stored(
        self, sensor: str, rows: Integer[ndarray, " n"]
    ) -> tuple[Shaped[ndarray, "n c y x"], Bool[ndarray, "n y x"]]:
        """Counts and validity of rows of the sensor's arrays."""
        valid = self.corpus.valid_array(sensor)
        with self.corpus.naming_locations(sensor):
            counts = _arrays.read(self.corpus.pixel_array(sensor), rows)
            return counts, np.ones(counts[:, 0].shape, bool) if valid is None else _arrays.read(valid, rows)

    @cached_property
    def reader(self) -> Reader:
        """Reads all bands of all sensors that have a chip, in physical units."""
        present = {sensor: layout for sensor, layout in self.corpus.info.sensors.items() if len(self.chips(sensor))}
        return Reader(self.corpus, {sensor: layout.bands for sensor, layout in present.items()})

    def clearest(self, sensor: str, dates: int) -> dict[int, Int[ndarray, " _"]]:
        """By location: the positions of up to so many chips, the clearest ones, in order of time."""
        chips = self.chips(sensor)
        chips = pd.DataFrame(chips[chips["valid"] > 0])
        ranked = chips.assign(cloud=np.nan_to_num(chips["cloud"]), usable=-chips["valid"])
        ranked = ranked.sort_values(["location", "usable", "cloud"], kind="stable")
        best = ranked.groupby("location").head(dates).sort_values(["location", "datetime"], kind="stable")
        positions, location = best.index.to_numpy(), best["location"].to_numpy()
        starts = np.flatnonzero(np.diff(location, prepend=-1))
        return dict(zip(location[starts].tolist(), np.split(positions, starts[1:]), strict=True)) if len(best) else {}

    def spectra(self, sensor: str) -> Float[ndarray, "n c"]:
        """Physical values of random valid pixels, in all bands; none where no chip has any."""
        if sensor not in self._drawn:
            self._drawn[sensor] = self._draw(sensor)
        return self._drawn[sensor]

    def _draw(self, sensor: str) -> Float[ndarray, "n c"]:
        chips = self.chips(sensor)
        chips = pd.DataFrame(chips[chips["valid"] > 0])
        clear = pd.DataFrame(chips[~(chips["cloud"] > CLEAR)])
        chips = (clear if len(clear) else chips).sample(frac=1, random_state=self.seed)
        chips = chips.head(max(SPECTRA_CHIPS, SPECTRA // self.corpus.info.chip_px**2))
        rng, drawn = np.random.default_rng(self.seed), []
        for start in range(0, len(chips), BLOCK):
            positions = chips.index.to_numpy()[start : start + BLOCK]
            image = self.reader.read({sensor: positions[:, None]})[sensor]
            pixels, valid = image.pixels[:, 0].movedim(1, -1).numpy(), image.valid[:, 0].numpy()
            for one, good in zip(pixels, valid, strict=True):
                values = one[good]
                drawn.append(values[rng.permutation(len(values))[: 1 + SPECTRA // len(chips)]])
        bands = len(self.corpus.info.sensors[sensor].bands)
        return np.concatenate(drawn).astype(np.float64) if drawn else np.zeros((0, bands))

    def unit(self, sensor: str) -> list[str]:
        """Physical unit of each of the sensor's stored bands."""
        return [sensors.band(f"{sensor}/{band}").unit for band in self.corpus.info.sensors[sensor].bands]
