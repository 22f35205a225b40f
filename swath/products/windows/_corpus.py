"""Corpora: the chips of a location as rasters, and locations that lie side by side as one mosaic."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from swath._progress import console
from swath.corpus import Corpus, Reader, Selection, SensorLayout
from swath.corpus.reading import PADDING
from swath.corpus.sources.folder import Pixels
from swath.errors import CorpusError
from swath.products.windows._zone import LATTICE, PIXEL_SIZE, Zone, zones


@dataclass(frozen=True, slots=True)
class CorpusChip:
    """One chip of a corpus as a raster."""

    corpus: Path
    written_ns: int
    """When its index was written, so that a reader of an earlier state is not asked."""
    position: int
    """Position in the corpus's chips."""
    name: str
    sensor: str
    bands: tuple[str, ...]
    date: dt.datetime | None
    crs: str
    transform: Affine
    height: int
    width: int
    gsd_m: float
    layout: SensorLayout

    @property
    def masks_clouds(self) -> bool:
        """The corpus says which pixels are valid; clouds are what they were to whoever learnt from it."""
        return True

    def read(self, row: int, column: int, height: int, width: int) -> Pixels:
        """A window as it is stored."""
        reader = _reader(self.corpus, self.written_ns, self.sensor, self.bands)
        counts = reader.counts({self.sensor: np.array([[self.position]])})[self.sensor]
        where = slice(row, row + height), slice(column, column + width)
        return Pixels(counts.stored[0, 0].numpy()[:, *where], counts.validity()[0, 0].numpy()[where])


@lru_cache(8)
def _reader(corpus: Path, written_ns: int, sensor: str, bands: tuple[str, ...]) -> Reader:  # noqa: ARG001 — a key
    return Reader(Corpus.open(corpus), {sensor: bands})


def corpus_zones(path: Path, bands: Mapping[str, tuple[str, ...]], date: dt.date | None, *, series: bool) -> list[Zone]:
    """The locations of a corpus: those that lie side by side on one lattice as a mosaic, each of the others by itself.

    Args:
        path: folder of the corpus.
        bands: names of the bands of each sensor.
        date: the only day to use.
        series: all dates of a location; else the one that `swath.embed` takes, or the first chip of the day.

    Returns:
        Zones, each called by the id of its first location.

    Raises:
        CorpusError: it lacks a sensor or band, or no location has a chip of every sensor and a reference system.
    """
    corpus = Corpus.open(path.resolve())
    chips = _chosen(corpus, bands, date, series=series)
    placed = [row for row in chips if isinstance(corpus.locations["crs"].iloc[row], str)]
    lacking = f"lack a chip of {', '.join(bands)}" + ("" if date is None else f" of {date}")
    for count, why in (
        (len(corpus) - len(chips), lacking),
        (len(chips) - len(placed), "have no reference system"),
    ):
        if count:
            console().print(f"{count:,} of {len(corpus):,} locations are left out: they {why}", soft_wrap=True)
    if chips and not placed:
        raise CorpusError(
            "no location of it has a reference system, so nobody knows where its map would lie",
            where=str(path),
            remedy="make the corpus of georeferenced images; a table needs no places: swath embed ENCODER CORPUS --to "
            "embeddings.parquet",
        )
    if not placed:
        raise CorpusError(
            "no location of it can be mapped", where=str(path), remedy="swath corpus info says what is there"
        )
    return [_zone(corpus, rows, bands, chips, series=series) for rows in _side_by_side(corpus, placed)]


def _chosen(
    corpus: Corpus, bands: Mapping[str, tuple[str, ...]], date: dt.date | None, *, series: bool
) -> dict[int, dict[str, list[int]]]:
    """By row of a location, positions of the chips of each sensor; locations that lack a sensor are not there."""
    sampler = Reader(corpus, bands).sampler(Selection(dates="all" if series or date else 1))
    rows = sampler.complete(np.arange(len(corpus)))
    day = corpus.chip_index["datetime"].dt.date.to_numpy()
    most = None if series else 1
    found = {}
    for row, *own in zip(rows.tolist(), *sampler.choose(rows).values(), strict=True):
        kept = [[k for k in chips.tolist() if k != PADDING and date in {None, day[k]}][:most] for chips in own]
        if all(kept):
            found[row] = dict(zip(bands, kept, strict=True))
    return found


def _zone(
    corpus: Corpus,
    rows: list[int],
    bands: Mapping[str, tuple[str, ...]],
    chips: Mapping[int, Mapping[str, list[int]]],
    *,
    series: bool,
) -> Zone:
    rasters = (
        _raster(corpus, row, k, sensor, bands[sensor])
        for row in rows
        for sensor, own in chips[row].items()
        for k in own
    )
    (zone,) = zones(rasters, series=series)
    return replace(zone, name=str(corpus.locations["uid"].iloc[rows[0]]))


def _raster(corpus: Corpus, row: int, position: int, sensor: str, bands: tuple[str, ...]) -> CorpusChip:
    layout = corpus.info.sensors[sensor]
    location, when, px = corpus.locations.iloc[row], corpus.chip_index["datetime"].iloc[position], corpus.info.chip_px
    date = None if pd.isna(when) else when.to_pydatetime()
    return CorpusChip(
        corpus=corpus.path,
        written_ns=(corpus.path / "corpus.json").stat().st_mtime_ns,
        position=position,
        name=f"{location['uid']}" + ("" if date is None else f" of {date:%Y-%m-%d}"),
        sensor=sensor,
        bands=bands,
        date=date,
        crs=location["crs"],
        transform=Affine(*location["transform"]),
        height=px,
        width=px,
        gsd_m=layout.gsd_m,
        layout=layout.only(bands),
    )


def _side_by_side(corpus: Corpus, rows: list[int]) -> list[list[int]]:
    """Rows of locations in groups of those that touch on one lattice; what has one footprint stays apart."""
    own = corpus.locations.iloc[rows]
    dx, _, x, _, dy, y = np.stack([np.asarray(one, np.float64)[:6] for one in own["transform"]]).T
    px = corpus.info.chip_px
    boxes = shapely.box(np.minimum(x, x + px * dx), np.minimum(y, y + px * dy),
                        np.maximum(x, x + px * dx), np.maximum(y, y + px * dy))  # fmt: skip
    # whoever touches a box that is a little larger touches it to rounding
    one, other = shapely.STRtree(boxes).query(shapely.buffer(boxes, LATTICE * np.abs(dx)), predicate="intersects")
    columns, lines = (x[other] - x[one]) / dx[one], (y[other] - y[one]) / dy[one]
    on_lattice = np.maximum(np.abs(columns - columns.round()), np.abs(lines - lines.round())) <= LATTICE
    same_size = np.maximum(np.abs(dx[other] / dx[one] - 1), np.abs(dy[other] / dy[one] - 1)) <= PIXEL_SIZE
    crs = own["crs"].to_numpy()
    joined = (crs[one] == crs[other]) & on_lattice & same_size
    twice = joined & (one != other) & (np.maximum(np.abs(columns), np.abs(lines)) < 0.5)
    pairs = np.ones(joined.sum(), bool), (one[joined], other[joined])
    _, group = connected_components(coo_array(pairs, (len(rows), len(rows))), directed=False)
    apart = np.isin(group, group[one[twice]])
    group[apart] = group.max() + 1 + np.arange(apart.sum())
    found: dict[int, list[int]] = {}
    for row, number in zip(rows, group.tolist(), strict=True):
        found.setdefault(number, []).append(row)
    return list(found.values())
