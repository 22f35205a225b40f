"""MAE and SatMAE: the paper's loss, what is kept, what is asked for, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath import methods
from swath.batch import NO_DAY, View
from swath.encoders import vit
from swath.errors import RecipeError
from swath.methods._autoencoder import scale_of
from swath.methods._masked import chosen, kept_of, mean_of, part_of, patch_errors, random_keep
from swath.methods.mae import Config as Mae
from swath.methods.sat_mae import Config as SatMae
from tests.methods import fakes

SMALL = {"decoder_width": 32, "decoder_depth": 1}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spoilt(n: int = 4, t: int = 1) -> View:
    """A view, part of whose pixels are not valid: of the second sample but for two patches, of the first patch all."""
    image = fakes.image(n)
    image = replace(
        image,
        pixels=image.pixels.repeat(1, t, 1, 1, 1) + torch.randn(n, t, 3, 8, 8, generator=generator()),
        valid=torch.rand(n, t, 8, 8, generator=generator(1)) > 0.2,
        days=(15000 + 40 * torch.arange(t, dtype=torch.int32)).repeat(n, 1),
    )
    image.valid[1, :, 2:], image.valid[1, :, :, 4:], image.valid[0, :, :2, :2] = False, False, False
    return fakes.view(image)


def numpy_loss(said, values, valid, asked):
    """MAE with normalised pixels, patch after patch (He et al., section 3, "Reconstruction target")."""
    losses = []
    for b, n in np.argwhere(asked):
        there = valid[b, n]
        pixels = values[b, n, there].astype(np.float64)
        variance = ((pixels - pixels.mean()) ** 2).sum() / max(1, len(pixels) - 1)
        target = (pixels - pixels.mean()) / np.sqrt(variance + 1e-6)
        losses.append(np.mean((said[b, n, there] - target) ** 2))
    return np.mean(losses)


def numpy_keep(noise, seen, mask):
    """The official `random_masking`, among the patches that have a valid pixel."""
    kept = np.zeros_like(seen)
    for b in range(len(noise)):
        there = np.flatnonzero(seen[b])
        kept[b, there[np.argsort(noise[b, there])][: max(1, int(len(there) * (1 - mask)))]] = True
    return kept


@pytest.mark.parametrize("name", ["mae", "sat-mae"])
def test_the_loss_is_that_of_the_paper(name, monkeypatch):
    """The whole of it in NumPy, but for the networks, whose outputs are recorded."""
    method, view = fakes.method(name), spoilt()
    noise, record = torch.rand(4, 32, generator=generator(2)), []
    monkeypatch.setattr(torch, "rand", lambda *shape: noise.reshape(shape))
    method.decoder.register_forward_hook(lambda module, given, out: record.append((given, out)))
    loss = method.loss([view])
    ((_, keep, _, _, image), said) = record[0]
    patches = method.encoder.patches(view.image)
    values, valid = patches.values.numpy(), patches.valid.numpy()
    seen = valid.any(axis=2)
    expected = numpy_keep(noise.numpy(), seen, 0.75)
    assert np.array_equal(chosen(keep, 32).numpy(), expected)
    assert method.encoder.grid(image).layers == 2
    assert loss.total.item() == pytest.approx(
        numpy_loss(said.detach().numpy(), values, valid, seen & ~expected), rel=1e-5
    )
    assert expected.sum(axis=1)[1] == 1  # of two patches by two groups


def test_errors_ignore_what_is_not_valid_and_are_float32():
    said, values = (torch.randn(2, 3, 12, generator=generator(i)) for i in (0, 1))
    valid = torch.rand(2, 3, 12, generator=generator(2)) > 0.3
    valid[0, 0], valid[0, 1] = False, torch.arange(12) == 3
    values = torch.where(valid, values, 0.0)
    for normalise in (True, False):
        found = patch_errors(said, values, valid, normalise=normalise)
        other = patch_errors(torch.where(valid, said, 1e4), values, valid, normalise=normalise)
        assert torch.equal(found, other)
        assert found[0, 0] == 0
    plain = patch_errors(said, values, valid, normalise=False)[1, 2]
    np.testing.assert_allclose(plain, ((said - values)[1, 2][valid[1, 2]] ** 2).mean(), rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = patch_errors(said.bfloat16(), values, valid, normalise=True)
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, patch_errors(said.bfloat16().float(), values, valid, normalise=True))


def test_masked_and_invalid_pixels_never_reach_the_loss_but_as_what_is_asked_for():
    method, view = fakes.method("mae"), spoilt()
    rubbish = torch.where(view.image.valid[:, :, None], view.image.pixels, torch.tensor(3e30))
    dirty = replace(view, image=replace(view.image, pixels=rubbish))
    losses = []
    for one in (view, dirty):
        torch.manual_seed(3)
        losses.append(method.loss([one]))
    assert torch.equal(losses[0].total, losses[1].total)
    assert torch.equal(losses[0].features, losses[1].features)


def test_a_sample_without_a_valid_pixel_asks_for_nothing():
    method, view = fakes.method("mae"), spoilt(2)
    view.image.valid[:] = False
    loss = method.loss([view])
    loss.total.backward()
    assert loss.total == 0
    assert all(p.grad.isfinite().all() for p in method.parameters())


def test_as_much_is_kept_as_the_paper_says():
    seen = torch.ones(3, 100, dtype=torch.bool)
    seen[1, 40:] = False
    seen[2] = False
    keep = random_keep(torch.rand(3, 100, generator=generator()), seen, 0.75)
    assert keep.shape == (3, 25)
    assert (keep >= 0).sum(dim=1).tolist() == [25, 10, 1]
    assert keep[1].max() < 40
    assert random_keep(torch.rand(1, 10), seen[:1, :10], 0.9).shape == (1, 1)  # 10 * (1 - 0.9) is 0.99...


@pytest.mark.parametrize("percent", [16, 22, 29, 53, 90])  # in float32, or without the 1e-6, some of these fail
def test_shares_are_those_of_exact_numbers(percent):
    number = torch.arange(2000)
    assert torch.equal(part_of(number, percent / 100), number * percent // 100)
    assert torch.equal(part_of(number, 1 - percent / 100), number * (100 - percent) // 100)


def test_consistent_masks_hide_all_groups_of_a_patch_alike():
    method = fakes.method("sat-mae", masks="consistent")
    seen = torch.ones(5, 32, dtype=torch.bool)
    kept = chosen(method.keep(2, seen), 32).unflatten(1, (2, 16))
    assert torch.equal(kept[:, 0], kept[:, 1])
    assert kept[:, 0].sum(dim=1).tolist() == [4] * 5
    independent = fakes.method("sat-mae")
    apart = chosen(independent.keep(2, seen), 32).unflatten(1, (2, 16))
    assert not torch.equal(apart[:, 0], apart[:, 1])


def test_consistent_masks_hide_all_that_is_there_of_a_patch_alike():
    seen = torch.ones(50, 2, 16, dtype=torch.bool)
    seen[:, :, 7:] = False  # a quarter of 7 patches of 2 tokens are 3 tokens, which are no whole patches
    seen[25:, 1, :4] = False  # of a date that is cloudy
    keep = random_keep(torch.rand(50, 16, generator=generator()), seen.flatten(1), 0.6)
    kept = chosen(keep, 32).unflatten(1, (2, 16))
    assert torch.equal(kept, seen & kept.any(dim=1, keepdim=True))
    assert kept.any(dim=1).sum(dim=1).tolist() == [2] * 50


@pytest.mark.parametrize("masks", ["independent", "consistent"])
def test_dates_that_are_seen_together_are_filled_in_together(masks):
    encoder = fakes.tokens(groups=None, dates="together")
    method = _autoencoder_of(SatMae(**SMALL, masks=masks), encoder)
    view = spoilt(t=3)
    loss = method.loss([view])
    assert loss.features.shape == (4, 32)
    gap = replace(view.image, pixels=view.image.pixels.clone())
    gap.valid[:, 2], gap.pixels[:, 2], gap.days[:, 2] = False, 5.0, NO_DAY
    torch.manual_seed(0)
    assert method.loss([replace(view, image=gap)]).total.isfinite()


def test_dates_apart_are_images_of_their_own():
    method, view = fakes.method("mae"), spoilt(t=2)
    assert method.loss([view]).features.shape == (8, 32)


def test_several_views_are_as_one_batch_of_them(monkeypatch):
    method, view = fakes.method("mae"), spoilt(4)
    noise = torch.rand(4, 32, generator=generator(2))
    drawn = iter([noise[:2], noise[2:], noise])
    monkeypatch.setattr(torch, "rand", lambda *shape: next(drawn))
    halves = [replace(view, image=view.image.take(half), affine=view.affine[half]) for half in ([0, 1], [2, 3])]
    torch.testing.assert_close(method.loss(halves).total, method.loss([view]).total)


def test_processes_average_over_all_that_is_asked_for():
    errors, asked = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([True, True, True, False])

    class Both(methods.OneProcess):
        def __call__(self, tensor):
            return torch.tensor([[2.0], [1.0]])

    parts = [mean_of(errors[:2], asked[:2], Both()), mean_of(errors[2:], asked[2:], Both())]
    assert float(sum(parts) / 2) == pytest.approx(2.0)


def test_the_scale_of_a_view_is_that_of_its_pixels():
    affine = torch.tensor([[[0.5, 0.0, 1.0], [0.0, 0.5, 2.0]], [[0.0, -2.0, 0.0], [2.0, 0.0, 0.0]]])
    view = View(fakes.image(2), "query", affine)
    assert scale_of(view, 2).tolist() == pytest.approx([0.5, 2.0])
    assert scale_of(view, 4).tolist() == pytest.approx([0.5, 0.5, 2.0, 2.0])


def test_positions_by_pixel_size_go_by_the_crop():
    """Scale-MAE: the same pixels at half the size are elsewhere."""
    encoder = vit.build(
        vit.Config(patch=2, width=32, depth=1, heads=2, reference_gsd_m=10.0),
        replace(fakes.contract(), gsd_m=(10.0,) * 3),
    )
    method, view = _autoencoder_of(Mae(**SMALL), encoder), spoilt()
    losses = []
    for scale in (1.0, 1.0, 0.5):
        torch.manual_seed(0)
        losses.append(method.loss([replace(view, affine=view.affine * scale)]).total)
    assert losses[0] == losses[1] != losses[2]


def test_decoders_are_the_papers_unless_the_encoder_is_narrower():
    wide = _autoencoder_of(Mae(decoder_depth=1), fakes.tokens(width=544, depth=1))
    assert (wide.decoder.width, wide.decoder.blocks[0].attn.num_heads) == (512, 16)
    narrow = _autoencoder_of(Mae(decoder_depth=1), fakes.tokens(width=96))
    assert (narrow.decoder.width, narrow.decoder.blocks[0].attn.num_heads) == (96, 3)
    assert (Mae().mask, Mae().normalise, Mae().decoder_depth) == (0.75, True, 8)
    assert SatMae().masks == "independent"


def _autoencoder_of(config, encoder):
    torch.manual_seed(0)
    return methods.build(config, encoder, fakes.policy)


def test_what_cannot_be_masked_is_refused():
    with pytest.raises(RecipeError, match="no tokens that could be left out"):
        _autoencoder_of(Mae(), fakes.encoder())
    with pytest.raises(RecipeError, match="the encoder has neither"):
        _autoencoder_of(SatMae(**SMALL), fakes.tokens(groups=None))
    view = fakes.view(fakes.image(2))
    with pytest.raises(RecipeError, match=r"mask=0\.99 leaves none of 32 patches"):
        fakes.method("mae", mask=0.99).loss([view])
    with pytest.raises(RecipeError, match="cannot be shared by 5 attention heads"):
        fakes.method("mae", decoder_heads=5)
    assert kept_of(10, 0.9) == 1
