"""SatCLIP: an image and its location attract, images and locations of the others repel.

Klemmer et al. 2024, https://arxiv.org/abs/2311.17179; CLIP's loss (Radford et al. 2021) with a temperature that is
learnt. The image tower is frozen as there, or trained.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swath.batch import View
from swath.encoders import Encoder
from swath.encoders.image_and_location import ImageAndLocation
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._losses import clip
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Settings of SatCLIP."""

    name: Literal["satclip"] = "satclip"
    image: Literal["frozen", "trained"] = "frozen"
    """Whether the image encoder learns as well; a layer between it and the comparison always does."""
    temperature: float = Field(default=0.07, gt=0)
    """At the start; it is learnt."""
    coldest: float = Field(default=0.01, gt=0)
    """Cosines are never divided by less: CLIP's cap, a scale of 100."""

    @model_validator(mode="after")
    def _starts_below_the_cap(self) -> "Config":
        if self.temperature < self.coldest:
            raise ValueError(f"temperature {self.temperature:g} is colder than coldest, {self.coldest:g}")
        return self


class Method(_types.Method):
    """The encoder has two towers; the first view is an image, the second its location."""

    encoder: ImageAndLocation

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, ImageAndLocation):
            raise RecipeError(
                "satclip compares images with their locations, and the encoder has no tower for these",
                remedy="choose the encoder image-and-location",
            )
        super().__init__(encoder, policy)
        self.frozen = config.image == "frozen"
        encoder.network.image.requires_grad_(requires_grad=not self.frozen)
        self.projection = nn.Linear(encoder.dim, encoder.dim)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.most = -math.log(config.coldest)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """CLIP's loss of images and locations against those of all processes."""
        image, location = pair(views, "satclip")
        of_images = self.projection(self._of_image(image))
        of_locations = self.encoder(location.image)
        offset = gather.rank * len(of_images)
        total = clip(of_images, of_locations, gather(of_images), gather(of_locations), offset, self.log_scale)
        return Loss(total, of_locations.detach(), {"temperature": (-self.log_scale).exp().detach()})

    def _of_image(self, view: View) -> Float[Tensor, "b d"]:
        if not self.frozen:
            return self.encoder(view.image)
        # here and not once: whoever trains puts all parts in training mode, and frozen statistics would move
        self.encoder.network.image.eval()
        with torch.no_grad():
            return self.encoder(view.image)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002 - it is the same at any time
        """Keep the scale below its cap."""
        self.log_scale.clamp_(max=self.most)
