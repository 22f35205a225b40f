"""The choice of combinations that are trained: all, some at random, or those that tell most.

A fraction is chosen to be D-optimal in Bayes' sense (DuMouchel and Jones 1994, "A simple Bayesian modification of
D-optimal designs"): every axis can be told apart from every other, the pairs of axes that are asked for as well, and
other pairs as well as the number of arms allows.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from pydantic import Field

from swath.errors import RecipeError
from swath.settings import Seed, Settings

Levels: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of the levels, by axis."""
Point: TypeAlias = dict[str, str]
"""One combination: a level for each axis."""

STARTS = 8
"""Number of random designs that the exchange starts from."""
SAME = 1e-7
"""Values that differ by so little, or by this share where they are large, are the same but for rounding."""
DRAWS = 100
"""Number of random designs that are tried until one tells the axes apart."""
MOST_COMBINATIONS = 20_000
"""Largest number of combinations that are enumerated."""


class GridDesign(Settings):
    """The design that trains all combinations of the levels."""

    name: Literal["grid"] = "grid"


class FractionDesign(Settings):
    """The design of so many combinations, chosen to tell the effects of all axes apart as well as possible."""

    name: Literal["fraction"] = "fraction"
    arms: int = Field(ge=2)
    seed: Seed = 0


class RandomDesign(Settings):
    """The design of so many combinations, drawn at random without repetition."""

    name: Literal["random"] = "random"
    arms: int = Field(ge=2)
    seed: Seed = 0


Design = Annotated[GridDesign | FractionDesign | RandomDesign, Field(discriminator="name")]


def points_of(
    levels: Levels,
    design: Design,
    without: Sequence[Mapping[str, str]] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> list[Point]:
    """The combinations of a design, in the order of the axes.

    Args:
        levels: by axis.
        design: which of the combinations.
        without: combinations that are none: level by axis.
        pairs: pairs of axes whose joint effects have to be told apart as well.

    Raises:
        RecipeError: nothing is left, there are too many combinations, or those of the design do not tell axes, or
            these pairs of them, apart.
    """
    number = int(np.prod([len(names) for names in levels.values()], dtype=object))
    if number > MOST_COMBINATIONS:
        raise RecipeError(
            f"{number} combinations are more than {MOST_COMBINATIONS}",
            where="sweep.axes",
            remedy="give fewer axes or levels",
        )
    every = [dict(zip(levels, names, strict=True)) for names in itertools.product(*levels.values())]
    points = [point for point in every if not any(one.items() <= point.items() for one in without)]
    if lost := _lost(levels, points):
        raise RecipeError(f"no combination with {lost} is left", where="sweep.without", remedy="leave out fewer")
    if isinstance(design, GridDesign) or design.arms >= len(points):
        chosen = points
    else:
        chosen = _some(levels, points, design, pairs)
    # else least squares would share out between axes what belongs to one of them, without a word
    if not _tells_apart(levels, chosen, pairs):
        named = "".join(f", and {a} with {b}" for a, b in pairs)
        raise RecipeError(
            f"these {len(chosen)} combinations do not tell the axes{named} apart",
            where="sweep",
            remedy="leave out fewer combinations, or take a fraction instead of random ones, or more of them",
        )
    return chosen


def _some(
    levels: Levels, points: list[Point], design: FractionDesign | RandomDesign, pairs: Sequence[tuple[str, str]]
) -> list[Point]:
    generator = np.random.default_rng(design.seed)
    if isinstance(design, FractionDesign):
        return [points[i] for i in sorted(_most_telling(levels, points, design.arms, pairs, generator))]
    drawn: list[Point] = []
    for _ in range(DRAWS):
        drawn = [points[i] for i in sorted(generator.choice(len(points), design.arms, replace=False))]
        if _tells_apart(levels, drawn, pairs):
            break
    return drawn


def _tells_apart(levels: Levels, points: Sequence[Point], pairs: Sequence[tuple[str, str]]) -> bool:
    matrix = columns(levels, points, pairs)
    return int(np.linalg.matrix_rank(matrix)) == matrix.shape[1]


def columns(levels: Levels, points: Sequence[Point], pairs: Sequence[tuple[str, str]] = ()) -> Float[np.ndarray, "n p"]:
    """The model matrix of the axes, and of some pairs of them: each level against the mean of its axis.

    The first column is 1. An axis of k levels has k - 1 columns, of which each is 1 for its level and -1 for the last
    (effect coding), so that a coefficient is a difference from the mean of all levels; a pair has their products.
    """
    own = {axis: _coded(names, [point[axis] for point in points]) for axis, names in levels.items()}
    products = [
        (own[a][:, :, None] * own[b][:, None, :]).reshape(len(points), own[a].shape[1] * own[b].shape[1])
        for a, b in pairs
    ]
    return np.concatenate([np.ones((len(points), 1)), *own.values(), *products], axis=1)


def separable_pairs(levels: Levels, points: Sequence[Point]) -> list[tuple[str, str]]:
    """The pairs of axes whose joint effects these combinations tell apart from everything else that is told apart.

    Pairs are taken in the order of the axes as long as the model stays of full rank.
    """
    pairs: list[tuple[str, str]] = []
    for pair in itertools.combinations(levels, 2):
        matrix = columns(levels, points, [*pairs, pair])
        if np.linalg.matrix_rank(matrix) == matrix.shape[1]:
            pairs.append(pair)
    return pairs


def _coded(names: Sequence[str], given: Sequence[str]) -> Float[np.ndarray, "n k"]:
    position = np.array([names.index(name) for name in given])
    code = np.vstack([np.eye(len(names) - 1), -np.ones(len(names) - 1)])
    return code[position]


def _lost(levels: Levels, points: Sequence[Point]) -> str:
    """The first level that no combination has; empty if every level occurs."""
    there = {(axis, point[axis]) for point in points for axis in levels}
    return next(
        (f"{axis}: {name}" for axis, names in levels.items() for name in names if (axis, name) not in there), ""
    )


def _most_telling(
    levels: Levels,
    points: Sequence[Point],
    arms: int,
    pairs: Sequence[tuple[str, str]],
    generator: np.random.Generator,
) -> list[int]:
    sought = columns(levels, points, pairs).shape[1]
    if arms < sought:
        raise RecipeError(
            f"{arms} arms cannot tell {sought - 1} effects of the axes{' and pairs' if pairs else ''} apart",
            where="sweep.design.arms",
            remedy=f"give at least {sought}, or fewer levels{' or pairs' if pairs else ''}",
        )
    others = [pair for pair in itertools.combinations(levels, 2) if frozenset(pair) not in map(frozenset, pairs)]
    matrix = columns(levels, points, [*pairs, *others])
    # what is known before: nothing of what is sought, and that other pairs are of the order of one standard error
    prior = np.where(np.arange(matrix.shape[1]) < sought, 1e-6, 1.0)
    designs = [_exchanged(matrix, prior, generator.permutation(len(points))[:arms].tolist()) for _ in range(STARTS)]
    # of the best designs only those that tell all apart will do; the prior makes sure of it where one exists
    telling = np.array([np.linalg.slogdet(_information(matrix, prior, one))[1] for one in designs])
    best = designs[_first_of_the_largest(telling)]
    if np.linalg.matrix_rank(matrix[best][:, :sought]) < sought:
        raise RecipeError(
            f"no {arms} of the {len(points)} combinations tell all axes{' and pairs' if pairs else ''} apart",
            where="sweep.without",
            remedy="leave out fewer combinations, or give sweep.design.arms more",
        )
    return best


def _information(matrix: Float[np.ndarray, "n p"], prior: Float[np.ndarray, " p"], design: list[int]) -> np.ndarray:
    return matrix[design].T @ matrix[design] + np.diag(prior)


def _exchanged(matrix: Float[np.ndarray, "n p"], prior: Float[np.ndarray, " p"], design: list[int]) -> list[int]:
    """Exchange points one by one for those that raise the determinant most (Fedorov), until none does."""
    design = list(design)
    for _ in range(50 * len(design)):
        inverse = np.linalg.inv(_information(matrix, prior, design))
        distance = matrix @ inverse @ matrix.T
        own = np.diag(distance)
        # factor of the determinant when i leaves and j enters
        gain = (1 - own[design])[:, None] * (1 + own)[None, :] + distance[design] ** 2
        gain[:, design] = 0.0  # each combination once
        if gain.max() <= 1 + 10 * SAME:
            break
        leaves, enters = np.unravel_index(_first_of_the_largest(gain), gain.shape)
        design[int(leaves)] = int(enters)
    return design


def _first_of_the_largest(values: Float[np.ndarray, "*n"]) -> int:
    """Position of the first of those values that differ from the largest by rounding alone.

    Many exchanges and designs are equally good. The largest of them by the last digit is another one with another
    library, processor or number of threads, and a recipe would have other arms there.
    """
    flat = values.ravel()
    return int(np.flatnonzero(flat >= flat.max() - SAME * max(1.0, abs(flat.max())))[0])
