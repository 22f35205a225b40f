"""FCMAE and MP-MAE against transcriptions of their formulas, and what they must not look at."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import torch

from swath.batch import NO_DAY
from swath.errors import RecipeError
from swath.methods import OneProcess, Target, _cells, _masked, cycle, fcmae, mp_mae
from swath.methods._targets import NONE, classes, months, numbers
from swath.methods.fcmae import Config
from tests.methods import fakes

BATCH, SIDE = 6, 8


def drawn(method, seed=0, n=BATCH):
    return method.views(fakes.batch(n, seed), torch.Generator().manual_seed(seed))


def spoilt(view, share=0.3):
    """The view with some invalid pixels, and one cell of the first sample without any valid one."""
    valid = torch.rand(view.image.valid.shape, generator=torch.Generator().manual_seed(5)) > share
    lost = int(_masked.hidden(view.kept, 9)[0, 0])
    row, column = divmod(lost, 3)
    valid[0, 0, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = False
    return replace(view, image=replace(view.image, valid=valid))


def cells_of(picture):
    """Cell by cell, in loops: (9, channels, 64)."""
    return np.array([picture[:, r : r + SIDE, c : c + SIDE].reshape(len(picture), -1)
                     for r in range(0, 3 * SIDE, SIDE) for c in range(0, 3 * SIDE, SIDE)])  # fmt: skip


def formula(method, view, said, normalise=True):
    """Woo et al.'s loss, cell by cell, with their code's variance; each cell by its valid pixels."""
    errors = []
    for sample in range(len(view.image)):
        pixels = cells_of(view.image.pixels[sample, 0].double().numpy())
        valid = cells_of(view.image.valid[sample].numpy())[:, 0]
        masked = [cell for cell in range(9) if cell not in view.kept[sample].tolist()]
        for place, cell in enumerate(masked):
            if not valid[cell].any():
                continue
            target = pixels[cell][:, valid[cell]]
            if normalise:
                target = (target - target.mean()) / np.sqrt(target.var(ddof=1) + 1e-6)
            errors.append(((said[sample, place].reshape(3, -1)[:, valid[cell]] - target) ** 2).mean())
    return np.mean(errors)


def test_defaults_are_the_published_ones():
    published = {"mask": 0.6, "decoder_width": 512, "decoder_depth": 1, "normalised": True}
    assert Config().model_dump() == {"name": "fcmae", **published}
    assert mp_mae.Config().model_dump() == Config().model_dump() | {"name": "mp-mae", "weights": "learnt"}
    assert _cells.visible(2, 49, 0.6, torch.Generator()).shape == (2, 19)


@pytest.mark.parametrize("normalise", [True, False])
def test_fcmae_is_the_formula(normalise):
    method = fakes.method("fcmae", normalised=normalise)
    view = spoilt(drawn(method)[0])
    _, said = method.filled_in(view)
    expected = formula(method, view, said.detach().double().numpy(), normalise)
    assert method.loss([view]).total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", fakes.MASKED)
def test_invalid_pixels_and_hidden_input_change_nothing(name):
    method = fakes.method(name)
    views = drawn(method)
    views[0] = spoilt(views[0])
    image = views[0].image
    other = replace(image, pixels=torch.where(image.valid[:, :, None], image.pixels, 1e9))
    changed = [replace(views[0], image=other), *views[1:]]
    assert torch.equal(method.loss(views).total, method.loss(changed).total)
    tokens = method.encoder.tokens(image, views[0].kept)
    beside = _masked.hidden(views[0].kept, 9)
    mask = torch.zeros(BATCH, 9, dtype=torch.bool).scatter(1, beside, value=True).view(BATCH, 1, 1, 3, 3)
    mask = mask.repeat_interleave(SIDE, 3).repeat_interleave(SIDE, 4)
    unseen = replace(image, pixels=torch.where(mask, 7.0, image.pixels))
    assert torch.equal(tokens, method.encoder.tokens(unseen, views[0].kept))


@pytest.mark.parametrize("name", fakes.MASKED)
def test_a_batch_without_a_valid_pixel_gives_no_error_and_no_nan(name):
    method = fakes.method(name)
    method.expect(())
    view = drawn(method)[0]
    blind = replace(view, image=replace(view.image, valid=torch.zeros_like(view.image.valid)))
    loss = method.loss([blind]).total
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


def rows_of(view, rows):
    """Some samples of a view."""
    targets = {name: values[rows] for name, values in view.targets.items()}
    return replace(view, image=view.image.take(rows), kept=None if view.kept is None else view.kept[rows],
                   targets=targets, affine=view.affine[rows], lonlat=view.lonlat[rows], uid=())  # fmt: skip


@pytest.mark.parametrize("name", fakes.MASKED)
def test_a_sample_that_shows_no_valid_pixel_is_asked_for_nothing(name):
    """Hidden cells, maps, classes and numbers of it are known, and all the same nobody could say them."""
    method = fakes.method(name, normalised=False)
    view, *maps = drawn(method)
    valid = view.image.valid.clone()
    for cell in view.kept[2].tolist():
        row, column = (SIDE * i for i in divmod(cell, 3))
        valid[2, 0, row : row + SIDE, column : column + SIDE] = False
    assert valid[2].any()
    views = [replace(view, image=replace(view.image, valid=valid)), *maps]
    loss, others = method.loss(views), method.loss([rows_of(one, [0, 1, 3, 4, 5]) for one in views])
    assert loss.total.item() == pytest.approx(others.total.item(), rel=1e-6)
    assert loss.total.item() != pytest.approx(method.loss([view, *maps]).total.item(), rel=1e-3)
    assert [int(found.terms.pop("left_out")) for found in (loss, others)] == [1, 0]
    for term, error in others.terms.items():
        torch.testing.assert_close(loss.terms[term], error, msg=term)


def test_masks_are_drawn_anew_for_each_sample_and_hide_what_they_say():
    kept = _cells.visible(200, 16, 0.6, torch.Generator().manual_seed(0))
    assert kept.shape == (200, 6)
    assert _cells.visible(1, 10, 0.9, torch.Generator()).shape == (1, 1)  # 10 * (1 - 0.9) is 0.99...
    often = torch.bincount(kept.flatten(), minlength=16)
    assert often.min() > 40
    assert (kept.diff(dim=1) > 0).all()
    for one, other in zip(kept, _masked.hidden(kept, 16), strict=True):
        assert sorted([*one.tolist(), *other.tolist()]) == list(range(16))


def test_what_cannot_be_masked_is_refused():
    method = fakes.method("fcmae", mask=0.95)
    with pytest.raises(RecipeError, match=r"mask=0\.95 leaves none of 9 cells"):
        drawn(method)
    method = fakes.method("fcmae", fakes.policy)
    with pytest.raises(RecipeError, match="fcmae compares 1 views, the view policy draws 2"):
        method.loss([*drawn(fakes.method("fcmae")), *drawn(fakes.method("fcmae"))])
    with pytest.raises(RecipeError, match="this one needs all"):
        fcmae.Method(Config(), fakes.encoder(), fakes.policy)
    with pytest.raises(RecipeError, match=r"the views carry targets \(radar\), and the method predicts none"):
        method.expect(fakes.TARGETS[:1])


# ------------------------------------------------------------------------------------------------------------ MP-MAE


def softmax_error(logits, wanted):
    return math.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[wanted]


def transcription(method, views, uncertainty):
    """Every task in loops, then Kendall's weights as the official code has them."""
    view, radar = views
    grid, heads = (3, 3), {head.target.name: head for head in method.heads}
    with torch.no_grad():
        every = method.decoder(method.encoder.tokens(view.image, view.kept), view.kept, grid)
    masked = [[cell for cell in range(9) if cell not in kept] for kept in view.kept.tolist()]

    def layer(name):
        return heads[name].linear.weight.detach().double().numpy(), heads[name].linear.bias.detach().double().numpy()

    def of_cell(name, sample, cell):
        weight, bias = layer(name)
        return (weight @ every[sample, cell].double().numpy() + bias).reshape(-1, SIDE * SIDE)

    def of_image(name, sample):
        x = every[sample].double().numpy()
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
        weight, bias = layer(name)
        return weight @ x.mean(0) + bias

    said = method.predict(torch.stack([every[i, cells] for i, cells in enumerate(masked)])).detach().double().numpy()
    found = {"image": formula(method, view, said)}
    radar_errors, cover, biome, rain, month = [], [], [], [], []
    for sample in range(len(view.image)):
        wanted = (radar.image.pixels[sample, 0].double().numpy() - [[[1.5]], [[1.0]]]) / [[[2.0]], [[3.0]]]
        known = cells_of(radar.image.valid[sample].numpy())[:, 0]
        codes = cells_of(view.targets["cover"][sample][None].numpy())[:, 0]
        for cell in masked[sample]:
            if known[cell].any():
                error = (of_cell("radar", sample, cell) - cells_of(wanted)[cell]) ** 2
                radar_errors.append(error[:, known[cell]].mean())
            logits = of_cell("cover", sample, cell)
            cover += [softmax_error(logits[:, p], code // 10 - 1) for p, code in enumerate(codes[cell]) if code != 99]
        label = float(view.targets["biome"][sample])
        biome.append(softmax_error(of_image("biome", sample), [1.0, 3.0, 7.0].index(label)))
        if np.isfinite(value := float(view.targets["rain"][sample])):
            rain.append((of_image("rain", sample)[0] - (value - 0.5) / 2.0) ** 2)
        turn = 2 * np.pi * (date(1970, 1, 1) + timedelta(days=int(view.image.days[sample, 0]))).month / 12
        month += list((of_image("month", sample) - np.array([np.sin(turn), np.cos(turn)]) / 0.7) ** 2)
    found |= {"radar": np.mean(radar_errors), "cover": np.mean(cover), "biome": np.mean(biome)}
    found |= {"rain": np.mean(rain), "month": np.mean(month)}
    total = sum(math.exp(-s) * found[name] + s for name, s in zip(found, uncertainty, strict=False))
    return total, found


def test_mp_mae_is_the_formula():
    method = fakes.method("mp-mae")
    with torch.no_grad():
        method.uncertainty.copy_(torch.linspace(-0.5, 0.5, 7))
    views = drawn(method)
    views[0] = replace(spoilt(views[0]), lonlat=None)
    total, found = transcription(method, views, torch.linspace(-0.5, 0.5, 7).tolist())
    loss = method.loss(views)
    for name, value in found.items():
        assert float(loss.terms[name]) == pytest.approx(value, rel=1e-5), name
    # no sample says where it lies: the task is there in the log as 0, and adds nothing to the loss, its weight neither
    assert float(loss.terms["latitude"]) == 0
    assert loss.total.item() == pytest.approx(total, rel=1e-5)
    loss.total.backward()
    assert method.uncertainty.grad[-1] == 0
    assert (method.uncertainty.grad[:-1] != 0).all()


def test_equal_weights_are_the_sum_of_the_errors():
    method = fakes.method("mp-mae", weights="equal")
    loss = method.loss(drawn(method))
    assert loss.total.item() == pytest.approx(sum(map(float, loss.terms.values())))
    assert not method.uncertainty.requires_grad


def test_uncertainty_is_kendalls():
    errors, s = torch.tensor([2.0, 0.0, 5.0]), torch.tensor([0.3, -1.0, 9.0])
    said = mp_mae.homoscedastic(errors, s, torch.tensor([True, True, False]))
    assert float(said) == pytest.approx(math.exp(-0.3) * 2 + 0.3 - 1.0)


def test_months_are_the_calendars():
    days = np.arange(-20_000, 40_000, 7)
    expected = (np.datetime64("1970-01-01") + days).astype("datetime64[M]").astype(int) % 12 + 1
    assert months(torch.from_numpy(days)).tolist() == expected.tolist()
    assert months(torch.tensor([NO_DAY], dtype=torch.int32)).isnan().all()


def test_place_and_month_are_written_as_sines_and_cosines():
    view = drawn(fakes.method("mp-mae"), n=2)[0]
    there = replace(view, lonlat=torch.tensor([[-179.5, 40.0], [math.nan, math.nan]], dtype=torch.float64))
    for kind, degrees in (("longitude", -179.5), ("latitude", 40.0)):
        said = numbers(Target(kind, kind), there)
        assert said[0].tolist() == pytest.approx([math.sin(math.radians(degrees)), math.cos(math.radians(degrees))])
        assert said[1].isnan().all()
    assert cycle(torch.tensor([1 / 12])).tolist()[0] == pytest.approx([math.sin(math.pi / 6), math.cos(math.pi / 6)])


def test_codes_that_no_class_has_are_none():
    codes = torch.tensor([10.0, 20.0, 95.0], dtype=torch.float64)
    values = torch.tensor([20.0, 95.0, 10.0, 0.0, 96.0, math.nan, 15.0], dtype=torch.float64)
    assert classes(values, codes).tolist() == [1, 2, 0, NONE, NONE, NONE, NONE]


class Two:
    """The other process's counts."""

    rank = 0

    def __call__(self, tensor):
        return torch.cat([tensor, torch.tensor([[6.0, 0.0]])])


def test_shares_of_processes_have_the_mean_of_the_joined_batch():
    share, present = _masked.shares(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0]), Two())
    assert share.tolist() == [3.0 / 4, 0.0]  # with the other's share: (3 + x) / 8
    assert present.tolist() == [True, False]
    assert _masked.shares(torch.tensor([3.0]), torch.tensor([2.0]), OneProcess())[0].item() == 1.5
