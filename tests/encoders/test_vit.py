"""Tokens that are computed alone, positions, groups of bands, dates, and pixel sizes."""

import datetime
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from swath import encoders, segmenters
from swath.batch import NO_DAY
from swath.encoders import _positions, vit
from swath.encoders._tokens import cut
from swath.errors import ContractError, RecipeError
from swath.segmenters import linear
from swath.testing import contract, image

KEYS = tuple(f"sentinel-2-l2a/{band}" for band in ("B02", "B03", "B04", "B08"))
GROUPS = (("sentinel-2-l2a/B04", "sentinel-2-l2a/B02"), ("sentinel-2-l2a/B08", "sentinel-2-l2a/B03"))
SMALL = {"patch": 8, "width": 32, "depth": 2, "heads": 2}


def made(**said):
    torch.manual_seed(0)
    return encoders.build(vit.Config(**{**SMALL, **said}), contract(KEYS, gsd_m=(10.0,) * 4)).eval()


VARIANTS = [
    {},
    {"class_token": False, "registers": 2},
    {"learnt_positions_px": 16},
    {"groups": GROUPS},
    {"reference_gsd_m": 15.0},
    {"dates": "together", "groups": GROUPS},
]


@pytest.fixture(params=VARIANTS, ids=lambda said: "-".join(said) or "plain")
def encoder(request):
    return made(**request.param)


def some(encoder, number=3):
    """An image of 3 x 3 patches, and so many of each sample; of those the tokens of all groups."""
    dates, groups = 2 if encoder.together else 1, max(1, len(encoder.groups))
    given = image(KEYS, b=3, t=dates, px=24, invalid=0.3)
    chosen = torch.rand(3, dates * 9, generator=torch.Generator().manual_seed(0)).argsort(dim=1)[:, :number]
    first = chosen + (groups - 1) * 9 * (chosen // 9)
    return given, torch.cat([first + i * 9 for i in range(groups)], dim=1)


@torch.no_grad()
def test_kept_tokens_are_those_of_an_image_from_which_the_others_were_removed(encoder):
    """Visible-only equality: what is not kept might as well not be there."""
    given, keep = some(encoder)
    kept = encoder.tokens(given, keep)
    there = torch.zeros(3, encoder.grid(given).tokens, dtype=torch.bool).scatter_(1, keep, value=True)
    by_date = there.unflatten(1, (-1, max(1, len(encoder.groups)), 3, 3))[:, :, 0]
    by_date = by_date.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    alone = replace(given, valid=given.valid & by_date, pixels=torch.where(by_date[:, :, None], given.pixels, 7.0))
    everything = encoder.tokens(alone)
    at = keep + encoder.prefix
    same = everything[torch.arange(3)[:, None], at]
    torch.testing.assert_close(kept[:, encoder.prefix :], same, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(kept[:, : encoder.prefix], everything[:, : encoder.prefix], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rows_may_keep_fewer_and_all_is_what_is_kept_where_nothing_is_said(encoder):
    given, keep = some(encoder)
    fewer = torch.cat([keep, torch.full((3, 2), -1)], dim=1)
    torch.testing.assert_close(encoder.tokens(given, fewer)[:, :-2], encoder.tokens(given, keep), rtol=1e-4, atol=1e-5)
    every = torch.arange(encoder.grid(given).tokens).expand(3, -1)
    torch.testing.assert_close(encoder.tokens(given, every), encoder.tokens(given), rtol=1e-4, atol=1e-5)
    assert encoder.tokens(given, torch.full((3, 2), -1)).isfinite().all()


@torch.no_grad()
def test_patches_without_a_valid_pixel_are_seen_by_none():
    encoder, (given, _) = made(), some(made())
    valid = given.valid.clone()
    valid[:, :, :8, 8:16] = False
    hidden = replace(given, valid=valid)
    seen = encoder.seen(hidden)
    assert seen.tolist() == [[i != 1 for i in range(9)]] * 3
    keep = torch.tensor([[0, *range(2, 9)]] * 3)
    torch.testing.assert_close(encoder.tokens(hidden)[:, [0, 1, *range(3, 10)]], encoder.tokens(hidden, keep))
    torch.testing.assert_close(encoder.embed(hidden), encoder.tokens(hidden, keep)[:, 1:].mean(dim=1))


def test_positions_are_the_papers():
    """MAE's `get_2d_sincos_pos_embed`, transcribed: the column's half first."""
    width, rows, columns = 16, 3, 5
    omega = 10_000.0 ** (-np.arange(width // 4) / (width / 4))
    expected = []
    for row in range(rows):
        for column in range(columns):
            halves = [np.concatenate([np.sin(at * omega), np.cos(at * omega)]) for at in (column, row)]
            expected.append(np.concatenate(halves))
    found = _positions.of_grid(rows, columns, width, torch.device("cpu"))
    np.testing.assert_allclose(found[0], np.array(expected), atol=1e-6)
    scaled = _positions.of_grid(rows, columns, width, torch.device("cpu"), torch.tensor([2.0, 1.0]))
    assert torch.equal(scaled[1], found[0])
    np.testing.assert_allclose(scaled[0, 4, :4], np.sin(2 * 4 * omega), atol=1e-6)


def test_a_date_is_its_year_and_month():
    dates = [(2000, 1, 1), (1999, 12, 31), (2020, 2, 29), (1972, 12, 31), (1969, 12, 31), (2100, 3, 1), (2016, 12, 31)]
    days = [(datetime.date(*date) - datetime.date(1970, 1, 1)).days for date in dates]
    year, month = _positions.year_and_month(torch.tensor(days))
    assert (year + 2000).tolist() == [date[0] for date in dates]
    for (y, m, d), found in zip(dates, month.tolist(), strict=True):
        passed = (datetime.date(y, m, d) - datetime.date(y, 1, 1)).days
        length = (datetime.date(y + 1, 1, 1) - datetime.date(y, 1, 1)).days
        assert found == pytest.approx(12 * passed / length, abs=1e-4)
    said = _positions.of_days(torch.tensor([[days[2], NO_DAY]], dtype=torch.int32), 8)
    omega = 10_000.0 ** (-np.arange(2) / 2)
    np.testing.assert_allclose(said[0, 0, :2], np.sin(20 * omega), atol=1e-5)
    assert not said[0, 1].any()


def test_groups_and_dates_have_their_own_shares_of_a_position():
    encoder = made(dates="together", groups=GROUPS)
    given = image(KEYS, b=2, t=2, px=16)
    said = encoder.positions(given, 64).unflatten(1, (2, 2, 4))
    ground, group, date = said.split([32, 16, 16], dim=-1)
    assert torch.equal(ground[0, 0, 0], _positions.of_grid(2, 2, 32, torch.device("cpu"))[0])
    assert torch.equal(group[:, :, 1], _positions.waves(torch.ones(2, 2, 4), 16))
    assert torch.equal(date[:, :, 0, 0], _positions.of_days(given.days, 16))


@torch.no_grad()
def test_a_group_sees_its_own_bands_alone():
    encoder, given = made(groups=GROUPS), image(KEYS, b=2, px=16)
    other = replace(given, pixels=given.pixels.clone())
    other.pixels[:, :, [1, 3]] += 0.3  # those of the second group
    first, second = torch.arange(4).expand(2, -1), torch.arange(4, 8).expand(2, -1)
    assert torch.equal(encoder.tokens(given, first), encoder.tokens(other, first))
    assert not torch.equal(encoder.tokens(given, second), encoder.tokens(other, second))


def test_patches_are_cut_as_numpy_cuts_them():
    encoder = made(groups=(KEYS[:1], KEYS[1:]))
    given = image(KEYS, b=2, px=20, invalid=0.1)
    standard = np.zeros((2, 4, 24, 24), np.float32)
    mean, std = (np.array(getattr(encoder.contract, name), np.float32)[:, None, None] for name in ("mean", "std"))
    valid = np.zeros((2, 24, 24), bool)
    valid[:, :20, :20] = given.valid[:, 0]
    standard[:, :, :20, :20] = (given.pixels[:, 0].numpy() - mean) / std
    standard *= valid[:, None]
    found = encoder.patches(given)
    assert found.values.shape == (2, 18, 3 * 64)
    for token in (0, 5, 8, 9, 17):
        row, column = divmod(token % 9, 3)
        here = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        own = standard[(np.s_[:], np.s_[:1] if token < 9 else np.s_[1:], *here)].reshape(2, -1)
        np.testing.assert_allclose(found.values[:, token, : own.shape[1]], own, atol=1e-5)
        assert not found.values[:, token, own.shape[1] :].any()
        count = valid[(np.s_[:], *here)].sum(axis=(1, 2)) * (1 if token < 9 else 3)
        assert found.valid[:, token].sum(dim=1).tolist() == count.tolist()
    assert torch.equal(encoder.seen(given), found.valid.any(dim=2))
    assert cut(given.pixels, 8).shape == (2, 1, 9, 4, 64)


@torch.no_grad()
def test_positions_by_pixel_size_count_metres():
    encoder = made(reference_gsd_m=10.0)
    given = image(KEYS, b=2, px=16)
    coarse = replace(given, gsd_m=20.0)
    assert not torch.allclose(encoder.tokens(given), encoder.tokens(coarse))
    by_scale = encoder.tokens(given, scale=torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(by_scale[0], encoder.tokens(coarse)[0])
    torch.testing.assert_close(by_scale[1], encoder.tokens(given)[1])
    plain = made()
    assert torch.equal(plain.tokens(given), plain.tokens(coarse, scale=torch.tensor([2.0, 1.0])))
    expected = encoder.encode(encoder.standardize(given.pixels, given.valid, given.band_ids)[:, 0], given.valid[:, 0])
    torch.testing.assert_close(encoder(given), expected)


@torch.no_grad()
def test_learnt_positions_are_interpolated_for_chips_of_other_sizes():
    encoder = made(learnt_positions_px=16)
    learnt = encoder.network.positions
    assert torch.equal(vit.resized(learnt, 2, 2)[0, 1], learnt[0, :, 0, 1])
    smooth = torch.linspace(0, 1, 6)[None, None, :, None].expand(1, 1, 6, 6)
    found = vit.resized(torch.nn.Parameter(smooth.contiguous()), 3, 3).reshape(3, 3)
    np.testing.assert_allclose(found[1], [0.5] * 3, atol=1e-5)


@torch.no_grad()
def test_it_serves_whoever_segments():
    encoder, given = made(), image(KEYS, b=2, t=2, px=20, invalid=0.1)
    assert encoder.map_sizes() == [(32, 8.0)]
    assert [len(layer) > 0 for layer in encoder.layers()] == [True] * 4
    assert sum(map(len, encoder.layers())) == len(list(encoder.parameters()))
    assert segmenters.around(linear.Config(), encoder).dense(given).shape == (2, 32, 20, 20)
    temporal = made(dates="together")
    assert temporal.dense(given).shape == (2, 32, 20, 20)
    assert temporal.head(3)(temporal.dense(given)).shape == (2, 3, 20, 20)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ((KEYS[:3],), "sentinel-2-l2a/B08 are in no group"),
        ((KEYS, KEYS[:1]), "sentinel-2-l2a/B02 stand in two groups"),
        ((KEYS, ("sentinel-2-l2a/B11",)), "sentinel-2-l2a/B11 are none of the views' bands"),
    ],
)
def test_groups_that_are_not_those_of_the_views_are_refused(groups, said):
    with pytest.raises(RecipeError, match=said):
        made(groups=groups)
    free = contract(KEYS, channels=2, fixed=False)
    with pytest.raises(RecipeError, match="always hold the same band"):
        encoders.build(vit.Config(**SMALL, groups=(KEYS,)), free)


@pytest.mark.parametrize(
    "said",
    [
        {"width": 30},
        {"width": 40, "dates": "together", "groups": GROUPS},
        {"heads": 3},
        {"pooling": "class", "class_token": False},
        {"learnt_positions_px": 4},
        {"learnt_positions_px": 16, "reference_gsd_m": 10.0},
    ],
)
def test_settings_that_do_not_fit_are_refused(said):
    with pytest.raises(ValidationError):
        vit.Config(**{**SMALL, **said})


def test_positions_by_an_unknown_pixel_size_are_refused():
    with pytest.raises(RecipeError, match="nobody knows"):
        encoders.build(vit.Config(**SMALL, reference_gsd_m=10.0), contract(KEYS))


def test_chips_smaller_than_a_patch_are_refused():
    with pytest.raises(ContractError, match="4 x 4 pixels, which is less than a patch of 8 x 8"):
        made().embed(image(KEYS, px=4))


def test_a_checkpoint_of_another_grouping_or_other_heads_is_refused(tmp_path):
    encoders.save(made(groups=GROUPS), vit.Config(**SMALL, groups=GROUPS), tmp_path / "e", provenance={})
    start = tmp_path / "e"
    same = made(groups=GROUPS, weights=start)
    assert torch.equal(same.embed(image(KEYS)), made(groups=GROUPS).embed(image(KEYS)))
    with pytest.raises(RecipeError, match="the weights are not this encoder's"):
        made(groups=(GROUPS[0][::-1], GROUPS[1]), weights=start)
    with pytest.raises(RecipeError, match="other settings: heads: was 2, is 4"):
        made(groups=GROUPS, heads=4, weights=start)
