"""Curves of deletion and insertion, and what shuffled weights leave of a map."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from swath.errors import ContractError
from swath.products.explain import attributions, rank_correlation, removals
from swath.products.explain.attributions import Attribution, integrated_gradients
from swath.testing import image
from tests.products.explain.networks import KEYS, SENSOR, Network, explained, linear, target, weighted

PX = 3


@pytest.fixture(scope="module")
def world():
    """A number that is a weighted sum of pixels: what each unit is worth is known."""
    torch.manual_seed(0)
    network = linear(PX, 1)
    images = {SENSOR: image(KEYS, 1, 4, PX)}
    images[SENSOR].valid[0, :, 0, 0] = False
    images[SENSOR].valid[0, 2] = False
    return network, explained(network, regression=True), images


def test_curves_are_sums_of_what_is_left(world):
    """Each unit's worth is removed at its turn, the greatest first; invalid pixels and dates are no units."""
    network, asked, images = world
    found = attributions.attribute(integrated_gradients.Config(), asked, images, target(0))
    worth = 3.0 * weighted(network, images[SENSOR], 0)[0] * 4 / 3  # three of the dates are seen
    nothing = 3.0 * float(network.head.bias.detach()[0]) + 2.0
    units = {
        "pixels": worth.sum(dim=(0, 1)).flatten()[1:],
        "dates": worth.sum(dim=(1, 2, 3))[[0, 1, 3]],
        "bands": worth.sum(dim=(0, 2, 3)),
    }
    curves = {one.units: one for one in removals(asked, images, target(0), found)}
    assert list(curves) == list(units)
    for name, own in units.items():
        falling = own.detach().sort(descending=True).values.double().numpy()
        put_back = nothing + np.concatenate([[0], np.cumsum(falling)])
        assert curves[name].count == len(own)
        np.testing.assert_allclose(curves[name].inserted, put_back, rtol=1e-4)
        np.testing.assert_allclose(curves[name].deleted, put_back[-1] + nothing - put_back, rtol=1e-4)
        assert curves[name].deletion == pytest.approx(np.trapezoid(curves[name].deleted, curves[name].share))
        # of a sum no order is better than that of its parts
        assert curves[name].deletion <= curves[name].random_deletion.min() + 1e-5
        assert curves[name].insertion >= curves[name].random_insertion.max() - 1e-5


def test_an_order_that_is_wrong_does_worse_than_a_random_one(world):
    _, asked, images = world
    found = attributions.attribute(integrated_gradients.Config(), asked, images, target(0))
    (wrong,) = removals(asked, images, target(0), Attribution(-found.map))
    assert wrong.units == "pixels"
    assert wrong.deletion > wrong.random_deletion.mean()
    assert wrong.insertion < wrong.random_insertion.mean()


def test_a_single_pixel_has_no_curve_but_its_dates_and_bands_have():
    asked, images = explained(linear(1)), {SENSOR: image(KEYS, 1, 4, 1)}
    found = attributions.attribute(integrated_gradients.Config(), asked, images, target(0))
    assert [one.units for one in removals(asked, images, target(0), found)] == ["dates", "bands"]
    assert rank_correlation(found, found, images) == pytest.approx(1)


def test_shuffled_weights_have_the_same_numbers_and_another_map(world):
    _, asked, images = world
    shuffled = asked.randomised(0)
    before, after = (one.logits.state_dict() for one in (asked, shuffled))
    for name, value in before.items():
        torch.testing.assert_close(value.flatten().sort().values, after[name].flatten().sort().values)
    maps = [
        attributions.attribute(integrated_gradients.Config(), one, images, target(0))
        for one in (asked, shuffled, asked.randomised(0), asked.randomised(1))
    ]
    assert rank_correlation(maps[0], maps[0], images) == pytest.approx(1)
    assert abs(rank_correlation(maps[0], maps[1], images)) < 0.95
    torch.testing.assert_close(maps[1].map, maps[2].map)
    assert not torch.equal(maps[1].map, maps[3].map)


def test_a_map_that_is_the_same_everywhere_ranks_nothing(world):
    _, _, images = world
    flat = Attribution(torch.ones(1, PX, PX))
    assert math.isnan(rank_correlation(flat, flat, images))


def test_a_network_that_subtracts_no_mean_is_refused():
    class Raw(nn.Module):
        def forward(self, images):
            return images[SENSOR].pixels.mean(dim=(1, 3, 4))

    network = Network(nn.Identity(), nn.Identity())
    network.forward = Raw().forward
    with pytest.raises(ContractError, match="no one mean of each band"):
        explained(network)
