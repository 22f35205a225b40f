"""A positional encoding and a network are each added by one file, as docs/architecture.md says."""

import importlib
import sys

import torch

from swath import encoders, plugins
from swath.encoders import location
from swath.encoders.location.encodings import EncodingPlugin
from swath.encoders.location.networks import NetworkPlugin

ENCODING = """
from typing import Literal
import torch
from swath.encoders.location.encodings import Encoding, EncodingSettings

class Config(EncodingSettings):
    name: Literal["only-latitude"] = "only-latitude"

class OnlyLatitude(Encoding):
    WRAPS = True
    ONE_POLE = True

    def features(self, lonlat):
        return lonlat[:, 1:] / 90

def build(config):
    return OnlyLatitude(1)
"""
NETWORK = """
from typing import Literal
from torch import nn
from swath.encoders.location.networks import NetworkSettings

class Config(NetworkSettings):
    name: Literal["one-layer"] = "one-layer"

def build(config, features, dim):
    return nn.Linear(features, dim)
"""


def test_an_encoding_and_a_network_are_one_file_each(tmp_path, monkeypatch):
    for package, name, text in (
        (location.encodings, "only_latitude", ENCODING),
        (location.networks, "one_layer", NETWORK),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
    importlib.invalidate_caches()
    assert "only-latitude" in location.encodings.names()
    assert "one-layer" in location.networks.names()
    assert not {"only-latitude", "one-layer", "encodings", "direct"} & set(encoders.names())
    encoding, network = (
        plugins.find(package.__name__, name).Config()
        for package, name in ((location.encodings, "only-latitude"), (location.networks, "one-layer"))
    )
    assert isinstance(plugins.find("swath.encoders.location.encodings", "only-latitude"), EncodingPlugin)
    assert isinstance(plugins.find("swath.encoders.location.networks", "one-layer"), NetworkPlugin)
    tower = location.tower(encoding, network)
    torch.testing.assert_close(tower.embed(torch.tensor([[5.0, 45.0]])), tower.network(torch.tensor([[0.5]])))
    for name in ("encodings.only_latitude", "networks.one_layer"):
        sys.modules.pop(f"swath.encoders.location.{name}", None)
