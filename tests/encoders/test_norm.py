"""Batch normalisation over some dates: nn.BatchNorm3d of those, and nothing of the others."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from swath.encoders._norm import FrameBatchNorm, as_rows, as_series


def pair(channels=3):
    torch.manual_seed(0)
    ours, theirs = FrameBatchNorm(channels).double(), nn.BatchNorm3d(channels).double()
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def series(*shape, dtype=torch.float64, seed=0):
    return 2 + 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def results(norm, x, weight, *args):
    """Output, gradients and running statistics of a training step, and the output in evaluation mode."""
    x = x.clone().requires_grad_()
    norm.zero_grad()
    out = norm(x, *args)
    (out * weight).sum().backward()
    found = [out.detach(), x.grad, norm.weight.grad, norm.bias.grad, *(b.clone() for b in norm.buffers())]
    with torch.no_grad():
        return [*found, norm.eval()(x, *args)]


@pytest.mark.parametrize("given", [None, "all"])
def test_with_all_dates_it_is_torchs(given):
    ours, theirs = pair()
    x, weight = series(2, 3, 4, 5, 6), series(2, 3, 4, 5, 6, seed=1)
    frames = None if given is None else torch.ones(2, 4, dtype=torch.bool)
    for mine, other in zip(results(ours, x, weight, frames), results(theirs, x, weight), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("filler", [0.0, 1e4])
def test_other_dates_are_as_if_they_were_not_there(filler):
    ours, theirs = pair()
    frames = torch.tensor([[True, True, False], [True, False, False]])
    x, weight = series(2, 3, 3, 4, 4), series(2, 3, 3, 4, 4, seed=1)
    x[~frames[:, None].expand(-1, 3, -1)] = filler
    # the dates that count, side by side in one sample
    put = lambda z: z.transpose(1, 2)[frames].transpose(0, 1)[None]  # noqa: E731
    found, expected = results(ours, x, weight, frames), results(theirs, put(x), put(weight))
    for name, mine, other in zip(("out", "grad"), found[:2], expected[:2], strict=True):
        torch.testing.assert_close(put(mine), other, msg=name)
        assert (mine.transpose(1, 2)[~frames] == 0).all()
    for mine, other in zip(found[2:7], expected[2:7], strict=True):
        torch.testing.assert_close(mine, other)
    torch.testing.assert_close(put(found[7]), expected[7])
    assert (found[7].transpose(1, 2)[~frames] == 0).all()


def test_gradcheck():
    norm = FrameBatchNorm(2).double()
    frames = torch.tensor([[True, False], [True, True]])
    x = series(2, 2, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: norm(z, frames), (x,))


def test_without_any_date_it_learns_nothing_and_stays_finite():
    norm = FrameBatchNorm(3)
    x = series(2, 3, 2, 4, 4, dtype=torch.float32).requires_grad_()
    out = norm(x, torch.zeros(2, 2, dtype=torch.bool))
    out.sum().backward()
    assert (out == 0).all()
    assert (x.grad == 0).all()
    assert torch.equal(norm.running_mean, torch.zeros(3))
    assert torch.equal(norm.running_var, torch.ones(3))


def test_narrow_features_have_wide_statistics():
    norm, x = FrameBatchNorm(3), series(4, 3, 2, 16, 16, dtype=torch.float32)
    frames = torch.tensor([[True, False]] * 4)
    narrow = norm(x.bfloat16(), frames)
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), norm(x.bfloat16().float(), frames), rtol=1e-2, atol=1e-2)
    assert norm.running_mean.dtype == torch.float32


def test_views_with_and_without_padding_share_one_norm():
    norm, x = FrameBatchNorm(3), torch.randn(2, 3, 4, 2, 2, requires_grad=True)
    frames = torch.tensor([[True, True, True, False], [True] * 4])
    (norm(x) + norm(x, frames) + norm(x)).sum().backward()
    assert x.grad is not None
    assert int(norm.num_batches_tracked) == 3


SOME = [[True, True, False, True], [True, False, False, True]]


@pytest.mark.parametrize("frames", [None, SOME, [[True] * 4, [False] * 4], [[True] + [False] * 3, [False] * 4]])
def test_series_of_pixels_are_normalised_as_all_others(frames):
    """By rows of the dates that count, where there are two or more."""
    if frames is not None:
        frames = torch.tensor(frames)
    (ours, _), (by_chips, _) = pair(), pair()
    found, expected = [], []
    for norm, call, into in (
        (ours, ours.activated, found),
        (by_chips, lambda *args: F.leaky_relu_(by_chips(*args)), expected),
    ):
        for seed in (0, 2):
            x, weight = series(2, 3, 4, 1, 1, seed=seed).requires_grad_(), series(2, 3, 4, 1, 1, seed=1)
            out = call(x, frames)
            into += [out, *torch.autograd.grad(out, [x, *norm.parameters()], weight), *map(torch.clone, norm.buffers())]
        norm.eval()
        into.append(call(x, frames))
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other)


def test_rows_of_pixels_are_laid_side_by_side_once():
    x = series(2, 3, 4, 1, 1)
    rows = as_rows(x)
    assert torch.equal(as_series(rows), x)
    assert as_rows(as_series(rows)).data_ptr() == rows.data_ptr()
