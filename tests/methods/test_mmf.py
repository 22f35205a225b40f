"""MMF's generators: their error is the paper's, and each learns alone."""

import numpy as np
import pytest
import torch

from swath import encoders, methods
from swath.encoders import mmf
from swath.errors import RecipeError
from swath.methods.mmf import Config
from tests.methods import fakes
from tests.methods.test_s4 import OPTICAL, RADAR, contract, views


def method(**settings):
    torch.manual_seed(0)
    encoder = encoders.build(mmf.Config(width=2), contract(OPTICAL, RADAR))
    return methods.build(Config(**settings), encoder, fakes.policy_of_two)


@pytest.mark.parametrize("inference", ["first", "second", "both"])
def test_the_loss_is_the_mean_absolute_error_of_what_is_missing(inference):
    made, given = method(inference=inference), views(padded=2)
    loss = made.loss(given)
    expected = []
    for position in {"first": [0], "second": [1], "both": [0, 1]}[inference]:
        image, wanted = given[position].image, given[1 - position].image
        generator = made.encoder.network.generators[position]
        said = generator(generator.encoder.contracted(image)).detach().numpy()
        errors = np.abs(said - (wanted.pixels.transpose(1, 2).numpy() - 0.5) / 2.0)
        expected.append(errors.transpose(0, 2, 3, 4, 1)[wanted.valid.numpy()].mean())
    assert [term.item() for term in loss.terms.values()] == pytest.approx(expected, rel=1e-4)
    assert loss.total.item() == pytest.approx(sum(expected), rel=1e-4)


def test_two_generators_in_one_run_are_two_runs():
    both, alone = method(inference="both"), method(inference="second")
    for each in (both, alone):
        each.loss(views()).total.backward()
    for name, parameter in alone.encoder.network.generators[1].named_parameters():
        torch.testing.assert_close(parameter.grad, both.encoder.network.generators[1].get_parameter(name).grad)


@pytest.mark.parametrize("inference", ["first", "second", "both"])
def test_what_the_loss_does_not_reach_is_frozen(inference):
    made = method(inference=inference)
    made.loss(views()).total.backward()
    for label, parameter in made.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, label
    assert not any(p.requires_grad for p in made.encoder.network.fusion.parameters())


def test_an_encoder_without_generators_is_refused():
    with pytest.raises(RecipeError, match="choose the encoder mmf"):
        methods.build(Config(), fakes.encoder(), fakes.policy_of_two)
