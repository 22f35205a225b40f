"""ResNet per date and a ConvLSTM decoder: how S4's paper fine-tunes SeCo, GASSL and CaCo (section 5.3).

The paper says no more than the names. Skips are means over the dates, as in U-ConvLSTM; the decoder's widths are those
of the ResNet's five maps, as in SeCo's segmentation of changes.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath import encoders
from swath.batch import Image
from swath.encoders import Encoder, InputContract
from swath.encoders.timm import Config as Timm
from swath.errors import RecipeError
from swath.segmenters._base import Segmenter, Series, by_date, channels_of_one, mean_over_dates
from swath.segmenters._convlstm import ConvLSTM
from swath.settings import PluginSettings

_STAGES = ("layer1", "layer2", "layer3", "layer4")
HIDDEN = 64
"""Channels of the LSTM's state, as in U-ConvLSTM."""


class Config(PluginSettings):
    """A ResNet per date and a ConvLSTM decoder (Shenoy et al. 2024): which ResNet, and the size of the LSTM."""

    name: Literal["resnet-convlstm"] = "resnet-convlstm"
    model: str = "resnet18"
    """A ResNet of timm."""
    small_stem: bool = True
    """No stride and no pooling in the first layer: for chips of 128 pixels and less."""
    hidden: int = Field(default=HIDDEN, ge=1)
    """Channels of the LSTM's state."""


class ResNetConvLSTM(Segmenter):
    """The segmenter around an encoder of single dates, random or pre-trained, which is trained on."""

    def __init__(self, encoder: Encoder, sensor: str, hidden: int, classes: int):
        super().__init__({sensor: encoder.contract})
        self.sensor, self.hidden, self.encoder = sensor, hidden, encoder
        widths = [_width(getattr(encoder.network, name)) for name in ("bn1", *_STAGES)]
        self.lstm = ConvLSTM(widths[-1], hidden)
        self.deepest = nn.Conv2d(hidden, widths[-1], 3, padding=1)
        self.up = nn.ModuleList(_Up(deep, fine) for fine, deep in reversed(list(pairwise(widths))))
        self.out = nn.Conv2d(widths[0], classes, 1)

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k h w"]:
        """Logits of every pixel; chips of any size."""
        series = self.series(images, self.sensor)
        *skips, x = self._maps(series)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        x = F.interpolate(x, size=series.pixels.shape[3:], mode="bilinear", align_corners=False)
        return self.out(x)

    def _maps(self, series: Series) -> list[Tensor]:
        """Maps without dates, finest first."""
        network: Any = self.encoder.network
        maps = [by_date(nn.Sequential(*self._stem()), series.pixels, series.frames)]
        for i, name in enumerate(_STAGES):
            stage = nn.Sequential(network.maxpool, network.layer1) if i == 0 else getattr(network, name)
            maps.append(by_date(stage, maps[-1], series.frames))
        means = [mean_over_dates(each, series.frames) for each in maps[:-1]]
        return [*means, self.deepest(self.lstm(maps[-1], series.frames))]

    def _stem(self) -> tuple[nn.Module, ...]:
        network: Any = self.encoder.network
        return network.conv1, network.bn1, network.act1


class _Up(nn.Module):
    """Enlarge to the skip's size, join it, two 3x3 convolutions with norm and ReLU."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        sizes = [channels + out, out, out]
        layers = [[nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()] for a, b in pairwise(sizes)]
        self.convs = nn.Sequential(*(layer for each in layers for layer in each))

    def forward(self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b s h2 w2"]) -> Float[Tensor, "b s h2 w2"]:
        x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
        return self.convs(torch.cat([x, skip], dim=1))


def has_maps(encoder: Encoder) -> bool:
    """Whether an encoder is a ResNet, whose maps of several sizes a decoder can use."""
    return all(hasattr(encoder.network, part) for part in ("conv1", "bn1", "act1", "maxpool", *_STAGES))


def _width(stage: nn.Module) -> int:
    """Channels of a stage's output: of the last norm in it."""
    return [part.num_features for part in stage.modules() if isinstance(part, nn.BatchNorm2d)][-1]


def around(encoder: Encoder, classes: int, hidden: int = HIDDEN) -> ResNetConvLSTM:
    """A ResNet that was pre-trained on single dates, with a temporal model and a decoder (S4, sections 4.3 and 5.3).

    Args:
        encoder: of fixed bands of one sensor; it is not copied, and its statistics stay.
        classes: how many.
        hidden: channels of the LSTM's state.

    Raises:
        RecipeError: it is no ResNet, or takes any bands, or those of several sensors.
    """
    sensors = {key.partition("/")[0] for key in encoder.contract.bands}
    if not has_maps(encoder) or not encoder.contract.fixed or len(sensors) > 1:
        raise RecipeError(
            "resnet-convlstm takes the maps of a ResNet on fixed bands of one sensor",
            remedy="choose a model such as resnet18 or resnet50",
        )
    return ResNetConvLSTM(encoder, sensors.pop(), hidden, classes)


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> ResNetConvLSTM:
    """A segmenter of one sensor's images, randomly initialised."""
    channels_of_one(contracts, "resnet-convlstm")
    model = Timm(model=config.model, small_stem=config.small_stem)
    return around(encoders.build(model, next(iter(contracts.values()))), classes, config.hidden)
