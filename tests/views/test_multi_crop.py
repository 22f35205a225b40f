"""Multi-crop: as many crops as asked for, of their sizes and scales, and none that a chip has no pixels for."""

import pytest
import torch
from pydantic import ValidationError

from swath import views
from swath.errors import RecipeError
from swath.views import Augment, Crop, presets
from swath.views.policies.multi_crop import Config, Crops
from tests.views import _make

KEYS = _make.OPTICAL[:2]


def crops(size, scale, number=1):
    return Crops(number=number, augment=Augment(crop=Crop(size=size, scale=scale)))


def drawn(config, side=32):
    policy = views.build(config)
    return policy(_make.batch(policy.reads, b=20, side=side), _make.generator())


def test_any_number_of_crops_of_any_size():
    config = Config(
        bands=KEYS,
        global_crops=(crops(None, (0.9, 1.0)), crops(24, (0.5, 0.6), 2)),
        local_crops=(crops(12, (0.1, 0.2), 3), crops(8, (0.05, 0.06))),
    )
    made = drawn(config)
    assert [view.role for view in made] == [*(f"global-{i}" for i in range(3)), *(f"local-{i}" for i in range(4))]
    assert [view.local for view in made] == [False] * 3 + [True] * 4
    assert [view.image.pixels.shape[-1] for view in made] == [32, 24, 24, 12, 12, 12, 8]
    bounds = [(0.9, 1.0), *[(0.5, 0.6)] * 2, *[(0.1, 0.2)] * 3, (0.05, 0.06)]
    for view, (low, high) in zip(made, bounds, strict=True):
        # chip pixels of a view pixel, times view pixels: what the crop covers, but for rounding to whole pixels
        share = view.affine[:, :, :2].det().abs() * view.image.pixels.shape[-1] ** 2 / 32**2
        assert low - 0.05 <= float(share.min())
        assert float(share.max()) <= high + 0.05
    same = [torch.equal(made[1].affine, made[2].affine), torch.equal(made[3].affine, made[4].affine)]
    assert same == [False, False], "crops that are augmented alike have draws of their own"


def test_by_default_they_are_dinos():
    made = drawn(Config(bands=KEYS), side=112)
    assert [view.image.pixels.shape[-1] for view in made] == [112, 112, *[96] * 8]
    first, second, local = presets.dino()
    assert [first.crop.scale, second.crop.scale, local.crop.scale] == [(0.4, 1.0), (0.4, 1.0), (0.05, 0.4)]
    assert [first.blur.p, second.blur.p, local.blur.p] == [1.0, 0.1, 0.5]
    assert {view.interpolation for view in (first, second, local)} == {"bicubic"}


def test_a_crop_of_more_pixels_than_the_chip_has_is_refused():
    with pytest.raises(
        RecipeError, match=r"a crop of 96 x 96 pixels of a chip of 32 x 32[\s\S]*crop.size to 32 or less"
    ):
        drawn(Config(bands=KEYS))
    with pytest.raises(RecipeError, match="a crop of 33 x 33 pixels of a chip of 32 x 32"):
        drawn(Config(bands=KEYS, global_crops=(crops(33, (0.5, 1.0), 2),), local_crops=()))
    assert len(drawn(Config(bands=KEYS, global_crops=(crops(32, (0.5, 1.0), 2),), local_crops=()))) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"global_crops": [{"number": 1}], "local_crops": []}, "one crop alone"),
        ({"global_crops": []}, "at least 1 item"),
        ({"local_crops": [{"number": 0}]}, "greater than or equal to 1"),
        ({"local_crops": [{"size": 8}]}, "Extra inputs"),
    ],
)
def test_crops_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"name": "multi-crop", "bands": KEYS, **wrong})
