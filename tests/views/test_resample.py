"""The fused matrices against torch's and kornia's separate operations."""

import pytest
import torch
import torch.nn.functional as F

from swath.views._geometry import Geometry
from swath.views._resample import Part, Resampler, gaussian, smooth

from ._make import generator


def boxes(affine, view, chip):
    return Geometry(torch.tensor(affine), view, chip)


def run(geometry, pixels, valid=None, sigma=None, kernel=None, interpolation="bilinear"):
    resampler = Resampler(geometry, sigma, kernel, interpolation)
    parts = list(resampler.parts(0))
    assert len(parts) == 1
    return resampler(parts[0], pixels, valid)


def noise(*shape):
    return torch.rand(shape, generator=generator())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("side", [9, 20, 31, 50])
def test_resizing_a_whole_chip_is_torchs_antialiased_one(interpolation, side):
    chip = noise(3, 1, 2, 31, 24)
    sx, sy = 24 / side, 31 / side
    geometry = boxes([[[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5]]] * 3, (side, side), (31, 24))
    ours, _ = run(geometry, chip, interpolation=interpolation)
    theirs = F.interpolate(chip[:, 0], size=(side, side), mode=interpolation, antialias=True)
    torch.testing.assert_close(ours[:, 0], theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_crop_is_torchs_on_the_slice_where_its_border_is_out_of_reach(interpolation):
    chip = noise(1, 1, 2, 40, 40)
    s = 20 / 30
    geometry = boxes([[[s, 0, 10 + s / 2 - 0.5], [0, s, 5 + s / 2 - 0.5]]], (30, 30), (40, 40))
    ours, _ = run(geometry, chip, interpolation=interpolation)
    theirs = F.interpolate(chip[:, 0, :, 5:25, 10:30], size=(30, 30), mode=interpolation, antialias=True)
    torch.testing.assert_close(ours[:, 0, :, 4:-4, 4:-4], theirs[..., 4:-4, 4:-4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_enlarging_is_grid_sample(angle, flip):
    chip = noise(2, 1, 3, 32, 32)
    c, s = torch.tensor(angle).cos().item() * 0.5, torch.tensor(angle).sin().item() * 0.5
    matrix = torch.tensor([[c * flip, -s], [s * flip, c]])
    offset = torch.tensor([15.5, 15.5]) - matrix @ torch.tensor([11.5, 11.5])
    affine = torch.cat([matrix, offset[:, None]], dim=1).expand(2, 2, 3)
    ours, known = run(Geometry(affine, (24, 24), (32, 32)), chip)
    x, y = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="xy")
    place = (matrix @ torch.stack([x, y]).flatten(1) + offset[:, None]).T.view(24, 24, 2)
    theirs = F.grid_sample(chip[:, 0], ((2 * place + 1) / 32 - 1).expand(2, 24, 24, 2), align_corners=False)
    torch.testing.assert_close(ours[:, 0], theirs, rtol=1e-4, atol=1e-5)
    assert known is None or known.all()


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_quarter_turns_are_rot90(turn):
    chip = noise(2, 1, 3, 16, 16)
    c, s = {1: (0.0, 1.0), 2: (-1.0, 0.0), 3: (0.0, -1.0)}[turn]
    matrix = torch.tensor([[c, -s], [s, c]])
    offset = 7.5 - matrix @ torch.tensor([7.5, 7.5])
    affine = torch.cat([matrix, offset[:, None]], dim=1).expand(2, 2, 3)
    ours, _ = run(Geometry(affine, (16, 16), (16, 16)), chip)
    assert torch.equal(ours, torch.rot90(chip, turn, dims=(-2, -1)))


def test_blur_is_kornias_away_from_the_border():
    kornia = pytest.importorskip("kornia.filters")
    planes, sigma = noise(3, 1, 2, 40, 40), torch.tensor([0.3, 1.0, 2.0])
    theirs = kornia.gaussian_blur2d(planes[:, 0], (7, 7), sigma[:, None].expand(3, 2), separable=True)
    ours = smooth(planes, sigma, sigma, 3)
    torch.testing.assert_close(ours[:, 0, :, 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_crop_and_blur_fused_equal_one_after_the_other(angle):
    chip, sigma = noise(1, 1, 2, 48, 48), torch.tensor([1.3])
    c, s = torch.tensor(angle).cos().item() * 0.6, torch.tensor(angle).sin().item() * 0.6
    geometry = boxes([[[c, -s, 12.0], [s, c, 6.0]]], (32, 32), (48, 48))
    fused, _ = run(geometry, chip, sigma=sigma, kernel=9)
    plain, _ = run(geometry, chip)
    torch.testing.assert_close(fused, smooth(plain, sigma, sigma, 4), rtol=1e-4, atol=1e-5)


def test_a_gaussians_rows_sum_to_one_and_no_blur_is_exactly_the_identity():
    matrix = gaussian(torch.tensor([0.0, 0.5, 3.0]), 20, 5)
    assert torch.equal(matrix[0], torch.eye(20))
    torch.testing.assert_close(matrix.sum(dim=2), torch.ones(3, 20))
    assert matrix[2, 0, 5] > 0
    assert matrix[2, 0, 6] == 0


def test_shrinking_does_not_alias():
    """A checkerboard has no business in a view of half the resolution, rotated or not."""
    board = (torch.arange(64)[:, None] + torch.arange(64)[None]) % 2
    chip = board.float().expand(1, 1, 1, 64, 64)
    for angle in (0.0, 0.15):
        c, s = torch.tensor(angle).cos().item() * 2, torch.tensor(angle).sin().item() * 2
        geometry = boxes([[[c, -s, 10.2], [s, c, 4.7]]], (20, 20), (64, 64))
        ours, _ = run(geometry, chip)
        assert (ours[..., 4:-4, 4:-4] - 0.5).abs().max() < 0.11


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_view_pixel_is_valid_only_if_all_that_it_touches_is(interpolation):
    """Independent count: one invalid pixel at a time, seen through torch's own resizing."""
    s = 12 / 30
    geometry = boxes([[[s, 0, s / 2 - 0.5], [0, s, s / 2 - 0.5]]], (30, 30), (12, 12))
    for y, x in ((0, 0), (5, 7), (11, 3)):
        hole = torch.zeros(1, 1, 12, 12)
        hole[..., y, x] = 1
        touched = F.interpolate(hole, size=(30, 30), mode=interpolation, antialias=True).abs() > 1e-3
        _, known = run(geometry, noise(1, 1, 2, 12, 12), hole == 0, interpolation=interpolation)
        assert torch.equal(known, ~touched)


def test_parts_cover_every_sample_once():
    turned, straight, slanted = [[0.0, 1, 0], [1, 0, 0]], [[1.0, 0, 0], [0, 1, 0]], [[0.8, 0.6, 0], [-0.6, 0.8, 0]]
    geometry = boxes([turned, slanted, straight, turned], (8, 8), (8, 8))
    grouped = list(Resampler(geometry, None, None, "bilinear").parts(0))
    found = {(part.turned, part.rotated): part.index.tolist() for part in grouped}
    assert found == {(False, False): [2], (True, False): [0, 3], (False, True): [1]}
    alone = list(Resampler(geometry, None, None, "bilinear").parts(2**20))
    assert alone[0] == Part(slice(0, 1), turned=True, rotated=False)
    assert [part.index for part in alone] == [slice(i, i + 1) for i in range(4)]
