import pytest
import torch
from scipy.stats import ks_2samp

from swath.views import Augment, Crop, Rotation, _resample, augment, draw_geometry
from swath.views._geometry import largest_scale, scales

from ._make import generator, image, mapped, ramp

N = 4000
"""Samples for statements about distributions: a share's standard error is below 0.008."""


def linear(setting, n=N, chip=(64, 64)):
    geometry = draw_geometry(setting, n, chip, generator())
    return geometry.affine[:, :, :2], geometry


@pytest.mark.parametrize("side", [40, 64, 96])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("rotation", [0.0, 1.0])
def test_pixels_lie_where_the_affine_says(side, interpolation, rotation):
    """Chips that hold their own coordinates: a view's pixels must equal what its affine computes."""
    setting = Augment(
        crop=Crop(size=side, scale=(0.2, 1.0)),
        hflip=0.5,
        vflip=0.5,
        quarter_turns=0.75,
        rotation=Rotation(p=rotation, degrees=(-180, 180)),
        interpolation=interpolation,
    )
    view = augment(ramp(16, 64, 48), setting, generator(), "query")
    error = (view.image.pixels[:, 0] - mapped(view)).abs().amax(dim=1)
    # Within a kernel's reach of the chip's border the kernel is cut, and the mean is taken of what is left of it.
    x, y = mapped(view).unbind(dim=1)
    inner = (x > 5) & (x < 42) & (y > 5) & (y < 58) & view.image.valid[:, 0]
    assert inner.float().mean() > 0.3
    # A triangle that is widened to a width that is no whole number reproduces a ramp to within a tenth of a pixel,
    # and torch's bicubic (a = -0.75, used under rotation) to within a twentieth; all else is exact.
    shrinks, loose = side < 64, interpolation == "bicubic" and rotation
    assert error[inner].max() < (0.12 if shrinks else 0.05 if loose else 1e-3)


@pytest.mark.parametrize("windowed", [0, 2**40], ids=["one by one", "grouped"])
def test_chips_need_not_be_square(windowed, monkeypatch):
    monkeypatch.setattr(_resample, "_WINDOWED", windowed)
    view = augment(ramp(8, 40, 64), Augment(crop=Crop(scale=(0.3, 0.9)), hflip=0.5, vflip=0.5), generator(), "query")
    assert view.image.pixels.shape[-2:] == (40, 64)
    x, y = mapped(view).unbind(dim=1)
    inner = (x > 1) & (x < 62) & (y > 1) & (y < 38)
    error = (view.image.pixels[:, 0] - mapped(view)).abs().amax(dim=1)
    assert error[inner].max() < 1e-3


def test_a_whole_chip_is_the_central_square_of_an_oblong_one():
    geometry = draw_geometry(Augment(crop=Crop(size=10)), 1, (20, 40), generator())
    assert torch.equal(geometry.affine[0], torch.tensor([[2.0, 0.0, 10.5], [0.0, 2.0, 0.5]]))


@pytest.mark.parametrize("name", ["hflip", "vflip"])
def test_flips_happen_as_often_as_asked(name):
    matrix, _ = linear(Augment(**{name: 0.3}))
    axis = 0 if name == "hflip" else 1
    assert abs((matrix[:, axis, axis] < 0).float().mean() - 0.3) < 0.03
    assert (matrix[:, 1 - axis, 1 - axis] == 1).all()


def test_quarter_turns_of_three_quarters_make_all_orientations_equally_likely():
    matrix, _ = linear(Augment(quarter_turns=0.75))
    assert (torch.linalg.det(matrix) - 1).abs().max() < 1e-6
    angle = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg().round() % 360
    for degrees in (0, 90, 180, 270):
        assert abs((angle == degrees).float().mean() - 0.25) < 0.03
    half, _ = linear(Augment(quarter_turns=0.3))
    assert abs((half[:, 0, 0] != 1).float().mean() - 0.3) < 0.03


def test_rotations_are_uniform_and_as_often_as_asked():
    matrix, _ = linear(Augment(rotation=Rotation(p=0.5, degrees=(-10, 20))))
    angle = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    turned = angle[angle != 0]
    assert abs(len(turned) / N - 0.5) < 0.03
    assert -10 <= turned.min() < -9
    assert 19 < turned.max() <= 20
    assert abs(turned.mean() - 5) < 0.7


def test_crops_are_distributed_as_torchvisions():
    transforms = pytest.importorskip("torchvision.transforms")
    _, geometry = linear(Augment(crop=Crop(size=32, scale=(0.2, 1.0))), chip=(264, 264))
    w, h = geometry.affine[:, 0, 0] * 32, geometry.affine[:, 1, 1] * 32
    x = geometry.affine[:, 0, 2] + 0.5 - w / 64
    blank = torch.zeros(1, 264, 264)
    torch.manual_seed(0)
    draw = transforms.RandomResizedCrop.get_params
    peer = torch.tensor([draw(blank, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(N)]).double()
    for ours, theirs in ((w * h, peer[:, 2] * peer[:, 3]), (w / h, peer[:, 3] / peer[:, 2]), (x, peer[:, 1])):
        assert ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 1e-3


def test_scales_say_how_many_chip_pixels_a_view_pixel_spans():
    setting = Augment(crop=Crop(size=16, scale=(0.2, 1.0)), rotation=Rotation(p=1, degrees=(-90, 90)))
    geometry = draw_geometry(setting, 256, (64, 64), generator())
    area = torch.linalg.det(geometry.affine[:, :, :2]).abs()
    span = scales(geometry)
    assert (span.amax(dim=1) <= largest_scale(geometry) + 1e-5).all()
    assert (span.prod(dim=1) >= area - 1e-4).all()


def test_a_geometry_on_its_own_grid_is_itself():
    geometry = draw_geometry(Augment(), 2, (24, 24), generator())
    assert geometry.on((24, 24)) is geometry
    twice = geometry.on((48, 48)).on((24, 24))
    torch.testing.assert_close(twice.affine, geometry.affine)


def test_the_view_reports_the_geometry_it_was_made_with():
    geometry = draw_geometry(Augment(crop=Crop(size=8, scale=(0.1, 0.5))), 4, (24, 24), generator())
    assert torch.equal(augment(image(), Augment(), generator(), "key", geometry).affine, geometry.affine)
