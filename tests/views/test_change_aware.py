"""Which locations count as changed, against NumPy, and which dates their pairs are of."""

import itertools

import numpy as np
import torch

from swath import views
from swath.batch import Batch, Image
from swath.sensors import band_id
from swath.views import Augment
from swath.views.policies._seasons import halves
from swath.views.policies.change_aware import Config, between_over_within

BANDS = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08")
DAYS = (30, 200, 390, 760, 900, 1100)


def series() -> Image:
    """Three locations of six dates: one that stays, one that is another place in the newer half, one whose every date
    is a place of its own; and noise."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 0.4, (3, 6, 2, 16, 16)).astype(np.float32)
    pixels = 0.02 * rng.standard_normal((3, 6, 2, 16, 16)).astype(np.float32)
    pixels[0] += places[0, 0]
    pixels[1, :3] += places[1, 0]
    pixels[1, 3:] += places[1, 1]
    pixels[2] += places[2]
    valid = torch.ones(3, 6, 16, 16, dtype=torch.bool)
    valid[0, 2, :8] = False
    ids = torch.tensor([[band_id(key) for key in BANDS]] * 3, dtype=torch.int32)
    return Image(torch.from_numpy(pixels), valid, torch.tensor([DAYS] * 3, dtype=torch.int32), ids, 10.0)


def batch_of(image: Image) -> Batch:
    return Batch({"sentinel-2-l2a": image}, torch.zeros(len(image), 2, dtype=torch.float64), list("abc"))


def by_hand(image: Image, location: int) -> float:
    pixels = image.pixels[location].numpy().astype(float).reshape(6, 2, 8, 2, 8, 2)
    valid = image.valid[location].numpy().reshape(6, 1, 8, 2, 8, 2)
    seen = valid.mean((3, 5)) > 0.5
    cells = (pixels * valid).sum((3, 5)) / np.maximum(valid.sum((3, 5)), 1)
    seen = np.broadcast_to(seen, cells.shape)
    scale = np.array([cells[:, c][seen[:, c]].std() for c in range(2)])[:, None, None]

    def difference(i, j):
        both = seen[i] & seen[j]
        return (((cells[i] - cells[j]) / scale) ** 2)[both].mean()

    within = [difference(i, j) for half in (range(3), range(3, 6)) for i, j in itertools.combinations(half, 2)]
    between = [difference(i, j) for i in range(3) for j in range(3, 6)]
    return np.mean(between) / np.mean(within)


def test_the_ratio_is_that_of_numpy():
    image = series()
    ratio = between_over_within(image, *halves(image))
    np.testing.assert_allclose(ratio, [by_hand(image, location) for location in range(3)], rtol=1e-4)
    assert (ratio > 2).tolist() == [False, True, False]


def test_changed_locations_show_one_period_and_others_both():
    policy = views.build(Config(bands=BANDS, augment=Augment()))
    given = batch_of(series())
    one_period = []
    for seed in range(8):
        query, key = policy(given, torch.Generator().manual_seed(seed))
        days = torch.cat([query.image.days, key.image.days], dim=1)
        assert (days[:, 0] != days[:, 1]).all()
        one_period.append((days > 400).sum(dim=1) != 1)
    assert torch.stack(one_period).float().mean(dim=0).tolist() == [0, 1, 0]


def test_what_is_too_short_to_tell_counts_as_unchanged():
    image = series()
    short = Image(image.pixels[:, ::2], image.valid[:, ::2], image.days[:, ::2], image.band_ids, 10.0)
    assert between_over_within(short, *halves(short)).tolist() == [0, 0, 0]
    one = Image(image.pixels[:, :1], image.valid[:, :1], image.days[:, :1], image.band_ids, 10.0)
    query, key = views.build(Config(bands=BANDS, augment=Augment()))(batch_of(one), torch.Generator())
    assert torch.equal(query.image.pixels, key.image.pixels)
