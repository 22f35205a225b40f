import numpy as np
import pytest

from swath.errors import ContractError
from swath.tasks._types import EvaluationUnits
from swath.tasks.data import Labelled, contract_of, extract
from swath.tasks.floors import image_statistics, random_convolutions
from swath.tasks.floors.majority import majority
from tests.tasks.fakes import ALL


def test_majority_is_scikit_learns_dummy():
    from sklearn.dummy import DummyClassifier

    y = np.array([0, 2, 2, 1, 2])
    units = EvaluationUnits(tuple("abcd"), tuple("abcd"), np.zeros(4, int))
    found = majority(Labelled(np.arange(5), y), units, 3)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((5, 1)), y)
    assert (found.y_pred == dummy.predict(np.zeros((4, 1)))).all()
    assert found.scores == pytest.approx(dummy.predict_proba(np.zeros((4, 1))))


def test_majority_of_pixels_counts_pixels_without_void():
    y = np.array([[[0, 1], [1, -1]], [[-1, -1], [-1, -1]]])
    units = EvaluationUnits(("a",), ("a",), np.zeros((1, 2, 2), int))
    found = majority(Labelled(np.arange(2), y), units, 2)
    assert found.y_pred.tolist() == [[[1, 1], [1, 1]]]
    assert found.scores is None


def test_contracts_carry_the_corpus_statistics(corpus):
    contract = contract_of(corpus, ALL[2:4])
    assert contract.units == ("reflectance", "dB")
    assert contract.mean[1] == corpus.statistics["sentinel-1-grd"]["VV"].mean
    with pytest.raises(ContractError, match="no statistics of sentinel-2-l2a/B99"):
        contract_of(corpus, ("sentinel-2-l2a/B99",))


def test_statistics_of_an_image_are_the_pixels_own(corpus):
    rows = np.array([3, 4])
    found = extract(image_statistics.build(corpus, ALL[:1]), corpus, rows, ALL[:1])
    assert found.shape == (2, 4)
    assert (found[:, 2] < found[:, 0]).all()
    assert (found[:, 0] < found[:, 3]).all()


def test_random_convolutions_differ_by_seed_only(corpus):
    rows = np.array([3, 4])
    one, same, other = (
        extract(random_convolutions.build(corpus, ALL[:2], seed), corpus, rows, ALL[:2]) for seed in (0, 0, 1)
    )
    assert (one == same).all()
    assert not (one == other).all()
