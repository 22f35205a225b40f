"""What a split lets through: neighbours, shared groups, and copies on both sides."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from swath.corpus.splits.partition import distances_km, on_sphere
from swath.corpus.store import Corpus

SINGLE_PX = 8
"""Chips with fewer pixels a side are compared by their whole series: a few pixels are alike by chance."""


@dataclass(frozen=True, slots=True)
class Leakage:
    """Dependencies between the parts of a split: neighbours, shared groups and copies."""

    nearest_km: float | None
    """Distance between centres of the nearest train and test locations; None without coordinates."""
    median_km: float | None
    """Median over the test locations of the distance to the nearest train location."""
    locations: dict[str, int]
    """Number of locations by part."""
    groups: dict[str, int]
    """Number of the corpus's groups by part: the independent units of an evaluation."""
    shared_groups: int
    """Groups that have locations both in train and in val or test; 0 unless the split ignores groups."""
    copies: int
    """Val and test locations with a chip whose pixels a train location has as well."""


def leakage(corpus: Corpus, rows: dict[str, Int[ndarray, " _"]]) -> Leakage:
    """Audit a split: how near train and test come, and whether they share groups or pixels."""
    groups = {part: set(corpus.locations["group"].iloc[index]) for part, index in rows.items()}
    apart = nearest_train_km(corpus, rows)
    return Leakage(
        nearest_km=float(apart.min()) if len(apart) else None,
        median_km=float(np.median(apart)) if len(apart) else None,
        locations={part: len(index) for part, index in rows.items()},
        groups={part: len(members) for part, members in groups.items()},
        shared_groups=len(groups["train"] & (groups["val"] | groups["test"])),
        copies=_copies(corpus, rows),
    )


def nearest_train_km(corpus: Corpus, rows: dict[str, Int[ndarray, " _"]]) -> Float[ndarray, " _"]:
    """Great-circle distance of every test location to the nearest train location, between centres.

    Locations without coordinates are left out; empty where a part has none with coordinates.
    """
    placed = corpus.locations["lon"].notna().to_numpy()
    train, test = (rows[part][placed[rows[part]]] for part in ("train", "test"))
    if not len(train) or not len(test):
        return np.zeros(0)
    where = str(corpus.path)
    points = [on_sphere(corpus.locations.iloc[index], "leakage", where) for index in (test, train)]
    return distances_km(*points)


def _copies(corpus: Corpus, rows: dict[str, Int[ndarray, " _"]]) -> int:
    if not len(corpus.chips):
        return 0
    key, location = copy_key(corpus), corpus.chips["location"].to_numpy()
    has_pixels = corpus.chips["valid"].to_numpy() > 0
    train, held_out = (
        np.isin(location, index) & has_pixels for index in (rows["train"], np.r_[rows["val"], rows["test"]])
    )
    return len(np.unique(location[held_out & np.isin(key, np.unique(key[train]))]))


def copy_key(corpus: Corpus) -> Shaped[ndarray, " n"]:
    """A text per chip that is equal for copies: sensor and digest, or the digests of the whole series for tiny
    chips.
    """
    chips = corpus.chips
    digest = pd.Series(chips["digest"])
    if corpus.info.chip_px < SINGLE_PX:
        digest = digest.groupby([chips["location"], chips["sensor"]]).transform("".join)
    return (chips["sensor"].astype(str) + " " + digest.astype(str)).to_numpy(dtype=str)
