"""Pictures of an index's locations, from the corpus that it was made of."""

from functools import cached_property
from threading import Lock

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from swath.corpus import Corpus, Reader
from swath.errors import CorpusError
from swath.products.draw import pictures, style
from swath.products.search import Index, chip_of


class Pictures:
    """The chips of a corpus as PNG, one at a time.

    Attributes:
        corpus: whose chips they are.
    """

    def __init__(self, corpus: Corpus, index: Index):
        """Say whose; nothing is read yet."""
        self.corpus, self._index = corpus, index
        self._readers: dict[str, Reader] = {}
        self._lock = Lock()

    def chips_of(self, uid: str) -> list[tuple[int, str, pd.Timestamp]]:
        """All chips of a location, by sensor and date: row in `Corpus.chips`, sensor, and date, NaT where unknown."""
        rows = self._rows.get(uid, np.empty(0, np.int64))
        chips = self.corpus.chips.iloc[rows].assign(chip=rows).sort_values(["sensor", "datetime"], kind="stable")
        return list(zip(chips["chip"].tolist(), chips["sensor"].astype(str), chips["datetime"], strict=True))

    def chip_of(self, row: int) -> int:
        """The chip that shows a row of the index.

        Raises:
            CorpusError: there is none.
        """
        said = self._index.table.iloc[row].to_dict()
        return chip_of(self.corpus, str(said["sensor"]).partition("+")[0], said)

    def png(self, chip: int) -> bytes:
        """A chip, by its row in `Corpus.chips`, as a picture.

        Raises:
            CorpusError: there is no such chip.
        """
        if not 0 <= chip < len(self.corpus.chips):
            raise CorpusError(f"the corpus has no chip {chip}", where=str(self.corpus.path))
        sensor = str(self.corpus.chips["sensor"].iloc[chip])
        with self._lock:
            image = self._reader(sensor).read({sensor: np.array([[chip]])})[sensor]
        pixels, valid = image.pixels[0, 0].numpy(), image.valid[0, 0].numpy()
        return style.picture(pictures.stretch(sensor, pixels, valid))

    def _reader(self, sensor: str) -> Reader:
        if sensor not in self._readers:
            bands = pictures.shown_bands(sensor, self.corpus.info.sensors[sensor].bands)
            self._readers[sensor] = Reader(self.corpus, {sensor: bands})
        return self._readers[sensor]

    @cached_property
    def _rows(self) -> dict[str, Int[ndarray, " m"]]:
        """Rows of the chips by location."""
        rows = self.corpus.chips.groupby("uid", sort=False, observed=True).indices
        return {str(uid): own for uid, own in rows.items()}
