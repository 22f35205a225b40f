"""Tokens of series: what they hold, where they belong, and that nothing but what is there is looked at."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath import encoders
from swath.batch import NO_DAY, Image
from swath.encoders.series_transformer import Config, groups_of
from swath.errors import ContractError, RecipeError
from swath.tasks.data import match_bands
from swath.testing import contract as contract_over
from swath.testing import image as picture

OPTICAL = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B04", "B08", "B11"))
RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")
SMALL = {"dim": 16, "heads": 2}


def contract():
    return replace(contract_over((*OPTICAL, *RADAR)), channels=4, branches=(4, 2))


def make(**settings):
    torch.manual_seed(0)
    return encoders.build(Config(**SMALL, **settings), contract())


def both(t=3, px=1):
    one, other = picture(OPTICAL, t=t, px=px), picture(RADAR, t=t, px=px)
    return replace(
        one,
        pixels=torch.cat([one.pixels, other.pixels], dim=2),
        band_ids=torch.cat([one.band_ids, other.band_ids], dim=1),
    )


def channels(image, *keys):
    held = (*OPTICAL, *RADAR)
    return image.channels([held.index(key) for key in keys])


def test_groups_are_the_parts_of_the_spectrum_of_a_sensor():
    found = make().groups
    assert found == (OPTICAL[:2], OPTICAL[2:3], OPTICAL[3:], RADAR)
    assert groups_of("sensor", (*OPTICAL, *RADAR)) == (OPTICAL, RADAR)
    assert groups_of("band", RADAR) == (RADAR[:1], RADAR[1:])
    thermal = ("landsat-oli-toa/B6", "landsat-oli-toa/B10", "landsat-oli-toa/B11")
    assert groups_of("spectrum", thermal) == (thermal[:1], thermal[1:])


@pytest.mark.parametrize(
    "groups",
    [(OPTICAL,), (OPTICAL, RADAR[:1]), ((*OPTICAL, *RADAR),), (OPTICAL, (*RADAR, RADAR[0])), (OPTICAL, RADAR, ())],
    ids=["a sensor lacks", "a band lacks", "sensors mixed", "a band twice", "an empty group"],
)
def test_groups_that_are_not_the_views_are_refused(groups):
    with pytest.raises(RecipeError, match="put each band of the views in one group"):
        make(groups=groups)


def test_tokens_hold_standardised_values_of_their_patch():
    """Values against NumPy, patch by patch, in the order date, group, patch."""
    encoder, image = make(patch=2), both(t=2, px=5)
    image.valid[0, 1, :2, :2] = False
    tokens = encoder.tokens([image])
    mean, std = (np.array(numbers)[:, None, None] for numbers in (contract().mean, contract().std))
    at = 0
    for t in range(2):
        for g, keys in enumerate(encoder.groups):
            rows = [(*OPTICAL, *RADAR).index(key) for key in keys]
            for i, j in ((0, 0), (0, 2), (2, 0), (2, 2)):
                if (t, i, j) == (1, 0, 0):
                    continue  # nothing there is valid, so there is no token
                wanted = ((image.pixels[0, t].numpy() - mean) / std)[rows, i : i + 2, j : j + 2].ravel()
                assert tokens.values[0, at, : wanted.size].numpy() == pytest.approx(wanted, abs=1e-5)
                assert tokens.known[0, at].sum() == wanted.size
                assert (int(tokens.group[0, at]), int(tokens.days[0, at])) == (g, int(image.days[0, t]))
                at += 1
    assert int(tokens.valid[0].sum()) == at
    assert bool(tokens.valid[1].all())


def test_any_groups_in_any_order_are_taken_and_what_is_absent_is_no_token():
    encoder, image = make(), both()
    for keys in (OPTICAL, RADAR, (OPTICAL[2], *RADAR), (*RADAR, *reversed(OPTICAL))):
        given = channels(image, *keys)
        known = encoder.embed(given)
        asked = replace(given, common_ids=tuple(given.band_ids[0].tolist()))
        torch.testing.assert_close(encoder.embed(asked), known)
        assert int(encoder.tokens([given]).valid[0].sum()) == 3 * sum(set(g) <= set(keys) for g in encoder.groups)
    torch.testing.assert_close(encoder.embed(channels(image, *RADAR, *reversed(OPTICAL))), encoder.embed(image))


def test_samples_may_hold_different_bands():
    encoder, image = make(), both()
    some, others = channels(image, *OPTICAL[2:]), channels(image, *RADAR)
    mixed = replace(
        some,
        pixels=torch.cat([some.pixels[:2], others.pixels[2:]]),
        band_ids=torch.cat([some.band_ids[:2], others.band_ids[2:]]),
    )
    expected = torch.cat([encoder.embed(some)[:2], encoder.embed(others)[2:]])
    torch.testing.assert_close(encoder.embed(mixed), expected)


def test_two_images_are_one_with_the_bands_of_both():
    encoder, image = make(), both()
    tokens = encoder.tokens([channels(image, *OPTICAL), channels(image, *RADAR)])
    encoded = encoder.encoded(tokens.x, tokens.valid)
    torch.testing.assert_close(encoder.pooled(encoded, tokens.valid, tokens.days), encoder(image))


def test_dates_and_groups_tell_tokens_apart_and_the_order_of_dates_does_not():
    encoder, image = make(), both()
    later = replace(image, days=image.days + torch.tensor([0, 0, 40], dtype=torch.int32))
    assert not torch.allclose(encoder.embed(image), encoder.embed(later), atol=1e-4)
    order = [2, 0, 1]
    turned = replace(image, pixels=image.pixels[:, order], valid=image.valid[:, order], days=image.days[:, order])
    torch.testing.assert_close(encoder.embed(image), encoder.embed(turned), rtol=1e-4, atol=1e-5)


def test_months_are_means_by_month():
    encoder, image = make(pooling="months"), both(t=2)
    image = replace(image, days=torch.tensor([[17_897, 17_910]], dtype=torch.int32).expand(4, 2).clone())  # January
    mean = make()
    mean.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(encoder.embed(image), mean.embed(image).repeat(1, 12), rtol=1e-4, atol=1e-5)
    image.days[:, 1] += 31
    tokens = encoder.tokens([image])
    encoded = encoder.encoded(tokens.x, tokens.valid).detach().unflatten(1, (2, 4)).mean(dim=2)
    found = encoder.embed(image).unflatten(1, (12, 16))
    torch.testing.assert_close(found[:, 0], encoded[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, 1], encoded[:, 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, 7], encoded.mean(dim=1), rtol=1e-4, atol=1e-5)


def test_volumes_are_means_over_groups():
    encoder, image = make(patch=2), both(t=2, px=4)
    image.valid[0, 1] = False
    volume = encoder.volumes(image)
    assert volume.shape == (4, 16, 2, 2, 2)
    assert not bool(volume[0, :, 1].any())
    torch.testing.assert_close(volume[1:].mean(dim=(2, 3, 4)), encoder(image)[1:], rtol=1e-4, atol=1e-5)


def test_one_date_and_nothing_valid():
    encoder, image = make(), both(t=1)
    image.valid[0] = False
    embedded = encoder.embed(image)
    assert bool(embedded.isfinite().all())
    assert not bool(embedded[0].any())
    undated = replace(image, days=torch.full_like(image.days, NO_DAY))
    with pytest.raises(ContractError, match="goes by the days"):
        encoder.embed(undated)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ((OPTICAL[0], OPTICAL[2]), "takes sentinel-2-l2a/B02, sentinel-2-l2a/B04 together.*B04 is not there"),
        ((*RADAR, RADAR[0]), "VV more than once"),
        (RADAR[:1], "VH is not there"),
    ],
)
def test_part_of_a_group_is_refused(keys, said):
    encoder, image = make(), channels(both(), *keys)
    with pytest.raises(ContractError, match=said):
        encoder.embed(image)
    with pytest.raises(ContractError, match=said):
        match_bands(encoder.contract, keys)


def test_inputs_of_tasks_are_taken_as_they_are():
    for keys in (OPTICAL, RADAR, OPTICAL[2:]):
        assert match_bands(make().contract, keys).passes == (keys,)
    both = match_bands(make().contract, (*RADAR, *OPTICAL))
    assert both.passes == (RADAR, OPTICAL)
    assert both.note == "an embedding of each sensor, concatenated"
    with pytest.raises(ContractError, match="no statistics of sentinel-2-l2a/B03"):
        match_bands(make().contract, (*RADAR, "sentinel-2-l2a/B03"))
    with pytest.raises(ContractError, match="no statistics for sentinel-2-l2a/B03"):
        make().embed(picture(("sentinel-2-l2a/B03",), px=1))


def test_chips_smaller_than_a_patch_are_refused():
    with pytest.raises(ContractError, match=r"3 pixel\(s\) wide, a token of the encoder 4"):
        make(patch=4).embed(both(px=3))


def test_weights_of_another_grouping_do_not_fit(tmp_path):
    encoders.save(make(), Config(**SMALL), tmp_path / "encoder", provenance={})
    again = encoders.build(Config(**SMALL, weights=tmp_path / "encoder"), contract())
    assert again.contract.groups == make().groups
    assert encoders.load(tmp_path / "encoder").contract == again.contract
    other = (OPTICAL[1::-1], OPTICAL[2:3], OPTICAL[3:], RADAR)  # of the same sizes
    with pytest.raises(RecipeError, match="weights are not this encoder's"):
        encoders.build(Config(**SMALL, groups=other, weights=tmp_path / "encoder"), contract())


def test_channels_that_change_have_no_groups():
    with pytest.raises(RecipeError, match="choose the policy sensor-series"):
        encoders.build(Config(**SMALL), replace(contract_over(OPTICAL), fixed=False))


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiple of 4 and of heads"):
        Config(dim=12, heads=8)


def test_the_contract_of_other_encoders_says_nothing_of_groups():
    """What stands in files and digests of before stays as it was."""
    assert "groups" not in contract().as_dict()
    assert make().contract.as_dict()["groups"] == make().groups


def test_it_has_prestos_size():
    encoder = encoders.build(Config(), contract())
    blocks = encoder.network.blocks.blocks
    assert (len(blocks), blocks[0].heads) == (2, 8)
    assert sum(p.numel() for p in blocks.parameters()) == 2 * (12 * 128**2 + 13 * 128)


def image_of(days, valid):
    n = len(days)
    return Image(
        pixels=torch.zeros(1, n, 2, 1, 1),
        valid=torch.tensor(valid)[None, :, None, None],
        days=torch.tensor([days], dtype=torch.int32),
        band_ids=both().band_ids[:1, 4:],
        gsd_m=10.0,
    )


def test_time_is_counted_from_the_first_valid_date():
    encoder = make()
    early = encoder.tokens([image_of([17_000, 17_100, 17_200], [False, True, True])])
    late = encoder.tokens([image_of([17_100, 17_200], [True, True])])
    torch.testing.assert_close(early.place[:, :2], late.place)
