"""S4's loss against a transcription of the paper's formulas, and what each of its parts may reach."""

import numpy as np
import pytest
import torch

from swath import encoders, methods
from swath.batch import NO_DAY, Batch, Image
from swath.encoders.cross_modal_unet_3d import Config as Net
from swath.errors import RecipeError
from swath.methods.s4 import Config, masked_mean_error
from swath.sensors import band_id
from swath.views.policies import paired_series
from tests.methods import fakes

OPTICAL = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-2-l2a/B04")
RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")


def contract(*branches):
    keys = tuple(key for branch in branches for key in branch)
    units = tuple("dB" if key in RADAR else "reflectance" for key in keys)
    counts = tuple(map(len, branches)) if len(branches) > 1 else ()
    return encoders.InputContract(
        len(branches[0]), keys, True, units, (0.5,) * len(keys), (2.0,) * len(keys), branches=counts
    )


def series(keys, n=3, t=5, px=8, seed=0, padded=0):
    pixels = torch.randn(n, t, len(keys), px, px, generator=torch.Generator().manual_seed(seed))
    valid = torch.ones(n, t, px, px, dtype=torch.bool)
    days = (torch.arange(t, dtype=torch.int32) * 12 + 17_000).repeat(n, 1)
    if padded:
        pixels[0, -padded:], valid[0, -padded:], days[0, -padded:] = 0.0, False, NO_DAY
    ids = torch.tensor([[band_id(key) for key in keys]] * n, dtype=torch.int32)
    return Image(pixels, valid, days, ids, 10.0)


def s4(branches=(OPTICAL, RADAR), net=None, **settings):
    torch.manual_seed(0)
    encoder = encoders.build(Net(width=2, **(net or {})), contract(*branches))
    policy = paired_series.Policy(paired_series.Config(bands=OPTICAL, other=RADAR))
    return methods.build(Config(projection=(6, 5), **settings), encoder, policy)


def views(**settings):
    return [fakes.view(series(OPTICAL, **settings), "first"), fakes.view(series(RADAR, seed=1, **settings), "second")]


def cosines(a, b):
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    return a @ b.T


def transcribed_contrast(first, second, valid, temperature):
    """Eq. 2, anchor by anchor, then both modalities, then the batch."""
    losses = []
    for a, b, seen in zip(first, second, valid, strict=True):
        similar = np.exp(cosines(a[seen], b[seen]) / temperature)
        own = np.diag(similar)
        losses.append(-0.5 * (np.log(own / similar.sum(1)).mean() + np.log(own / similar.sum(0)).mean()))
    return np.mean(losses)


@pytest.mark.parametrize("padded", [0, 2])
def test_the_loss_is_equation_1(padded):
    method = s4(reconstruction=0.7, contrast=1.3, temperature=0.5)
    given = views(padded=padded)
    loss = method.loss(given)
    with torch.no_grad():
        maps = [method.encoder.contracted(view.image) for view in given]
        projected = [method.projection(one.features, one.valid).double().numpy() for one in maps]
        said = method.encoder.reconstruct(maps[0], 0).numpy()
    valid = (maps[0].valid & maps[1].valid).flatten(1).numpy()
    contrast = transcribed_contrast(*projected, valid, 0.5)
    radar = given[1].image
    wanted = (radar.pixels.transpose(1, 2).numpy() - 0.5) / 2.0
    errors = np.abs(said - wanted).transpose(0, 2, 3, 4, 1)[radar.valid.numpy()]
    assert loss.terms["contrast"].item() == pytest.approx(contrast, rel=1e-4)
    assert loss.terms["reconstruction"].item() == pytest.approx(errors.mean(), rel=1e-4)
    assert loss.total.item() == pytest.approx(1.3 * contrast + 0.7 * errors.mean(), rel=1e-4)


def test_positions_may_be_compared_at_half_resolution():
    method = s4(reconstruction=0.0, resolution="half")
    given = views(t=4)
    with torch.no_grad():
        maps = [method.encoder.contracted(view.image) for view in given]
        projected = [method.projection(*one.half).double().numpy() for one in maps]
    assert projected[0].shape == (3, 2 * 4 * 4, 5)
    expected = transcribed_contrast(*projected, np.ones((3, 32), bool), 0.5)
    assert method.loss(given).total.item() == pytest.approx(expected, rel=1e-4)


def test_both_ways_is_the_mean_of_either():
    one, other, both = (s4(inference=name, contrast=0.0) for name in ("first", "second", "both"))
    given = views()
    terms = [method.loss(given).terms["reconstruction"] for method in (one, other, both)]
    torch.testing.assert_close((terms[0] + terms[1]) / 2, terms[2])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"inference": "second"},
        {"inference": "both"},
        {"contrast": 0.0},
        {"contrast": 0.0, "inference": "second", "net": {"own_norms": True}},
        {"reconstruction": 0.0},
        {"net": {"own_norms": True, "dates": True, "specific": 3}},
    ],
    ids=str,
)
def test_what_the_loss_does_not_reach_is_frozen(settings):
    method = s4(**settings)
    method.loss(views()).total.backward()
    for label, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, label


def test_padding_changes_nothing_in_evaluation_mode():
    method = s4().eval()
    short, long = views(t=4), views(t=4)
    for view, keys in zip(long, (OPTICAL, RADAR), strict=True):
        more = series(keys, t=7, padded=0)
        for name in ("pixels", "valid", "days"):
            getattr(more, name)[:, :4] = getattr(view.image, name)
        more.pixels[:, 4:], more.valid[:, 4:], more.days[:, 4:] = 0.0, False, NO_DAY
        object.__setattr__(view, "image", more)
    torch.testing.assert_close(method.loss(short).total, method.loss(long).total)


def test_the_error_is_that_of_valid_pixels():
    said, wanted = torch.randn(2, 3, 4, 5, 5), torch.randn(2, 3, 4, 5, 5)
    valid = torch.rand(2, 4, 5, 5) > 0.3
    expected = np.abs(said.numpy() - wanted.numpy()).transpose(0, 2, 3, 4, 1)[valid.numpy()].mean()
    assert masked_mean_error(said, wanted, valid).item() == pytest.approx(expected, rel=1e-5)
    assert masked_mean_error(said, wanted, torch.zeros_like(valid)).item() == 0.0


def test_a_policy_of_series_feeds_it():
    method = s4()
    images = {"sentinel-2-l2a": series(OPTICAL), "sentinel-1-rtc": series(RADAR, seed=1)}
    batch = Batch(images, torch.zeros(3, 2, dtype=torch.float64), ["a", "b", "c"])
    drawn = method.views(batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(method.loss(drawn).total, method.loss(views()).total)


def test_one_sensor_has_nothing_to_reconstruct():
    with pytest.raises(RecipeError, match=r"method\.reconstruction=0"):
        s4(branches=(OPTICAL,))
    single = s4(branches=(OPTICAL,), reconstruction=0.0)
    twice = [fakes.view(series(OPTICAL), "first"), fakes.view(series(OPTICAL, seed=3), "second")]
    single.loss(twice).total.backward()


def test_an_encoder_without_positions_is_refused():
    with pytest.raises(RecipeError, match="cross-modal-unet-3d"):
        methods.build(Config(), fakes.encoder(), fakes.policy)


def test_nothing_to_learn_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        Config(contrast=0.0, reconstruction=0.0)
