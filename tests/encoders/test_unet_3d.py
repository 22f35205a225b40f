"""The 3-D U-Net: published sizes, an independent transcription, and dates that are padding."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from swath import encoders
from swath.batch import NO_DAY, pad_dates
from swath.encoders._norm import FrameBatchNorm
from swath.encoders._series import halved, temporal_mean
from swath.encoders.unet_3d import (
    Config,
    Contracting,
    Expanding,
    UNet3d,
    _pooled,
    convolve,
    final_convolution,
    pastis_init,
)


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def all_seen(x):
    return torch.ones(x.shape[0], *x.shape[2:], dtype=torch.bool)


def small(width=2, channels=3):
    torch.manual_seed(0)
    network = UNet3d(channels, width)
    for part in network.modules():
        if isinstance(part, FrameBatchNorm):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return network


def test_published_sizes_block_by_block():
    """PASTIS' `unet3d.py` with feats = 8: facts on S4, section 1.4."""
    for channels, first in ((3, 30_432), (10, 36_480)):
        contracting = Contracting(channels)
        assert [count(*contracting.units[i : i + 2]) for i in (0, 2)] == [first, 166_272]
    path = Expanding()
    assert count(path.centre_in) == 221_568
    assert count(path.centre_out, path.up4) == 664_000
    assert count(path.dc4) == 332_160
    assert count(path.up3) == 55_392
    assert count(path.dc3) == 69_264
    assert count(final_convolution(8, 20)) == 8_660
    assert count(UNet3d(10), final_convolution(8, 20)) == 1_553_796
    assert count(UNet3d(3), final_convolution(8, 20)) == 1_547_748
    assert round(count(UNet3d(10, 16), final_convolution(16, 20)) / 1e6, 1) == 6.2


def official(network, x):
    """PASTIS' forward pass, for sizes that are multiples of 4 and no padding, by plain torch."""

    def block(units, z):
        for unit in units:
            norm = unit.norm
            z = F.conv3d(z, unit.conv.weight, unit.conv.bias, padding=1)
            z = F.batch_norm(z, norm.running_mean, norm.running_var, norm.weight, norm.bias, False)
            z = F.leaky_relu(z, 0.01)
        return z

    def up(conv, z):
        return F.conv_transpose3d(z, conv.weight, conv.bias, stride=2, padding=1, output_padding=1)

    down, path = network.contracting.units, network.expanding
    en3 = block(down[:2], x)
    en4 = block(down[2:], F.max_pool3d(en3, 2, 2))
    centre = up(path.up4, block([path.centre_in, path.centre_out], F.max_pool3d(en4, 2, 2)))
    dc4 = block(path.dc4, torch.cat([centre, en4], dim=1))
    norm = path.up3.norm
    trans3 = F.batch_norm(up(path.up3.conv, dc4), norm.running_mean, norm.running_var, norm.weight, norm.bias, False)
    return block(path.dc3, torch.cat([F.leaky_relu(trans3, 0.01), en3], dim=1))


def test_forward_is_the_official_one():
    network, x = small().eval(), torch.randn(2, 3, 8, 12, 16)
    contracted = network.contract(x, all_seen(x))
    assert contracted.features.shape == (2, 16, 2, 3, 4)
    torch.testing.assert_close(network.expand(contracted), official(network, x))


@pytest.mark.parametrize("size", [(5, 8, 8), (6, 8, 8), (61, 4, 4), (4, 5, 7)])
def test_sizes_that_are_no_multiples_of_four_are_padded_and_cut_back(size):
    """Time: like the official network on dates padded with zeros that are masked; no date is dropped."""
    network, x = small().eval(), torch.randn(1, 3, *size)
    out = network.expand(network.contract(x, all_seen(x)))
    assert out.shape == (1, 4, *size)
    if size[1] % 4 == 0:
        longer = F.pad(x, (0, 0, 0, 0, 0, -size[0] % 4))
        valid = (torch.arange(longer.shape[2]) < size[0])[None, :, None, None].expand(1, -1, *size[1:])
        padded = network.expand(network.contract(longer, valid))
        torch.testing.assert_close(padded[:, :, : size[0]], out)
        assert (padded[:, :, size[0] :] == 0).all()


@pytest.mark.parametrize("size", [(12, 1, 1), (1, 8, 8), (1, 1, 1), (7, 1, 6)])
def test_pixels_and_single_dates_are_the_same_network(size):
    """Kernels lose nothing but what meets padding: the result is torch's on the whole kernels."""
    network, x = small().eval(), torch.randn(2, 3, *size)
    conv, up = network.contracting.units[0].conv, network.expanding.up4
    torch.testing.assert_close(convolve(conv, x), conv(x))
    z = torch.randn(2, 32, *(-(-n // 2) for n in size))
    torch.testing.assert_close(convolve(up, z, size), up(z, output_size=size))
    out = network.expand(network.contract(x, all_seen(x)))
    assert out.shape == (2, 4, *size)
    (out.sum() + network.contract(x, all_seen(x)).features.sum()).backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("size", [(5, 1, 1), (1, 5, 1), (1, 1, 5), (4, 5, 1), (1, 4, 5), (4, 1, 5)])
def test_gradients_are_those_of_whole_kernels(size):
    torch.manual_seed(0)
    conv, x = torch.nn.Conv3d(3, 4, 3, padding=1), torch.randn(2, 3, *size, requires_grad=True)
    slope = torch.randn(2, 4, *size)
    parts = torch.autograd.grad(convolve(conv, x), [x, *conv.parameters()], slope)
    for part, whole in zip(parts, torch.autograd.grad(conv(x), [x, *conv.parameters()], slope), strict=True):
        torch.testing.assert_close(part, whole)


@pytest.mark.parametrize("dates", [1, 8, 9])
def test_gradients_of_transposed_convolutions_in_time_are_those_of_whole_kernels(dates):
    torch.manual_seed(0)
    up = torch.nn.ConvTranspose3d(3, 4, 3, stride=2, padding=1)
    x, slope = torch.randn(2, 3, -(-dates // 2), 1, 1, requires_grad=True), torch.randn(2, 4, dates, 1, 1)
    parts = torch.autograd.grad(convolve(up, x, (dates, 1, 1)), [x, *up.parameters()], slope)
    whole = torch.autograd.grad(up(x, output_size=(dates, 1, 1)), [x, *up.parameters()], slope)
    for part, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("frames", [None, [[True, False, True, True, True], [False, False, True, False, False]]])
def test_pooling_in_time_is_over_the_dates_that_count(frames):
    x = torch.randn(2, 3, 5, 1, 1, requires_grad=True)
    seen = None if frames is None else torch.tensor(frames)
    pooled, below = _pooled(x, seen)
    shown = x if seen is None else x.masked_fill(~seen[:, None, :, None, None], -torch.inf)
    expected = torch.nn.functional.max_pool3d(shown, 2, ceil_mode=True)
    expected = torch.where(expected.isinf(), 0.0, expected)
    assert torch.equal(pooled, expected)
    assert below is None or torch.equal(below, torch.tensor([[True, True, True], [False, True, False]]))
    slope = torch.randn_like(pooled)
    assert torch.equal(*(torch.autograd.grad(each, x, slope)[0] for each in (pooled, expected)))


def test_the_final_convolution_of_pixels_is_torchs():
    torch.manual_seed(0)
    final, x = final_convolution(2, 5), torch.randn(2, 4, 6, 1, 1)
    torch.testing.assert_close(final(x), torch.nn.functional.conv3d(x, final.weight, final.bias, padding=1))


@pytest.mark.parametrize("px", [1, 8])
@pytest.mark.parametrize("dates", [1, 2, 5, 8])
def test_in_evaluation_a_result_does_not_depend_on_how_far_neighbours_are_padded(image, contract, px, dates):
    torch.manual_seed(0)
    encoder = encoders.build(Config(width=2), contract()).eval()
    own = image(b=1, t=dates, px=px, invalid=0.0)
    alone = encoder.contracted(own)
    for longest in (dates, dates + 1, dates + 3, 19):
        together = pad_dates([own, image(b=2, t=longest, px=px, seed=1)])
        padded = replace(together, pixels=together.pixels.masked_fill(~together.valid[:, :, None], 1e30))
        contracted = encoder.contracted(padded)
        length = alone.features.shape[2]
        torch.testing.assert_close(contracted.features[:1, :, :length], alone.features)
        assert (contracted.features[0, :, length:] == 0).all()
        assert not contracted.valid[0, length:].any()
        maps = encoder.network.expand(contracted)[:1]
        torch.testing.assert_close(maps[:, :, :dates], encoder.network.expand(alone))
        assert (maps[:, :, dates:] == 0).all()
        torch.testing.assert_close(encoder(padded)[:1], encoder(own))


def test_in_training_the_length_of_the_padding_does_not_matter(image, contract):
    """Batch statistics are those of all samples' dates, so a sample depends on its neighbours, but never on padding."""
    encoder = encoders.build(Config(width=2), contract()).train()
    series = pad_dates([image(b=1, t=3), image(b=1, t=6, seed=1)])
    longer = pad_dates([series, image(b=1, t=11)]).take([0, 1])
    with torch.no_grad():
        torch.testing.assert_close(encoder(series), encoder(longer), rtol=1e-4, atol=1e-5)
        first = encoder.contracted(series).features
        torch.testing.assert_close(
            first, encoder.contracted(longer).features[:, :, : first.shape[2]], rtol=1e-4, atol=1e-5
        )


def test_no_gradient_reaches_padded_dates():
    network = small().train()
    x = torch.randn(2, 3, 5, 4, 4, requires_grad=True)
    valid = all_seen(x).clone()
    valid[0, 2:] = False
    standard = x * valid[:, None]
    network.expand(network.contract(standard, valid)).square().sum().backward()
    assert (x.grad[0, :, 2:] == 0).all()
    assert (x.grad[0, :, :2] != 0).any()


def test_dates_in_the_middle_that_nobody_saw_do_not_shine_through(image, contract):
    encoder = encoders.build(Config(width=2), contract()).eval()
    series = image(t=6, invalid=0.0)
    series.valid[:, 3] = False
    contracted = encoder.contracted(series)
    assert contracted.frames[0].tolist() == [[True, True, True, False, True, True]] * 2
    assert contracted.frames[2].tolist() == [[True, True]] * 2
    assert (encoder.network.expand(contracted)[:, :, 3] == 0).all()


def test_pastis_init():
    torch.manual_seed(0)
    network = UNet3d(10).apply(pastis_init)
    unit = network.contracting.units[1]
    for tensor, deviation in (
        (unit.conv.weight, (2 / (27 * 64)) ** 0.5),
        (unit.conv.bias, 1.0),
        (unit.norm.weight, 1.0),
    ):
        assert float(tensor.detach().std()) == pytest.approx(deviation, rel=0.35)
    assert (unit.norm.bias == 0).all()


def test_halving_keeps_what_any_of_a_pair_saw():
    seen = torch.tensor([[True, False, False, False, True]])
    assert halved(seen).tolist() == [[True, False, True]]


def test_temporal_mean_is_over_the_dates_that_are_seen():
    maps, seen = torch.randn(3, 2, 4, 5, 6), torch.rand(3, 4) > 0.4
    seen[2] = False
    found = temporal_mean(maps, seen)
    for i in (0, 1):
        torch.testing.assert_close(found[i], maps[i][:, seen[i]].mean(dim=1))
    assert (found[2] == 0).all()


def test_volumes_and_embedding(image, contract):
    encoder = encoders.build(Config(width=2), contract()).eval()
    series = image(b=2, t=5, px=8, invalid=0.0)
    volumes = encoder.volumes(series)
    assert volumes.shape == (2, 16, 2, 2, 2)
    torch.testing.assert_close(encoder.embed(series), volumes.mean(dim=(2, 3, 4)))
    assert isinstance(encoder, encoders.SeriesEncoder)


def test_autocast(image, contract):
    encoder = encoders.build(Config(width=2), contract()).train()
    series = pad_dates([image(b=1, t=3), image(b=1, t=6, seed=1)])
    with torch.autocast("cpu", torch.bfloat16):
        contracted = encoder.contracted(series)
        out = encoder.network.expand(contracted)
    assert contracted.skips[0].dtype == torch.bfloat16
    # no gradients: torch's bfloat16 ones of short axes are wrong on a CPU, for which `fit` refuses to train so
    assert out.isfinite().all()


def test_dates_are_unknown_to_it(image, contract):
    encoder = encoders.build(Config(width=2), contract()).eval()
    series = image(t=3)
    nameless = replace(series, days=torch.full_like(series.days, NO_DAY))
    assert torch.equal(encoder(series), encoder(nameless))
    assert isinstance(encoder.network, nn.Module)
