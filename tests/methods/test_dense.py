"""S4's dense contrastive loss: the formula, its gradients, its floor and ceiling, and that no square is ever stored."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import RecipeError
from swath.methods import _dense
from swath.methods._dense import dense_info_nce


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So small that a handful of positions makes several, none of them full."""
    monkeypatch.setitem(_dense._SIDE, "cpu", 4)


def maps(b, p, d, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return [3 * torch.randn(b, p, d, generator=g, dtype=dtype) for _ in range(2)]


def numpy_s4(a, b, temperature):
    """Eq. 2 of one sample, anchor by anchor, in both directions."""
    total = 0.0
    for anchors, others in ((a, b), (b, a)):
        direction = 0.0
        for i, z in enumerate(anchors):
            cosines = [z @ o / np.linalg.norm(z) / np.linalg.norm(o) for o in others]
            direction -= np.log(np.exp(cosines[i] / temperature) / np.sum(np.exp(np.array(cosines) / temperature)))
        total += direction / len(anchors)
    return total / 2


def naive(a, b, temperature):
    """The whole matrix, by automatic differentiation."""
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    similarity = a @ b.transpose(1, 2) / temperature
    own = torch.arange(a.shape[1]).expand(len(a), -1)
    forth, back = (F.cross_entropy(s, own) for s in (similarity, similarity.transpose(1, 2)))
    return (forth + back) / 2


@pytest.fixture(autouse=True, params=["in blocks", "together"])
def _way(request, monkeypatch):
    """Both ways for every test: small maps are compared all at once."""
    monkeypatch.setattr(_dense, "_TOGETHER", 0 if request.param == "in blocks" else 10_000)


@settings(max_examples=25)
@given(n=st.integers(1, 3), p=st.integers(1, 11), d=st.integers(1, 6), seed=st.integers(0, 99), t=st.floats(0.05, 2.0))
def test_it_is_the_formula(n, p, d, seed, t):
    a, b = maps(n, p, d, seed)
    expected = np.mean([numpy_s4(x, y, t) for x, y in zip(a.numpy(), b.numpy(), strict=True)])
    assert float(dense_info_nce(a, b, t)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("side", [40, 512])
def test_values_and_gradients_are_the_naive_formulas(dtype, tolerance, side, monkeypatch):
    monkeypatch.setitem(_dense._SIDE, "cpu", side)
    a, b = (z.requires_grad_() for z in maps(2, 301, 16, dtype=dtype))
    results = []
    for loss in (dense_info_nce, naive):
        value = loss(a, b, 0.5)
        results.append((value, *torch.autograd.grad(7.0 * value, (a, b))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.detach().abs().max()))


def test_gradcheck():
    a, b = (z.requires_grad_() for z in maps(2, 7, 4))
    valid = torch.ones(2, 7, dtype=torch.bool)
    valid[1, 4:] = False
    assert torch.autograd.gradcheck(lambda x, y: dense_info_nce(x, y, 0.3, valid), (a, b))


@pytest.mark.parametrize("p", [2, 13, 100])
def test_chance_is_the_logarithm_of_the_positions(p):
    flat = torch.ones(2, p, 5)
    assert float(dense_info_nce(flat, flat, 0.5)) == pytest.approx(math.log(p), rel=1e-6)


@pytest.mark.parametrize(("p", "t"), [(2, 0.5), (9, 0.5), (9, 0.07)])
def test_the_floor_needs_opposite_negatives_and_is_reached_with_one(p, t):
    """ln(1 + (P - 1) exp(-2/T)): every positive at cosine 1, every negative at -1; only two positions can do it."""
    floor = math.log(1 + (p - 1) * math.exp(-2 / t))
    two = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]], dtype=torch.float64)
    if p == 2:
        assert float(dense_info_nce(two, two, t)) == pytest.approx(floor, rel=1e-9)
    for seed in range(5):
        a, _ = maps(1, p, 4, seed)
        assert float(dense_info_nce(a, a, t)) >= floor


def test_the_published_floor():
    """Facts on S4: 5.33 at 11,264 positions, where chance is 9.33."""
    assert math.log(1 + (11_264 - 1) * math.exp(-4)) == pytest.approx(5.33, abs=0.01)
    assert math.log(11_264) == pytest.approx(9.33, abs=0.01)


@pytest.mark.parametrize("filler", [0.0, 1e6, math.nan])
def test_padding_changes_nothing_and_gets_no_gradient(filler):
    a, b = maps(2, 9, 4)
    shorter = [dense_info_nce(x[None, :n], y[None, :n], 0.5) for x, y, n in zip(a, b, (9, 5), strict=True)]
    padded = [F.pad(z, (0, 0, 0, 6), value=filler) for z in (a, b)]
    for z in padded:
        z[1, 5:] = filler
        z.requires_grad_()
    valid = torch.arange(15)[None] < torch.tensor([[9], [5]])
    loss = dense_info_nce(*padded, 0.5, valid)
    torch.testing.assert_close(loss, torch.stack(shorter).mean())
    for gradient in torch.autograd.grad(loss, padded):
        assert (gradient[~valid] == 0).all()
        assert gradient[valid].isfinite().all()


def test_samples_without_positions_do_not_count():
    a, b = maps(3, 6, 4)
    valid = torch.ones(3, 6, dtype=torch.bool)
    valid[1] = False
    torch.testing.assert_close(dense_info_nce(a, b, 0.5, valid), dense_info_nce(a[[0, 2]], b[[0, 2]], 0.5))


def test_without_any_position_it_is_a_zero_with_zero_gradients():
    a, b = (z.requires_grad_() for z in maps(2, 3, 4))
    loss = dense_info_nce(a, b, 0.5, torch.zeros(2, 3, dtype=torch.bool))
    assert loss.item() == 0.0
    assert all((g == 0).all() for g in torch.autograd.grad(loss, (a, b)))


def test_a_single_position_has_nothing_to_be_told_from():
    a, b = maps(2, 1, 4)
    assert float(dense_info_nce(a, b, 0.5)) == pytest.approx(0.0, abs=1e-12)


def test_modalities_are_interchangeable_and_lengths_do_not_matter():
    a, b = maps(2, 9, 4)
    torch.testing.assert_close(dense_info_nce(a, b, 0.2), dense_info_nce(b, a, 0.2))
    torch.testing.assert_close(dense_info_nce(5 * a, 0.1 * b, 0.2), dense_info_nce(a, b, 0.2))


def test_across_the_batch_all_positions_are_candidates():
    a, b = maps(3, 5, 4)
    valid = torch.ones(3, 5, dtype=torch.bool)
    valid[2, 1:] = False
    together = [z[valid][None] for z in (a, b)]
    ours = dense_info_nce(a, b, 0.4, valid, across_batch=True)
    torch.testing.assert_close(ours, naive(*together, 0.4))
    assert ours > dense_info_nce(a, b, 0.4, valid)


def test_the_mean_over_parts_is_the_mean_of_the_whole():
    """Two processes need not gather: negatives are the sample's own."""
    a, b = maps(4, 6, 3)
    halves = [dense_info_nce(a[s], b[s], 0.5) for s in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(torch.stack(halves).mean(), dense_info_nce(a, b, 0.5))


def test_autocast_does_not_reach_the_logits():
    a, b = maps(2, 33, 8, dtype=torch.float32)
    exact = dense_info_nce(a, b, 0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(dense_info_nce(a, b, 0.07), exact)
        assert dense_info_nce(a.bfloat16(), b.bfloat16(), 0.07).dtype == torch.float32


@pytest.mark.parametrize("t", [0.02, 0.0134])
def test_low_temperatures_stay_finite(t):
    flat = torch.ones(1, 50, 3)
    opposite = flat.clone()
    opposite[:, ::2] *= -1
    for a, b in ((flat, flat), (flat, -flat), (opposite, opposite), (flat, opposite)):
        loss = dense_info_nce(a.requires_grad_(), b, t)
        assert loss.isfinite()
        assert torch.autograd.grad(loss, a)[0].isfinite().all()


def test_a_temperature_out_of_range_is_refused():
    a, b = maps(1, 4, 3, dtype=torch.float32)
    for t in (0.01, 0.0, -1.0):
        with pytest.raises(RecipeError, match="too low") as error:
            dense_info_nce(a, b, t)
        assert "or more" in str(error.value)
    dense_info_nce(a.double(), b.double(), 0.01)


def test_the_number_of_threads_changes_no_bit():
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        a, b = (z.requires_grad_() for z in maps(2, 50, 8, dtype=torch.float32))
        loss = dense_info_nce(a, b, 0.5)
        results.append((loss.detach(), *torch.autograd.grad(loss, (a, b))))
    torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_memory_is_linear_in_the_positions(monkeypatch):
    """The largest tensor that either pass makes is a map or a block, never positions by positions."""
    monkeypatch.setattr(_dense, "_TOGETHER", 0)
    monkeypatch.setitem(_dense._SIDE, "cpu", 64)
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            largest.append(out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    a, b = (z.requires_grad_() for z in maps(1, 512, 8, dtype=torch.float32))
    with Watch():
        dense_info_nce(a, b, 0.5).backward()
    assert max(largest) <= 512 * 8


def test_a_devices_way_is_the_hosts():
    """Positions that are not valid, whole samples of them included, with a weight of 0 instead of left out."""
    a, b = (z.requires_grad_() for z in maps(4, 9, 5))
    valid = torch.rand(4, 9, generator=torch.Generator().manual_seed(0)) < 0.6
    valid[2] = False
    found = []
    for way in (_dense._one_by_one, _dense._masked):
        total = way(a, b, 0.3, valid)
        found.append((total, *torch.autograd.grad(total, (a, b))))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    nothing = _dense._masked(a, b, 0.3, torch.zeros_like(valid))
    assert float(nothing.detach()) == 0
    assert all((grad == 0).all() for grad in torch.autograd.grad(nothing, (a, b)))
