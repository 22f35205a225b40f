"""The tables of an evaluation: what their columns are called, what they hold, and how they are written and read.

Whoever writes one and whoever reads one takes it from here, so that both mean the same. What a row is stands in the
columns `role` and `of_arm`; its displayed name is for people and is never taken apart.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swath._files import replacing, write_whole
from swath._parquet import measured
from swath.errors import SwathError

Role = Literal["pretrained", "random-twin", "scratch", "floor", "reference"]
"""What a row of the tables is: a pre-trained arm; an arm's network at its random start, frozen; the same network
trained on the labels alone; any other row that no pre-training went into; or a supervised network of another kind."""
ROLES: tuple[Role, ...] = get_args(Role)
Verdict = Literal["better", "worse", "tie", "untested"]
"""What a comparison says of its row a: a tie is not distinguishable from b, which does not mean equal to it; untested
is what is no claim, or cannot be judged."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Standing = Literal["claim", "exploratory"]
"""Whether an experiment was made for a comparison, or it only stands beside."""


class OldTableError(SwathError):
    """A table was written by an earlier version of swath, which did not say in columns what a row is."""


# ------------------------------------------------------------------------------------------------------ lines of tables


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """Which result something belongs to: one row on one task, input and probe, for one training."""

    task: str
    """Name of the task, with its share of the labels where there are several, such as `crops@10%` or `crops@5-shot`."""
    input: str
    """Name of the input: a named list of bands, or a band key under a band-wise probe."""
    probe: str
    row: str
    """Name of the arm, floor or reference as it is shown."""
    role: Role
    of_arm: str
    """Arms whose network a random twin or a scratch row is, joined by ","; a pre-trained row's own name; else empty."""
    seed: int
    """Seed of this training itself."""
    fold: int
    """Number of the fold that was tested; 0 where splits do not rotate."""
    replicate: int
    """Number of the round over the folds that the training belongs to, from 0: the folds of one round are one result.
    Where splits do not rotate, the position of the seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(ResultKey):
    """One line of notes.csv: what a reader must know of a result, or why there is none."""

    note: str


@dataclass(frozen=True, slots=True)
class RowValue:
    """One line of table.csv: a row on one task, input and probe, in one metric."""

    task: str
    input: str
    probe: str
    row: str
    role: Role
    of_arm: str
    metric: str
    """Empty where the row has no result."""
    value: float
    """Mean over the replicates; NaN where there is no result, and the note says why."""
    low: float
    high: float
    """Ends of the interval."""
    per_seed: tuple[float, ...]
    """The value of each replicate, NaN where it has none."""
    n_units: int | None
    """Number of evaluation units of the test set."""
    n_groups: int | None
    """Number of independent groups (locations, clusters, blocks) that they fall in."""
    note: str

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of `of_arm`; none of a floor or a reference."""
        return tuple(filter(None, self.of_arm.split(",")))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of comparisons.csv: row a minus row b."""

    task: str
    input: str
    probe: str
    a: str
    role_a: Role
    of_arm_a: str
    b: str
    role_b: Role
    of_arm_b: str
    """Arms whose network row b is, as in table.csv; likewise for row a."""
    difference: float
    low: float
    high: float
    """Ends of the interval of the difference."""
    p: float
    """The p that belongs to the interval: it is below 0.05 where the 95 % interval does not hold 0."""
    p_conditional: float
    """The p of sign flips by group, which knows nothing of other trainings: conditional on these trained networks."""
    p_t: float
    """The p of a paired t-test: of the groups' accuracies, or of the bands' values."""
    p_wilcoxon: float
    """The p of Wilcoxon's signed-rank test, likewise."""
    p_holm: float
    """`p` after Holm's correction over all claims; NaN of what is no claim, or gets no verdict."""
    standing: Standing
    verdict: Verdict
    """What is said of a, compared with b; only of claims."""
    n_pairs: int
    pairing: str
    """What was paired: groups of units (and trainings), bands, or trainings of one band."""
    test: str
    """Name of the test that `p` is of."""
    note: str

    def flipped(self) -> "Comparison":
        """The same comparison as row b minus row a."""
        turned: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            a=self.b,
            role_a=self.role_b,
            of_arm_a=self.of_arm_b,
            b=self.a,
            role_b=self.role_a,
            of_arm_b=self.of_arm_a,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            verdict=turned.get(self.verdict, self.verdict),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """One line of claims.csv: what came of a claim, and what could have come of it."""

    task: str
    input: str
    probe: str
    better: str
    """Name of the row that is claimed to be better."""
    role_better: str
    """Role of that row as in table.csv, empty where there is no such row; the next three columns are likewise."""
    of_arm_better: str
    than: str
    role_than: str
    of_arm_than: str
    metric: str
    difference: float
    """The better row minus the other one, mean over replicates."""
    low: float
    high: float
    """Ends of the interval of the difference, over groups and trainings."""
    p: float
    p_conditional: float
    p_holm: float
    """`p` after Holm's correction, as in comparisons.csv."""
    verdict: Verdict
    """better: the claim holds; worse: the contrary does."""
    detectable: float
    """The smallest difference that the design finds with a probability of 80 % at the level that the strictest of the
    claims has to pass."""
    trainings: int
    """Trainings of each fold that both rows have."""
    folds: int
    groups: int
    equal_groups: float
    """Number of groups of equal size that would say as much as these."""
    largest_share: float
    """Share of the units that the largest group holds."""
    groups_variance: float
    """Variance of the difference by the choice of groups."""
    groups_freedom: float
    """Its degrees of freedom."""
    trainings_variance: float
    """Variance of the difference by how trainings came out."""
    trainings_freedom: float
    """Its degrees of freedom; 0: nothing is known of it."""
    interaction: float
    """Variance that both count."""
    advice: str
    """What would make smaller differences detectable."""
    note: str
    """Why there is no verdict, and what else must be said."""


@dataclass(frozen=True, slots=True)
class CloudGain:
    """One line of clouds.csv: row a minus row b on the units of one bin of cloud; of cloud_gains.csv: on all units with
    so much cloud painted over them."""

    task: str
    input: str
    probe: str
    a: str
    role_a: Role
    of_arm_a: str
    b: str
    role_b: Role
    of_arm_b: str
    metric: str
    low_cloud: float
    high_cloud: float
    """The bin: above the low end (or equal, in the first bin), up to the high end. Painted clouds: the share."""
    n_units: int
    n_groups: int
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    """Ends of the difference's interval, over groups and trainings; NaN with fewer than two groups."""


@dataclass(frozen=True, slots=True)
class CloudValue:
    """One line of cloud_levels.csv: a row on all units with so much cloud painted over their series."""

    task: str
    input: str
    probe: str
    row: str
    role: Role
    of_arm: str
    metric: str
    cloud: float
    """Share of the valid pixels of every unit's optical series, all dates together."""
    n_units: int
    n_groups: int
    value: float
    low: float
    high: float
    """Ends of the interval, over groups and trainings."""


@dataclass(frozen=True, slots=True)
class TaskParts:
    """One line of tasks.csv: what a task learns from and is tested on, in one fold."""

    task: str
    fold: int
    fraction: float
    """Share of the training and validation labels that is used; NaN where `labels_per_class` says how many are."""
    classes: int
    train: int
    """Locations of the training part; of the others likewise."""
    val: int
    test: int
    train_labels: int
    """Labels of the training part, which are pixels in a segmentation; of the others likewise."""
    val_labels: int
    test_labels: int
    label: Literal["location", "pixel"]
    """What has a class."""
    incomplete: int
    """Labelled locations that are left out, because some sensor has no usable chip of them."""
    note: str
    unit: str = ""
    """Unit of the numbers of a regression; empty where they have none, and of classes."""
    labels_per_class: int | None = None
    """Number of locations of each class that may be used, of the training and of the validation part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """Which look at features a line of the tables in `represent/` belongs to."""

    task: str
    input: str
    seed: int
    """Seed of the training that is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties(_Looked):
    """One line of properties.csv: what one encoder's features of the test locations are like."""

    row: str
    role: Role
    of_arm: str
    locations: int
    dims: int
    alignment: float
    """Mean squared distance between the unit features of a chip and of its mirror image; NaN of chips of one pixel."""
    uniformity: float
    rankme: float
    effective_rank: float
    """Effective rank of centred unit features, as in the log of a pre-training."""
    intrinsic_dimension: float
    retrieval_map: float
    """Mean average precision of looking for a location's class; NaN where locations have no single class, as of `nmi`
    and `ari`."""
    nmi: float
    ari: float
    group_map: float
    """Mean average precision of looking for a location's group; NaN where each is a group of its own."""
    origin: str = ""
    """What its labels, parts and images were (`swath.tasks.origin`); empty of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness(_Looked):
    """One line of likeness.csv: debiased linear CKA of two rows' features, or of a row's with an index of bands."""

    row: str
    other: str
    """Name of the other row, or of the index with the sensor that it is of."""
    other_input: str
    """Input of the other row; empty where it is an index."""
    cka: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(_Looked):
    """One line of plane.csv: where t-SNE puts a location by a row's features."""

    row: str
    plane: str
    """Inputs whose features were put into the same plane, joined by ", "."""
    sensor: str
    """Sensors of the input, joined by "+"."""
    uid: str
    group: str
    label: str
    """Class of the location; empty where it has no single one."""
    date: str
    """Middle date that was read; empty where none is known."""
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Closest(_Looked):
    """One line of closest.csv: a neighbour of a location by a row's features."""

    row: str
    query: str
    rank: int
    """1: the nearest by cosine."""
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    """One line of conditions.csv: a row on the test part under one condition, beside what it is without."""

    task: str
    input: str
    probe: str
    row: str
    role: Role
    of_arm: str
    metric: str
    kind: str
    """What is done to the images, such as `band` or `haze`."""
    name: str
    """What it is done to; empty where it is done to everything."""
    level: float
    how: str
    """How bands are left out: `hidden` where the network is told so, `mean` where it sees their training mean."""
    about: str
    """What else to know; where the first dates are seen, the middle day of the last of them."""
    n_units: int
    n_groups: int
    replicates: int
    as_it_is: float
    """Value of the same trainings on the same locations without the condition."""
    value: float
    low: float
    high: float
    """Ends of the value's interval, over groups and trainings; of the others likewise."""
    drop: float
    """How much worse it is, paired by test unit; negative where it is better."""
    drop_low: float
    drop_high: float
    relative: float
    """`drop` as a share of `as_it_is`; NaN where that is not above 0."""
    relative_low: float
    relative_high: float
    note: str = ""
    """How far the intervals are to be trusted: of few groups, or one that holds many of the units."""
    origin: str = ""
    """What its labels, parts and images were (`swath.tasks.origin`); empty of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitValue:
    """One line of splits.csv: a row on all labelled locations, each tested once by one way to split them."""

    task: str
    input: str
    probe: str
    row: str
    role: Role
    of_arm: str
    metric: str
    split: str
    """How locations are dealt into folds: `random`, `blocks` or `regions`."""
    folds: int
    train: float
    """Training locations, mean over the folds."""
    n_units: int
    n_groups: int
    """Groups that intervals are over: the same for all splits."""
    replicates: int
    value: float
    low: float
    high: float
    """Ends of the value's interval, over groups and trainings; of the others likewise."""
    optimism: float
    """How much better the random split looks, paired by test unit; NaN of that split itself."""
    optimism_low: float
    optimism_high: float
    note: str
    """What must be known of the row."""
    origin: str = ""
    """What its labels, parts and images were (`swath.tasks.origin`); empty of earlier versions."""


# --------------------------------------------------------------------------------------------------------------- tables

_PLAIN = {str: pa.string(), int: pa.int64(), float: pa.float64(), tuple[float, ...]: pa.list_(pa.float64())}


def _schema(line: type) -> pa.Schema:
    hints = get_type_hints(line)
    return pa.schema([_field(f.name, hints[f.name]) for f in fields(line)])


def _field(name: str, kind: Any) -> pa.Field:
    if kind == int | None:
        return pa.field(name, pa.int64())
    return pa.field(name, _PLAIN[str if get_origin(kind) is Literal else kind], nullable=False)


def _words(line: type) -> dict[str, tuple[str, ...]]:
    return {name: get_args(kind) for name, kind in get_type_hints(line).items() if get_origin(kind) is Literal}


@dataclass(frozen=True)
class Table:
    """One file of an evaluation's folder: CSV for tables that people look at, Parquet for the large ones."""

    file: str
    schema: pa.Schema
    """Names and types of the columns, in order; of the counts, those that may be missing are nullable."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values that a column may have, where it has only some."""
    later: tuple[str, ...] = ()
    """Columns that earlier versions of swath did not write: in their tables nothing stands there."""

    @classmethod
    def of(cls, file: str, line: type) -> "Table":
        """The table whose lines are this dataclass; fields with a default came later."""
        later = tuple(f.name for f in fields(line) if f.default is not MISSING)
        return cls(file, _schema(line), _words(line), later)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return self.schema.names

    def frame(self, lines: Iterable[Any] = ()) -> pd.DataFrame:
        """Lines as a data frame with the table's columns, also where there is none.

        Args:
            lines: dataclasses, or mappings, that have a value for every column.
        """
        records = [line if isinstance(line, Mapping) else asdict(line) for line in lines]
        return pd.DataFrame(records, columns=self.columns)

    def write(self, folder: Path, content: pd.DataFrame | pa.Table) -> None:
        """Write the table into a folder; the file appears whole or not at all."""
        path = folder / self.file
        if path.suffix == ".csv":
            assert isinstance(content, pd.DataFrame)
            write_whole(path, self._spelt(pd.DataFrame(content, columns=self.columns)).to_csv(index=False))
            return
        table = content if isinstance(content, pa.Table) else pa.Table.from_pandas(content, preserve_index=False)
        with replacing(path) as temporary:
            pq.write_table(completed(table, self.schema, self.later), temporary, compression="zstd")

    def read(self, folder: Path, **only: str) -> pd.DataFrame:
        """The table of a folder.

        Args:
            folder: of an evaluation.
            only: values by column: lines with another value are left out.

        Raises:
            FileNotFoundError: the folder has no such table.
            OldTableError: it was written by an earlier version of swath.
            SwathError: it is damaged.
        """
        path = folder / self.file
        try:
            frame = self._read_csv(path) if path.suffix == ".csv" else self._read_parquet(path, only)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
            raise SwathError(
                f"the table cannot be read: {str(error).partition(chr(10))[0]}",
                where=str(path),
                remedy="run the same recipe again: finished results are kept, and the tables are written anew",
            ) from None
        for column, value in only.items():
            frame = frame.loc[frame[column] == value]
        return frame.reset_index(drop=True)

    def _spelt(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Lists as JSON, where null stands for what has no value."""
        lists = {
            name: [_listed(values) for values in frame[name]] for name in self.columns if self._kind(name) == "list"
        }
        # whole numbers stay whole beside those that are missing
        nullable = [f.name for f in self.schema if f.nullable and self._kind(f.name) == "count"]
        counts = {name: frame[name].astype("Int64") for name in nullable}
        return frame.assign(**lists, **counts)

    def _kind(self, column: str) -> Literal["text", "count", "number", "list"]:
        kind = self.schema.field(column).type
        if pa.types.is_list(kind):
            return "list"
        return "text" if pa.types.is_string(kind) else "count" if pa.types.is_integer(kind) else "number"

    def _read_csv(self, path: Path) -> pd.DataFrame:
        # an arm or a class may be called "nan" or "None": in text nothing stands for what is missing
        frame = pd.read_csv(path, dtype=object, keep_default_na=False)
        self._check(path, list(frame))
        frame = frame.assign(**{name: "" for name in self.later if name not in frame})
        return pd.DataFrame({name: self._typed(name, pd.Series(frame[name])) for name in self.columns})

    def _typed(self, name: str, column: pd.Series) -> pd.Series:
        kind = self._kind(name)
        if strange := set(column) - set(self.words.get(name, column)):
            raise ValueError(f"column {name} holds {min(strange)!r}, which is none of {', '.join(self.words[name])}")
        if kind == "text":
            return column
        if kind == "list":
            return pd.Series([_unlisted(text) for text in column], dtype=object)
        numbers = pd.Series([float(text or "nan") for text in column], dtype="float64")
        # a count that may be missing stays a float, as NaN has no place among integers
        return numbers.astype("int64" if kind == "count" and not self.schema.field(name).nullable else "float64")

    def _read_parquet(self, path: Path, only: Mapping[str, str]) -> pd.DataFrame:
        there = pq.read_schema(path).names
        self._check(path, there)
        filters = [(column, "==", value) for column, value in only.items()] or None
        columns = [name for name in self.columns if name in there]
        table = pq.read_table(measured(path), columns=columns, filters=filters)
        return completed(table, self.schema, self.later).to_pandas()

    def _check(self, path: Path, there: list[str]) -> None:
        missing = [name for name in self.columns if name not in (*there, *self.later)]
        # a few known words make no table of an earlier version
        if len(missing) < len(self.columns) / 2 and _is_old(there):
            raise OldTableError(
                f"the table was written by an earlier version of swath, without {', '.join(missing)}",
                where=str(path),
                remedy="run the same recipe again: finished results are kept, and the tables are written anew",
            )
        if missing:
            raise KeyError(f"no column {', '.join(missing)}")


def completed(table: pa.Table, schema: pa.Schema, later: Sequence[str]) -> pa.Table:
    """A table with exactly the columns of a schema.

    Args:
        table: that was read, or is to be written.
        schema: names and types.
        later: columns that may be missing, and then hold nulls.
    """
    missing = {name for name in later if name not in table.column_names}
    columns = [pa.nulls(len(table), f.type) if f.name in missing else table[f.name] for f in schema]
    return pa.Table.from_arrays(columns, names=schema.names).cast(schema)


def _is_old(columns: list[str]) -> bool:
    """Whether an earlier version wrote these columns, which did not say of every row what it is."""
    return any(name in columns and role not in columns for name, role in _ROLE_OF.items())


_ROLE_OF = {"kind": "role", "a": "role_a", "better": "role_better"}
"""Columns, and those that came later to say what they name."""


def _listed(values: Iterable[float]) -> str:
    return json.dumps([round(float(v), 6) if np.isfinite(v) else None for v in values])


def _unlisted(text: str) -> tuple[float, ...]:
    # null, and the NaN that Python's json also writes, stand for a replicate without a value
    return tuple(float("nan") if v is None else float(v) for v in json.loads(text)) if text else ()


_KEY = list(_schema(ResultKey))

TABLE = Table.of("table.csv", RowValue)
COMPARISONS = Table.of("comparisons.csv", Comparison)
CLAIMS = Table.of("claims.csv", ClaimResult)
NOTES = Table.of("notes.csv", Note)
TASKS = Table.of("tasks.csv", TaskParts)
CLOUDS = Table.of("clouds.csv", CloudGain)
CLOUD_LEVELS = Table.of("cloud_levels.csv", CloudValue)
CLOUD_GAINS = Table.of("cloud_gains.csv", CloudGain)
CONDITIONS = Table.of("conditions.csv", Stressed)
SPLIT_VALUES = Table.of("splits.csv", SplitValue)
PROPERTIES = Table.of("properties.csv", Properties)
LIKENESS = Table.of("likeness.csv", Likeness)
PLANE = Table.of("plane.csv", Placed)
CLOSEST = Table.of("closest.csv", Closest)
SPLITS = Table(
    "splits.parquet",
    pa.schema(
        [
            *[pa.field(name, pa.string()) for name in ("task", "uid", "group", "split")],
            pa.field("fold", pa.int64()),
            pa.field("y", pa.int64()),
        ]
    ),
)
"""Which labelled location was used for what; `y` is its class, or its classes as bits, and missing of pixels and of
numbers."""
OUTPUT = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("group", pa.string()),
        pa.field("y_true", pa.int64()),
        pa.field("y_pred", pa.int64()),
        pa.field("count", pa.int64()),
        pa.field("score", pa.list_(pa.float32())),
        pa.field("value_true", pa.float64()),
        pa.field("value_pred", pa.float64()),
    ]
)
"""What a result says: a line per unit and entry of its confusion matrix that is not 0, with its count. Where units have
several classes: a line per unit, in whose `y_true` and `y_pred` the bit of each class says whether it is there. In a
regression: a line per unit, with its number in `value_true` and the estimate in `value_pred`, and VOID as classes."""
NUMBERS = ("value_true", "value_pred")
"""The columns of regressions, which earlier versions of swath did not write."""
CLASS_MAP = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("height", pa.int32()),
        pa.field("y_true", pa.list_(pa.int16())),
        pa.field("y_pred", pa.list_(pa.int16())),
        pa.field("uncertainty", pa.list_(pa.uint8())),
    ]
)
"""Label and prediction of a unit's pixels, row by row, and the entropy of their classes from 0 (sure) to 255 (all
alike) where it is known."""
UNCERTAINTY = ("uncertainty",)
"""The column of maps that earlier versions of swath did not write."""
HELD_OUT = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("group", pa.string()),
        pa.field("y_true", pa.int64()),
        pa.field("score", pa.list_(pa.float32())),
    ]
)
"""Class and class scores of a validation location, by a classifier that has not learnt from its label."""
CLOUD = pa.field("cloud", pa.float64())
"""How much cloud was painted over the test series, as a share of their valid pixels."""
PREDICTIONS = Table("predictions.parquet", pa.schema([*_KEY, *OUTPUT]), later=NUMBERS)
MAPS = Table("maps.parquet", pa.schema([*_KEY, *CLASS_MAP]), later=UNCERTAINTY)
"""Some units of each segmentation, for pictures."""
VALIDATION = Table("validation.parquet", pa.schema([*_KEY, *HELD_OUT]))
"""What probabilities are calibrated on; results of earlier versions, and of some rows, are not in it."""
UNDER_CLOUDS = Table("under_clouds.parquet", pa.schema([*_KEY, *OUTPUT, CLOUD]), later=NUMBERS)
"""Predictions with clouds painted over the test series."""
KEY_COLUMNS = [field.name for field in _KEY]
"""The columns that say which result a line of predictions, maps or notes belongs to."""
