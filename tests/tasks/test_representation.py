"""Properties of features: against closed forms, scikit-learn and plain transcriptions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from swath.errors import SwathError
from swath.tasks import representation as r

RNG = np.random.default_rng


def test_alignment_and_uniformity_are_those_of_a_plain_transcription():
    a, b = RNG(0).normal(size=(2, 30, 5))
    u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    assert r.alignment(a, b) == pytest.approx(np.mean([np.sum((p - q) ** 2) for p, q in zip(u, v, strict=True)]))
    pairs = [np.exp(-2 * np.sum((u[i] - u[j]) ** 2)) for i in range(30) for j in range(30) if i != j]
    assert r.uniformity(a) == pytest.approx(np.log(np.mean(pairs)))
    assert r.alignment(a, 3 * a) == pytest.approx(0)
    assert r.uniformity(np.ones((5, 3))) == pytest.approx(0)
    wide = RNG(1).normal(size=(600, 400))
    assert r.uniformity(wide) == pytest.approx(-4 + 8 / 400, abs=0.02)  # cosines of mean 0 and variance 1 / d
    assert np.isnan(r.uniformity(a[:1]))


def test_rank_of_a_known_spectrum():
    basis = np.linalg.qr(RNG(0).normal(size=(50, 50)))[0]
    turn = np.linalg.qr(RNG(1).normal(size=(8, 8)))[0]
    equal = basis[:, :8] @ turn
    assert r.effective_rank(equal) == pytest.approx(8)
    values = np.array([8.0, 4, 2, 1, 1, 0, 0, 0])
    share = values[:5] / values.sum()
    assert r.effective_rank(basis[:, :8] * values @ turn) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert r.effective_rank(np.ones((9, 4))) == pytest.approx(1)
    assert r.effective_rank(r.centred(np.full((9, 4), 0.1))) == 0


def test_rankme_is_the_formula_with_its_epsilon():
    x = RNG(0).normal(size=(40, 6)) @ RNG(1).normal(size=(6, 30)) + 2
    share = np.sqrt(np.linalg.eigvalsh(x @ x.T).clip(0))[-30:]
    share = share / share.sum() + 1e-7
    assert r.rankme(x) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)
    assert r.rankme(np.ones((9, 4))) == pytest.approx(1, abs=1e-4)
    assert r.rankme(np.zeros((9, 4))) == 0


def test_dimension_of_a_cube_that_lies_in_a_larger_space():
    for d in (2, 5):
        cube = RNG(d).random((1200, d)) @ RNG(9).normal(size=(d, 12))
        assert r.intrinsic_dimension(cube) == pytest.approx(d, rel=0.12)
    few = RNG(0).random((400, 2))
    assert r.intrinsic_dimension(np.concatenate([few, few])) == pytest.approx(r.intrinsic_dimension(few))
    assert np.isnan(r.intrinsic_dimension(np.ones((9, 3))))


def test_likeness_of_turned_and_of_unrelated_features():
    a = RNG(0).normal(size=(40, 6))
    turn = np.linalg.qr(RNG(1).normal(size=(6, 6)))[0]
    assert r.cka(a, a) == pytest.approx(1)
    assert r.cka(a, 5 * a @ turn + 3) == pytest.approx(1)
    assert np.isnan(r.cka(a, np.ones((40, 2))))
    assert np.isnan(r.cka(a[:3], a[:3]))
    found = [r.cka(*RNG(i).normal(size=(2, 30, 60))) for i in range(60)]
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(60)


def test_likeness_is_the_unbiased_statistic():
    a, b = RNG(0).normal(size=(7, 3)), RNG(1).normal(size=(7, 2))
    k, m = a @ a.T, b @ b.T
    quadruples = pairs = triples = 0.0
    n = 7
    for i in range(n):
        for j in set(range(n)) - {i}:
            pairs += k[i, j] * m[i, j] / (n * (n - 1))
            for q in set(range(n)) - {i, j}:
                triples += k[i, j] * m[i, q] / (n * (n - 1) * (n - 2))
                for s in set(range(n)) - {i, j, q}:
                    quadruples += k[i, j] * m[q, s] / (n * (n - 1) * (n - 2) * (n - 3))
    assert r.hsic(a, b) == pytest.approx(pairs + quadruples - 2 * triples)


def test_retrieval_is_the_mean_of_scikit_learns_average_precision():
    x, y = RNG(0).normal(size=(25, 3)), RNG(1).integers(0, 3, 25)
    y[0] = 7  # the only one of its class: it asks nothing
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = []
    for i in range(1, 25):
        others = np.arange(25) != i
        expected.append(average_precision_score(y[others] == y[i], (z @ z[i])[others]))
    assert r.retrieval(x, y) == pytest.approx(np.mean(expected))
    tied = np.repeat(np.eye(2), 4, axis=0)
    assert r.retrieval(tied, np.arange(8) % 2) == pytest.approx(
        average_precision_score(np.arange(1, 8) % 2 == 0, tied[1:] @ tied[0])
    )
    assert r.retrieval(np.ones((6, 2)), np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(2 / 5)
    assert np.isnan(r.retrieval(x[:3], np.arange(3)))


def test_clusters_that_are_the_classes_and_none():
    y = np.repeat([0, 1, 2], 10)
    apart = np.eye(3)[y] + 0.01 * RNG(0).normal(size=(30, 3))
    assert r.clusters(apart, y) == pytest.approx({"nmi": 1, "ari": 1})
    assert np.isnan(r.clusters(apart, np.zeros(30, int))["ari"])
    assert np.isnan(r.clusters(np.ones((30, 3)), y)["nmi"])


def test_nearest_leaves_out_the_query_and_breaks_ties_by_order():
    x = np.array([[1.0, 0], [2, 0], [1, 1], [0, 1], [3, 0]])
    assert r.nearest(x, np.array([0, 3]), 3).tolist() == [[1, 4, 2], [2, 0, 1]]
    assert r.nearest(x, np.array([0]), 10).shape == (1, 4)


def test_a_plane_of_few_or_equal_samples():
    x = RNG(0).normal(size=(12, 4))
    first = r.embedded_in_plane(x)
    assert first.shape == (12, 2)
    assert (first == r.embedded_in_plane(x)).all()
    assert np.isnan(r.embedded_in_plane(np.ones((12, 4)))).all()


def test_subsamples_are_the_same_and_say_nothing_twice():
    assert r.subsample(5, 9).tolist() == [0, 1, 2, 3, 4]
    some = r.subsample(100_000, 50)
    assert len(set(some.tolist())) == 50
    assert (some == r.subsample(100_000, 50)).all()


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(SwathError, match="1 of 3 embeddings are not finite"):
        r.require_finite(np.array([[1.0, 2], [np.nan, 1], [0, 0]]), "byol")
