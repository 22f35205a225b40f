"""Which locations train, validate and test: split by group, by place or by spatial block, never by chip."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from pydantic import Field, model_validator
from scipy.spatial import KDTree

from swath.corpus.format import Corpus
from swath.errors import CorpusError
from swath.settings import Settings

PARTS = ("train", "val", "test")
_EARTH_KM = 6371.0088


class SplitConfig(Settings):
    """How locations are parted."""

    by: Literal["group", "location", "block", "given"] = "group"
    """`group`: the corpus's groups stay whole. `location`: every location by itself. `block`: squares of `block_km`
    stay whole. `given`: the provider's parts; if it has no validation part, groups of its training part become one."""
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Shares of train, val and test, by number of locations; they add up to 1."""
    seed: int = 0
    block_km: float = Field(default=5.0, gt=0)
    """Side of a block, in kilometres."""
    buffer_km: float = Field(default=0.0, ge=0)
    """Leave out training locations nearer than this to a val or test location, and val ones nearer to a test one."""

    @model_validator(mode="after")
    def _shares(self) -> "SplitConfig":
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6 or self.fractions[0] == 0:
            raise ValueError(f"fractions must be train > 0, val, test >= 0 and add up to 1, not {self.fractions}")
        return self


def split(corpus: Corpus, config: SplitConfig) -> dict[str, Int[ndarray, " _"]]:
    """Rows of `corpus.locations` by part (`train`, `val`, `test`): sorted and disjoint.

    Deterministic: a function of the corpus's index and the settings.

    Raises:
        CorpusError: too few groups, no coordinates for a block or a buffer, or no given parts.
    """
    locations = corpus.locations
    where = str(corpus.path)
    if config.by == "given":
        assigned = _given(locations, config, where)
    else:
        assigned = _balanced(_units(locations, config, where), config.fractions, config.seed, where)
    rows = {part: np.flatnonzero(assigned == part) for part in PARTS}
    if config.buffer_km:
        rows = _buffered(rows, _on_sphere(locations, "buffer_km", where), config.buffer_km)
    for part, fraction in zip(PARTS, config.fractions, strict=True):
        if fraction and not len(rows[part]) and not (config.by == "given" and part != "train"):
            raise CorpusError(
                f"the buffer of {config.buffer_km} km leaves no {part} location",
                where=where,
                remedy="make split.buffer_km smaller",
            )
    return rows


def _units(locations: pd.DataFrame, config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    """What must not be parted: a label per location."""
    if config.by == "location":
        return np.arange(len(locations))
    if config.by == "group":
        return locations["group"].to_numpy(dtype=str)
    _on_sphere(locations, "by: block", where)
    return blocks(locations["lon"].to_numpy(float), locations["lat"].to_numpy(float), config.block_km)


def blocks(lon: Float[ndarray, " n"], lat: Float[ndarray, " n"], block_km: float) -> Shaped[ndarray, " n"]:
    """Label of the equal-area (sinusoidal) grid square that each point, in degrees, lies in."""
    y = np.deg2rad(lat) * _EARTH_KM
    x = np.deg2rad(lon) * np.cos(np.deg2rad(lat)) * _EARTH_KM
    column, row = np.floor(x / block_km).astype(int), np.floor(y / block_km).astype(int)
    return np.array([f"{r},{c}" for r, c in zip(row, column, strict=True)])


def _balanced(
    units: Shaped[ndarray, " n"], fractions: tuple[float, ...], seed: int, where: str
) -> Shaped[ndarray, " n"]:
    """Part of each location: large groups first, each to the part that misses most.

    Large ones first because a small group can fill a gap and a large one cannot; the seed decides among equals.
    """
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    needed = np.count_nonzero(fractions)
    if len(sizes) < needed:
        raise CorpusError(
            f"{len(sizes)} groups cannot be split into {needed} parts",
            where=where,
            remedy="use smaller groups, split.by: location, or a fraction of 0 for val or test",
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    missing = np.array(fractions) * len(units)
    part = np.zeros(len(sizes), int)
    empty = {k for k, fraction in enumerate(fractions) if fraction}
    for position, group in enumerate(order):
        # the last groups go to the parts that have none yet
        candidates = sorted(empty) if len(order) - position <= len(empty) else np.flatnonzero(fractions)
        part[group] = max(candidates, key=lambda k: missing[k])
        missing[part[group]] -= sizes[group]
        empty.discard(int(part[group]))
    return np.array(PARTS)[part][unit]


def _given(locations: pd.DataFrame, config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    given = locations["split"].fillna("").astype(str).to_numpy(dtype=str)
    unknown = set(given) - {*PARTS, ""}
    if unknown or "train" not in given:
        said = ", ".join(sorted(set(given) - {""})) or "nothing"
        raise CorpusError(
            f"the corpus gives no split into train, val and test; it says {said}",
            where=where,
            remedy="use split.by: group, or have the source read parts named train, val and test",
        )
    if "val" in given or not config.fractions[1]:
        return given
    train = np.flatnonzero(given == "train")
    share = config.fractions[1] / (config.fractions[0] + config.fractions[1])
    groups = locations["group"].to_numpy(dtype=str)[train]
    assigned = given.copy()
    assigned[train] = _balanced(groups, (1 - share, share, 0.0), config.seed, where)
    return assigned


def _on_sphere(locations: pd.DataFrame, needed_by: str, where: str) -> Float[ndarray, "n 3"]:
    """Points on the unit sphere, so that distances are right everywhere, date line and poles included."""
    lon, lat = (np.deg2rad(locations[name].to_numpy(float)) for name in ("lon", "lat"))
    if np.isnan(lon).any():
        raise CorpusError(
            f"{int(np.isnan(lon).sum())} of {len(lon)} locations have no coordinates, which split.{needed_by} needs",
            where=where,
            remedy="use split.by: group without a buffer; docs/your-data.md says how to group such images",
        )
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _km(chord: Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    return 2 * _EARTH_KM * np.arcsin(np.minimum(chord / 2, 1))


def _distances_km(points: Float[ndarray, "n 3"], others: Float[ndarray, "m 3"]) -> Float[ndarray, " n"]:
    """Great-circle distance of each point to the nearest of the others; infinite if there are none."""
    if not len(others):
        return np.full(len(points), np.inf)
    return _km(np.asarray(KDTree(others).query(points)[0], dtype=float))


def _buffered(
    rows: dict[str, Int[ndarray, " _"]], points: Float[ndarray, "n 3"], buffer_km: float
) -> dict[str, Int[ndarray, " _"]]:
    def beyond(part: str, others: ndarray) -> ndarray:
        return rows[part][_distances_km(points[rows[part]], points[others]) >= buffer_km]

    val = beyond("val", rows["test"])
    return {"train": beyond("train", np.r_[val, rows["test"]]), "val": val, "test": rows["test"]}


@dataclass(frozen=True, slots=True)
class Leakage:
    """What a split lets through."""

    nearest_km: float | None
    """Distance between centres of the nearest train and test locations; None without coordinates."""
    locations: dict[str, int]
    """Number of locations by part."""
    groups: dict[str, int]
    """Number of the corpus's groups by part: the independent units of an evaluation."""
    shared_groups: int
    """Groups that have locations both in train and in val or test; 0 unless the split ignores groups."""


def leakage(corpus: Corpus, rows: dict[str, Int[ndarray, " _"]]) -> Leakage:
    """Audit a split: how near train and test come, and whether they share groups."""
    groups = {part: set(corpus.locations["group"].iloc[index]) for part, index in rows.items()}
    return Leakage(
        nearest_km=_nearest(corpus, rows["train"], rows["test"]),
        locations={part: len(index) for part, index in rows.items()},
        groups={part: len(members) for part, members in groups.items()},
        shared_groups=len(groups["train"] & (groups["val"] | groups["test"])),
    )


def _nearest(corpus: Corpus, train: Int[ndarray, " _"], test: Int[ndarray, " _"]) -> float | None:
    placed = corpus.locations["lon"].notna().to_numpy()
    train, test = train[placed[train]], test[placed[test]]
    if not len(train) or not len(test):
        return None
    where = str(corpus.path)
    points = [_on_sphere(corpus.locations.iloc[index], "leakage", where) for index in (test, train)]
    return float(_distances_km(*points).min())
