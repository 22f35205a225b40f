"""S4's network: what sensors share, what they do not, and what fine-tuning starts from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from swath import encoders
from swath.batch import NO_DAY
from swath.encoders import random_convolutions
from swath.encoders._series import seen_frames, temporal_mean
from swath.encoders.cross_modal_unet_3d import Config, interpolated, month_of
from swath.encoders.unet_3d import UNet3d, final_convolution
from swath.errors import ContractError, RecipeError
from tests.methods.test_s4 import OPTICAL, RADAR, contract, series


def net(*branches, **settings):
    torch.manual_seed(0)
    return encoders.build(Config(**{"width": 2, **settings}), contract(*(branches or (OPTICAL, RADAR))))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_one_branch_with_its_head_is_pastis_network_in_size():
    ten = tuple(
        f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
    )
    encoder = net(ten, width=8)
    assert count(encoder) + count(encoder.head(20)) == 1_553_796
    assert count(UNet3d(10)) + count(final_convolution(8, 20)) == 1_553_796


def test_sensors_share_what_follows_their_own_convolutions():
    encoder = net()
    optical, radar = series(OPTICAL), series(RADAR)
    encoder.volumes(optical).sum().backward()
    assert encoder.network.own[0][0].conv.weight.grad is not None
    assert encoder.network.own[1][0].conv.weight.grad is None
    before = encoder.network.shared[0].conv.weight.grad.clone()
    encoder.volumes(radar).sum().backward()
    assert not torch.equal(before, encoder.network.shared[0].conv.weight.grad)


@pytest.mark.parametrize("specific", [1, 2, 3, 4])
def test_where_the_branches_meet(specific):
    network = net(specific=specific).network
    assert [len(own) for own in network.own] == [specific] * 2
    assert len(network.shared) == 4 - specific


def test_own_norms_are_own():
    encoder = net(own_norms=True)
    encoder.volumes(series(RADAR))
    shared, radar = encoder.network.shared[0].norm, encoder.network.norms[0][0]
    assert int(shared.num_batches_tracked) == 0
    assert int(radar.num_batches_tracked) == 1


def test_each_branch_reconstructs_the_other():
    encoder = net()
    for branch, (keys, others) in enumerate(((OPTICAL, RADAR), (RADAR, OPTICAL))):
        image = series(keys)
        assert encoder.reconstruct(encoder.contracted(image), branch).shape == (3, len(others), 5, 8, 8)


def test_a_mixture_of_sensors_is_refused():
    with pytest.raises(ContractError, match="are not the encoder's"):
        net().embed(series((*OPTICAL, *RADAR)))
    with pytest.raises(RecipeError, match="one input"):
        encoders.build(random_convolutions.Config(), contract(OPTICAL, RADAR))


def test_dense_features_and_head_are_the_final_convolution_averaged_over_dates():
    encoder = net().eval()
    image = series(OPTICAL, padded=2)
    head = encoder.head(7)
    # the 3 x 3 x 3 kernel whose slices in time are the three shifted means' kernels: itself, predecessor, successor
    middle, before, after = head.weight.detach().chunk(3, dim=1)
    final = final_convolution(2, 7)
    with torch.no_grad():
        final.weight.copy_(torch.stack([before, middle, after], dim=2))
        final.bias.copy_(head.bias)
        maps = encoder.network.expanding(encoder.contracted(image))
        expected = temporal_mean(F.conv3d(maps, final.weight, final.bias, padding=1), seen_frames(image.valid))
        torch.testing.assert_close(head(encoder.dense(image)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("collapse", ["mean", "months"])
def test_padding_and_pixel_series_make_no_difference_to_the_embedding(collapse):
    encoder = net(collapse=collapse, dates=True)
    short, long = series(OPTICAL, t=4), series(OPTICAL, t=4)
    more = series(OPTICAL, t=9)
    for name in ("pixels", "valid", "days"):
        getattr(more, name)[:, :4] = getattr(long, name)
    more.pixels[:, 4:], more.valid[:, 4:], more.days[:, 4:] = 0.0, False, NO_DAY
    torch.testing.assert_close(encoder.embed(short, trusted=True), encoder.embed(more, trusted=True))
    assert encoder.embed(series(OPTICAL, px=1), trusted=True).shape == (3, encoder.dim)
    assert encoder.embed(series(OPTICAL, t=1), trusted=True).isfinite().all()


def test_months_keep_what_happened_when():
    encoder = net(collapse="months")
    image = series(OPTICAL, n=1, t=12, px=1)
    image.days[:] = torch.from_numpy(np.arange("2017-01", "2018-01", dtype="M8[M]").astype("M8[D]").astype(np.int32))
    maps = encoder.eval().network.expanding(encoder.contracted(image))[0, :, :, 0, 0].T
    torch.testing.assert_close(encoder.embed(image, trusted=True).view(12, 4), maps.detach())


def test_season_tells_dates_apart():
    encoder = net(dates=True).eval()
    image = series(OPTICAL, n=1, t=4)
    summer = encoder.embed(image, trusted=True)
    image.days.add_(180)
    assert (encoder.embed(image, trusted=True) - summer).abs().max() > 1e-3


def test_months_are_those_of_the_calendar():
    days = np.arange(-40_000, 60_000, dtype=np.int32)
    expected = days.astype("M8[D]").astype("M8[M]").astype(int) % 12
    assert np.array_equal(month_of(torch.from_numpy(days)[None])[0].numpy(), expected)


def test_gaps_are_filled_as_numpy_does():
    x, valid = torch.randn(3, 2, 7, 2, 2), torch.rand(3, 7, 2, 2) > 0.4
    days = torch.tensor([[10, 22, 30, 41, 60, 61, 90]] * 3, dtype=torch.int32) + 17_000
    days[2, 5:], valid[2, 5:] = NO_DAY, False
    valid[1, :, 0, 0] = False
    x = x * valid[:, None]
    filled, known = interpolated(x, valid, days)
    for b in range(3):
        length = 5 if b == 2 else 7
        for i in range(2):
            for j in range(2):
                there = valid[b, :length, i, j].numpy()
                assert bool(known[b, :length, i, j].all()) == bool(there.any())
                for c in range(2):
                    got = filled[b, c, :length, i, j].numpy()
                    when = days[b, :length].numpy()
                    value = x[b, c, :length, i, j].numpy()
                    expected = np.interp(when, when[there], value[there]) if there.any() else np.zeros(length)
                    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert not known[2, 5:].any()
    assert not filled[2, :, 5:].any()


def test_an_encoder_that_fills_gaps_sees_what_lies_between():
    encoder = net(gaps="interpolate").eval()
    image = series(OPTICAL, n=2, t=5, px=1)
    image.pixels[:, 2] = (image.pixels[:, 1] + image.pixels[:, 3]) / 2
    whole = encoder.embed(image, trusted=True)
    image.valid[:, 2], image.pixels[:, 2] = False, 0.0
    torch.testing.assert_close(encoder.embed(image, trusted=True), whole)


def test_monthly_features_of_pixels_are_means_of_that_months_dates():
    encoder = net(collapse="months").eval()
    image = series(OPTICAL, n=2, t=9)
    image.days[:] = torch.arange(9, dtype=torch.int32) * 12 + 17_170
    image.valid[0, 3, :4] = False
    image = type(image)(image.pixels * image.valid[:, :, None], image.valid, image.days, image.band_ids, 10.0)
    with torch.no_grad():
        maps = encoder.network.expanding(encoder.contracted(image)).numpy()
        found = encoder.dense(image).unflatten(1, (12, 4)).numpy()
    month, valid = month_of(image.days).numpy(), image.valid.numpy()
    for b, i, j in np.ndindex(2, 8, 8):
        for k in range(12):
            dates = (month[b] == k) & valid[b, :, i, j]
            dates = dates if dates.any() else valid[b, :, i, j]
            np.testing.assert_allclose(found[b, k, :, i, j], maps[b, :, dates, i, j].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"collapse": "months"}, {"gaps": "interpolate"}, {"dates": True}])
def test_series_without_a_day_are_refused_by_what_goes_by_days(settings):
    encoder, image = net(**settings), series(OPTICAL, padded=2)
    image.days[1, 0] = NO_DAY  # one date among others may be unknown
    assert encoder.embed(image, trusted=True).std(dim=0).max() > 0
    image.days[1] = NO_DAY
    with pytest.raises(ContractError, match="of 1 of 3 samples none is known"):
        encoder.embed(image, trusted=True)
    image.valid[1] = False  # nothing to see in any case
    assert encoder.embed(image, trusted=True).isfinite().all()
    image.days[:] = NO_DAY
    assert net().embed(image, trusted=True).isfinite().all()


@pytest.mark.parametrize("settings", [{"collapse": "months"}, {"gaps": "interpolate"}])
def test_the_self_check_of_what_goes_by_days_sees_the_pictures(settings, tmp_path):
    encoders.save(encoder := net(**settings), Config(width=2, **settings), tmp_path / "e", {})
    assert np.std(encoders.load_card(tmp_path / "e").self_check) > 1e-3
    assert encoders.load(tmp_path / "e").dim == encoder.dim
