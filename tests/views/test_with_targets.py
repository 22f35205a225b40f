"""What a method shall predict is cut and turned like the image it belongs to, value by value."""

from dataclasses import replace

import pytest
import torch

from swath import views
from swath.errors import ContractError, RecipeError
from swath.views import Augment, Crop, Rotation
from swath.views.policies import with_targets
from swath.views.policies.with_targets import OUTSIDE

from ._make import OPTICAL, RADAR, batch, generator, mapped, ramp

SIDE = 24


def labelled(policy, side=SIDE, b=6):
    """A batch whose image and radar hold their own pixel coordinates, and whose label map does so in one number."""
    given = batch(policy.reads, b=b, side=side)
    coordinates = ramp(b, side, side)
    of_radar = replace(coordinates, band_ids=given.images["sentinel-1-grd"].band_ids)
    optical = replace(coordinates, band_ids=given.images["sentinel-2-l2a"].band_ids)
    codes = (coordinates.pixels[:, 0, 1] * 1000 + coordinates.pixels[:, 0, 0]).long()
    rain = torch.arange(b, dtype=torch.float64)
    images = {"sentinel-2-l2a": optical, "sentinel-1-grd": of_radar}
    return replace(given, images=images, targets={"cover": codes, "rain": rain})


def policy_of(augment):
    return views.build(
        with_targets.Config(
            bands=OPTICAL[:2], maps={"radar": RADAR}, layers=("cover",), numbers={"weather": ("rain",)}, augment=augment
        )
    )


def test_whole_pixels_of_all_targets_are_those_of_the_image():
    """Flips, turns and crops that need no interpolation: every pixel of every target is the image's own."""
    policy = policy_of(Augment(hflip=0.5, vflip=0.5, quarter_turns=0.75))
    image, radar = policy(labelled(policy), generator(3))
    place = mapped(image).round()
    assert len(image.affine.unique(dim=0)) > 3
    torch.testing.assert_close(image.image.pixels[:, 0], place)
    assert torch.equal(radar.image.pixels, image.image.pixels)
    assert torch.equal(image.targets["cover"], (place[:, 1] * 1000 + place[:, 0]).long())
    assert image.targets["rain"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert (image.role, radar.role, radar.targets) == ("image", "radar", {})


def test_under_crop_and_rotation_codes_are_the_nearest_and_maps_the_interpolated_ones():
    policy = policy_of(Augment(crop=Crop(size=16, scale=(0.3, 1.0)), hflip=0.5, rotation=Rotation(p=0.5)))
    image, radar = policy(labelled(policy), generator(1))
    place = mapped(image)
    codes = image.targets["cover"]
    inside = ((place > -0.5) & (place < SIDE - 0.5)).all(dim=1)
    assert torch.equal(codes == OUTSIDE, ~inside)
    found = torch.stack([codes % 1000, codes // 1000], dim=1)
    assert ((found - place).abs().amax(dim=1)[inside] <= 0.501).all()
    known = radar.image.valid[:, 0]
    assert torch.equal(known, image.image.valid[:, 0])
    assert torch.equal(radar.image.pixels, image.image.pixels)


def test_a_target_on_another_grid_shows_the_same_ground():
    policy = policy_of(Augment(hflip=0.5, crop=Crop(size=8, scale=(0.3, 0.6))))
    given = labelled(policy)
    coarse = labelled(policy, side=SIDE // 2).images["sentinel-1-grd"]
    coarse = replace(coarse, pixels=2 * coarse.pixels + 0.5)  # the fine coordinates of coarse pixels' centres
    image, radar = policy(replace(given, images={**given.images, "sentinel-1-grd": coarse}), generator(2))
    inner = (slice(None), slice(None), slice(2, 6), slice(2, 6))
    torch.testing.assert_close(radar.image.pixels[:, 0][inner], image.image.pixels[:, 0][inner], atol=0.6, rtol=0)


def test_it_says_what_it_wants_and_what_a_batch_lacks():
    policy = views.build(
        with_targets.Config(
            bands=OPTICAL, maps={"radar": RADAR}, layers=("cover",), classes=("biome",), known=("month", "latitude")
        )
    )
    assert [(one.name, one.kind, one.labels) for one in policy.inputs.targets] == [
        ("radar", "map", ()),
        ("cover", "layer", ("cover",)),
        ("biome", "class", ("biome",)),
        ("month", "month", ()),
        ("latitude", "latitude", ()),
    ]
    assert set(policy.reads) == {"sentinel-2-l2a", "sentinel-1-grd"}
    with pytest.raises(ContractError, match="the batch holds no cover"):
        policy(batch(policy.reads), generator())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maps": {"more": OPTICAL[2:]}}, "maps.more is of sentinel-2-l2a, which the encoder is shown"),
        ({"maps": {"vv": RADAR[:1], "vh": RADAR[1:]}}, "two maps are of sentinel-1-grd"),
        ({"layers": ("image",)}, "two targets are called 'image'"),
        ({"known": ("month",), "classes": ("month",)}, "two targets are called 'month'"),
    ],
)
def test_targets_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        with_targets.Config(bands=OPTICAL[:2], **settings)
