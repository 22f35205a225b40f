"""MMF's encoder: what is generated, what is fused, and what labels may not change."""

from dataclasses import replace

import pytest
import torch

from swath import encoders
from swath.batch import NO_DAY, Image
from swath.encoders.mmf import Config
from swath.encoders.unet_3d import UNet3d, final_convolution
from swath.errors import ContractError, RecipeError
from tests.methods.test_s4 import OPTICAL, RADAR, contract, series

OPTIONS = [{}, {"dates": True, "gaps": "interpolate", "collapse": "months"}]
# statistics that differ by band, so that one in the wrong place is noticed
MEAN = dict(zip((*OPTICAL, *RADAR), (0.1, 0.2, 0.3, -10.0, -17.0), strict=True))
STD = dict(zip((*OPTICAL, *RADAR), (0.5, 0.6, 0.7, 3.0, 4.0), strict=True))
BOTH = [(OPTICAL, RADAR), (RADAR, OPTICAL)]


def mmf(**settings):
    torch.manual_seed(0)
    made = contract(OPTICAL, RADAR)
    made = replace(made, mean=tuple(MEAN.values()), std=tuple(STD.values()))
    return encoders.build(Config(**{"width": 2, **settings}), made)


def gappy(keys, **settings):
    image = series(keys, **settings)
    image.valid[:, 1, :3], image.valid[0, 2] = False, False
    return replace(image, pixels=image.pixels * image.valid[:, :, None])


def longer(image: Image, by: int = 4) -> Image:
    """With dates of padding."""
    n, _, c, h, w = image.pixels.shape
    return replace(
        image,
        pixels=torch.cat([image.pixels, torch.zeros(n, by, c, h, w)], dim=1),
        valid=torch.cat([image.valid, torch.zeros(n, by, h, w, dtype=torch.bool)], dim=1),
        days=torch.cat([image.days, torch.full((n, by), NO_DAY, dtype=torch.int32)], dim=1),
    )


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_fusion_of_three_and_three_bands_is_pastis_network_in_size():
    optical, other = OPTICAL, tuple(f"sentinel-2-l2a/{name}" for name in ("B05", "B06", "B07"))
    encoder = encoders.build(Config(), contract(optical, other))
    assert count(encoder.network.fusion) + count(encoder.head(20)) == 1_550_340
    assert count(encoder.generator(series(optical))) == count(UNet3d(3)) + count(final_convolution(8, 3))


@pytest.mark.parametrize("options", OPTIONS, ids=["paper", "canada"])
@pytest.mark.parametrize(("keys", "others"), BOTH)
def test_what_is_generated_is_the_other_sensor_standardised_once(keys, others, options):
    encoder, image = mmf(**options).eval(), gappy(keys)
    made = encoder.generated(image)
    generator = encoder.generator(image)
    said = generator(generator.encoder.contracted(image)).transpose(1, 2)
    mean, std = (torch.tensor([of[key] for key in others])[:, None, None] for of in (MEAN, STD))
    torch.testing.assert_close(made.pixels, said.detach() * std + mean)
    standard = encoder.network.fusion.standard(encoder.completed(image))
    where = slice(3, None) if keys == OPTICAL else slice(3)
    expected = (said.detach() * image.valid[:, :, None]).transpose(1, 2)
    torch.testing.assert_close(standard[:, where], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("keys", "others"), BOTH)
def test_bands_stand_in_the_contracts_order_whichever_is_real(keys, others):
    encoder, image = mmf().eval(), series(keys)
    both = encoder.completed(image)
    encoder.network.fusion.contract.check(both)
    where = slice(3) if keys == OPTICAL else slice(3, None)
    assert torch.equal(both.pixels[:, :, where], image.pixels)
    assert torch.equal(both.days, image.days)


@pytest.mark.parametrize("options", OPTIONS, ids=["paper", "canada"])
@pytest.mark.parametrize("px", [1, 8])
def test_padding_does_not_leak_in_evaluation_mode(options, px):
    encoder, image = mmf(**options).eval(), series(OPTICAL, t=5, px=px)
    torch.testing.assert_close(encoder.dense(image), encoder.dense(longer(image)), rtol=1e-4, atol=1e-5)
    alone = encoder.dense(image.take([1]))
    torch.testing.assert_close(encoder.dense(image)[1:2], alone, rtol=1e-4, atol=1e-5)


def test_invalid_pixels_change_nothing():
    encoder, clean = mmf(gaps="interpolate").eval(), gappy(RADAR)
    dirty = replace(clean, pixels=torch.where(clean.valid[:, :, None], clean.pixels, torch.tensor(3e8)))
    assert torch.equal(encoder.dense(clean), encoder.dense(dirty))


def test_labels_reach_the_fusion_alone():
    encoder = mmf()
    encoder.head(4)(encoder.dense(series(OPTICAL))).square().mean().backward()
    assert all(p.grad is not None for p in encoder.network.fusion.parameters())
    assert all(p.grad is None and not p.requires_grad for p in encoder.network.generators.parameters())


def test_what_is_embedded_is_what_unlabelled_pairs_trained():
    encoder, image = mmf(collapse="months"), series(OPTICAL)
    before = encoder.embed(image, trusted=True)
    with torch.no_grad():
        for parameter in encoder.network.fusion.parameters():
            parameter.add_(1.0)
    assert torch.equal(encoder.embed(image, trusted=True), before)
    assert torch.equal(encoder.network.generators[0].encoder.embed(image, trusted=True), before)


def test_a_loaded_one_fuses_the_same_and_is_still_frozen(tmp_path):
    encoder = mmf(**OPTIONS[1])
    encoder.network.generators.requires_grad_(requires_grad=True)
    encoder.train()
    for keys in (OPTICAL, RADAR):
        encoder.dense(series(keys))
    encoders.save(encoder, Config(width=2, **OPTIONS[1]), tmp_path / "e", {})
    again = encoders.load(tmp_path / "e")
    for keys in (OPTICAL, RADAR):
        assert torch.equal(again.dense(series(keys)), encoder.eval().dense(series(keys)))
    assert not any(p.requires_grad for p in again.network.generators.parameters())
    assert all(p.requires_grad for p in again.network.fusion.parameters())


def test_it_needs_two_sensors_and_takes_one_at_a_time():
    with pytest.raises(RecipeError, match="paired-series"):
        encoders.build(Config(), contract(OPTICAL))
    with pytest.raises(ContractError, match="are not the encoder's"):
        mmf().embed(series((*OPTICAL, *RADAR)))
