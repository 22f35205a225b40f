"""Masked modelling: which tokens are hidden, what is asked of the network, and that it cannot see what it is asked."""

import math

import numpy as np
import pytest
import torch

from swath import encoders, methods
from swath.batch import Batch
from swath.encoders import series_transformer
from swath.errors import ContractError, RecipeError
from swath.methods.masked_series import Config, draw, first_of, hidden_error, kept
from swath.testing import image as picture
from swath.views.policies import sensor_series
from tests.encoders.test_series_transformer import OPTICAL, RADAR, contract
from tests.methods import fakes

SMALL = {"decoder_dim": 8, "decoder_heads": 2, "decoder_depth": 1}
FOUR = ("random", "groups", "months", "contiguous-months")


def views(b=4, t=12, missing=0):
    """Optical and radar series of single pixels, a month apart; of the radar's first samples nothing is valid."""
    images = [picture(keys, b=b, t=t, px=1) for keys in (OPTICAL, RADAR)]
    for image in images:
        image.days[:] = 17_000 + (30.4375 * torch.arange(t)).round().int()
    images[1].valid[:missing] = False
    return [fakes.view(image) for image in images]


def method(**settings):
    torch.manual_seed(0)
    net = series_transformer.Config(dim=16, heads=2)
    return methods.build(Config(**{**SMALL, **settings}), encoders.build(net, contract()), fakes.policy)


def masks(strategy, ratio=0.75, b=200, **of_views):
    made, given = method(), views(b=b, **of_views)
    tokens = made.encoder.tokens([view.image for view in given])
    torch.manual_seed(1)
    hidden = draw(tokens, len(made.encoder.groups), (strategy,), ratio)
    assert not bool((hidden & ~tokens.valid).any())
    return tokens, hidden


def by(of: torch.Tensor, hidden: torch.Tensor, number: int) -> np.ndarray:
    """Share of hidden tokens of each group (or month) of each sample."""
    one = torch.nn.functional.one_hot(of, number).float()
    return (torch.einsum("bnk,bn->bk", one, hidden.float()) / one.sum(dim=1)).numpy()


def month(tokens: torch.Tensor) -> torch.Tensor:
    return ((tokens.days - 17_000) / 30.4375).round().long()


@pytest.mark.parametrize("strategy", FOUR)
@pytest.mark.parametrize("ratio", [0.75, 0.3])
def test_the_share_is_exact(strategy, ratio):
    _, hidden = masks(strategy, ratio)
    assert hidden.shape[1] == 12 * 4
    assert set(hidden.sum(dim=1).tolist()) == {math.floor(ratio * 48)}


def test_what_is_not_hidden_is_shown_whatever_the_share():
    valid = torch.ones(1, 100, dtype=torch.bool)  # 0.53 of 100 is 52 in float32, and 47 places were kept of 48
    hidden = first_of(torch.rand(1, 100), valid, 0.53)
    at, shown = kept(valid & ~hidden, 0.53)
    assert int(hidden.sum()) == 53
    assert sorted(at[shown].tolist()) == (~hidden[0]).nonzero()[:, 0].tolist()


def test_random_tokens_are_hidden_alike():
    _, hidden = masks("random", b=800)
    share = hidden.float().mean(dim=0).numpy()
    assert np.abs(share - 0.75).max() < 4.5 * math.sqrt(0.75 * 0.25 / 800)
    together = np.corrcoef(hidden.float().numpy().T)[np.triu_indices(48, 1)]
    assert together.mean() == pytest.approx(-1 / 47, abs=0.005)  # drawn without replacement, and no more than that


def test_whole_groups_are_hidden():
    tokens, hidden = masks("groups")
    share = by(tokens.group, hidden, 4)
    assert (np.sort(share, axis=1) == [0, 1, 1, 1]).all()
    assert set(np.argmin(share, axis=1)) == {0, 1, 2, 3}


def test_whole_months_of_all_sensors_are_hidden():
    tokens, hidden = masks("months")
    share = by(month(tokens), hidden, 12)
    assert (np.sort(share, axis=1) == [0] * 3 + [1] * 9).all()
    runs = np.abs(np.diff(share, axis=1)).sum(axis=1)
    assert (runs > 2).mean() > 0.5  # not together


def test_a_run_of_months_is_hidden():
    tokens, hidden = masks("contiguous-months")
    share = by(month(tokens), hidden, 12)
    first = share.argmax(axis=1)
    assert set(first) == {0, 1, 2, 3}
    assert all((row[start : start + 9] == 1).all() for row, start in zip(share, first, strict=True))


def test_a_whole_sensor_is_hidden_and_so_many_of_the_other():
    tokens, hidden = masks("sensors", b=400)
    share = by(tokens.sensor, hidden, 2)
    assert ((share == 1).sum(axis=1) == 1).all()
    optical = share[:, 0] == 1
    assert 0.4 < optical.mean() < 0.6
    assert (share[optical, 1] == 0).all()  # optical alone is three quarters of the tokens
    assert share[~optical, 0] == pytest.approx(24 / 36)


def test_of_a_single_sensor_something_stays():
    tokens, hidden = masks("sensors", b=6, missing=3)
    left = (tokens.valid & ~hidden).sum(dim=1)
    assert left[:3].tolist() == [9, 9, 9]
    assert bool((left > 0).all())


def test_what_is_hidden_follows_from_the_seed_and_the_place_in_the_joined_batch():
    made, given = method(), views(b=4)
    tokens = made.encoder.tokens([view.image for view in given])

    def drawn(seed):
        torch.manual_seed(seed)
        return draw(tokens, 4, (*FOUR, "sensors"), 0.5)

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_each_sample_draws_a_strategy():
    made, given = method(), views(b=300)
    tokens = made.encoder.tokens([view.image for view in given])
    share = by(tokens.group, draw(tokens, 4, ("random", "groups"), 0.75), 4)
    whole = (np.sort(share, axis=1) == [0, 1, 1, 1]).all(axis=1)
    assert 0.4 < whole.mean() < 0.6


def test_what_is_shown_is_gathered():
    shown = torch.tensor([[False, True, False, True], [True, False, False, False]])
    at, there = kept(shown, 0.5)
    assert at[0].tolist() == [1, 3]
    assert there.tolist() == [[True, True], [True, False]]
    assert int(at[1, 0]) == 0


@pytest.mark.parametrize("kind", ["squared", "absolute"])
def test_the_error_is_that_of_hidden_valid_values(kind):
    """Against NumPy: over the values of each sample, then over the samples that have any."""
    rng = np.random.default_rng(0)
    said, wanted = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    asked = rng.random((3, 5, 4)) < 0.4
    asked[1] = False
    error = (said - wanted) ** 2 if kind == "squared" else np.abs(said - wanted)
    expected = np.mean([error[i][asked[i]].mean() for i in (0, 2)])
    found, share = hidden_error(*map(torch.from_numpy, (said, wanted, asked)), kind)
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(share) == pytest.approx(asked.mean())
    narrow, _ = hidden_error(torch.from_numpy(said).bfloat16(), *map(torch.from_numpy, (wanted, asked)), kind)
    assert narrow.dtype == torch.float32
    assert float(found) == pytest.approx(float(narrow), rel=0.02)


def test_the_loss_asks_for_what_is_hidden_and_shows_nothing_of_it():
    """Hidden and invalid values may be anything: the network's answers do not change, and only the hidden count."""
    made, given = method(masks=("random",)), views()
    given[0].image.valid[0, :3] = False
    said = []

    def noted(module, inputs, output):
        said.append(output.detach())

    made.decoder.register_forward_hook(noted)
    tokens = made.encoder.tokens([view.image for view in given])
    torch.manual_seed(5)
    hidden = draw(tokens, 4, ("random",), 0.75)
    torch.manual_seed(5)
    loss = made.loss(given)
    error = ((said[0] - tokens.values) ** 2).numpy()
    asked = (tokens.known & hidden[..., None]).numpy()
    assert loss.total.item() == pytest.approx(
        np.mean([e[a].mean() for e, a in zip(error, asked, strict=True)]), rel=1e-5
    )
    assert float(loss.terms["hidden"]) == pytest.approx(asked.mean())
    for n in range(len(tokens.days[0])):  # another value in each hidden token
        day, group = int(tokens.days[1, n]), int(tokens.group[1, n])
        if bool(hidden[1, n]):
            keys = made.encoder.groups[group]
            view = given[0 if keys[0] in OPTICAL else 1]
            columns = [(OPTICAL if keys[0] in OPTICAL else RADAR).index(key) for key in keys]
            t = view.image.days[1].tolist().index(day)
            view.image.pixels[1, t, columns] += 0.05
    given[0].image.pixels[0, :3] = 1e9
    torch.manual_seed(5)
    made.loss(given)
    torch.testing.assert_close(said[1], said[0])


def test_all_that_is_trained_gets_a_gradient():
    made = method()
    made.loss(views()).total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in made.parameters())


def test_a_sensor_that_nobody_has_is_left_out():
    loss = method().loss(views(missing=4))
    assert math.isfinite(loss.total.item())


def test_nothing_to_ask_for_is_no_number():
    """A training stops at it, with its reason, instead of learning nothing."""
    given = views(b=2, t=2)
    for view in given:
        view.image.valid[:] = False
    assert math.isnan(method().loss(given).total.item())


def test_a_series_of_one_token_is_refused():
    net = series_transformer.Config(dim=16, heads=2)
    made = methods.build(Config(**SMALL), encoders.build(net, contract().alone(1)), fakes.policy)
    with pytest.raises(RecipeError, match="one each"):
        made.loss(views(t=1)[1:])


def test_chips_smaller_than_a_patch_are_refused_before_anything_is_trained():
    net = series_transformer.Config(dim=16, heads=2, patch=4)
    made = methods.build(Config(**SMALL), encoders.build(net, contract()), fakes.policy)
    with pytest.raises(ContractError, match=r"1 pixel\(s\) wide, a token of the encoder 4"):
        made.rehearse(views)
    method().rehearse(views)


def test_an_encoder_without_tokens_is_refused():
    with pytest.raises(RecipeError, match="choose the encoder series-transformer"):
        methods.build(Config(), fakes.encoder(), fakes.policy)


@pytest.mark.parametrize(
    "settings", [{"masks": ()}, {"masks": ("random", "random")}, {"ratio": 1.0}, {"ratio": 0.0}, {"decoder_dim": 10}]
)
def test_settings_that_hide_nothing_or_everything_are_refused(settings):
    with pytest.raises(ValueError, match=r"masks|ratio|decoder_dim"):
        Config(**settings)


def test_the_defaults_are_prestos():
    config = Config()
    assert (config.ratio, config.decoder_dim, config.decoder_depth, config.decoder_heads) == (0.75, 128, 2, 8)
    assert set(FOUR) < set(config.masks)
    assert config.loss == "squared"


def test_a_policy_of_series_feeds_it():
    policy = sensor_series.Policy(sensor_series.Config(bands=(*RADAR[:1], *OPTICAL, *RADAR[1:])))
    assert policy.inputs.branches == (2, 4)
    assert policy.inputs.bands == (*RADAR, *OPTICAL)
    images = {keys[0].partition("/")[0]: view.image for keys, view in zip((OPTICAL, RADAR), views(), strict=True)}
    drawn = policy(Batch(images, torch.zeros(4, 2, dtype=torch.float64), list("abcd")), torch.Generator())
    assert [view.role for view in drawn] == ["sentinel-1-rtc", "sentinel-2-l2a"]
    for view in drawn:
        assert torch.equal(view.image.pixels, images[view.role].pixels)
        assert torch.equal(view.image.days, images[view.role].days)
