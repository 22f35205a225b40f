"""The kernels against the reference: on a GPU where there is one, else run by Triton's interpreter."""

from dataclasses import replace

import pytest
import torch

from swath.views import Augment, Blur, Crop, Jitter, Rotation, _augment, augment, presets

from ._make import OPTICAL, RADAR, THERMAL, generator, image

pytest.importorskip("triton", reason="Triton is not installed, and views are torch's alone")

from swath.views import _gpu

# lanes outside of a view compute what nobody stores
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|divide by zero|overflow):RuntimeWarning")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def by_kernels(monkeypatch):
    """Views of what follows, on a device."""

    def view(given, settings, seed=0, geometry=None):
        with monkeypatch.context() as patch:
            patch.setattr(_augment, "_in_parts", _gpu.render)
            return augment(given.to(DEVICE), settings, generator(seed), "query", geometry)

    return view


def deviation(keys):
    """Of each band's values, in its unit, as `image` draws them."""
    return image(keys, b=8).pixels.std(dim=(0, 1, 3, 4))[:, None, None]


def close(kernels, reference, keys):
    """To 1e-4 of a band's deviation, and valid in the same places."""
    assert torch.equal(kernels.valid.cpu(), reference.valid)
    wrong = (kernels.pixels.cpu() - reference.pixels).abs() / deviation(keys)
    assert wrong.max() < 1e-4, f"{wrong.max():.2e} of a deviation"


FULL = Augment(
    crop=Crop(size=8, scale=(0.2, 1.0)),
    hflip=0.5,
    vflip=0.5,
    quarter_turns=0.75,
    brightness=Jitter(p=0.8),
    contrast=Jitter(p=0.8),
    grey=0.5,
    blur=Blur(p=0.5, kernel=3),
)


MIXED = (OPTICAL[0], OPTICAL[1], RADAR[0], THERMAL[2])
"""Of three units, so that grey is by unit."""


@pytest.mark.parametrize(("interpolation", "bands"), [("bilinear", MIXED), ("bicubic", MIXED[:2])])
def test_kernels_make_the_reference_view(interpolation, bands, by_kernels):
    """Of chips larger and smaller than the view, with and without holes, one without a valid pixel."""
    given = image(bands, b=3, h=11, w=11, invalid=0.05)
    given.valid[1], given.valid[2] = True, False
    settings = FULL.model_copy(update={"interpolation": interpolation})
    want = augment(given, settings, generator(), "query")
    got = by_kernels(given, settings)
    close(got.image, want.image, bands)
    assert torch.equal(got.affine.cpu(), want.affine)
    assert 0.3 < want.image.valid.float().mean() < 0.75


@pytest.mark.parametrize("change", ["brightness", "contrast", "grey", "blur"])
def test_each_operation_alone_is_the_references(change, by_kernels):
    given = image(OPTICAL[:2], b=2, h=8, w=8)
    settings = Augment(crop=Crop(size=6, scale=(0.5, 1.0)), **{change: getattr(FULL, change)})
    close(by_kernels(given, settings).image, augment(given, settings, generator(), "query").image, OPTICAL[:2])


def test_shrinking_widens_the_kernel_and_views_need_not_be_square(by_kernels):
    given = image(RADAR, b=1, t=2, h=6, w=17, invalid=0.01)
    settings = Augment(crop=Crop(scale=(0.3, 1.0)), vflip=0.5, blur=Blur(p=1, kernel=3), contrast=Jitter(p=1))
    close(by_kernels(given, settings).image, augment(given, settings, generator(), "query").image, RADAR)
    settings = Augment(crop=Crop(size=5, scale=(0.6, 1.0)), hflip=0.5)
    close(by_kernels(given, settings).image, augment(given, settings, generator(), "query").image, RADAR)


def test_a_free_rotation_beside_samples_without_one(by_kernels):
    given = image(MIXED[1:3], b=2, h=11, w=11, invalid=0.05)
    settings = FULL.model_copy(update={"rotation": Rotation(p=0.5, degrees=(-20, 20))})
    want = augment(given, settings, generator(3), "query").image
    close(by_kernels(given, settings, seed=3).image, want, MIXED[1:3])


def test_what_changes_nothing_returns_the_input(by_kernels):
    given = image(invalid=0.3)
    for settings in (Augment(), Augment(rotation=Rotation(p=1, degrees=(0, 0)))):
        view = by_kernels(given, settings, seed=1).image
        assert torch.equal(view.pixels.cpu(), given.pixels)
        assert torch.equal(view.valid.cpu(), given.valid)


def test_invalid_pixels_do_not_leak(by_kernels):
    given = image(OPTICAL[:2], b=1, h=12, w=12, invalid=0.05)
    settings = FULL.model_copy(update={"blur": Blur(p=1, kernel=3)})
    poison = torch.where(given.valid[:, :, None], given.pixels, torch.nan)
    clean, dirty = (by_kernels(one, settings).image for one in (given, replace(given, pixels=poison)))
    assert torch.equal(clean.valid, dirty.valid)
    assert 0.1 < clean.valid.float().mean() < 0.95
    assert torch.equal(clean.pixels, dirty.pixels)


def test_chosen_channels_need_not_lie_together_in_memory(by_kernels):
    given = image(OPTICAL[:2], b=1, t=2, h=6, w=6)
    strided = replace(given, pixels=given.pixels.transpose(1, 2).contiguous().transpose(1, 2))
    settings = presets.moco_v2(4)
    assert torch.equal(by_kernels(strided, settings).image.pixels, by_kernels(given, settings).image.pixels)
