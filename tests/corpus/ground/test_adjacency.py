"""Mosaics cut into pieces: every true neighbour is found, and nothing else."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from swath.corpus.ground import adjacency

PX = 64


def landscape(seed: int, size: int, channels: int = 1) -> np.ndarray:
    """Terrain with detail at all scales, in whole counts, so that pixels can be equal."""
    noise = np.random.default_rng(seed).normal(size=(channels, size, size))
    layers = [gaussian_filter(noise, (0, s, s)) * s for s in (1, 2, 4, 8, 16)]
    return np.round(np.sum(layers, axis=0) * 100)


def cut(ground: np.ndarray, origins: list[tuple[int, int]]) -> np.ndarray:
    return np.stack([ground[:, y : y + PX, x : x + PX] for y, x in origins])


def grid(rows: int, columns: int, step: int) -> list[tuple[int, int]]:
    return [(r * step, c * step) for r in range(rows) for c in range(columns)]


def islands(count: int, seed: int = 100) -> np.ndarray:
    return np.concatenate([cut(landscape(seed + k, PX), [(0, 0)]) for k in range(count)])


def pairs(links: list[adjacency.Link]) -> dict[tuple[int, int], tuple[int, int]]:
    return {(link.first, link.second): (link.dy, link.dx) for link in links}


@pytest.mark.parametrize("step", [62, 63, 40, 10])
def test_overlaps_finds_every_overlap_with_its_shift_and_no_other(step):
    origins = grid(3, 3, step)
    images = np.concatenate([cut(landscape(1, 4 * PX), origins), islands(20)])[:, 0]
    expected = {}
    for a, (ya, xa) in enumerate(origins):
        for b, (yb, xb) in enumerate(origins[a + 1 :], a + 1):
            high, wide = PX - abs(yb - ya), PX - abs(xb - xa)
            if min(high, wide) > 0 and max(high, wide) >= 32:
                expected[a, b] = (yb - ya, xb - xa)
    assert pairs(adjacency.overlaps(images)) == expected


def test_the_same_place_on_two_dates_overlaps_in_a_channel_that_stays():
    images = islands(5)[:, 0]
    assert pairs(adjacency.overlaps(np.concatenate([images, images[2:3]]))) == {(2, 5): (0, 0)}


def test_flat_ground_is_no_evidence():
    images = np.zeros((4, PX, PX), np.int16)
    images[:, 30, 30] = 5
    assert adjacency.overlaps(images) == []
    assert adjacency.seams(images[:, None], np.arange(4)) == []
    assert adjacency.matches(images, np.arange(4)) == []


def test_matches_finds_ground_resampled_by_a_fraction_of_a_pixel():
    ground = landscape(2, 4 * PX)[0]
    moved = np.round(shift(ground, (0.4, -0.3), order=1, mode="nearest"))
    origins = [(20, 30), (100, 100)]
    others = [(20, 30), (112, 90)]
    images = np.concatenate([cut(ground[None], origins), cut(moved[None], others), islands(16)])[:, 0]
    links = adjacency.matches(images, np.arange(len(images)))
    assert pairs(links) == {(0, 2): (0, 0), (1, 3): (12, -10)}
    assert all(link.score > 0.8 for link in links)
    assert adjacency.overlaps(images) == []


@pytest.mark.parametrize("noise", [0.0, 10.0])
def test_seams_finds_all_neighbours_of_a_cut_mosaic_and_no_others(noise):
    rng = np.random.default_rng(3)
    images = np.concatenate([cut(landscape(4, 5 * PX, 3), grid(4, 4, PX)), islands(1).repeat(3, 1)])
    images = np.concatenate([images, *(cut(landscape(50 + k, PX, 3), [(0, 0)]) for k in range(30))])
    images = images + rng.normal(0, noise, images.shape) if noise else images
    order = rng.permutation(len(images))
    place = {int(old): new for new, old in enumerate(order)}
    links = adjacency.seams(images[order].astype(float), np.arange(len(images)))
    right = {(place[4 * r + c], place[4 * r + c + 1]): (0, PX) for r in range(4) for c in range(3)}
    below = {(place[4 * r + c], place[4 * r + c + 4]): (PX, 0) for r in range(3) for c in range(4)}
    assert pairs(links) == right | below


def test_images_of_nothing_in_common_stay_apart():
    images = islands(25)
    groups, links = adjacency.together(images, images, images)
    assert links == []
    np.testing.assert_array_equal(groups, np.arange(25))


def test_together_joins_all_three_kinds():
    ground = landscape(5, 4 * PX)
    moved = np.round(shift(ground[0], (0.5, 0.5), order=1, mode="nearest"))[None]
    images = np.concatenate([cut(ground, [(0, 0), (0, 60), (0, 60 + PX)]), islands(20), cut(moved, [(4, 4)])])
    groups, links = adjacency.together(images, images, images)
    assert {link.kind for link in links} == {"overlap", "match", "seam"}
    np.testing.assert_array_equal(groups, [0, 0, 0, *range(1, 21), 0])


def test_groups_are_numbered_by_their_first_members():
    np.testing.assert_array_equal(adjacency.joined(5, [(4, 1), (3, 0)]), [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(adjacency.joined(3, []), [0, 1, 2])


def test_real_flood_images_continue_in_the_order_of_their_numbers(shared_data):
    """Oracle: OMBRIA numbers its images along the rows of each mosaic; the search does not see the numbers."""
    rasterio = pytest.importorskip("rasterio")
    folder = shared_data / "ombria" / "OmbriaS2" / "train" / "BEFORE"
    if not folder.is_dir():
        pytest.skip(f"no OMBRIA at {folder}")
    files = sorted(folder.glob("*.png"))[:90]
    numbers = [int(file.stem[-4:]) for file in files]
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        images = np.stack([rasterio.open(file).read() for file in files])
    links = adjacency.seams(images, np.arange(len(images)))
    beside = [numbers[link.second] - numbers[link.first] for link in links if link.dx]
    assert len(beside) > 20
    assert set(beside) == {1}


def test_real_hls_chips_are_few_places(shared_data):
    rasterio = pytest.importorskip("rasterio")
    files = sorted((shared_data / "hls_water" / "images").glob("*.tif"), key=lambda path: int(path.stem))
    if not files:
        pytest.skip(f"no HLS chips in {shared_data}")
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        elevation = np.stack([rasterio.open(file).read(9) for file in files])
    links = adjacency.overlaps(elevation)
    same = [link for link in links if (link.dy, link.dx) == (0, 0)]
    unique = len(np.unique(elevation.reshape(len(files), -1), axis=0))
    # Files of one elevation are one place: found as pairs, they join into as many groups (flat water aside).
    groups = adjacency.clusters(len(files), same)
    assert unique <= groups.max() + 1 <= unique + 3
    assert len(files) - unique > 70
