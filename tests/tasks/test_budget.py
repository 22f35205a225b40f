"""How many labels there are: what a recipe may say, what tasks are called, and which locations are drawn."""

import numpy as np
import pytest
from pydantic import ValidationError

from swath.errors import RecipeError
from swath.tasks import Claim, LabelBudget, TaskConfig, by_budget, listed_budgets, stated_claims
from swath.tasks.data import Labelled, subset

BASE = {"target": {"rule": "scalar", "column": "kind"}, "inputs": {"optical": ["s2/B02"]}}
SHARES = (0.1, 0.3)
SHOTS = (1, 2, 5, 20)


def config(**changes):
    return TaskConfig.model_validate(BASE | changes)


def test_every_number_of_labels_is_a_task_of_its_own():
    both = by_budget("crops", config(labels_per_class=[1, 20], label_fractions=[0.1, 1.0]))
    assert list(both) == ["crops@1-shot", "crops@20-shot", "crops@10%", "crops@100%"]
    assert [one.budget for one in both.values()] == [
        *(LabelBudget(per_class=1), LabelBudget(per_class=20)),
        *(LabelBudget(0.1), LabelBudget()),
    ]
    for name, one in both.items():
        assert by_budget(name, one) == {name: one}, "which lists none itself"
    single = config(labels_per_class=5)
    assert by_budget("crops", single) == {"crops": single}
    assert single.budget == LabelBudget(per_class=5)
    assert listed_budgets((), [5]) == (LabelBudget(per_class=5),)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels_per_class": 0}, "a number from 1 on"),
        ({"labels_per_class": [1, 0]}, "a number from 1 on"),
        ({"labels_per_class": []}, "a number from 1 on"),
        ({"labels_per_class": [5, 5]}, "each once"),
        ({"labels_per_class": 2.5}, "labels_per_class"),
        ({"labels_per_class": 5, "label_fraction": 0.1}, "label_fraction or labels_per_class, not both"),
        ({"labels_per_class": 5, "label_fractions": [0.1]}, r"give a list, \[5\]"),
        (
            {
                "labels_per_class": 5,
                "target": {"rule": "value", "column": "t"},
                "probes": [{"name": "ridge"}],
                "metric": "r2",
            },
            "numbers have no classes; give label_fractions",
        ),
    ],
)
def test_numbers_that_make_no_sense(changes, said):
    with pytest.raises(ValidationError, match=said):
        config(**changes)


def classes(n=97):
    rng = np.random.default_rng(3)
    return rng.permutation(np.r_[np.zeros(n - 33, int), np.ones(30, int), np.full(3, 2)])


def fields():
    """Label maps: everywhere some of class 0 and void, class 1 in a third, class 2 in three, never most of a map."""
    y = np.zeros((60, 4, 4), int)
    y[:, 0] = -1
    y[::3, 2:] = 1
    y[[5, 6, 50], 3, 3] = 2
    return y


def several():
    rng = np.random.default_rng(8)
    return np.c_[np.ones(80, int), rng.random(80) < 0.3, np.arange(80) % 20 == 0].astype(int)


def first_of_each(has, k, draw):
    """For each class, the first k locations of the random order that have it: one after the other."""
    kept = set()
    for c in range(has.shape[1]):
        own = [row for row in np.random.default_rng(draw).permutation(len(has)) if has[row, c]]
        kept |= set(own[:k])
    return sorted(kept)


@pytest.mark.parametrize(
    ("y", "has"),
    [
        (classes(), classes()[:, None] == np.arange(3)),
        (fields(), np.stack([(fields() == c).any(axis=(1, 2)) for c in range(3)], axis=1)),
        (several(), several() == 1),
    ],
    ids=["classes", "pixels", "several"],
)
def test_so_many_of_each_class_are_drawn_or_all_that_there_are(y, has):
    part = Labelled(np.arange(len(y)) + 1000, y)
    before = set()
    for k in SHOTS:
        made = subset(part, LabelBudget(per_class=k), draw=4)
        rows = made.locations - 1000
        assert rows.tolist() == first_of_each(has, k, 4)
        assert (made.y == y[rows]).all()
        assert (has[rows].sum(axis=0) >= np.minimum(k, has.sum(axis=0))).all()
        assert before <= set(rows), "fewer are part of more"
        before = set(rows)
        other = subset(part, LabelBudget(per_class=k), draw=5)
        assert set(other.locations) != set(made.locations)


def test_of_one_class_a_location_there_are_exactly_so_many():
    part = Labelled(np.arange(97), classes())
    assert [np.bincount(subset(part, LabelBudget(per_class=k)).y).tolist() for k in SHOTS] == [
        *([1, 1, 1], [2, 2, 2], [5, 5, 3], [20, 20, 3])
    ]
    shots = [set(subset(part, LabelBudget(per_class=k)).locations) for k in SHOTS]
    shares = [set(subset(part, LabelBudget(share)).locations) for share in SHARES]
    assert shots[0] < shares[0], "10 % are 6, 3 and 1 of the classes, drawn from the same order"
    assert [len(one) for one in shares] == [10, 29]


def test_nothing_is_drawn_from_nothing():
    empty = Labelled(np.arange(0), np.arange(0))
    assert subset(empty, LabelBudget(per_class=5)) is empty


def test_claims_of_a_number_of_labels():
    tasks = {"crops": config(labels_per_class=[1, 5], label_fractions=[0.1]), "all": config()}

    def stated(**more):
        claims = [Claim.model_validate({"better": "a", "than": "b"} | more)]
        return [claim.task for claim in stated_claims(claims, tasks, "ab") or ()]

    assert stated(labels_per_class=5) == ["crops@5-shot"]
    assert stated(label_fraction=0.1) == ["crops@10%"]
    assert stated(label_fraction=1.0) == ["all"]
    assert stated(task="crops") == ["crops@1-shot", "crops@5-shot", "crops@10%"]
    with pytest.raises(RecipeError, match="no task has labels_per_class 2") as caught:
        stated(labels_per_class=2)
    assert (
        caught.value.remedy == "there are labels_per_class 1, labels_per_class 5, label_fraction 0.1, label_fraction 1"
    )
    with pytest.raises(ValidationError, match="label_fraction or labels_per_class, not both"):
        stated(labels_per_class=5, label_fraction=0.1)
