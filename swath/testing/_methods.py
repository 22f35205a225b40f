"""The promises of a method, checked around a tiny encoder of three optical bands: of convolutions, or one of tokens."""

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import nn

from swath import encoders, methods
from swath.batch import Batch, View
from swath.encoders import Encoder, vit
from swath.errors import RecipeError
from swath.methods import Method
from swath.testing._data import OPTICAL, batch, contract, far, generator
from swath.testing._far import Far

SENSOR = OPTICAL[0].partition("/")[0]
READS = {SENSOR: tuple(key.partition("/")[2] for key in OPTICAL)}
NUMBERS = (2, 4, 8)
"""Numbers of views to try: the first that the method takes is used."""
DIM = 8


def made(settings: Any) -> Method:
    """Build the method, always with the same weights.

    Raises:
        RecipeError: it takes none of these numbers of views, or another encoder.
    """
    tried = list(product((_of_convolutions, _of_tokens), NUMBERS))
    for kind, number in tried:
        torch.manual_seed(0)
        encoder = kind()
        try:
            method = methods.build(settings, encoder, partial(noisy_copies, number=number))
            method.loss(method.views(given(), generator()))
        except RecipeError:
            if (kind, number) == tried[-1]:
                raise
        else:
            return method
    raise AssertionError("unreachable")


def _of_convolutions() -> Encoder:
    layers = [nn.Conv2d(len(OPTICAL), DIM, 3, padding=1), nn.BatchNorm2d(DIM), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Encoder(network, contract(), DIM, example_px=8)


def _of_tokens() -> Encoder:
    """A transformer of 4 x 4 patches of two groups of bands."""
    settings = vit.Config(patch=2, width=32, depth=2, heads=2, groups=(OPTICAL[:2], OPTICAL[2:]))
    return encoders.build(settings, contract())


def given() -> Batch:
    """A batch of eight small locations."""
    return batch(READS, b=8, px=8)


def noisy_copies(batch: Batch, generator: torch.Generator, number: int) -> list[View]:
    """Views that are noisy copies, in place of a view policy."""
    chip, views = batch.images[SENSOR], []
    for role in ("query", *["key"] * (number - 1)):
        noise = torch.randn(chip.pixels.shape, generator=generator).to(chip.pixels.device)
        image = replace(chip, pixels=chip.pixels + 0.02 * noise)
        views.append(View(image, role, torch.eye(2, 3).expand(len(batch), 2, 3)))
    return views


def the_loss_is_a_scalar_beside_the_encoders_features(settings: Any) -> None:
    """The total is one finite float32 number; the features are the encoder's, without a gradient."""
    method = made(settings)
    loss = method.loss(method.views(given(), generator()))
    assert loss.total.shape == (), f"the total has the shape {tuple(loss.total.shape)}"
    assert loss.total.dtype == torch.float32, f"the total is {loss.total.dtype}"
    assert bool(loss.total.isfinite()), "the total is not finite"
    assert loss.features.shape[1] == method.encoder.dim, "the features are not the encoder's"
    assert not loss.features.requires_grad, "the features carry a gradient"


def what_is_trained_gets_a_gradient_and_nothing_else(settings: Any) -> None:
    """A parameter that requires a gradient gets one, or it would never be trained."""
    method = made(settings)
    method.loss(method.views(given(), generator())).total.backward()
    for name, parameter in method.named_parameters():
        got, wanted = parameter.grad is not None, parameter.requires_grad
        assert got == wanted, f"{name} {'gets' if got else 'gets no'} gradient, and requires_grad is {wanted}"


def a_step_moves_the_encoder(settings: Any) -> None:
    """Steps change the encoder, stay finite, and `after_step` may follow each of them."""
    method = made(settings)
    before = [parameter.detach().clone() for parameter in method.encoder.parameters()]
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.05)
    for step in range(3):
        loss = method.loss(method.views(given(), generator(step))).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step((step + 1) / 3)
        assert bool(loss.isfinite()), f"the loss of step {step} is not finite"
    moved = [not torch.equal(old, new) for old, new in zip(before, method.encoder.parameters(), strict=True)]
    assert any(moved), "three steps do not change the encoder"


def the_same_state_and_views_give_the_same_loss(settings: Any) -> None:
    """A run that was killed continues as if it had not been: all that it needs is in the state and the views."""
    first, second = made(settings), made(settings)
    first.loss(first.views(given(), generator(1)))
    first.after_step(0.5)
    second.load_state_dict(first.state_dict())
    results = []
    for method in (first, second):
        torch.manual_seed(1)  # as training does before every forward pass, for dropout and what a method draws
        results.append(float(method.loss(method.views(given(), generator(2))).total.detach()))
    assert results[0] == results[1], f"a method that was restored gives {results[1]} instead of {results[0]}"


def a_step_does_not_wait_for_the_device(settings: Any) -> None:
    """Nothing of the loss needs a value of a tensor on the host, for which a GPU would have to stop."""
    method, near = made(settings), given()
    there = Batch({key: far(one) for key, one in near.images.items()}, Far(near.lonlat), near.uid)
    loss = method.loss(method.views(there, generator())).total
    assert isinstance(loss, Far), "the loss is not made of the batch"


CHECKS = (
    the_loss_is_a_scalar_beside_the_encoders_features,
    what_is_trained_gets_a_gradient_and_nothing_else,
    a_step_moves_the_encoder,
    the_same_state_and_views_give_the_same_loss,
    a_step_does_not_wait_for_the_device,
)
