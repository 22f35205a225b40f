"""ResNet per date and a ConvLSTM decoder: how S4's paper fine-tunes SeCo, GASSL and CaCo (section 5.3).

The paper says no more than the names. Skips are means over the dates, as in U-ConvLSTM; the decoder's widths are those
of the ResNet's five maps, as in SeCo's segmentation of changes.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
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
from swath.settings import Settings

_STAGES = ("layer1", "layer2", "layer3", "layer4")


class Config(Settings):
    """Which ResNet."""

    name: Literal["resnet-convlstm"] = "resnet-convlstm"
    model: str = "resnet18"
    """A ResNet of timm."""
    small_stem: bool = True
    """No stride and no pooling in the first layer: for chips of 128 pixels and less."""
    hidden: int = Field(default=64, ge=1)
    """Of the LSTM's state."""


class ResNetConvLSTM(Segmenter):
    """`load_pretrained` puts a pre-trained encoder in place of the random one."""

    def __init__(self, config: Config, contracts: Mapping[str, InputContract], classes: int):
        super().__init__(contracts)
        self.sensor, self.hidden = next(iter(contracts)), config.hidden
        model = Timm(model=config.model, small_stem=config.small_stem)
        self.encoder = _resnet(encoders.build(model, contracts[self.sensor]))
        parts = ("bn1", *_STAGES)
        widths = [_width(getattr(self.encoder.network, name)) for name in parts]
        self.lstm = ConvLSTM(widths[-1], config.hidden)
        self.deepest = nn.Conv2d(config.hidden, widths[-1], 3, padding=1)
        self.up = nn.ModuleList(_Up(deep, fine) for fine, deep in reversed(list(pairwise(widths))))
        self.out = nn.Conv2d(widths[0], classes, 1)

    def load_pretrained(self, path: Path) -> None:
        """Take a saved encoder, statistics included.

        Raises:
            CheckpointError: it cannot be loaded.
            RecipeError: it is another network, or of other bands.
        """
        found = _resnet(encoders.load(path))
        here, there = ({k: v.shape for k, v in e.state_dict().items()} for e in (self.encoder, found))
        if here != there or found.contract.bands != self.encoder.contract.bands:
            raise RecipeError(
                "the saved encoder is not this segmenter's ResNet: networks, stems or bands differ",
                where=str(path),
                remedy="set model and small_stem to what was pre-trained, and give the same bands",
            )
        self.encoder = found.train(self.training)
        self.standardize[self.sensor] = found.standardize
        self.contracts[self.sensor] = found.contract

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


def _resnet(encoder: Encoder) -> Encoder:
    if not all(hasattr(encoder.network, part) for part in ("conv1", "bn1", "act1", "maxpool", *_STAGES)):
        raise RecipeError(
            "resnet-convlstm takes the maps of a ResNet", remedy="choose a model such as resnet18 or resnet50"
        )
    return encoder


def _width(stage: nn.Module) -> int:
    """Channels of a stage's output: of the last norm in it."""
    return [part.num_features for part in stage.modules() if isinstance(part, nn.BatchNorm2d)][-1]


def build(config: Config, contracts: Mapping[str, InputContract], classes: int) -> ResNetConvLSTM:
    """For one sensor."""
    channels_of_one(contracts, "resnet-convlstm")
    return ResNetConvLSTM(config, contracts, classes)
