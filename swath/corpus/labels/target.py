"""What is judged, from label maps or scalar labels: one class a location, several classes a location, one a pixel, or
a number a location.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray
from pydantic import Field, model_validator

from swath.corpus.store import Corpus, LabelLayer
from swath.corpus.store.codes import positions
from swath.errors import CorpusError, nearest
from swath.settings import Settings

_BLOCK = 1024
"""Locations whose label maps are in memory at a time."""


class Dominant(Settings):
    """The class of a location is the one that covers most of its label map."""

    rule: Literal["dominant"] = "dominant"
    layer: str
    """Name of the label layer."""
    min_share: float = Field(default=0.6, ge=0, le=1)
    """Leave out locations whose most frequent class covers a smaller share of the labelled pixels."""
    min_labelled: float = Field(default=0.5, ge=0, le=1)
    """Leave out locations with a smaller share of labelled (not void) pixels."""
    classes: tuple[str, ...] | None = None
    """Keep only locations of these classes; by default of all."""
    ignore: tuple[str, ...] = ()
    """Leave out locations of these classes."""


class Fraction(Settings):
    """The class of a location says whether one class covers much (1) or little (0) of its label map.

    Locations between the two limits are left out. Class 0 is named as the layer's other class where it has two, else
    `not` and the class's name.
    """

    rule: Literal["fraction"] = "fraction"
    layer: str
    """Name of the label layer."""
    code: int
    """Code of the class whose share counts."""
    above: float = Field(default=0.5, ge=0, le=1)
    """A location is of class 1 if the class covers more than this share of the labelled pixels."""
    below: float = Field(default=0.05, ge=0, le=1)
    """A location is of class 0 if the class covers less than this share."""
    min_labelled: float = Field(default=0.5, ge=0, le=1)
    """Leave out locations with a smaller share of labelled (not void) pixels."""

    @model_validator(mode="after")
    def _apart(self) -> "Fraction":
        if self.below > self.above:
            raise ValueError(f"below ({self.below}) must not be larger than above ({self.above})")
        return self


class Scalar(Settings):
    """The class of a location is the value of a scalar label."""

    rule: Literal["scalar"] = "scalar"
    column: str
    """Column of the corpus's locations that holds the label."""
    classes: tuple[str, ...] | None = None
    """Keep only locations of these classes; by default of all."""
    ignore: tuple[str, ...] = ()
    """Leave out locations of these classes."""


class MultiLabel(Settings):
    """A location has any number of classes, whose names a scalar label joins in one text.

    Locations without one are left out.
    """

    rule: Literal["multi-label"] = "multi-label"
    column: str
    """Column of the corpus's locations that holds the names."""
    separator: str = Field(default=";", min_length=1)
    """What stands between two names; space around a name is ignored."""
    classes: tuple[str, ...] | None = None
    """Only these classes are labels; by default all are."""
    ignore: tuple[str, ...] = ()
    """These classes are no labels."""


class Pixels(Settings):
    """Every pixel has the class that a label map gives it: segmentation."""

    rule: Literal["pixels"] = "pixels"
    layer: str
    """Name of the label layer."""
    min_labelled: int = Field(default=1, ge=1)
    """Leave out locations with a smaller share of labelled pixels."""
    classes: tuple[str, ...] | None = None
    """Pixels of all other classes become void; by default none do."""
    ignore: tuple[str, ...] = ()
    """Pixels of these classes become void."""


class Value(Settings):
    """A scalar label as a number to estimate (regression); locations without one are left out and counted."""

    rule: Literal["value"] = "value"
    column: str
    """Column of the corpus's locations."""
    unit: str | None = Field(default=None, min_length=1)
    """Unit of the numbers, such as `°C`, or `1` where they have none; by default the unit that the corpus names."""


TargetConfig = Annotated[Dominant | Fraction | Scalar | MultiLabel | Pixels | Value, Field(discriminator="rule")]
"""How locations or pixels get their classes, or locations their numbers; the rules are told apart by `rule`."""
VOID = -1
"""Stands for the class of a pixel without a label in `LabelMaps` and `positions`."""
MOST_LABELS = 62
"""Largest number of classes of a multi-label target: a location's labels are stored as the bits of one number."""

_MORE = {
    "dominant": "lower min_share or min_labelled, or let other classes count",
    "fraction": "lower above or min_labelled, or raise below",
    "scalar": "name another column, or let other classes count",
}
"""How a rule finds more classes."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMaps:
    """Label maps with each code replaced by its position in a list of classes."""

    corpus: Corpus
    layer: str
    codes: tuple[int, ...]
    """Code of each class, ascending; a pixel with any other code counts as having no label."""

    def read(self, rows: Int[ndarray, " n"]) -> Int[ndarray, "n h w"]:
        """Maps of these rows of `corpus.locations`; VOID where there is no label.

        Raises:
            CorpusError: a map holds a code that its layer does not declare.
        """
        return positions(self.corpus.labels(self.layer, rows), self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Locations that have a class or a number, and their classes or numbers."""

    locations: Int[ndarray, " n"]
    """Rows of `corpus.locations`, ascending."""
    y: Int[ndarray, " n"] | Float[ndarray, " n"]
    """Position of each location's class in `classes`; of label maps, the class of most labelled pixels; of several
    labels, the rarest. In a regression: the numbers, float64, finite."""
    classes: list[str]
    """Names of the classes; where locations have one class each, every class occurs at least twice. Empty in a
    regression."""
    maps: LabelMaps | None = None
    """Label maps where every pixel has a class; else None."""
    has_class: Int[ndarray, "n k"] | None = None
    """1 for the classes that a location has and 0 for the others, where it may have several; else None."""
    unit: str = ""
    """Unit of the numbers in a regression; empty where they have none, and for classes."""
    missing: int = 0
    """Number of locations of the corpus that are left out because they have no number."""


def targets(corpus: Corpus, config: Dominant | Fraction | Scalar | MultiLabel | Pixels | Value) -> Targets:
    """The class or classes, or the number, of every location, or pixel, that has any.

    Raises:
        CorpusError: no such layer, code, class or column; fewer than two classes; or a class with a single location
            (of a map: without a pixel it is no class of the task). Of numbers: texts, infinite ones, a single one for
            all locations, or a unit that is not the corpus's.
    """
    if isinstance(config, Value):
        return _values(corpus, config)
    if isinstance(config, Pixels):
        return _pixels(corpus, config)
    if isinstance(config, MultiLabel):
        return _multi_label(corpus, config)
    if isinstance(config, Dominant):
        names = _dominant(corpus, config)
    elif isinstance(config, Fraction):
        names = _fraction(corpus, config)
    else:
        names = _scalar(corpus, config)
    return _encoded(corpus, config, *names)


def _dominant(corpus: Corpus, config: Dominant) -> tuple[list[str | None], list[str]]:
    classes = _layer(corpus, config.layer).labelled
    codes, order = list(classes), list(classes.values())
    kept = _kept(order, config, str(corpus.path))
    names: list[str | None] = []
    for counts, pixels in _counts(corpus, config.layer, codes):
        labelled = counts.sum(1)
        share = counts.max(1) / np.maximum(labelled, 1)
        clear = (share >= config.min_share) & (labelled > 0) & (labelled >= config.min_labelled * pixels)
        dominant = [order[k] for k in counts.argmax(1)]
        names += [name if ok and name in kept else None for name, ok in zip(dominant, clear, strict=True)]
    return names, order


def _pixels(corpus: Corpus, config: Pixels) -> Targets:
    classes = _layer(corpus, config.layer).labelled
    kept = _kept(list(classes.values()), config, str(corpus.path))
    codes = [code for code, name in classes.items() if name in kept]
    blocks = [counts for counts, _ in _counts(corpus, config.layer, codes)]
    counts = np.concatenate(blocks) if blocks else np.zeros((0, len(codes)))
    rows = np.flatnonzero(counts.sum(1) >= config.min_labelled)
    present = np.flatnonzero(counts[rows].sum(axis=0))
    codes = [codes[k] for k in present]
    names = [classes[code] for code in codes]
    if len(names) < 2:
        raise CorpusError(
            f"the pixels of {len(rows)} of {len(counts)} locations have {_counted(names)}",
            where=_where(corpus, config),
            remedy="the rest is void: lower min_labelled, or let other classes count; a task needs two",
        )
    dominant = counts[rows][:, present].argmax(axis=1)
    return Targets(rows, dominant, names, LabelMaps(corpus, config.layer, tuple(codes)))


def _multi_label(corpus: Corpus, config: MultiLabel) -> Targets:
    where = str(corpus.path)
    column = _column(corpus, config.column)
    if not pd.api.types.is_string_dtype(column.dropna()):
        raise CorpusError(
            f"column {config.column!r} holds {column.dtype} values, not texts that join the names of classes",
            where=where,
            remedy="name a column of texts, or take the values as they stand: rule: scalar",
        )
    said = [
        {name.strip() for name in text.split(config.separator)} - {""} if there else set()
        for text, there in zip(column, column.notna(), strict=True)
    ]
    order = sorted(set().union(*said), key=_natural)
    kept = _kept(order, config, where)
    labels = [names & kept for names in said]
    rows = np.array([row for row, names in enumerate(labels) if names], int)
    classes = [name for name in order if name in kept]
    if not 2 <= len(classes) <= MOST_LABELS:
        raise CorpusError(
            f"{len(rows)} of {len(labels)} locations have {_counted(classes)} between them",
            where=_where(corpus, config),
            remedy=f"a multi-label task needs 2 to {MOST_LABELS}: see separator, classes and ignore",
        )
    has_class = np.array([[name in labels[row] for name in classes] for row in rows], dtype=np.int64)
    return Targets(rows, rarest(has_class), classes, has_class=has_class)


def rarest(has_class: Int[ndarray, "n k"]) -> Int[ndarray, " n"]:
    """For each location, the one of its classes that the fewest locations have."""
    often = np.where(has_class == 1, has_class.sum(axis=0), len(has_class) + 1)
    return often.argmin(axis=1)


def _fraction(corpus: Corpus, config: Fraction) -> tuple[list[str | None], list[str]]:
    classes = _layer(corpus, config.layer).labelled
    if config.code not in classes:
        raise CorpusError(
            f"label layer {config.layer!r} has no code {config.code} of a class",
            where=str(corpus.path),
            remedy=f"known: {', '.join(f'{code} {name}' for code, name in classes.items())}",
        )
    codes, name = list(classes), classes[config.code]
    others = [other for code, other in classes.items() if code != config.code]
    without = others[0] if len(others) == 1 else f"not {name}"
    names: list[str | None] = []
    for counts, pixels in _counts(corpus, config.layer, codes):
        labelled = counts.sum(1)
        share = counts[:, codes.index(config.code)] / np.maximum(labelled, 1)
        known = (labelled > 0) & (labelled >= config.min_labelled * pixels)
        much, little = known & (share > config.above), known & (share < config.below)
        names += [name if m else without if n else None for m, n in zip(much, little, strict=True)]
    return names, [without, name]


def _scalar(corpus: Corpus, config: Scalar) -> tuple[list[str | None], list[str]]:
    where = str(corpus.path)
    column = _column(corpus, config.column)
    if column.dtype.kind == "f" and (column.dropna().to_numpy() % 1).any():
        raise CorpusError(
            f"column {config.column!r} holds continuous values, not classes",
            where=where,
            remedy="name a column of whole numbers or texts, or estimate the numbers: rule: value",
        )
    known = column.notna().to_numpy()
    texts = [_text(value) if there else None for value, there in zip(column, known, strict=True)]
    order = sorted({text for text in texts if text is not None}, key=_natural)
    _check_spaces(order, config.column, where)
    kept = _kept(order, config, where)
    return [text if text in kept else None for text in texts], order


def _check_spaces(names: Sequence[str], column: str, where: str) -> None:
    """Raise CorpusError where names of classes differ in the space around them alone."""
    bare = [name.strip() for name in names]
    if twice := next((one for one, short in zip(names, bare, strict=True) if bare.count(short) > 1), None):
        raise CorpusError(
            f"column {column!r} holds {twice!r}, and the same with other space around it",
            where=where,
            remedy="write it in one way",
        )


def _values(corpus: Corpus, config: Value) -> Targets:
    where = f"{corpus.path}, column {config.column!r}"
    column = _column(corpus, config.column)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise CorpusError(
            f"the values are {column.dtype}, not numbers, so there is nothing to estimate",
            where=where,
            remedy="name a column of numbers, or take the values as classes: rule: scalar",
        )
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if infinite := int(np.isinf(numbers).sum()):
        first = corpus.locations["uid"].iloc[int(np.isinf(numbers).argmax())]
        raise CorpusError(
            f"{infinite} values are infinite, that of location {first} first",
            where=where,
            remedy="leave the value out where there is none",
        )
    rows = np.flatnonzero(~np.isnan(numbers))
    y = numbers[rows]
    if len(np.unique(y)) < 2:
        said = f"all {len(y)} values are {y[0]:g}" if len(y) else "no location has a value"
        raise CorpusError(said, where=where, remedy="name another column: there is nothing to estimate")
    return Targets(rows, y, [], unit=_unit(corpus, config, where), missing=len(numbers) - len(rows))


def _unit(corpus: Corpus, config: Value, where: str) -> str:
    """Unit of a column's numbers, empty where they have none: what the corpus says, and the recipe if that does not."""
    own = corpus.info.units.get(config.column)
    if own is None and config.unit is None:
        raise CorpusError(
            "neither the corpus nor the recipe says which unit the numbers have",
            where=where,
            remedy="give unit in the target, such as unit: K, or unit: '1' where they have none",
        )
    if own is not None and config.unit not in (None, own):
        raise CorpusError(
            f"the target says that its numbers are in {config.unit}, the corpus has them in {own}",
            where=where,
            remedy=f"give unit: {own!r}, or leave unit out",
        )
    unit = own or config.unit or ""
    return "" if unit == "1" else unit


def _column(corpus: Corpus, name: str) -> pd.Series:
    if name not in corpus.locations:
        where, remedy = str(corpus.path), nearest(name, map(str, corpus.locations))
        raise CorpusError(f"no column {name!r}", where=where, remedy=remedy)
    column = corpus.locations[name]
    assert isinstance(column, pd.Series)
    return column


def _text(value: object) -> str:
    # whole numbers come back as floats where some are missing
    return str(int(value)) if isinstance(value, float) else str(value)


def _natural(text: str) -> tuple[bool, float, str]:
    number = text.removeprefix("-").isdecimal()
    return (not number, float(text) if number else 0.0, text)


def _layer(corpus: Corpus, name: str) -> LabelLayer:
    if name not in corpus.label_layers:
        raise CorpusError(f"no label layer {name!r}", where=str(corpus.path), remedy=nearest(name, corpus.label_layers))
    return corpus.label_layers[name]


def _kept(order: Sequence[str], config: Dominant | Scalar | MultiLabel | Pixels, where: str) -> set[str]:
    for name in (*(config.classes or ()), *config.ignore):
        if name not in order:
            raise CorpusError(f"no class {name!r}", where=where, remedy=nearest(name, order))
    return set(config.classes if config.classes is not None else order) - set(config.ignore)


def _where(corpus: Corpus, config: Dominant | Fraction | Scalar | MultiLabel | Pixels) -> str:
    """The corpus, and the column or layer that its classes are of."""
    what = f"column {config.column}" if isinstance(config, Scalar | MultiLabel) else f"label layer {config.layer}"
    return f"{corpus.path}, {what} (rule: {config.rule})"


def _counted(names: Sequence[str]) -> str:
    """How many classes these are; of a single one, which."""
    if len(names) == 1:
        return f"one class ({names[0]!r})"
    return f"{len(names)} classes" if names else "no class"


def _counts(corpus: Corpus, layer: str, codes: list[int]) -> Iterator[tuple[Float[ndarray, "n k"], int]]:
    """Pixels per class and location without void, and pixels per location, a block of locations at a time."""
    for start in range(0, len(corpus.locations), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(corpus.locations)))
        maps = positions(corpus.labels(layer, rows).reshape(len(rows), -1), codes)
        # one number for each location and class, the first of a location's for what is no label
        entry = np.arange(len(rows))[:, None] * (len(codes) + 1) + maps + 1
        counts = np.bincount(entry.ravel(), minlength=len(rows) * (len(codes) + 1))
        yield counts.reshape(len(rows), -1)[:, 1:].astype(float), maps.shape[1]


def _encoded(
    corpus: Corpus, config: Dominant | Fraction | Scalar, names: list[str | None], order: list[str]
) -> Targets:
    rows = np.array([row for row, name in enumerate(names) if name is not None], int)
    present = [name for name in order if name in set(names)]
    y = np.array([present.index(name) for name in names if name is not None], int)
    where = _where(corpus, config)
    if len(present) < 2:
        raise CorpusError(
            f"the target has {_counted(present)} at {len(rows)} of {len(names)} locations",
            where=where,
            remedy=f"{_MORE[config.rule]}: a task needs two classes",
        )
    for name, count in zip(present, np.bincount(y), strict=True):
        if count < 2:
            raise CorpusError(
                f"class {name!r} has a single location", where=where, remedy=f"leave it out: ignore: [{name}]"
            )
    return Targets(rows, y, present)
