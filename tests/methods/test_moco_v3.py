"""MoCo v3: the formula, its heads for networks of either kind, and the teacher."""

import numpy as np
import pytest
import torch
from torch import nn

from swath import methods
from swath.methods.moco_v3 import Config, contrast
from tests.methods import fakes


def unit(z):
    return z / np.sqrt((z**2).sum(axis=1, keepdims=True))


def numpy_contrast(queries, keys, offset, temperature):
    """Chen et al. algorithm 1, `ctr`, query by query."""
    losses = []
    for i, q in enumerate(unit(queries)):
        terms = np.exp(unit(keys) @ q / temperature)
        losses.append(-np.log(terms[offset + i] / terms.sum()))
    return 2 * temperature * np.mean(losses)


@pytest.mark.parametrize(("n", "offset", "temperature"), [(6, 0, 1.0), (3, 3, 0.2), (2, 1, 0.07)])
def test_the_contrast_is_the_formula(n, offset, temperature):
    draw = np.random.default_rng(n)
    queries, keys = draw.normal(size=(n, 5)), draw.normal(size=(6, 5))
    ours = contrast(torch.tensor(queries), torch.tensor(keys), offset, temperature)
    assert float(ours) == pytest.approx(numpy_contrast(queries, keys, offset, temperature), rel=1e-9)


def test_the_loss_crosses_the_views():
    method = fakes.method("moco-v3", temperature=0.2)
    views = [fakes.view(fakes.image(6, seed)) for seed in (1, 2)]
    q = [method.predictor(method.projector(method.encoder(v.image))).detach().double().numpy() for v in views]
    k = [method.teacher(view).double().numpy() for view in views]
    expected = numpy_contrast(q[0], k[1], 0, 0.2) + numpy_contrast(q[1], k[0], 0, 0.2)
    assert float(method.loss(views).total.detach()) == pytest.approx(expected, rel=1e-4)


def test_lightly_agrees():
    """As lightly's own example of MoCo v3 does it: NT-Xent's cross-entropy of queries against keys, without 2 T."""
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn(6, 5, generator=draw) for _ in range(2))
    theirs = lightly.NTXentLoss(temperature=0.2, memory_bank_size=0)
    similar = torch.nn.functional.normalize(q, dim=1) @ torch.nn.functional.normalize(k, dim=1).T
    expected = theirs.cross_entropy(similar / 0.2, torch.arange(6))
    torch.testing.assert_close(contrast(q, k, 0, 0.2), 0.4 * expected)


@pytest.mark.parametrize(("norm", "heads"), [(True, "auto"), (False, "auto"), (True, "vit"), (False, "resnet")])
def test_heads_are_the_official_ones(norm, heads):
    method = methods.build(Config(hidden=16, out=4, heads=heads), fakes.encoder(norm=norm), fakes.policy)
    resnet = heads == "resnet" or (heads == "auto" and norm)
    block = ["Linear", "BatchNorm1d", "ReLU"]
    kinds = [[type(layer).__name__ for layer in head] for head in (method.projector, method.predictor)]
    assert kinds[0] == [*block * (1 if resnet else 2), "Linear", "BatchNorm1d"]
    assert kinds[1] == [*block, "Linear", *([] if resnet else ["BatchNorm1d"])]
    assert not method.projector[-1].affine
    linear = [layer for layer in (*method.projector, *method.predictor) if isinstance(layer, nn.Linear)]
    assert not any(layer.bias is not None for layer in linear)


def test_the_teacher_follows_encoder_and_projector_along_half_a_cosine():
    method = fakes.method("moco-v3", momentum=0.9)
    before = method.teacher.head[0][0].weight.clone()
    with torch.no_grad():
        method.projector[0].weight.add_(1.0)
    method.after_step(0.5)
    torch.testing.assert_close(method.teacher.head[0][0].weight, before + 0.05)
