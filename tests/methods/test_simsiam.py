"""SimSiam: the formula, its heads, the stopped gradient, and a predictor whose learning rate does not decay."""

import numpy as np
import pytest
import torch
from torch import nn

from swath.training.config import Optimizer
from swath.training.optim import optimizer, set_rates
from tests.methods import fakes


def unit(z):
    return z / np.sqrt((z**2).sum(axis=1, keepdims=True))


def numpy_simsiam(p1, p2, z1, z2):
    """Chen & He algorithm 1: D(p1, z2) / 2 + D(p2, z1) / 2, D = -mean of p z over rows of unit length."""
    return -(unit(p1) * unit(z2)).sum(axis=1).mean() / 2 - (unit(p2) * unit(z1)).sum(axis=1).mean() / 2


def embeddings(method, views):
    z = [method.projector(method.encoder(view.image)) for view in views]
    return [method.predictor(one) for one in z], z


def test_the_loss_is_the_formula():
    method = fakes.method("simsiam")
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    p, z = ([one.detach().double().numpy() for one in part] for part in embeddings(method, views))
    assert float(method.loss(views).total.detach()) == pytest.approx(numpy_simsiam(*p, *z), rel=1e-5)


def test_lightly_agrees():
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    method, cosine = fakes.method("simsiam"), lightly.NegativeCosineSimilarity()
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    (p1, p2), (z1, z2) = embeddings(method, views)
    theirs = 0.5 * (cosine(p1, z2.detach()) + cosine(p2, z1.detach()))
    torch.testing.assert_close(method.loss(views).total, theirs)


def test_targets_are_constants():
    """Of D(p1, z2) the second view's projector gets nothing: with the other order left out, its gradient is 0."""
    method = fakes.method("simsiam")
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    kept = [view.image.pixels.requires_grad_() for view in views]
    (p1, _), (_, z2) = embeddings(method, views)
    (p1 * z2.detach()).sum().backward()
    assert kept[1].grad is None
    nn.init.zeros_(method.predictor[-1].weight)
    nn.init.zeros_(method.predictor[-1].bias)
    kept[0].grad = None
    method.loss(views).total.backward()
    assert not kept[0].grad.any(), "without a prediction nothing reaches the images: targets carry no gradient"
    assert not kept[1].grad.any()


def test_heads_are_the_official_ones():
    method = fakes.method("simsiam", hidden=None, out=16, bottleneck=4)
    kinds = [[type(layer).__name__ for layer in head] for head in (method.projector, method.predictor)]
    block = ["Linear", "BatchNorm1d", "ReLU"]
    assert kinds == [[*block, *block, "Linear", "BatchNorm1d"], [*block, "Linear"]]
    linear = [layer for layer in (*method.projector, *method.predictor) if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(8, 8), (8, 8), (8, 16), (16, 4), (4, 16)]
    assert [layer.bias is not None for layer in linear] == [False] * 4 + [True]
    assert not method.projector[-1].affine
    assert method.projector[1].affine


@pytest.mark.parametrize("fixed", [True, False])
def test_the_predictors_rate_stays_at_the_peak(fixed):
    method = fakes.method("simsiam", fixed_predictor_rate=fixed)
    made = optimizer(Optimizer(lr=0.3), method, method.at_peak_rate())
    set_rates(made, 0.1, 0.3)
    rates = {id(p): group["lr"] for group in made.param_groups for p in group["params"]}
    assert {rates.pop(id(p)) for p in method.predictor.parameters()} == {0.3 if fixed else 0.1}
    assert set(rates.values()) == {0.1}
    assert len(rates) == sum(1 for part in (method.encoder, method.projector) for _ in part.parameters())
