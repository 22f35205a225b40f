from dataclasses import replace

import pytest
import torch

from swath.views import Augment, Jitter, Speckle, augment
from swath.views._colour import gamma, units

from ._make import OPTICAL, RADAR, THERMAL, generator, image

MIXED = ("sentinel-1-grd/VV", "sentinel-2-l2a/B05", "sentinel-2-l2a/B11", "landsat-oli-toa/B10")


def both(keys, setting, n=8, **more):
    given = image(keys, b=n, **more)
    return given.pixels, augment(given, setting, generator(), "query").image.pixels


def test_every_unit_is_known():
    assert units(image(MIXED, b=1).band_ids).tolist() == [[2, 0, 0, 3]]


def test_brightness_is_a_gain_of_light_and_of_linear_power_and_spares_temperature():
    before, after = both(MIXED, Augment(brightness=Jitter(p=1, factor=(0.5, 2))))
    gain = after[:, :, 1] / before[:, :, 1]
    assert 0.5 < gain.min() < 0.9
    assert 1.1 < gain.max() < 2
    factor = gain.flatten(1).median(dim=1).values[:, None, None, None]
    torch.testing.assert_close(after[:, :, 2], before[:, :, 2] * factor)
    power = 10 ** (after[:, :, 0] / 10) / 10 ** (before[:, :, 0] / 10)
    torch.testing.assert_close(power, factor.expand_as(power), rtol=1e-3, atol=0)
    assert torch.equal(after[:, :, 3], before[:, :, 3])


@pytest.mark.parametrize("keys", [OPTICAL, RADAR, THERMAL])
def test_contrast_stretches_about_the_mean_of_valid_pixels(keys):
    given = image(keys, b=8, t=2, invalid=0.3)
    poisoned = replace(given, pixels=torch.where(given.valid[:, :, None], given.pixels, 1e6))
    view = augment(poisoned, Augment(contrast=Jitter(p=1, factor=(0.5, 1.5))), generator(), "query").image
    seen = given.valid[:, :, None].double()
    means = [(x.double() * seen).sum((3, 4)) / seen.sum((3, 4)) for x in (given.pixels, view.pixels)]
    torch.testing.assert_close(means[0], means[1], rtol=1e-4, atol=1e-4)
    anomaly = [
        (x.double() - m[..., None, None]) * seen for x, m in zip((given.pixels, view.pixels), means, strict=True)
    ]
    factor = (anomaly[0] * anomaly[1]).sum((1, 2, 3, 4)) / anomaly[0].square().sum((1, 2, 3, 4))
    assert ((factor > 0.5) & (factor < 1.5)).all()
    torch.testing.assert_close(anomaly[1], anomaly[0] * factor[:, None, None, None, None], rtol=1e-3, atol=1e-3)


def test_brightness_and_contrast_together_are_one_after_the_other():
    given = image(MIXED, b=6)
    jitter = Jitter(p=1, factor=(0.7, 1.3))
    fused = augment(given, Augment(brightness=jitter, contrast=jitter), generator(5), "query").image.pixels
    bright = augment(given, Augment(brightness=jitter), generator(5), "query").image.pixels
    mean = bright.mean(dim=(3, 4), keepdim=True)
    ratio = ((fused - mean) / (bright - mean)).flatten(1).median(dim=1).values
    torch.testing.assert_close(fused, mean + ratio[:, None, None, None, None] * (bright - mean), rtol=1e-4, atol=1e-3)


def test_jitter_is_as_frequent_and_as_wide_as_asked():
    before, after = both(OPTICAL[:1], Augment(brightness=Jitter(p=0.8, factor=(0.6, 1.4))), n=4000, h=1, w=1)
    gain = (after / before).flatten()
    changed = gain[(gain - 1).abs() > 1e-6]
    assert abs(len(changed) / 4000 - 0.8) < 0.03
    assert 0.6 <= changed.min() < 0.61
    assert 1.39 < changed.max() <= 1.4001
    assert abs(changed.mean() - 1) < 0.02


def test_grey_is_the_mean_over_bands_of_the_same_unit():
    before, after = both(MIXED, Augment(grey=1.0))
    torch.testing.assert_close(after[:, :, 1], before[:, :, 1:3].mean(dim=2))
    torch.testing.assert_close(after[:, :, 2], before[:, :, 1:3].mean(dim=2))
    assert torch.equal(after[:, :, [0, 3]], before[:, :, [0, 3]])


def test_grey_is_as_frequent_as_asked_and_spares_the_others_bit_by_bit():
    before, after = both(OPTICAL, Augment(grey=0.2), n=2000, h=2, w=2)
    spared = (before == after).flatten(1).all(dim=1)
    assert abs((~spared).float().mean() - 0.2) < 0.03
    assert after[~spared].std(dim=2).max() < 1e-5


def test_speckle_multiplies_power_and_light_and_spares_temperature():
    before, after = both(MIXED, Augment(speckle=Speckle(p=1, looks=(20, 20), optical=0.02)), n=4, h=128, w=128)
    power = 10 ** ((after - before)[:, :, 0] / 10)
    assert abs(power.mean() - 1) < 0.01
    assert abs(power.var() * 20 - 1) < 0.05
    light = after[:, :, 1:3] / before[:, :, 1:3]
    assert abs(light.mean() - 1) < 0.001
    assert abs(light.std() - 0.02) < 0.001
    assert torch.equal(after[:, :, 3], before[:, :, 3])


@pytest.mark.parametrize("looks", [1.0, 4.0, 50.0])
def test_gamma_has_the_gammas_moments(looks):
    drawn = gamma(torch.tensor(looks), torch.randn(200_000, generator=generator()))
    exact = torch.distributions.Gamma(looks, looks)
    assert (drawn > 0).all()
    assert abs(drawn.mean() - exact.mean) < 0.01
    assert abs(drawn.var() / exact.variance - 1) < 0.06


def test_dropped_channels_become_flat_at_their_own_mean_and_one_stays():
    given = image(MIXED, b=1000, h=4, w=4, invalid=0.2)
    view = augment(given, Augment(channel_dropout=0.5), generator(), "query").image
    seen = given.valid[:, :, None].expand_as(given.pixels)
    same = (view.pixels == given.pixels).logical_or(~seen).flatten(3).all(dim=3)[:, 0]
    assert same.any(dim=1).all()
    assert abs((~same).float().mean() - (0.5 - 0.5**4 / 4)) < 0.03
    mean = (given.pixels * seen).sum((3, 4)) / seen.sum((3, 4)).clamp(min=1)
    flat = mean[..., None, None].expand_as(given.pixels)
    changed = (~same)[:, None, :, None, None] & seen
    torch.testing.assert_close(view.pixels[changed], flat[changed])
    certain = augment(given, Augment(channel_dropout=1.0), generator(), "query").image
    kept = (certain.pixels == given.pixels).logical_or(~seen).flatten(3).all(dim=3)[:, 0]
    assert (kept.sum(dim=1) >= 1).all()
