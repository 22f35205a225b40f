"""The promises of a method of attribution."""

from typing import Any

import torch
from torch import nn

from swath.encoders import Encoder
from swath.products.explain import Explained, Target, attributions
from swath.settings import PluginSettings
from swath.tasks.data import Centred, Composer
from swath.tasks.trained import TrainedNetwork
from swath.testing._data import OPTICAL, contract, image

PX = 8


class _Network(nn.Module):
    """A convolution, and two classes of locations."""

    def __init__(self):
        super().__init__()
        layers = nn.Sequential(
            nn.Conv2d(len(OPTICAL), 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.encoder, self.head = Encoder(layers, contract(), dim=4), nn.Linear(4, 2)
        self.composer = Composer(OPTICAL)

    def check(self, images: dict[str, Any]) -> None:
        """Nothing is wrong with the images of a check."""

    def forward(self, images: dict[str, Any]) -> torch.Tensor:
        """Logits of both classes."""
        return self.head(self.encoder(next(iter(images.values()))))


def it_gives_a_map_in_which_invalid_pixels_have_nothing(config: PluginSettings) -> None:
    """One finite number a pixel of every location, 0 where no date is valid, and the same each time."""
    network = TrainedNetwork(_Network().eval(), OPTICAL, Centred(0.0, 1.0), regression=False, multi_label=False)
    explained = Explained.of(network, exclusive=True)
    shown = image(OPTICAL, 2, 2, PX)
    shown.valid[:, :, 0] = False
    images, target = {OPTICAL[0].partition("/")[0]: shown}, Target(torch.tensor([0, 1]))
    first, again = (attributions.attribute(config, explained, images, target) for _ in range(2))
    assert first.map.shape == (2, PX, PX), f"the map of {config.name} has the shape {tuple(first.map.shape)}"
    assert first.map.isfinite().all(), f"{config.name} gives numbers that are not finite"
    assert not first.map[:, 0].any(), f"{config.name} gives something to pixels that are not valid"
    assert torch.equal(first.map, again.map), f"{config.name} says something else the second time"


CHECKS = (it_gives_a_map_in_which_invalid_pixels_have_nothing,)
