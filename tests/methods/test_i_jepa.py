"""I-JEPA: the official loss, blocks and momentum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from swath.encoders import TokenGrid
from swath.errors import RecipeError
from swath.methods import OneProcess
from swath.methods.i_jepa import Config, Method, Predictor, block_places, block_size, blocks, errors_of, spread
from swath.methods.vicreg import covariance, variance
from tests.methods import fakes
from tests.methods.test_mae import spoilt

GRID = TokenGrid(1, 14, 14)


def numpy_errors(said, wanted):
    """`F.smooth_l1_loss` of `F.layer_norm` of the teacher's tokens, with beta 1 and epsilon 1e-5."""
    said, wanted = said.astype(np.float64), wanted.astype(np.float64)
    target = (wanted - wanted.mean(axis=-1, keepdims=True)) / np.sqrt(wanted.var(axis=-1, keepdims=True) + 1e-5)
    apart = np.abs(said - target)
    return np.where(apart < 1, 0.5 * apart**2, apart - 0.5).mean(axis=-1)


def test_errors_are_those_of_the_official_code():
    said, wanted = (3 * torch.randn(2, 4, 5, 16, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    np.testing.assert_allclose(errors_of(said, wanted), numpy_errors(said.numpy(), wanted.numpy()), rtol=1e-5)


def test_the_loss_is_the_mean_over_what_the_teacher_sees_of_the_targets(monkeypatch):
    method, view, record = fakes.method("i-jepa"), spoilt(), []
    method.predictor.register_forward_hook(lambda module, given, out: record.append((given, out)))
    torch.manual_seed(5)
    loss = method.loss([view])
    torch.manual_seed(5)
    keep, targets = blocks(method.encoder.grid(view.image), 4, method.config)
    (_, there, at, wanted, asked), said = record[0]
    teacher = method.teacher.encoder.tokens(view.image)[:, 1:]
    sample = torch.arange(4)[:, None, None]
    seen = method.encoder.seen(view.image)
    assert torch.equal(asked, seen[sample, targets])
    assert torch.equal(there, seen[sample[..., 0], keep.clamp(min=0)] & (keep >= 0))
    positions = method.encoder.positions(view.image, 32)[0]
    assert torch.equal(wanted, positions[targets])
    assert torch.equal(at, positions[keep.clamp(min=0)])
    errors = numpy_errors(said.detach().numpy(), teacher[sample, targets].detach().numpy())
    assert loss.total.item() == pytest.approx(errors[asked.numpy()].mean(), rel=1e-5)
    assert not teacher.requires_grad or method.teacher.encoder.network.norm.weight.requires_grad is False


def test_predictions_of_a_block_do_not_depend_on_other_blocks_nor_on_what_is_not_there():
    torch.manual_seed(0)
    predictor = Predictor(24, Config(predictor_width=32, predictor_depth=2))
    context, at, wanted = torch.randn(2, 5, 24), torch.randn(2, 5, 32), torch.randn(2, 3, 4, 32)
    there, asked = torch.ones(2, 5, dtype=torch.bool), torch.ones(2, 3, 4, dtype=torch.bool)
    there[:, 4] = False
    said = predictor(context, there, at, wanted, asked)
    assert said.shape == (2, 3, 4, 24)
    other = predictor(context[:, :4], there[:, :4], at[:, :4], wanted[:, 1:2], asked[:, 1:2])
    torch.testing.assert_close(said[:, 1:2], other, rtol=1e-4, atol=1e-5)


def test_blocks_have_the_official_sizes():
    torch.manual_seed(0)
    for _ in range(200):
        rows, columns = block_size(GRID, (0.15, 0.2), (0.75, 1.5))
        # 29 to 39 patches of 196, height over width 0.75 to 1.5, each side rounded
        assert 5 <= rows <= 8
        assert 4 <= columns <= 7
        assert 24 <= rows * columns <= 48
    sides = {block_size(GRID, (0.85, 1.0), (1.0, 1.0)) for _ in range(200)}
    assert sides == {(13, 13), (14, 14)}
    assert block_size(TokenGrid(1, 2, 9), (1.0, 1.0), (1.0, 1.0)) == (2, 4)


def test_blocks_lie_anywhere_and_are_rectangles():
    torch.manual_seed(0)
    places = block_places(TokenGrid(1, 5, 6), (2, 3), 200, 2)
    rows, columns = places // 6, places % 6
    assert places.shape == (200, 2, 6)
    assert ((rows.amax(2) - rows.amin(2)) == 1).all()
    assert ((columns.amax(2) - columns.amin(2)) == 2).all()
    assert {*rows.amin(2).flatten().tolist()} == {0, 1, 2, 3}
    assert {*columns.amin(2).flatten().tolist()} == {0, 1, 2, 3}


def test_the_context_shares_nothing_with_the_targets():
    torch.manual_seed(0)
    keep, targets = blocks(GRID, 64, Config())
    for context, wanted in zip(keep.tolist(), targets.flatten(1).tolist(), strict=True):
        own = [one for one in context if one >= 0]
        assert len(own) == len(set(own)) > 10
        assert not set(own) & set(wanted)
        assert context[len(own) :] == [-1] * (len(context) - len(own))
    assert (keep >= 0).sum(dim=1).max() == keep.shape[1]


def test_all_layers_of_a_patch_are_masked_alike():
    torch.manual_seed(0)
    keep, targets = blocks(TokenGrid(2, 8, 8), 3, Config())
    half = targets.shape[2] // 2
    assert torch.equal(targets[:, :, half:], targets[:, :, :half] + 64)
    assert ((keep % 64).sort(dim=1).values[keep.min(dim=1).values >= 0].unflatten(1, (-1, 2)).diff() == 0).all()


class Joined(OneProcess):
    """Gathers what another process gave as well, and keeps what it is given."""

    def __init__(self, *others):
        self.given = self.others = others

    def __call__(self, tensor):
        self.given = (tensor,)
        return torch.cat([tensor, *self.others])


def test_tokens_are_kept_varying_by_vicregs_terms_of_all_that_are_there():
    tokens = 0.3 * torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    there = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) > 0.3
    rows = tokens[there]
    expected = [variance(rows).item(), covariance(rows).item()]
    assert expected[0] > 0.5
    found = spread(tokens, there, OneProcess())
    np.testing.assert_allclose([one.item() for one in found], expected, rtol=1e-9)
    spread(tokens[3:], there[3:], other := Joined())
    both = spread(tokens[:3], there[:3], Joined(*other.given))
    np.testing.assert_allclose([one.item() for one in both], expected, rtol=1e-9)


def test_what_keeps_tokens_varying_is_added_with_its_weights():
    losses = []
    for said in ({}, {"variance": 2.0, "covariance": 0.5}):
        torch.manual_seed(5)
        losses.append(fakes.method("i-jepa", **said).loss([fakes.view(fakes.image(4))]))
    plain, kept = losses
    terms = {name: float(term) for name, term in kept.terms.items()}
    assert terms["prediction"] == pytest.approx(plain.total.item())
    assert kept.total.item() == pytest.approx(plain.total.item() + 2 * terms["variance"] + 0.5 * terms["covariance"])
    assert "variance" not in Config().model_dump()  # digests of trainings from before there were these
    assert Config(variance=1.0).model_dump()["variance"] == 1.0


def test_the_momentum_rises_along_a_line():
    method = fakes.method("i-jepa")
    before = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(1.0)
    method.after_step(0.5)
    for old, new in zip(before, method.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.002, rtol=0, atol=1e-5)  # 1 - 0.998
    assert (Config().momentum, Config().targets, Config().target_scale) == (0.996, 4, (0.15, 0.2))
    assert (Config().target_aspect, Config().context_scale, Config().least_context) == ((0.75, 1.5), (0.85, 1.0), 10)
    assert Config().predictor_depth == 12


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(RecipeError, match="may leave none of 4 x 4 as a context"):
        fakes.method("i-jepa", target_scale=(0.25, 0.25)).loss([fakes.view(fakes.image(2))])
    with pytest.raises(ValidationError, match="in the wrong order"):
        Config(target_scale=(0.2, 0.1))
    with pytest.raises(RecipeError, match="no tokens that could be left out"):
        Method(Config(), fakes.encoder(), fakes.policy)


def test_a_sample_whose_context_has_no_valid_pixel_is_asked_for_nothing():
    method, view = fakes.method("i-jepa"), spoilt()
    torch.manual_seed(5)
    keep, targets = blocks(method.encoder.grid(view.image), 4, method.config)
    context = set((keep[2] % 16).tolist())
    for patch in context:
        row, column = (2 * i for i in divmod(patch, 4))
        view.image.valid[2, :, row : row + 2, column : column + 2] = False
    asked = method.encoder.seen(view.image)[torch.arange(4)[:, None, None], targets]
    assert asked[2].any()
    asked[2] = False
    record = []
    method.predictor.register_forward_hook(lambda module, given, out: record.append((given, out)))
    torch.manual_seed(5)
    loss = method.loss([view])
    (*_, said_of), said = record[0]
    assert torch.equal(said_of, asked)
    teacher = method.teacher.encoder.tokens(view.image)[:, 1:][torch.arange(4)[:, None, None], targets]
    errors = numpy_errors(said.detach().numpy(), teacher.detach().numpy())
    assert loss.total.item() == pytest.approx(errors[asked.numpy()].mean(), rel=1e-5)
    assert int(loss.terms["left_out"]) == 1


def test_a_sample_without_a_valid_pixel_asks_for_nothing():
    method, view = fakes.method("i-jepa"), spoilt(2)
    hidden = replace(view, image=replace(view.image, valid=torch.zeros_like(view.image.valid)))
    loss = method.loss([hidden])
    loss.total.backward()
    assert loss.total == 0
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)
