"""Keys in sub-batches: what they are normalised by, in which order they come back, and what that hides of a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from swath.methods._sub_batches import has_batch_statistics, in_sub_batches, number_of
from tests.methods import fakes


def means(images):
    return images[0].pixels.mean(dim=(1, 3, 4))


@pytest.mark.parametrize(("samples", "number"), [(8, 2), (7, 3), (3, 5), (4, 1)])
def test_every_sample_keeps_its_place(samples, number):
    image, sizes = fakes.image(samples), []

    def features(images):
        sizes.append(len(images[0]))
        return means(images)

    torch.testing.assert_close(in_sub_batches(features, [image], number), means([image]))
    assert len(sizes) == min(number, samples)
    assert max(sizes) - min(sizes) <= 1


def test_statistics_are_those_of_the_sub_batch():
    image, norm = fakes.image(7), nn.BatchNorm1d(3, affine=False)
    found = in_sub_batches(lambda images: norm(means(images)), [image], 2)
    x, expected = means([image]).double().numpy(), np.empty((7, 3))
    for rows in ([0, 2, 4, 6], [1, 3, 5]):
        expected[rows] = (x[rows] - x[rows].mean(0)) / np.sqrt(x[rows].var(0) + 1e-5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_how_many_there_are():
    norm = nn.BatchNorm1d(3)
    assert [number_of(images, 32, norm) for images in (32, 33, 64, 256)] == [1, 2, 2, 8]
    assert number_of(256, None, norm) == 1
    assert not has_batch_statistics(nn.LayerNorm(3))
    assert number_of(256, 32, nn.LayerNorm(3)) == 1, "nothing to hide, and several passes take longer"


@pytest.mark.parametrize(("name", "key_views", "images"), [("moco-v2", 1, 4), ("gassl", 1, 4), ("seco", 3, 4)])
def test_keys_go_through_in_sub_batches_and_queries_do_not(name, key_views, images):
    method, student, teacher = fakes.method(name, ghost_batch=images), [], []
    method.encoder.network[0].register_forward_hook(lambda m, i, o: student.append(len(i[0])))
    method.teacher.encoder.network[0].register_forward_hook(lambda m, i, o: teacher.append(len(i[0])))
    method.loss(method.views(fakes.batch(8), torch.Generator().manual_seed(0)))
    assert student == [8]
    assert teacher == [4, 4] * key_views


def test_both_periods_of_a_location_share_their_statistics():
    method, teacher = fakes.method("caco", ghost_batch=4), []
    method.teacher.encoder.network[0].register_forward_hook(lambda m, i, o: teacher.append(len(i[0])))
    views = method.views(fakes.batch(6), torch.Generator().manual_seed(0))
    # the other date of each period shows what the query shows: within the periods nothing has moved
    for query, other in ((0, 2), (4, 6)):
        views[other] = replace(views[other], image=views[query].image)
    method.prepare(fakes.batch(6).uid, np.zeros((6, 2)))
    method.loss(views)
    assert teacher == [4, 4, 4] * 4
    far_over_nothing = method._moved[0][:, 1]
    assert (far_over_nothing > 100).all(), "equal images, normalised together with equal ones, are at no distance"


def test_as_published_there_are_sub_batches_of_32():
    assert {fakes.method(name).config.ghost_batch for name in fakes.QUEUED} == {32}


def recognised(ghost_batch: int | None, batches: int = 24, samples: int = 64) -> tuple[float, float]:
    """How often a query finds its key among older ones: keys made in its own batch, and among strangers."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    draw = torch.Generator().manual_seed(0)

    def chips() -> torch.Tensor:
        return torch.randn(samples, 3, 6, 6, generator=draw) + 0.5 * torch.randn(samples, 3, 1, 1, generator=draw)

    def keys(pixels: torch.Tensor) -> torch.Tensor:
        image = replace(fakes.image(samples, px=6), pixels=pixels[:, None])
        number = number_of(samples, ghost_batch, network)
        return F.normalize(in_sub_batches(lambda images: network(images[0].pixels[:, 0]), [image], number), dim=1)

    def found(query: torch.Tensor, key: torch.Tensor) -> float:
        return float(((query * key).sum(dim=1, keepdim=True) > query @ queue.T).all(dim=1).float().mean())

    shares = []
    with torch.no_grad():
        queue = torch.cat([keys(chips()) for _ in range(4)])
        for _ in range(batches):
            batch, strangers = chips(), chips()
            first, second = (batch + 0.7 * torch.randn(batch.shape, generator=draw) for _ in range(2))
            query, own = F.normalize(network(first), dim=1), keys(second)
            # a quarter of the batch among three quarters of strangers
            few = samples // 4
            apart = keys(torch.cat([second[:few], strangers[few:]]))[:few]
            shares.append((found(query[:few], own[:few]), found(query[:few], apart)))
    own, apart = np.mean(shares, axis=0)
    return float(own), float(apart)


def test_a_key_betrays_its_batch_less():
    """At the same difficulty among strangers, sub-batches take from what the own batch gives away."""
    own, apart = recognised(None)
    own_hidden, apart_hidden = recognised(8)
    assert own - apart > 0.05, "a batch that keys and queries share tells them from others"
    assert own_hidden - apart_hidden < 0.7 * (own - apart)
