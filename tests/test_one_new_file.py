"""An encoder, a segmenter, a method and a view policy are each added by one file, as docs/architecture.md says.

Those of other kinds are added beside the tests of their packages.
"""

import importlib
import sys

import pytest
import torch
from pydantic import TypeAdapter

from swath import encoders, methods, plugins, segmenters, views
from swath.encoders import EncoderPlugin
from swath.methods import MethodPlugin
from swath.segmenters import SegmenterPlugin
from swath.views import PolicyPlugin
from tests.methods.fakes import BANDS, batch, contract

ENCODER = """
from typing import Literal
from torch import nn
from swath.encoders import Encoder, EncoderSettings

class Config(EncoderSettings):
    name: Literal["only-means"] = "only-means"
    width: int = 4

def build(config, contract):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(contract.channels, config.width))
    return Encoder(network, contract, dim=config.width)
"""
SEGMENTER = """
from typing import Literal
from torch import nn
from swath.segmenters import Segmenter
from swath.settings import PluginSettings

class Config(PluginSettings):
    name: Literal["one-by-one"] = "one-by-one"

class OneByOne(Segmenter):
    def __init__(self, contracts, classes):
        super().__init__(contracts)
        self.sensor = next(iter(contracts))
        self.last = nn.Conv2d(contracts[self.sensor].channels, classes, 1)

    def forward(self, images):
        return self.last(self.series(images, self.sensor).pixels.mean(dim=1))

def build(config, contracts, classes):
    return OneByOne(contracts, classes)
"""
METHOD = """
from typing import Literal
from swath.methods import Loss, Method as Base
from swath.settings import PluginSettings

class Config(PluginSettings):
    name: Literal["agree"] = "agree"

class Method(Base):
    def __init__(self, config, encoder, policy):
        super().__init__(encoder, policy)

    def loss(self, views, gather):
        first, second = (self.encoder(view.image) for view in views)
        return Loss(total=(first - second).square().mean(), features=first.detach())
"""
POLICY = """
from typing import Literal
import torch
from swath.batch import View
from swath.settings import PluginSettings
from swath.views import Inputs

class Config(PluginSettings):
    name: Literal["as-they-are"] = "as-they-are"
    bands: tuple[str, ...]

class Policy:
    def __init__(self, config):
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
        self.reads = {"sentinel-2-l2a": tuple(key.partition("/")[2] for key in config.bands)}
        self.dates, self.most, self.gaps = 1, None, False

    def __call__(self, batch, generator):
        image = batch.images["sentinel-2-l2a"]
        same = torch.eye(2, 3).expand(len(image), 2, 3)
        return [View(image, role, same) for role in ("query", "key")]
"""


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Put one file into a package of plug-ins, for one test."""
    added = []

    def add_file(package: str, name: str, text: str):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        added.append(f"{package}.{name}")
        return TypeAdapter(plugins.union(package))

    yield add_file
    for name in added:
        sys.modules.pop(name, None)


def test_an_encoder_a_method_and_a_view_policy_are_one_file_each_and_work_together(add):
    policy = add("swath.views.policies", "as_they_are", POLICY).validate_python({"name": "as-they-are", "bands": BANDS})
    encoder = add("swath.encoders", "only_means", ENCODER).validate_python({"name": "only-means", "width": 5})
    method = add("swath.methods", "agree", METHOD).validate_python({"name": "agree"})
    assert "only-means" in encoders.names()
    assert "agree" in methods.names()
    assert "as-they-are" in views.names()
    for package, name, kind in (
        ("swath.views.policies", "as-they-are", PolicyPlugin),
        ("swath.encoders", "only-means", EncoderPlugin),
        ("swath.methods", "agree", MethodPlugin),
    ):
        assert isinstance(plugins.find(package, name), kind)
    draws = views.build(policy)
    assert isinstance(draws, views.Policy)
    built = methods.build(method, encoders.build(encoder, contract()), draws)
    drawn = built.views(batch(6), torch.Generator())
    loss = built.loss(drawn, methods.OneProcess())
    assert loss.features.shape == (6, 5)
    assert loss.total == 0, "both views are the same"


def test_a_segmenter_is_one_file(add):
    config = add("swath.segmenters", "one_by_one", SEGMENTER).validate_python({"name": "one-by-one"})
    assert "one-by-one" in segmenters.names()
    assert isinstance(plugins.find("swath.segmenters", "one-by-one"), SegmenterPlugin)
    segmenter = segmenters.build(config, {"sentinel-2-l2a": contract()}, classes=3)
    torch.nn.init.zeros_(segmenter.last.weight)
    segmenter.last.bias.data = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(segmenter(batch(2).images), torch.tensor([1.0, 2, 3])[:, None, None].expand(2, 3, 8, 8))
