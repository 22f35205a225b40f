"""Which rows an index has, in which order they stand, and which chips each is made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import torch
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from swath.batch import Image
from swath.corpus import Corpus, Selection
from swath.corpus.reading import PADDING
from swath.errors import CorpusError
from swath.sensors import LOCATION
from swath.tasks.data import BandReader, Bands

Dates = Literal["one", "each", "series"]
"""What a row is: one date of a location, each of its dates in a row of its own, or all of them as a series."""
BLOCK = 4096
"""Locations whose chips are chosen at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rows of an index before anything is embedded, along a Hilbert curve."""

    reader: BandReader
    dates: Dates
    table: gpd.GeoDataFrame
    """One row each: uid, sensor, date (UTC; the leading sensor's, of a series the first), last_date (of a series), chip
    (else; row of `corpus.chips`, of the leading sensor), valid (share of usable pixels), geometry (WGS 84, null where
    unknown)."""
    locations: Int[ndarray, " n"]
    """Row of each in `corpus.locations`."""
    chips: dict[str, Int[ndarray, "n 1"]] | None
    """By sensor, positions in `corpus.chips`; None where the chips are chosen when they are read."""
    left_out: int
    """Locations without a chip of every sensor, or without coordinates where those are read."""

    def __len__(self) -> int:
        return len(self.locations)

    def images(self, part: slice, device: torch.device) -> dict[str, Image]:
        """By sensor, the images of some rows."""
        rows = self.locations[part]
        if self.chips is None:
            return self.reader.read(rows, device)
        return self.reader.read_chips({sensor: all_[part] for sensor, all_ in self.chips.items()}, rows, device)


def plan(corpus: Corpus, bands: Bands, dates: Dates, among: Int[ndarray, " m"] | None = None) -> Plan:
    """Choose the rows of an index.

    Args:
        corpus: whole or being built.
        bands: band keys; the first one's sensor leads in the choice of dates.
        dates: what a row is.
        among: rows of `corpus.locations`; all if not given.

    Raises:
        CorpusError: nothing is left to embed, or two rows would have the same location and date.
    """
    reader = BandReader(corpus, bands, _selection(bands, dates))
    everyone = np.arange(len(corpus)) if among is None else among
    complete = reader.complete(everyone)
    if not len(complete):
        sensors = ", ".join(reader.reads)
        raise CorpusError(
            f"no location has a chip of {sensors}" if len(everyone) else "there is no location to embed",
            where=str(corpus.path),
            remedy="see what it holds: swath corpus info",
        )
    blocks = list(_blocks(reader, complete, dates))
    locations = np.concatenate([rows for rows, _ in blocks])
    table = pd.concat([_table(corpus, rows, chips, dates) for rows, chips in blocks], ignore_index=True)
    if dates == "each" and (twice := table.duplicated(["uid", "date"]).to_numpy()).any():
        raise CorpusError(
            f"{int(twice.sum())} chips have the location and date of another, or no date: nothing would tell their "
            f"rows apart; the first is of {table['uid'].iloc[int(twice.argmax())]}",
            where=str(corpus.path),
            remedy="leave --dates each out: one date of each location",
        )
    order = _hilbert(gpd.GeoDataFrame(table))
    chips = None
    if dates != "series":
        chips = {sensor: np.concatenate([one[sensor] for _, one in blocks])[order] for sensor in blocks[0][1]}
    ordered = gpd.GeoDataFrame(table.iloc[order].reset_index(drop=True))
    return Plan(reader, dates, ordered, locations[order], chips, len(everyone) - len(complete))


def _selection(bands: Bands, dates: Dates) -> Selection:
    if dates == "one":
        return Selection(dates=1)
    several = len({key.partition("/")[0] for key in bands} - {LOCATION}) > 1
    return Selection(dates="paired" if dates == "each" and several else "all")


def _blocks(
    reader: BandReader, locations: Int[ndarray, " n"], dates: Dates
) -> Iterator[tuple[Int[ndarray, " m"], dict[str, Int[ndarray, "m t"]]]]:
    """Rows of locations, and the chips of each; a row a date where each is one."""
    for start in range(0, len(locations), BLOCK):
        rows = locations[start : start + BLOCK]
        chips = reader.choose(rows)
        if dates == "each" and chips:
            there = next(iter(chips.values())) != PADDING
            rows = np.broadcast_to(rows[:, None], there.shape)[there]
            chips = {sensor: one[there][:, None] for sensor, one in chips.items()}
        yield rows, chips


def _table(
    corpus: Corpus, locations: Int[ndarray, " n"], chips: dict[str, Int[ndarray, "n t"]], dates: Dates
) -> gpd.GeoDataFrame:
    own = corpus.locations.iloc[locations]
    columns: dict[str, object] = {"uid": own["uid"].to_numpy(), "sensor": "+".join(chips) or LOCATION}
    if chips:
        every = np.concatenate(list(chips.values()), axis=1)
        there = every != PADDING
        first = every if dates == "series" else next(iter(chips.values()))
        columns["date"] = _when(corpus, first, first != PADDING, "min")
        if dates != "series":
            columns["chip"] = first[:, 0]
        else:
            columns["last_date"] = _when(corpus, every, there, "max")
        valid = np.where(there, corpus.chip_index["valid"].to_numpy()[every], 0.0)
        columns["valid"] = valid.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    else:
        columns |= {"date": pd.NaT, "valid": np.nan}
    table = pd.DataFrame(columns)
    table["date"] = pd.to_datetime(table["date"], utc=True)
    return gpd.GeoDataFrame(table, geometry=outlines(own), crs="EPSG:4326")


def _when(
    corpus: Corpus, chips: Int[ndarray, "n t"], there: Bool[ndarray, "n t"], which: Literal["min", "max"]
) -> pd.Series:
    """The first or last known date of each row."""
    times = corpus.chip_index["datetime"].dt.tz_localize(None).to_numpy("datetime64[us]")[chips]
    frame = pd.DataFrame(np.where(there, times, np.datetime64("NaT", "us")))
    return pd.to_datetime(frame.min(axis=1) if which == "min" else frame.max(axis=1), utc=True)


def outlines(locations: gpd.GeoDataFrame) -> Shaped[ndarray, " n"]:
    """Footprints of locations, points where only coordinates are known, and None where nothing is."""
    found = locations.geometry.to_numpy().astype(object)
    lon, lat = (locations[name].to_numpy(float) for name in ("lon", "lat"))
    bare = np.array([one is None or one.is_empty for one in found], bool)
    located = np.isfinite(lon) & np.isfinite(lat)
    found[bare & ~located] = None
    found[bare & located] = shapely.points(lon[bare & located], lat[bare & located])
    return found


def outlined(locations: gpd.GeoDataFrame, columns: Mapping[str, Any]) -> gpd.GeoDataFrame:
    """A table of these columns, a row each, with the outlines of locations.

    Args:
        locations: of a corpus.
        columns: values for each of them.
    """
    return gpd.GeoDataFrame(pd.DataFrame(columns), geometry=outlines(locations), crs="EPSG:4326")


def _hilbert(table: gpd.GeoDataFrame) -> Int[ndarray, " n"]:
    """The order of rows along a Hilbert curve through their centres; those without a geometry come last."""
    known = ~(table.geometry.isna() | table.geometry.is_empty).to_numpy(bool)
    distance = np.full(len(table), np.iinfo(np.int64).max)
    if known.any():
        distance[known] = gpd.GeoSeries(table.geometry[known]).hilbert_distance().to_numpy()
    keys = pd.DataFrame({"distance": distance, "uid": table["uid"], "date": table["date"]})
    return keys.sort_values(["distance", "uid", "date"], kind="stable").index.to_numpy()
