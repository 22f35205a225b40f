"""Every loss against an independent transcription of its paper's formula, in float64 NumPy."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.methods import dino, lejepa, moco_v3, vicreg, visreg
from swath.methods._losses import byol_loss, info_nce_queue, mean_cosine, nt_xent, squares_beside_diagonal
from swath.methods.barlow_twins import barlow_twins


def unit(z):
    return z / np.sqrt((z**2).sum(axis=1, keepdims=True))


def numpy_byol(prediction, target):
    """Grill et al. eq. 2: squared distance of the normalised vectors."""
    return np.mean([np.sum((p - t) ** 2) for p, t in zip(unit(prediction), unit(target), strict=True)])


def numpy_nt_xent(a, b, temperature):
    """Chen et al. eq. 1, anchor by anchor: 2k and 2k + 1 are a pair."""
    z = unit(np.stack([a, b], axis=1).reshape(-1, a.shape[1]))
    similarity = z @ z.T
    total = 0.0
    for i in range(len(z)):
        j = i + 1 if i % 2 == 0 else i - 1
        others = [np.exp(similarity[i, k] / temperature) for k in range(len(z)) if k != i]
        total += -np.log(np.exp(similarity[i, j] / temperature) / np.sum(others))
    return total / len(z)


def numpy_info_nce(query, key, queue, temperature):
    """He et al. eq. 1, query by query."""
    losses = []
    for q, k in zip(unit(query), unit(key), strict=True):
        positive = np.exp(q @ k / temperature)
        losses.append(-np.log(positive / (positive + np.exp(queue @ q / temperature).sum())))
    return np.mean(losses)


def rows(n, d, seed):
    return np.random.default_rng(seed).normal(size=(n, d)) * 3


shapes = given(n=st.integers(2, 9), d=st.integers(2, 17), seed=st.integers(0, 99), temperature=st.floats(0.07, 1.5))


@settings(max_examples=25, deadline=None)
@shapes
def test_byol_is_the_formula(n, d, seed, temperature):
    p, t = rows(n, d, seed), rows(n, d, seed + 1)
    assert float(byol_loss(torch.tensor(p), torch.tensor(t))) == pytest.approx(numpy_byol(p, t), rel=1e-9)


@settings(max_examples=25, deadline=None)
@shapes
def test_nt_xent_is_the_formula(n, d, seed, temperature):
    a, b = rows(n, d, seed), rows(n, d, seed + 1)
    ta, tb = torch.tensor(a), torch.tensor(b)
    assert float(nt_xent(ta, tb, ta, tb, 0, temperature)) == pytest.approx(numpy_nt_xent(a, b, temperature), rel=1e-9)


@settings(max_examples=25, deadline=None)
@shapes
def test_info_nce_is_the_formula(n, d, seed, temperature):
    q, k, queue = rows(n, d, seed), rows(n, d, seed + 1), unit(rows(13, d, seed + 2))
    ours = info_nce_queue(torch.tensor(q), torch.tensor(k), torch.tensor(queue), temperature)
    assert float(ours) == pytest.approx(numpy_info_nce(q, k, queue, temperature), rel=1e-9)


def test_nt_xent_in_parts_is_nt_xent_of_the_whole():
    a, b = (torch.tensor(rows(6, 5, seed)) for seed in (1, 2))
    whole = nt_xent(a, b, a, b, 0, 0.2)
    parts = [nt_xent(a[s : s + 2], b[s : s + 2], a, b, s, 0.2) for s in (0, 2, 4)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_lightly_agrees():
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    a, b = (torch.tensor(rows(7, 5, seed)).float() for seed in (3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lightly.NTXentLoss(temperature=0.3)(a, b)
        cosine = lightly.NegativeCosineSimilarity()(a, b)
    torch.testing.assert_close(nt_xent(a, b, a, b, 0, 0.3), theirs)
    torch.testing.assert_close(byol_loss(a, b), 2 + 2 * cosine)


def test_known_values():
    same = torch.eye(4)
    assert float(byol_loss(same, same)) == pytest.approx(0.0, abs=1e-6)
    assert float(byol_loss(same, -same)) == pytest.approx(4.0)
    # all features equal: every one of the 2B - 1 others is as near as the positive
    flat = torch.ones(4, 3)
    assert float(nt_xent(flat, flat, flat, flat, 0, 0.1)) == pytest.approx(math.log(7), rel=1e-5)


def test_targets_keys_and_queue_get_no_gradient():
    q, k = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    queue = torch.randn(5, 3, requires_grad=True)
    (byol_loss(q, k) + info_nce_queue(q, k, queue, 0.2)).backward()
    assert q.grad is not None
    assert k.grad is None
    assert queue.grad is None


def test_autocast_does_not_reach_the_logits():
    a, b = (torch.tensor(rows(16, 32, seed)).float() for seed in (5, 6))
    exact = nt_xent(a, b, a, b, 0, 0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = nt_xent(a, b, a, b, 0, 0.07)
        narrow = nt_xent(a.bfloat16(), b.bfloat16(), a.bfloat16(), b.bfloat16(), 0, 0.07)
    assert torch.equal(exact, inside)
    assert narrow.dtype == torch.float32


@pytest.mark.parametrize(
    "loss",
    [
        mean_cosine,
        squares_beside_diagonal,
        lambda a, b: barlow_twins(a, b, 0.005),
        lambda a, b: vicreg.variance(a) + vicreg.covariance(b),
        lambda a, b: moco_v3.contrast(a, b, 0, 0.07),
        lambda a, b: dino.cross_entropy(a.unflatten(0, (4, 4)), b[:8].unflatten(0, (2, 4)), b[0], 0.1, 0.04),
        lambda a, b: lejepa.characteristic(a[None], b.T, b[0, :3]).sum(),
        lambda a, b: visreg.centre(a[None]) + visreg.scale(b[None]) + visreg.shape(a[None], b.T),
    ],
)
def test_losses_of_embeddings_are_in_full_precision(loss):
    a, b = (torch.tensor(rows(16, 32, seed)).float().bfloat16() for seed in (5, 6))
    exact = loss(a.float(), b.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, narrow = loss(a.float(), b.float()), loss(a, b)
    assert narrow.dtype == torch.float32
    assert torch.equal(exact, inside)
    assert torch.equal(exact, narrow)
