"""Which combinations a design takes, and what it can tell apart."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import RecipeError
from swath.sweep import FractionDesign, GridDesign, RandomDesign, points_of
from swath.sweep.design import _exchanged, columns, separable_pairs

LEVELS = {"method": ("simclr", "byol", "vicreg", "dino"), "crops": ("mild", "strong"), "network": ("r18", "vit", "cn")}


def test_a_grid_is_every_combination_in_the_order_of_the_axes():
    points = points_of(LEVELS, GridDesign())
    assert [tuple(point.values()) for point in points] == list(itertools.product(*LEVELS.values()))


def test_combinations_that_are_left_out():
    points = points_of(LEVELS, GridDesign(), [{"method": "dino", "network": "r18"}, {"crops": "mild", "network": "cn"}])
    assert len(points) == 4 * 2 * 3 - 2 - 4 + 0
    assert {"method": "dino", "crops": "mild", "network": "r18"} not in points
    with pytest.raises(RecipeError, match="no combination with method: dino is left"):
        points_of(LEVELS, GridDesign(), [{"method": "dino"}])


@pytest.mark.parametrize("design", [FractionDesign(arms=10, seed=3), RandomDesign(arms=10, seed=3)])
def test_so_many_different_combinations_and_the_same_again(design):
    points = points_of(LEVELS, design)
    assert len({tuple(point.values()) for point in points}) == 10
    assert points == points_of(LEVELS, design)
    assert points_of(LEVELS, design.model_copy(update={"arms": 500})) == points_of(LEVELS, GridDesign())


@given(
    sizes=st.lists(st.integers(2, 5), min_size=1, max_size=4),
    more=st.integers(0, 10),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_fraction_tells_all_axes_apart_however_small(sizes, more, seed):
    levels = {f"axis{i}": tuple("abcde"[:size]) for i, size in enumerate(sizes)}
    least = 1 + sum(size - 1 for size in sizes)
    points = points_of(levels, FractionDesign(arms=least + more, seed=seed))
    assert np.linalg.matrix_rank(columns(levels, points)) == least


def test_a_fraction_is_better_than_chance_and_no_worse_than_the_regular_half():
    levels = dict.fromkeys("abcd", ("low", "high"))
    information = {
        design.name: np.linalg.det(columns(levels, chosen).T @ columns(levels, chosen))
        for design in (FractionDesign(arms=8), RandomDesign(arms=8))
        if (chosen := points_of(levels, design))
    }
    # of two levels each the best possible is known: all columns at right angles, n to the number of columns
    assert information["fraction"] == pytest.approx(8.0**5)
    assert information["random"] < information["fraction"]


def test_too_few_arms_are_refused():
    with pytest.raises(RecipeError, match="6 arms cannot tell 6 effects"):
        points_of(LEVELS, FractionDesign(arms=6))


@pytest.mark.parametrize(
    ("design", "without"),
    [
        # net is what method is: nobody can say whose effect it is
        (GridDesign(), [{"method": "a", "net": "q"}, {"method": "b", "net": "p"}]),
        # two of the three crops are left
        (RandomDesign(arms=2, seed=1), []),
    ],
)
def test_combinations_that_confound_axes_are_refused(design, without):
    levels = {"method": ("a", "b"), "net": ("p", "q"), "crops": ("mild", "strong", "none")}
    with pytest.raises(RecipeError, match="do not tell the axes apart"):
        points_of(levels, design, without)


def test_a_fraction_tells_the_pairs_that_are_asked_for_apart():
    pairs = [("method", "network")]
    points = points_of(LEVELS, FractionDesign(arms=13), pairs=pairs)
    # a mean, 3 + 1 + 2 effects of axes and 3 x 2 of the pair
    assert np.linalg.matrix_rank(columns(LEVELS, points, pairs)) == 13
    assert pairs[0] not in separable_pairs(LEVELS, points_of(LEVELS, FractionDesign(arms=13)))
    with pytest.raises(RecipeError, match="12 arms cannot tell 12 effects of the axes and pairs apart"):
        points_of(LEVELS, FractionDesign(arms=12), pairs=pairs)


def test_combinations_that_confound_a_pair_that_is_asked_for_are_refused():
    with pytest.raises(RecipeError, match="do not tell the axes, and method with network apart"):
        points_of(LEVELS, RandomDesign(arms=12), pairs=[("method", "network")])


def test_columns_are_differences_from_the_mean_of_an_axis():
    levels = {"a": ("x", "y", "z"), "b": ("p", "q")}
    points = points_of(levels, GridDesign())
    matrix = columns(levels, points, [("a", "b")])
    assert matrix.shape == (6, 1 + 2 + 1 + 2)
    assert (matrix[:, 1:].sum(axis=0) == 0).all()
    row = matrix[points.index({"a": "z", "b": "p"})]
    assert row.tolist() == [1, -1, -1, 1, -1, -1]


def test_pairs_that_can_be_told_apart():
    assert separable_pairs(LEVELS, points_of(LEVELS, GridDesign())) == list(itertools.combinations(LEVELS, 2))
    levels = dict.fromkeys("abc", ("low", "high"))
    half = [p for p in points_of(levels, GridDesign()) if [*p.values()].count("high") % 2 == 1]
    # in this half c is what a and b do together
    assert separable_pairs(levels, half) == []


def test_a_million_combinations_are_refused():
    with pytest.raises(RecipeError, match="1000000 combinations"):
        points_of({f"a{i}": tuple(map(str, range(10))) for i in range(6)}, GridDesign())


def test_rounding_does_not_choose_the_arms():
    """Many exchanges are equally good. Which is the largest by the last digit depends on library and processor."""
    levels = {"method": tuple("abcdefghij"), "colour": tuple("xyz"), "network": tuple("uvw")}
    points = [dict(zip(levels, names, strict=True)) for names in itertools.product(*levels.values())]
    matrix = columns(levels, points, list(itertools.combinations(levels, 2)))
    prior = np.where(np.arange(matrix.shape[1]) < 32, 1e-6, 1.0)
    rng = np.random.default_rng(0)
    start = rng.permutation(len(points))[:40].tolist()
    chosen = _exchanged(matrix, prior, start)
    for _ in range(5):
        order = rng.permutation(matrix.shape[1])  # the same, summed up in another order
        assert _exchanged(matrix[:, order], prior[order], start) == chosen
