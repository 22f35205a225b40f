"""Every method that takes any encoder trains a CNN, a vision transformer and a ConvNeXt, by crops of two sizes where it
takes them."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch

from swath import encoders, methods, plugins
from swath.batch import Batch, View
from swath.encoders.timm import Config as Timm
from swath.training.config import Optimizer
from swath.training.optim import optimizer
from tests.methods import fakes

BRING_THEIR_OWN = (*fakes.OF_OTHER_ENCODERS, *fakes.OF_TOKENS, *fakes.MASKED)
NAMES = [name for name in methods.names() if name not in BRING_THEIR_OWN]


TINY = ("test_resnet", "test_vit", "test_convnext2")
USUAL = ("resnet18", "vit_tiny_patch16_224", "convnextv2_atto")


@pytest.fixture(scope="module", params=[*TINY, *(pytest.param(model, marks=pytest.mark.slow) for model in USUAL)])
def network(request) -> encoders.Encoder:
    torch.manual_seed(0)
    return encoders.build(Timm(model=request.param), fakes.contract())


def crops(batch: Batch, generator: torch.Generator) -> list[View]:
    """Two global views and a local one of half their size."""
    views = fakes.policy(batch, generator, 3)
    small = views[2].image
    small = replace(small, pixels=small.pixels[..., :32, :32], valid=small.valid[..., :32, :32])
    return [*views[:2], replace(views[2], image=small, local=True)]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_trains_it(network, name):
    plugin = plugins.find("swath.methods", name)
    several = plugin.Method.multi_crop
    draw = crops if several else partial(fakes.policy, number={"seco": 4, "caco": 8}.get(name, 2))
    method = methods.build(plugin.Config(**fakes.small(name)), copy.deepcopy(network), draw)
    step = optimizer(Optimizer(lr=0.1), method, method.at_peak_rate())
    image = fakes.image(4, px=64 if several else 32)
    given = replace(fakes.batch(4), images={"sentinel-2-l2a": image})
    loss = method.loss(method.views(given, torch.Generator().manual_seed(0)))
    loss.total.backward()
    step.step()
    method.after_step(0.5)
    assert bool(loss.total.isfinite())
    assert loss.features.shape == (4, network.dim)
    moved = [
        not torch.equal(new, old) for new, old in zip(method.encoder.parameters(), network.parameters(), strict=True)
    ]
    assert sum(moved) > len(moved) / 2
    assert all(bool(parameter.isfinite().all()) for parameter in method.parameters())
