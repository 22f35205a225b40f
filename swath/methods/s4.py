"""S4: two sensors' series of one place find each other position by position, and one is read off the other.

Shenoy et al. 2024, "S4: Self-Supervised Sensing Across the Spectrum", https://arxiv.org/abs/2405.01656, eqs. 1 to 3.
The paper is silent on the weight of the reconstruction (here 1), on the projection's widths (here 64 and 64), and on
what series are scaled to before they are compared (here the encoder's standardisation).
"""

from itertools import pairwise
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swath.batch import Image, View
from swath.encoders import Encoder, FrameBatchNorm, seen_frames
from swath.encoders.cross_modal_unet_3d import CrossModalUNet3d
from swath.encoders.unet_3d import Contracted, ConvUnit
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._dense import dense_info_nce
from swath.methods._losses import full_precision
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """S4 (Shenoy et al. 2024): the weights of contrast and reconstruction, and what is contrasted."""

    name: Literal["s4"] = "s4"
    contrast: float = Field(default=1.0, ge=0)
    """Weight of the contrastive loss (eq. 2)."""
    reconstruction: float = Field(default=1.0, ge=0)
    """Weight of the reconstruction (eq. 3), lambda of eq. 1."""
    inference: Literal["first", "second", "both"] = "first"
    """The modality that will be available when the encoder is used; the other one is reconstructed from it. The
    paper trains an encoder for each; "both" serves either one, reconstructing each from the other at half the
    weight."""
    projection: tuple[int, int] = (64, 64)
    """Widths of the two layers of the projection head."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature of the contrast; the paper's is 0.5."""
    resolution: Literal["quarter", "half"] = "quarter"
    """Where positions are compared: at the end of the contracting path, or before its last pooling, where there are up
    to eight times as many."""
    across_batch: bool = False
    """Whether positions of the whole batch are negatives; in the paper only those of the same location are."""

    @model_validator(mode="after")
    def _learns_something(self) -> "Config":
        if self.contrast == 0 and self.reconstruction == 0:
            raise ValueError("contrast and reconstruction are both 0, which leaves nothing to learn")
        return self


class Projection(nn.Module):
    """Two 1 x 1 x 1 convolutions, each with batch normalisation and leaky ReLU (S4 §4.1)."""

    def __init__(self, dim: int, widths: tuple[int, int]):
        super().__init__()
        sizes = [dim, *widths]
        self.convolutions = nn.ModuleList(nn.Conv3d(*pair, 1) for pair in pairwise(sizes))
        self.norms = nn.ModuleList(FrameBatchNorm(width) for width in widths)

    def forward(self, features: Float[Tensor, "b d t h w"], valid: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b p k"]:
        """One vector a position."""
        frames = seen_frames(valid)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = cast(FrameBatchNorm, norm).activated(convolution(features), frames)
        return features.flatten(2).transpose(1, 2)


class Method(_types.Method):
    """S4. Padded and invalid positions are neither anchors nor candidates, and nobody has to reconstruct them."""

    encoder: CrossModalUNet3d

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, CrossModalUNet3d):
            raise RecipeError(
                "s4 compares positions of a series, and the encoder has none",
                remedy="choose the encoder cross-modal-unet-3d",
            )
        super().__init__(encoder, policy)
        if config.reconstruction and len(encoder.contract.inputs) == 1:
            raise RecipeError(
                "s4 reconstructs one sensor from another, and the views are of one",
                remedy="choose the policy paired-series, or set method.reconstruction=0",
            )
        self.config = config
        self.given = {"first": [0], "second": [1], "both": [0, 1]}[config.inference] if config.reconstruction else []
        """Views from which the other one is reconstructed."""
        self.projection = Projection(encoder.contracted_dim, config.projection)
        for part in self._idle():
            part.requires_grad_(requires_grad=False)

    def _idle(self) -> list[nn.Module]:
        """Parameters that this loss does not reach, to be frozen, which several processes have to know beforehand."""
        network = self.encoder.network
        idle = [head for i, head in enumerate(network.reconstructing) if i not in self.given]
        idle += [] if self.given else [network.expanding]
        if not self.config.contrast:
            idle += [self.projection, *(own for i, own in enumerate(network.own) if i not in self.given)]
            idle += [] if 1 in self.given else list(network.norms)
            if len(network.norms) and 0 not in self.given:
                idle += [cast(ConvUnit, unit).norm for unit in network.shared]
        return idle

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:  # noqa: ARG002 - samples do not interact
        """L_c + lambda L_r (eq. 1), each the mean over this process's samples."""
        images = [view.image for view in pair(views, "s4")]
        needed = [0, 1] if self.config.contrast else self.given
        maps = {i: self.encoder.contracted(images[i]) for i in needed}
        terms, total = {}, torch.zeros((), device=images[0].pixels.device)
        if self.config.contrast:
            terms["contrast"] = self._contrast(maps[0], maps[1])
            total = total + self.config.contrast * terms["contrast"]
        if self.given:
            losses = [self._read_off(maps[i], i, images[1 - i]) for i in self.given]
            terms["reconstruction"] = torch.stack(losses).mean()
            total = total + self.config.reconstruction * terms["reconstruction"]
        features, seen = positions(maps[needed[0]])
        return Loss(total, features, {k: v.detach() for k, v in terms.items()}, seen)

    def _contrast(self, first: Contracted, second: Contracted) -> Float[Tensor, ""]:
        config = self.config
        maps = [(m.features, m.valid) if config.resolution == "quarter" else m.half for m in (first, second)]
        valid = (maps[0][1] & maps[1][1]).flatten(1)
        one, other = (self.projection(features, seen) for features, seen in maps)
        return dense_info_nce(one, other, config.temperature, valid, across_batch=config.across_batch)

    def _read_off(self, given: Contracted, branch: int, wanted: Image) -> Float[Tensor, ""]:
        said = self.encoder.reconstruct(given, branch)
        return masked_mean_error(said, self.encoder.standard(wanted), wanted.valid)


def positions(maps: Contracted) -> tuple[Float[Tensor, "n d"], Bool[Tensor, " n"]]:
    """Features of single positions, and which of them are valid: what gauges look at."""
    return maps.features.detach().movedim(1, -1).flatten(0, -2), maps.valid.flatten()


@full_precision
def masked_mean_error(
    said: Float[Tensor, "b c t h w"], wanted: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"]
) -> Float[Tensor, ""]:
    """Mean absolute error over valid pixels, dates and bands (S4 eq. 3); 0 where nothing is valid."""
    error = (said - wanted).abs() * valid[:, None]
    return error.sum() / (valid.sum() * said.shape[1]).clamp(min=1)
