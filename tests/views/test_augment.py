from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.batch import NO_DAY
from swath.errors import RecipeError
from swath.views import (
    Augment,
    Blur,
    Crop,
    Erase,
    Jitter,
    Rotation,
    Speckle,
    _resample,
    augment,
    draw_geometry,
    presets,
)

from ._make import OPTICAL, RADAR, THERMAL, generator, image

EVERYTHING = Augment(
    crop=Crop(size=20, scale=(0.2, 1.0)),
    hflip=0.5,
    vflip=0.5,
    quarter_turns=0.75,
    rotation=Rotation(p=0.5, degrees=(-30, 30)),
    brightness=Jitter(p=0.8),
    contrast=Jitter(p=0.8),
    grey=0.2,
    blur=Blur(p=0.5),
    erase=Erase(p=0.5),
    channel_dropout=0.2,
    date_dropout=0.2,
    speckle=Speckle(p=0.5),
)
NO_CHANGE = Augment(
    crop=Crop(size=24, scale=(1, 1)),
    rotation=Rotation(p=1, degrees=(0, 0)),
    brightness=Jitter(p=1, factor=(1, 1)),
    contrast=Jitter(p=0),
    blur=Blur(p=1, sigma=(1e-6, 1e-6)),
)


def same(a, b):
    return (
        torch.equal(a.pixels, b.pixels)
        and torch.equal(a.valid, b.valid)
        and torch.equal(a.days, b.days)
        and torch.equal(a.band_ids, b.band_ids)
    )


@pytest.mark.parametrize("keys", [OPTICAL, RADAR, THERMAL])
@pytest.mark.parametrize("windowed", [0, 2**40], ids=["one by one", "grouped"])
@pytest.mark.parametrize("setting", [Augment(), NO_CHANGE], ids=["off", "no strength"])
def test_identity_strength_returns_the_input(keys, windowed, setting, monkeypatch):
    monkeypatch.setattr(_resample, "_WINDOWED", windowed)
    given = image(keys, t=2)
    view = augment(given, setting, generator(), "query")
    assert same(view.image, given)
    assert torch.equal(view.affine, torch.eye(2, 3).expand(4, 2, 3))
    assert view.role == "query"


def test_identity_keeps_what_lies_under_invalid_pixels():
    given = image(invalid=0.3)
    assert same(augment(given, Augment(), generator(), "query").image, given)


@pytest.mark.parametrize("windowed", [0, 2**40], ids=["one by one", "grouped"])
def test_nothing_is_clipped(windowed, monkeypatch):
    """kornia's brightness and contrast clip to [0, 1]: all of these values would be lost."""
    monkeypatch.setattr(_resample, "_WINDOWED", windowed)
    setting = EVERYTHING.model_copy(update={"channel_dropout": 0.0, "speckle": Speckle()})
    radar = augment(image(RADAR, b=16), setting, generator(), "key").image
    seen = radar.pixels[radar.valid[:, :, None].expand_as(radar.pixels)]
    assert seen.max() < 5
    assert seen.min() < -20
    bright = augment(image(OPTICAL, b=16), setting, generator(), "key").image
    assert bright.pixels.max() > 1
    assert bright.pixels.min() < 0


def test_the_input_is_not_modified():
    given = image(t=2, invalid=0.1)
    before = replace(given, pixels=given.pixels.clone(), valid=given.valid.clone(), days=given.days.clone())
    augment(given, EVERYTHING, generator(), "query")
    assert same(given, before)


@pytest.mark.parametrize("windowed", [0, 2**40], ids=["one by one", "grouped"])
def test_a_view_is_a_function_of_the_generator(windowed, monkeypatch):
    monkeypatch.setattr(_resample, "_WINDOWED", windowed)
    first, second, other = (augment(image(t=2), EVERYTHING, generator(seed), "query") for seed in (1, 1, 2))
    assert same(first.image, second.image)
    assert torch.equal(first.affine, second.affine)
    assert not same(first.image, other.image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("invalid", [0.0, 0.05])
def test_sample_by_sample_equals_grouped(interpolation, invalid, monkeypatch):
    """The CPU's banded products on windows against the accelerators' plain batched ones."""
    setting = EVERYTHING.model_copy(update={"interpolation": interpolation, "crop": Crop(size=80, scale=(0.2, 1.0))})
    given = image(b=12, t=2, h=96, w=96, invalid=invalid)
    views = []
    for windowed in (0, 2**40):
        monkeypatch.setattr(_resample, "_WINDOWED", windowed)
        views.append(augment(given, setting, generator(3), "query").image)
    assert torch.equal(views[0].valid, views[1].valid)
    torch.testing.assert_close(views[0].pixels, views[1].pixels, rtol=1e-4, atol=1e-4)


def test_samples_draw_their_own_parameters():
    one = image(b=1, h=32, w=32)
    given = one.take([0] * 16)
    setting = presets.moco_v2(32)
    view = augment(given, setting, generator(), "query")
    for i in range(16):
        for j in range(i):
            assert not torch.equal(view.image.pixels[i], view.image.pixels[j])


def test_dates_share_geometry_and_colour():
    given = image(b=8, t=1, invalid=0.05)
    twice = replace(
        given,
        pixels=given.pixels.repeat(1, 3, 1, 1, 1),
        valid=given.valid.repeat(1, 3, 1, 1),
        days=given.days.repeat(1, 3),
    )
    setting = EVERYTHING.model_copy(update={"date_dropout": 0.0, "speckle": Speckle()})
    view = augment(twice, setting, generator(), "query").image
    for date in (1, 2):
        torch.testing.assert_close(view.pixels[:, date], view.pixels[:, 0])
        assert torch.equal(view.valid[:, date], view.valid[:, 0])


@pytest.mark.parametrize("windowed", [0, 2**40], ids=["one by one", "grouped"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("rotated", [0.0, 1.0])
def test_invalid_pixels_never_leak(windowed, interpolation, rotated, monkeypatch):
    monkeypatch.setattr(_resample, "_WINDOWED", windowed)
    rotation = Rotation(p=rotated, degrees=(-40, 40))
    setting = EVERYTHING.model_copy(
        update={"rotation": rotation, "interpolation": interpolation, "crop": Crop(size=40, scale=(0.2, 1.0))}
    )
    given = image(b=8, t=2, h=48, w=48, invalid=0.03)
    poison = given.pixels + 1e6 * torch.rand(given.pixels.shape, generator=generator(9))
    poisoned = replace(given, pixels=torch.where(given.valid[:, :, None], given.pixels, poison))
    clean, dirty = (augment(one, setting, generator(4), "query").image for one in (given, poisoned))
    assert torch.equal(clean.valid, dirty.valid)
    assert 0.1 < clean.valid.float().mean() < 0.95
    assert torch.equal(clean.pixels, dirty.pixels)
    assert (clean.pixels[~clean.valid[:, :, None].expand_as(clean.pixels)] == 0).all()


def test_invalid_pixels_stay_invalid_under_blur():
    given = image(b=6, invalid=0.2)
    view = augment(given, Augment(blur=Blur(p=1, sigma=(0.5, 0.5), kernel=5)), generator(), "query").image
    assert not (view.valid & ~given.valid).any()
    assert torch.equal(view.valid, given.valid)


@pytest.mark.parametrize("rotated", [0.0, 1.0])
def test_a_constant_stays_constant_beside_invalid_pixels(rotated):
    given = image(b=8, h=48, w=48, invalid=0.1)
    flat = replace(given, pixels=torch.full_like(given.pixels, -17.0))
    setting = Augment(
        crop=Crop(size=40, scale=(0.3, 1.0)), hflip=0.5, quarter_turns=0.5, rotation=Rotation(p=rotated), blur=Blur(p=1)
    )
    view = augment(flat, setting, generator(), "query").image
    seen = view.pixels[view.valid[:, :, None].expand_as(view.pixels)]
    assert (seen + 17).abs().max() < 1e-3


def test_outside_of_the_chip_is_invalid():
    view = augment(image(), Augment(rotation=Rotation(p=1, degrees=(45, 45))), generator(), "query").image
    assert not view.valid[..., 0, 0].any()
    assert view.valid[..., 12, 12].all()


def test_erased_pixels_become_invalid_and_nothing_else_changes():
    given = image(b=64, t=2, h=32, w=32)
    view = augment(given, Augment(erase=Erase(p=0.5, area=(0.1, 0.2))), generator(), "query").image
    assert torch.equal(view.valid[:, 0], view.valid[:, 1])
    gone = 1 - view.valid[:, 0].float().mean(dim=(1, 2))
    hit = gone > 0
    assert 0.3 < hit.float().mean() < 0.7
    assert ((gone[hit] > 0.05) & (gone[hit] < 0.25)).all()
    for one in (~view.valid[hit, 0]).unbind():
        rows, cols = one.any(dim=1).nonzero(), one.any(dim=0).nonzero()
        assert one[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1].all()
    kept = view.valid[:, :, None].expand_as(view.pixels)
    assert torch.equal(view.pixels[kept], given.pixels[kept])


def test_date_dropout_keeps_a_date_that_has_pixels():
    given = image(b=64, t=4)
    valid = given.valid.clone()
    valid[:32, 1:] = False
    view = augment(replace(given, valid=valid), Augment(date_dropout=0.5), generator(), "query").image
    present = view.valid.flatten(2).any(dim=2)
    assert present.any(dim=1).all()
    assert present[:32, 0].all()
    assert 0.4 < present[32:].float().mean() < 0.65
    dropped = ~present[32:]
    assert (view.days[32:][dropped] == NO_DAY).all()
    assert torch.equal(view.days[32:][~dropped], given.days[32:][~dropped])
    certain = augment(given, Augment(date_dropout=1.0), generator(), "query").image
    assert (certain.valid.flatten(2).any(dim=2).sum(dim=1) == 1).all()


def test_a_shared_geometry_cuts_alike_on_another_grid():
    setting = Augment(crop=Crop(size=16, scale=(0.2, 0.8)), hflip=0.5, quarter_turns=0.75)
    geometry = draw_geometry(setting, 4, (32, 32), generator())
    fine = augment(image(h=32, w=32), setting, generator(1), "optical", geometry)
    coarse = augment(image(h=16, w=16), setting, generator(2), "radar", geometry)
    # Corners of pixels, not centres, coincide on two grids of one footprint.
    corner = torch.tensor([-0.5, -0.5])
    for i in range(4):
        at_fine = fine.affine[i, :, :2] @ corner + fine.affine[i, :, 2]
        at_coarse = coarse.affine[i, :, :2] @ corner + coarse.affine[i, :, 2]
        torch.testing.assert_close((at_fine + 0.5) / 2, at_coarse + 0.5, rtol=1e-5, atol=1e-5)


def test_quarter_turns_need_a_square_view():
    with pytest.raises(RecipeError, match=r"24 × 30 .*\n.*quarter_turns\n.*crop.size"):
        augment(image(h=24, w=30), Augment(quarter_turns=0.5), generator(), "query")


def test_neither_autocast_nor_a_lower_matmul_precision_reaches_the_pixels():
    given = image(THERMAL, h=40, w=40)
    setting = presets.moco_v2(32)
    want = augment(given, setting, generator(), "query").image.pixels
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            got = augment(given, setting, generator(), "query").image.pixels
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(got, want)


@settings(max_examples=40, deadline=None)
@given(
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    size=st.one_of(st.none(), st.integers(1, 40)),
    low=st.floats(0.01, 1),
    invalid=st.sampled_from([0.0, 0.2, 1.0]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 2**20),
    windowed=st.sampled_from([0, 2**40]),
)
def test_any_shape_gives_finite_views_that_lie_inside_the_chip(h, w, size, low, invalid, interpolation, seed, windowed):
    setting = EVERYTHING.model_copy(
        update={
            "crop": Crop(size=size, scale=(low, 1.0)),
            "interpolation": interpolation,
            "quarter_turns": 0.75 if size or h == w else 0.0,
            "rotation": Rotation(),
        }
    )
    before, _resample._WINDOWED = _resample._WINDOWED, windowed
    try:
        given = image(OPTICAL[:2], b=3, t=2, h=h, w=w, invalid=invalid, seed=seed)
        view = augment(given, setting, generator(seed), "query")
    finally:
        _resample._WINDOWED = before
    side = (size, size) if size else (h, w)
    assert view.image.pixels.shape == (3, 2, 2, *side)
    assert view.image.pixels.isfinite().all()
    assert view.image.valid.shape == (3, 2, *side)
    corners = torch.tensor([[-0.5, -0.5, 1], [side[1] - 0.5, side[0] - 0.5, 1]]).T
    reached = view.affine @ corners
    assert (reached > -0.51).all()
    assert (reached[:, 0] < w - 0.49).all()
    assert (reached[:, 1] < h - 0.49).all()
    if invalid == 1.0:
        assert not view.image.valid.any()


@pytest.mark.gpu
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("invalid", [0.0, 0.05])
def test_a_gpu_makes_the_same_view(interpolation, invalid):
    setting = Augment(
        crop=Crop(size=40, scale=(0.2, 1.0)),
        quarter_turns=0.75,
        rotation=Rotation(p=0.5),
        interpolation=interpolation,
        grey=1.0,
        blur=Blur(p=1, sigma=(1.2, 1.2)),
    )
    given = image(THERMAL, b=12, t=2, h=64, w=64, invalid=invalid)
    geometry = draw_geometry(setting, 12, (64, 64), generator())
    cpu = augment(given, setting, generator(), "query", geometry).image
    gpu = augment(given.to("cuda"), setting, generator(), "query", geometry).image
    assert torch.equal(gpu.valid.cpu(), cpu.valid)
    torch.testing.assert_close(gpu.pixels.cpu(), cpu.pixels, rtol=1e-4, atol=1e-3)


@pytest.mark.gpu
def test_everything_runs_on_a_gpu():
    given = image(RADAR, b=8, t=2, h=64, w=64, invalid=0.05).to("cuda")
    first, second = (augment(given, EVERYTHING, generator(1), "query") for _ in range(2))
    assert first.image.pixels.is_cuda
    assert first.image.pixels.isfinite().all()
    assert torch.equal(first.image.pixels, second.image.pixels)
