"""Which locations train, validate and test: split by group, location, block, region or fold, never by chip."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Integer, Shaped
from numpy import ndarray
from pydantic import Field, model_validator
from scipy.spatial import KDTree

from swath.corpus.store import Corpus
from swath.errors import CorpusError, nearest
from swath.settings import Counts, Seed, Settings

PARTS = ("train", "val", "test")
FEW_GROUPS = 30
"""With fewer groups in the test part, only large differences can be told from chance."""
LARGE_SHARE = 0.25
"""Share of the test part from which a single group outweighs all others."""
_EARTH_KM = 6371.0088


class SplitConfig(Settings):
    """How locations are divided into train, val and test."""

    by: Literal["group", "location", "block", "given", "column"] = "group"
    """`group`: the corpus's groups stay whole. `location`: every location by itself. `block`: squares of `block_km`
    stay whole. `given`: the provider's parts. `column`: locations with certain values of `column` test, such as a
    region that is left out, or a fold that the data set gives. Where `given` or `column` leave no validation part,
    groups of the training part become one."""
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Shares of train, val and test, by number of locations; they add up to 1. With `fold`, `given` and `column` only
    whether there is a val, and its share of the training part, follow from them."""
    column: str | None = None
    """Column of `corpus.locations`, such as `region` or `fold`, for `by: column`."""
    test: tuple[str | int, ...] = ()
    """Values of the column that test. Locations without a value are in no part."""
    val: tuple[str | int, ...] = ()
    """Values of the column that validate."""
    folds: int | None = Field(default=None, ge=2)
    """How many equal folds groups, locations or blocks are dealt into; the folds of a column are its values."""
    fold: int | None = Field(default=None, ge=0)
    """Which fold tests, from 0 on; the one before it validates (the last one, for fold 0), the others train."""
    largest: Annotated[float | None, Counts.WHERE_GIVEN] = Field(default=None, gt=0, lt=1)
    """A group, location or block that holds more than this share of all locations trains, and never tests."""
    seed: Seed = 0
    block_km: float = Field(default=5.0, gt=0)
    """Side of a block, in kilometres."""
    block_grid: Annotated[Literal["sinusoidal", "even"], Counts.WHERE_GIVEN] = "sinusoidal"
    """Grid of the blocks: squares of the sinusoidal map, which far from Greenwich and from the equator are slanted and
    narrow; or `even` ones all over the globe, bands of latitude that are cut into as many equal pieces as fit."""
    buffer_km: float = Field(default=0.0, ge=0)
    """Leave out training locations nearer than this to a val or test location, and val ones nearer to a test one."""

    @model_validator(mode="after")
    def _shares(self) -> "SplitConfig":
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6 or self.fractions[0] == 0:
            raise ValueError(f"fractions must be train > 0, val, test >= 0 and add up to 1, not {self.fractions}")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "SplitConfig":
        by_column = self.by == "column"
        if by_column != (self.column is not None) or (not by_column and (self.test or self.val)):
            raise ValueError("by: column needs a column, and column, test and val are for by: column alone")
        if by_column and bool(self.test) == (self.fold is not None):
            raise ValueError("by: column needs either the values that test (test: [...]) or the number of a fold")
        if set(map(str, self.test)) & set(map(str, self.val)):
            raise ValueError("a value is in test and in val")
        if self.by in {"given", "column"} and self.folds is not None:
            raise ValueError(f"by: {self.by} brings its own parts: leave out folds")
        if self.by in {"given", "column"} and self.largest is not None:
            raise ValueError(f"by: {self.by} brings its own parts: leave out largest")
        if not by_column and (self.folds is None) != (self.fold is None):
            raise ValueError("folds and fold belong together")
        if self.folds is not None and self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: they are numbered from 0")
        if self.folds == 2 and self.fractions[1]:
            raise ValueError("one of two folds tests, one trains: say that there is no val, fractions: [0.5, 0, 0.5]")
        return self


def split(corpus: Corpus, config: SplitConfig) -> dict[str, Int[ndarray, " _"]]:
    """Rows of `corpus.locations` by part (`train`, `val`, `test`): sorted and disjoint.

    Deterministic: a function of the corpus's index and the settings.

    Raises:
        CorpusError: too few groups, no coordinates for a block or a buffer, or no such parts, column or values.
    """
    locations = corpus.locations
    where = str(corpus.path)
    if config.by == "given":
        assigned = _given(locations, config, where)
    elif config.by == "column":
        assigned = _by_column(locations, config, where)
    else:
        assigned = _dealt(_units(locations, config, where), config, where)
    rows = {part: np.flatnonzero(assigned == part) for part in PARTS}
    if config.buffer_km:
        rows = _buffered(rows, on_sphere(locations, "buffer_km", where), config.buffer_km)
    for part, fraction in zip(PARTS, config.fractions, strict=True):
        if fraction and not len(rows[part]) and (config.by != "given" or part == "train"):
            raise CorpusError(
                f"the buffer of {config.buffer_km} km leaves no {part} location",
                where=where,
                remedy="make split.buffer_km smaller",
            )
    return rows


def independent(corpus: Corpus, config: SplitConfig | None) -> Shaped[ndarray, " n"]:
    """Label per location of what is not independent of one another: blocks of a split by blocks, else groups."""
    if config is not None and config.by == "block":
        lon, lat = (corpus.locations[name].to_numpy(float) for name in ("lon", "lat"))
        return blocks(lon, lat, config)
    return corpus.locations["group"].to_numpy(dtype=str)


def thin_parts(groups: Mapping[str, Shaped[ndarray, " _"]], config: SplitConfig | None = None) -> list[str]:
    """What is too small about the parts of a split, in words; empty where they suffice.

    What is tested is judged by `thin_test`: where folds rotate, that is the test parts of all of them together.

    Args:
        groups: by part, the group of each of its locations: what is not independent of one another.
        config: what made the split, to compare its fractions with.
    """
    said = [_single(part, members) for part, members in groups.items() if part != "test"]
    if config is not None and config.by not in {"given", "column"}:
        total = sum(map(len, groups.values()))
        said += [
            _small(part, len(groups[part]), total, asked) for part, asked in zip(PARTS, _asked(config), strict=True)
        ]
    return [remark for remark in said if remark]


def _asked(config: SplitConfig) -> tuple[float, float, float]:
    """Shares of train, val and test that a split's settings ask for."""
    if config.folds is None:
        return config.fractions
    val, test = (1 / config.folds if share else 0.0 for share in (config.fractions[1], 1.0))
    return 1 - val - test, val, test


def thin_test(members: Shaped[ndarray, " _"]) -> list[str]:
    """What is too small about what is tested, in words; empty where it suffices.

    Args:
        members: the group of each tested location.
    """
    said = [_single("test", members) or _few(members), _dominated(members)]
    return [remark for remark in said if remark]


def _single(part: str, members: Shaped[ndarray, " _"]) -> str:
    alone = len(np.unique(members)) == 1
    return f"the {part} part is a single group: what comes of it may hold for that group alone" if alone else ""


def _few(members: Shaped[ndarray, " _"]) -> str:
    count = len(np.unique(members))
    if not 0 < count < FEW_GROUPS:
        return ""
    return (
        f"the test part has {len(members)} locations in {count} groups: with fewer than {FEW_GROUPS} groups "
        "only large differences can be told from chance"
    )


def _dominated(members: Shaped[ndarray, " _"]) -> str:
    """A warning on a test part that one group dominates; empty if none does."""
    sizes = np.unique(members, return_counts=True)[1]
    if len(sizes) < 2 or sizes.max() <= LARGE_SHARE * len(members):
        return ""
    return (
        f"the largest of the {len(sizes)} groups of the test part holds {sizes.max() / len(members):.0%} of its "
        "locations and weighs as much in every result; split.largest keeps such groups in the training part"
    )


def _small(part: str, count: int, total: int, asked: float) -> str:
    if not 0 < count < asked * total / 2:
        return ""
    why = "groups are large, or a buffer leaves out many"
    return f"the {part} part has {count} of {total} locations, where the split asks for {asked:.0%}: {why}"


def rotations(corpus: Corpus, config: SplitConfig) -> list[SplitConfig]:
    """The same split with every fold as the one that tests, for cross-validation.

    Args:
        corpus: whose column holds the folds, for `by: column`.
        config: with `fold`.

    Raises:
        CorpusError: the split has no folds.
    """
    if config.fold is None:
        raise CorpusError("the split has no folds", where=str(corpus.path), remedy="give split.folds and split.fold")
    count = config.folds or len(_values(corpus.locations, config, str(corpus.path))[1])
    return [config.model_copy(update={"fold": fold}) for fold in range(count)]


def _dealt(units: Shaped[ndarray, " n"], config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    """Part of each location, by shares or by folds of equal size; units too large for the test part train."""
    large = _too_large(units, config.largest)
    assigned = np.full(len(units), "train", dtype="<U5")
    if config.folds is None or config.fold is None:
        fractions = _of_the_rest(config.fractions, float(large.mean())) if large.any() else config.fractions
        assigned[~large] = np.array(PARTS)[_balanced(units[~large], fractions, config.seed, where)]
        return assigned
    fold = _balanced(units[~large], (1 / config.folds,) * config.folds, config.seed, where)
    assigned[~large] = _rotated(fold, config.folds, config, where)
    return assigned


def _of_the_rest(fractions: tuple[float, float, float], share: float) -> tuple[float, float, float]:
    """Shares among the remaining locations, when some are in the training part already."""
    train, val, test = fractions
    left = max(train - share, 0.0)
    total = left + val + test
    return left / total, val / total, test / total


def _too_large(units: Shaped[ndarray, " n"], largest: float | None) -> Bool[ndarray, " n"]:
    if largest is None:
        return np.zeros(len(units), bool)
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    return sizes[unit] > largest * len(units)


def _rotated(fold: Integer[ndarray, " n"], count: int, config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    """Part of each location from the number of its fold; fold -1 is in no part."""
    assert config.fold is not None
    needed = 3 if config.fractions[1] else 2
    if config.fold >= count or count < needed:
        raise CorpusError(
            f"fold {config.fold} of {count} folds, of which {needed} are needed",
            where=where,
            remedy="number folds from 0, have more of them, or none for val (fractions: [0.8, 0, 0.2])",
        )
    assigned = np.where(fold < 0, "", np.full(len(fold), "train", dtype="<U5"))
    if config.fractions[1]:
        assigned[fold == (config.fold - 1) % count] = "val"
    assigned[fold == config.fold] = "test"
    return assigned


def _by_column(locations: pd.DataFrame, config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    values, known = _values(locations, config, where)
    if config.fold is not None:
        return _rotated(np.array([known.index(v) if v else -1 for v in values], int), len(known), config, where)
    wanted = {"test": [str(value) for value in config.test], "val": [str(value) for value in config.val]}
    for value in (value for part in wanted.values() for value in part):
        if value not in known:
            raise CorpusError(f"no location has {config.column} = {value!r}", where=where, remedy=nearest(value, known))
    assigned = np.where(values == "", "", np.full(len(values), "train", dtype="<U5"))
    for part, chosen in wanted.items():
        assigned[np.isin(values, chosen)] = part
    return assigned if config.val else _with_val(assigned, locations, config, where)


def _values(locations: pd.DataFrame, config: SplitConfig, where: str) -> tuple[Shaped[ndarray, " n"], list[str]]:
    """A column as text, "" where it has no value, and its distinct values: numbers in their order, others by name."""
    if config.column not in locations.columns:
        known = [name for name in locations.columns if name not in {"geometry", "transform"}]
        remedy = nearest(config.column or "", known)
        raise CorpusError(f"the corpus has no column {config.column!r}", where=where, remedy=remedy)
    column = pd.Series(locations[config.column])
    known = sorted(column.dropna().unique())
    # whole numbers with gaps are stored as real ones
    names = {v: str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in known}
    return column.map(names).fillna("").to_numpy(dtype=str), list(names.values())


def _units(locations: pd.DataFrame, config: SplitConfig, where: str) -> Shaped[ndarray, " n"]:
    """Label per location; locations with the same label must not be separated."""
    if config.by == "location":
        return np.arange(len(locations))
    if config.by == "group":
        return locations["group"].to_numpy(dtype=str)
    on_sphere(locations, "by: block", where)
    return blocks(locations["lon"].to_numpy(float), locations["lat"].to_numpy(float), config)


def blocks(lon: Float[ndarray, " n"], lat: Float[ndarray, " n"], config: SplitConfig) -> Shaped[ndarray, " n"]:
    """Label of the block that each point, in degrees, lies in."""
    return (_even if config.block_grid == "even" else _sinusoidal)(lon, lat, config.block_km)


def _even(lon: Float[ndarray, " n"], lat: Float[ndarray, " n"], block_km: float) -> Shaped[ndarray, " n"]:
    """Bands of latitude of equal height, each cut from the antimeridian on into equal pieces that are nearly square."""
    rows = max(1, round(np.pi * _EARTH_KM / block_km))
    row = np.minimum((lat + 90) / 180 * rows, rows - 1).astype(int)
    middle = np.pi * ((row + 0.5) / rows - 0.5)
    pieces = np.maximum(1, np.round(2 * np.pi * _EARTH_KM * np.cos(middle) / block_km)).astype(int)
    column = ((lon + 180) % 360 / 360 * pieces).astype(int) % pieces
    return np.array([f"{r},{c}" for r, c in zip(row, column, strict=True)])


def _sinusoidal(lon: Float[ndarray, " n"], lat: Float[ndarray, " n"], block_km: float) -> Shaped[ndarray, " n"]:
    """Squares of the equal-area sinusoidal map."""
    y = np.deg2rad(lat) * _EARTH_KM
    x = np.deg2rad(lon) * np.cos(np.deg2rad(lat)) * _EARTH_KM
    column, row = np.floor(x / block_km).astype(int), np.floor(y / block_km).astype(int)
    return np.array([f"{r},{c}" for r, c in zip(row, column, strict=True)])


def _balanced(units: Shaped[ndarray, " n"], fractions: tuple[float, ...], seed: int, where: str) -> Int[ndarray, " n"]:
    """Part number of each location. Large groups come first, each to the part that lacks most.

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
    return part[unit]


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
    return given if "val" in given else _with_val(given, locations, config, where)


def _with_val(
    assigned: Shaped[ndarray, " n"], locations: pd.DataFrame, config: SplitConfig, where: str
) -> Shaped[ndarray, " n"]:
    """Move groups of the training part to the validation part, if the settings ask for one."""
    if not config.fractions[1]:
        return assigned
    train = np.flatnonzero(assigned == "train")
    share = config.fractions[1] / (config.fractions[0] + config.fractions[1])
    groups = locations["group"].to_numpy(dtype=str)[train]
    result = assigned.copy()
    result[train] = np.array(PARTS)[_balanced(groups, (1 - share, share, 0.0), config.seed, where)]
    return result


def on_sphere(locations: pd.DataFrame, needed_by: str, where: str) -> Float[ndarray, "n 3"]:
    """Points on the unit sphere, where distances are right everywhere, date line and poles included.

    Args:
        locations: with the columns `lon` and `lat` in degrees.
        needed_by: setting of the split that needs coordinates, for the message.
        where: the corpus, for the message.

    Raises:
        CorpusError: some locations have no coordinates.
    """
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


def distances_km(points: Float[ndarray, "n 3"], others: Float[ndarray, "m 3"]) -> Float[ndarray, " n"]:
    """Great-circle distance in kilometres of each point to the nearest of the others; infinite if there are none."""
    if not len(others):
        return np.full(len(points), np.inf)
    return _km(np.asarray(KDTree(others).query(points)[0], dtype=float))


def _buffered(
    rows: dict[str, Int[ndarray, " _"]], points: Float[ndarray, "n 3"], buffer_km: float
) -> dict[str, Int[ndarray, " _"]]:
    def beyond(part: str, others: ndarray) -> ndarray:
        return rows[part][distances_km(points[rows[part]], points[others]) >= buffer_km]

    val = beyond("val", rows["test"])
    return {"train": beyond("train", np.r_[val, rows["test"]]), "val": val, "test": rows["test"]}
