"""Barlow Twins: the formula, and that of large embeddings nothing large is made."""

import numpy as np
import pytest
import torch

from swath.errors import RecipeError
from swath.methods._losses import squares_beside_diagonal
from swath.methods.barlow_twins import barlow_twins
from tests.methods import fakes


def rows(n, d, seed):
    return np.random.default_rng(seed).normal(size=(n, d)) * 3 + 1


def numpy_barlow_twins(a, b, weight):
    """Zbontar et al. algorithm 1, with the epsilon of the code's BatchNorm."""
    a, b = ((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) for z in (a, b))
    total, dimensions = 0.0, a.shape[1]
    for i in range(dimensions):
        for j in range(dimensions):
            c = (a[:, i] * b[:, j]).sum() / len(a)
            total += (1 - c) ** 2 if i == j else weight * c**2
    return total


@pytest.mark.parametrize(("n", "d"), [(9, 4), (3, 7), (2, 2)])
def test_the_loss_is_the_formula(n, d):
    a, b = rows(n, d, 1), rows(n, d, 2)
    ours = barlow_twins(torch.tensor(a), torch.tensor(b), 0.0051)
    assert float(ours) == pytest.approx(numpy_barlow_twins(a, b, 0.0051), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(64, 8), (8, 64)])
def test_lightly_agrees(n, d):
    """In one process. In several, lightly normalises each process's embeddings by their own statistics."""
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    given = [torch.tensor(rows(n, d, seed)).float().requires_grad_() for seed in (3, 4)]
    barlow_twins(*given, 0.005).backward()
    found = [z.grad.clone() for z in given]
    for z in given:
        z.grad = None
    theirs = lightly.BarlowTwinsLoss(lambda_param=0.005)(*given)
    theirs.backward()
    torch.testing.assert_close(barlow_twins(*given, 0.005), theirs)
    for z, ours in zip(given, found, strict=True):
        torch.testing.assert_close(ours, z.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(5, 9), (9, 5)])
def test_squares_beside_the_diagonal(n, d):
    a, b = rows(n, d, 5), rows(n, d, 6)
    product = a.T @ b
    expected = (product[~np.eye(d, dtype=bool)] ** 2).sum()
    assert float(squares_beside_diagonal(torch.tensor(a), torch.tensor(b))) == pytest.approx(expected, rel=1e-9)


def test_known_values():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(barlow_twins(z, z, 1.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(barlow_twins(z, -z, 1.0)) == pytest.approx(8.0, rel=1e-4)


@pytest.mark.parametrize("name", ["barlow-twins", "vicreg", "visreg", "moco-v3"])
def test_a_batch_of_one_is_refused(name):
    method = fakes.method(name).eval()
    with pytest.raises(RecipeError, match=f"{name} compares the samples of a batch, and this batch has one"):
        method.loss([fakes.view(fakes.image(1, seed)) for seed in (1, 2)])
