"""Views made by a GPU's kernels do not make the host wait; the rest of a step is tried in `test_on_a_gpu`."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from swath import views
from swath.sensors import bands
from swath.testing import Far, far
from swath.views import Augment, Crop, _augment, _colour, presets
from tests.views import _make
from tests.views.test_augment import EVERYTHING
from tests.views.test_policies import example, t_of


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.equal(x, x),
    ],
)
def test_waiting_is_noticed(wait):
    x = Far(torch.randn(3, 4)) * 2
    assert isinstance(torch.ones(4) + x.T[0, 0], Far)
    with pytest.raises(AssertionError, match="makes the host wait"):
        wait(x)


@pytest.fixture
def on_a_device(monkeypatch):
    """Views are made as on a GPU, but for the kernels, which do nothing."""
    _gpu = pytest.importorskip("swath.views._gpu", reason="Triton is not installed")

    class Kernel:
        def __getitem__(self, grid):
            return lambda *args, **sizes: None

    names = ("weights", "across", "down", "colour")
    stub = SimpleNamespace(**{name: Kernel() for name in names}, ROTATED=_gpu.kernels.ROTATED)
    monkeypatch.setattr(_gpu, "kernels", stub)

    def render(*args):
        made = _gpu.render(*args)
        return made if isinstance(made.pixels, Far) else replace(made, pixels=Far(made.pixels), valid=Far(made.valid))

    monkeypatch.setattr(_augment, "_in_parts", render)
    table = _colour._table(torch.device("cpu"), len(bands()))
    monkeypatch.setattr(_colour, "_table", lambda device, length: Far(table[:length]))


@pytest.mark.usefixtures("on_a_device")
@pytest.mark.parametrize("name", views.names())
def test_a_policy_does_not_wait(name):
    policy = views.build(example(name))
    given = _make.batch(policy.reads, b=3, t=t_of(policy), invalid=0.1)
    given = replace(given, images={sensor: far(image) for sensor, image in given.images.items()})
    assert all(isinstance(view.image.pixels, Far) for view in policy(given, _make.generator()))


@pytest.mark.usefixtures("on_a_device")
@pytest.mark.parametrize("how", [EVERYTHING, presets.moco_v2(12), Augment(crop=Crop(size=8, scale=(0.5, 1)))])
def test_augmentation_does_not_wait(how):
    view = views.augment(far(_make.image(t=2, invalid=0.1)), how, _make.generator(), "query")
    assert isinstance(view.image.pixels, Far)
