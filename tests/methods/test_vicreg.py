"""VICReg: the formula, term by term."""

import numpy as np
import pytest
import torch

from swath.methods.vicreg import covariance, variance
from tests.methods import fakes


def rows(n, d, seed):
    return np.random.default_rng(seed).normal(size=(n, d)) * 0.7 + 1


def numpy_variance(z):
    """Bardes et al. eq. 1 and 2."""
    return np.mean([max(0.0, 1 - np.sqrt(np.var(column, ddof=1) + 1e-4)) for column in z.T])


def numpy_covariance(z):
    """Bardes et al. eq. 3 and 4."""
    c = np.cov(z.T)
    return sum(c[i, j] ** 2 for i in range(len(c)) for j in range(len(c)) if i != j) / len(c)


@pytest.mark.parametrize(("n", "d"), [(9, 4), (3, 7), (2, 2)])
def test_the_terms_are_the_formula(n, d):
    z = rows(n, d, 1)
    assert float(variance(torch.tensor(z))) == pytest.approx(numpy_variance(z), rel=1e-9)
    assert float(covariance(torch.tensor(z))) == pytest.approx(numpy_covariance(z), rel=1e-9)


def test_the_loss_is_the_weighted_sum():
    """Eq. 6, where the code halves the sum of both views' variance terms."""
    method = fakes.method("vicreg", invariance=3.0, variance=5.0, covariance=7.0)
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    a, b = (method.expander(method.encoder(view.image)).detach().double().numpy() for view in views)
    expected = {
        "invariance": np.mean((a - b) ** 2),
        "variance": (numpy_variance(a) + numpy_variance(b)) / 2,
        "covariance": numpy_covariance(a) + numpy_covariance(b),
    }
    loss = method.loss(views)
    assert {name: float(term) for name, term in loss.terms.items()} == pytest.approx(expected, rel=1e-4)
    total = 3 * expected["invariance"] + 5 * expected["variance"] + 7 * expected["covariance"]
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-4)


def test_lightly_agrees():
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    method = fakes.method("vicreg", invariance=25.0, variance=25.0, covariance=1.0)
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    theirs = lightly.VICRegLoss()(*(method.expander(method.encoder(view.image)) for view in views))
    torch.testing.assert_close(method.loss(views).total, theirs, rtol=1e-4, atol=1e-5)


def test_heads_are_the_official_ones():
    expander = fakes.method("vicreg").expander
    block = ["Linear", "BatchNorm1d", "ReLU"]
    assert [type(layer).__name__ for layer in expander] == [*block, *block, "Linear"]
    assert [layer.bias is not None for layer in expander if isinstance(layer, torch.nn.Linear)] == [True, True, False]
    projector = fakes.method("barlow-twins").projector
    assert [type(layer).__name__ for layer in projector] == [*block, *block, "Linear"]
    assert not any(layer.bias is not None for layer in projector if isinstance(layer, torch.nn.Linear))
