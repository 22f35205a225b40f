"""SatCLIP: CLIP's loss on images and places, a frozen image tower, and a temperature with a cap."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import logsumexp

from swath import methods
from swath.errors import RecipeError
from swath.methods import satclip
from swath.methods._losses import clip
from tests.methods import fakes


def clip_of(a, b, scale):
    """Radford et al. 2021, figure 3."""
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    logits = scale * a @ b.T
    rows = -np.diag(logits - logsumexp(logits, axis=1, keepdims=True)).mean()
    columns = -np.diag(logits - logsumexp(logits, axis=0, keepdims=True)).mean()
    return (rows + columns) / 2


def test_the_loss_is_clips():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 5))
    found = clip(*map(torch.tensor, (a, b, a, b)), 0, torch.tensor(math.log(14.0)))
    assert float(found) == pytest.approx(clip_of(a, b, 14.0), rel=1e-6)


def test_parts_of_a_batch_average_to_the_whole():
    a, b = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1)).unbind()
    scale = torch.tensor(1.5)
    halves = [clip(a[i : i + 4], b[i : i + 4], a, b, i, scale) for i in (0, 4)]
    torch.testing.assert_close(torch.stack(halves).mean(), clip(a, b, a, b, 0, scale))


def test_the_method_compares_projected_images_with_places():
    method = fakes.method("satclip")
    views = method.views(fakes.batch(6), torch.Generator().manual_seed(0))
    loss = method.loss(views)
    towers = method.encoder.network
    with torch.no_grad():
        seen = method.projection(towers.image(views[0].image)).numpy()
        place = towers.location(views[1].image.pixels[:, 0, :, 0, 0]).numpy()
    assert loss.total.item() == pytest.approx(clip_of(seen, place, 1 / 0.07), rel=1e-5)
    np.testing.assert_allclose(loss.features.numpy(), place, rtol=1e-5)
    assert loss.terms["temperature"].item() == pytest.approx(0.07)


def test_a_frozen_image_tower_neither_learns_nor_counts_batches():
    method = fakes.method("satclip").train()
    before = {k: v.clone() for k, v in method.encoder.network.image.state_dict().items()}
    method.loss(method.views(fakes.batch(6), torch.Generator().manual_seed(0))).total.backward()
    assert all(torch.equal(before[k], v) for k, v in method.encoder.network.image.state_dict().items())
    assert all(p.grad is None for p in method.encoder.network.image.parameters())
    assert method.projection.weight.grad.abs().sum() > 0
    trained = fakes.method("satclip", image="trained").train()
    trained.loss(trained.views(fakes.batch(6), torch.Generator().manual_seed(0))).total.backward()
    assert all(p.grad is not None for p in trained.encoder.network.image.parameters())


def test_the_temperature_is_learnt_and_capped():
    method = fakes.method("satclip")
    assert method.log_scale.requires_grad
    method.log_scale.data.fill_(9.0)
    method.after_step(0.5)
    assert method.log_scale.exp().item() == pytest.approx(100)
    method.log_scale.data.fill_(2.0)
    method.after_step(0.5)
    assert method.log_scale.item() == 2.0


def test_it_does_not_start_beyond_its_cap():
    with pytest.raises(ValidationError, match=r"temperature 0.005 is colder than coldest, 0.01"):
        satclip.Config(temperature=0.005)
    assert satclip.Config(temperature=0.005, coldest=0.005).temperature == 0.005


def test_an_encoder_without_a_tower_for_places_is_refused():
    with pytest.raises(RecipeError, match="choose the encoder image-and-location"):
        methods.build(satclip.Config(), fakes.encoder(), fakes.policy)


def test_two_processes_see_each_others_places():
    """As `Gather` promises: the mean of both is the loss of the joined batch."""
    method = fakes.method("satclip").eval()
    whole = method.views(fakes.batch(8), torch.Generator().manual_seed(0))
    joined = method.loss(whole).total

    class Both(methods.OneProcess):
        def __init__(self, rank, all_rows):
            self.rank, self._rows = rank, iter(all_rows)

        def __call__(self, tensor):
            return next(self._rows)

    with torch.no_grad():
        seen = method.projection(method.encoder(whole[0].image))
        place = method.encoder(whole[1].image)
    parts = [[replace(v, image=v.image.take(rows)) for v in whole] for rows in (range(4), range(4, 8))]
    halves = [method.loss(views, Both(rank, (seen, place))).total for rank, views in enumerate(parts)]
    torch.testing.assert_close(torch.stack(halves).mean(), joined)
