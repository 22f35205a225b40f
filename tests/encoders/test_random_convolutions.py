import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import correlate

from swath import encoders
from swath.encoders.random_convolutions import Config


def test_features_are_averages_of_both_rectified_parts(contract):
    """Against SciPy's correlation, filter by filter."""
    encoder = encoders.build(Config(features=6, kernel_size=3, seed=5), contract())
    pixels = torch.randn(1, 3, 9, 8)
    filters = encoder.network.weight.double().numpy()
    responses = [correlate(pixels[0].double().numpy(), f, mode="valid")[0] - 1 for f in filters]
    expected = [np.maximum(r, 0).mean() for r in responses] + [np.maximum(-r, 0).mean() for r in responses]
    np.testing.assert_allclose(encoder.network(pixels)[0].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow  # importing torchgeo takes longer than all tests of this folder
def test_torchgeo_gives_the_same_features(contract):
    rcf = pytest.importorskip("torchgeo.models", reason="torchgeo is the oracle").RCF
    theirs = rcf(in_channels=3, features=16, kernel_size=7, seed=5)
    ours = encoders.build(Config(features=16, kernel_size=7, seed=5), contract())
    pixels = torch.randn(2, 3, 20, 20)
    assert torch.equal(ours.network.weight, theirs.weights)
    torch.testing.assert_close(ours.network(pixels), theirs(pixels), rtol=1e-4, atol=1e-5)


def test_filters_follow_their_own_seed_alone(contract):
    def weight(seed, others):
        torch.manual_seed(others)
        return encoders.build(Config(features=4, seed=seed), contract()).network.weight

    assert torch.equal(weight(1, others=0), weight(1, others=9))
    assert not torch.equal(weight(1, others=0), weight(2, others=0))
    torch.manual_seed(21)
    expected = torch.rand(1)
    weight(1, others=21)
    assert torch.equal(torch.rand(1), expected), "the global generator was not touched"


def test_nothing_is_trained(contract):
    assert list(encoders.build(Config(), contract()).parameters()) == []


@pytest.mark.parametrize("settings", [{"features": 0}, {"features": 7}, {"kernel_size": 0}, {"filters": 3}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        Config(**settings)
