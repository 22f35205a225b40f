"""The two networks against their papers' formulas, and their official defaults."""

import math

import numpy as np
import torch

from swath.encoders import location
from swath.encoders.location import networks
from swath.encoders.location.encodings import cartesian
from swath.encoders.location.networks import fcnet, siren

X = torch.tensor(np.random.default_rng(3).uniform(-1, 1, (6, 16)), dtype=torch.float32)


def layers_of(network):
    return [module for module in network.modules() if isinstance(module, torch.nn.Linear)]


def test_siren_is_sines_of_layers():
    network = networks.build(siren.Config(hidden=8, layers=3), 16, 5).eval()
    first, second, third, last = layers_of(network)
    x = torch.sin(30 * first(X))
    x = torch.sin(third(torch.sin(second(x))))
    torch.testing.assert_close(network(X), last(x))
    assert network(X).shape == (6, 5)


def test_siren_is_initialised_as_its_paper_says():
    torch.manual_seed(0)
    network = networks.build(siren.Config(hidden=300, layers=2, frequency=2.0), 25, 200)
    first, *others = layers_of(network)
    assert len(others) == 2
    for layer, bound in ((first, 1 / 25), *((one, math.sqrt(6 / 300) / 2) for one in others)):
        for values in layer.parameters():
            assert 0.95 * bound < values.abs().max() <= bound
            assert abs(values.mean()) < bound / 5


def test_satclips_defaults():
    config = siren.Config()
    assert (config.hidden, config.layers, config.first_frequency, config.frequency) == (256, 2, 30, 1)
    assert location.tower(cartesian.Config(), config).dim == 256
    assert config.dropout == 0.5


def test_fcnet_is_a_layer_and_residual_blocks():
    network = networks.build(fcnet.Config(blocks=2), 16, 8).eval()
    first, *inner = layers_of(network)
    x = torch.relu(first(X))
    for one, two in (inner[:2], inner[2:]):
        x = x + torch.relu(two(torch.relu(one(x))))
    torch.testing.assert_close(network(X), x)


def test_sinrs_defaults():
    config = fcnet.Config()
    assert (config.blocks, config.dropout) == (4, 0.5)
    assert location.tower(cartesian.Config(), config).dim == 256
    assert len(layers_of(networks.build(config, 4, 256))) == 9


def test_dropout_is_of_training_alone():
    for config in (fcnet.Config(), siren.Config()):
        torch.manual_seed(0)
        network = networks.build(config, 16, 32)
        assert not torch.equal(network(X), network(X))
        network.eval()
        assert torch.equal(network(X), network(X))
