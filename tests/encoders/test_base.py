from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from swath import sensors
from swath.batch import Image
from swath.encoders import Encoder, InputContract, Standardize

KEYS = tuple(band.key for band in sensors.bands())


def many_bands(keys, mean, std):
    units = tuple(sensors.band(key).unit for key in keys)
    return InputContract(len(keys), tuple(keys), False, units, tuple(mean), tuple(std))


def picture(pixels, keys, valid=None):
    b, t, _, h, w = pixels.shape
    return Image(
        pixels=pixels,
        valid=torch.ones(b, t, h, w, dtype=torch.bool) if valid is None else valid,
        days=torch.zeros(b, t, dtype=torch.int32),
        band_ids=torch.tensor([[sensors.band_id(key) for key in keys]] * b, dtype=torch.int32),
        gsd_m=10.0,
    )


def standardise(module, image):
    return module(image.pixels, image.valid, image.band_ids)


@settings(deadline=None)
@given(st.lists(st.sampled_from(KEYS), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_standardising_commutes_with_any_order_of_channels(keys, random):
    mean = [random.uniform(-30, 300) for _ in keys]
    std = [random.uniform(0.01, 20) for _ in keys]
    module = Standardize(many_bands(keys, mean, std))
    image = picture(torch.tensor(mean)[:, None, None] + torch.randn(2, 1, len(keys), 3, 3), keys)
    order = random.sample(range(len(keys)), len(keys))
    torch.testing.assert_close(standardise(module, image)[:, :, order], standardise(module, image.channels(order)))


def test_standardising_is_the_textbook_formula(contract, image):
    made, batch = contract(), image(invalid=0)
    mean, std = (torch.tensor(values)[:, None, None] for values in (made.mean, made.std))
    torch.testing.assert_close(standardise(Standardize(made), batch), (batch.pixels - mean) / std)


def test_standardising_can_be_undone(contract, image):
    made, batch = Standardize(contract()), image(invalid=0.0)
    torch.testing.assert_close(made.undo(standardise(made, batch), batch.band_ids), batch.pixels)


def test_each_sample_is_read_by_its_own_bands(contract, image):
    module = Standardize(contract(fixed=False))
    batch = image(b=2, invalid=0)
    mixed = replace(
        batch,
        pixels=torch.stack([batch.pixels[0], batch.pixels[1][:, [2, 0, 1]]]),
        band_ids=torch.stack([batch.band_ids[0], batch.band_ids[1][[2, 0, 1]]]),
    )
    expected = standardise(module, batch)
    torch.testing.assert_close(standardise(module, mixed)[1], expected[1][:, [2, 0, 1]])


def test_negative_decibels_and_bright_reflectance_survive(contract, image):
    batch = image(b=1, invalid=0)
    extreme = replace(batch, pixels=torch.tensor([1.7, -38.0, 330.0])[:, None, None].expand(1, 1, 3, 32, 32))
    values = standardise(Standardize(contract()), extreme)[0, 0, :, 0, 0]
    torch.testing.assert_close(values, torch.tensor([(1.7 - 0.15) / 0.08, (-38 + 12.5) / 5.3, 40 / 12]))


def test_kelvin_loses_no_digits():
    key = ["landsat-oli-sr/ST_B10"]
    module = Standardize(many_bands(key, [290.0], [0.01]))
    kelvin = torch.tensor([289.99, 290.0, 290.02]).view(1, 1, 1, 1, 3)
    exact = (kelvin.double() - 290) / 0.01
    torch.testing.assert_close(standardise(module, picture(kelvin, key)).double(), exact)


# deviations of 1e5 times 0.0001, 280.15 and -12.5 in float64, as NumPy computes them in blocks, and none at all
@pytest.mark.parametrize(
    ("key", "mean", "std"),
    [
        ("sentinel-2-l1c/B10", 0.001, 0.0),
        ("sentinel-2-l2a/B02", 0.0001, 2.7e-20),
        ("landsat-oli-sr/ST_B10", 280.15, 5.7e-14),
        ("sentinel-1-grd/VV", -12.5, 3.1e-7),
    ],
)
def test_a_constant_band_does_nothing_whatever_rounding_left_of_its_deviation(key, mean, std):
    module = Standardize(many_bands([key], [mean], [std]))
    near = picture(mean * torch.linspace(0.9, 1.1, 4).view(1, 1, 1, 2, 2), [key])
    assert (standardise(module, near) == 0).all()
    torch.testing.assert_close(
        module.undo(torch.randn(1, 1, 1, 2, 2), near.band_ids), torch.full((1, 1, 1, 2, 2), mean)
    )


def test_a_faint_band_is_no_constant_one():
    key = ["sentinel-2-l2a/B02"]
    module = Standardize(many_bands(key, [0.02], [1e-5]))
    pixels = picture(torch.tensor([0.02, 0.02002]).view(1, 1, 1, 1, 2), key)
    torch.testing.assert_close(standardise(module, pixels).flatten(), torch.tensor([0.0, 2.0]), atol=1e-3, rtol=1e-3)


def test_a_band_without_statistics_is_noticed(contract, image):
    stranger = picture(torch.zeros(1, 1, 3, 4, 4), ["hls/RED", "hls/NIR", "hls/BLUE"])
    assert standardise(Standardize(contract()), stranger).isnan().all()


def test_statistics_are_in_no_state_dict(contract):
    assert Standardize(contract()).state_dict() == {}


class Spy(nn.Module):
    def forward(self, pixels):
        self.seen = pixels
        return pixels.mean(dim=(2, 3))


@pytest.mark.parametrize("t", [1, 2])
def test_the_network_gets_channels_last(contract, image, t):
    encoder = Encoder(spy := Spy(), contract(), dim=3)
    encoder(image(b=2, t=t))
    assert spy.seen.shape == (2 * t, 3, 32, 32)
    assert spy.seen.is_contiguous(memory_format=torch.channels_last)


def test_dates_are_averaged_where_they_have_a_valid_pixel(contract, image):
    encoder, series = Encoder(Spy(), contract(), dim=3), image(b=2, t=3)
    series.valid[0, 1] = False
    series.valid[1] = False
    dates = torch.stack(
        [
            encoder(replace(series, pixels=p, valid=v, days=series.days[:, :1]))
            for p, v in zip(series.pixels.split(1, dim=1), series.valid.split(1, dim=1), strict=True)
        ],
        dim=1,
    )
    averaged = encoder(series)
    torch.testing.assert_close(averaged[0], dates[0, [0, 2]].mean(dim=0))
    torch.testing.assert_close(averaged[1], torch.zeros(3))


def test_gradients_reach_weights_and_pixels(contract, image):
    encoder = Encoder(nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), contract(), dim=5)
    batch = image(b=2, t=2)
    batch.pixels.requires_grad_()
    encoder(batch).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    reached = batch.pixels.grad != 0
    assert not (reached & ~batch.valid[:, :, None]).any(), "an invalid pixel has no influence"
    assert reached.any()


def test_bf16_training_is_possible(contract, image):
    encoder = Encoder(nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), contract(), dim=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = encoder(image(t=2))
        assert encoder.embed(image(t=2)).dtype == torch.float32
    features.float().sum().backward()
    assert features.dtype == torch.bfloat16
