"""SINR: which classes may be met at a location, learnt from locations where one of them was seen.

Cole et al. 2023, https://arxiv.org/abs/2306.02564. A location encoder with a layer of one probability per class; what
is kept is the encoder. Classes are the values of a scalar column of the corpus.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Float64, Int
from pydantic import Field
from torch import Tensor, nn

from swath._device import send
from swath.batch import View
from swath.encoders import Encoder
from swath.encoders.location import LocationEncoder
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._presence_only import Unseen, an_full, an_slds, an_ssdl
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, require_number
from swath.settings import PluginSettings


class Config(PluginSettings):
    """Where the classes stand, and what is assumed of those that were not seen."""

    name: Literal["sinr"] = "sinr"
    label: str = "class"
    """Scalar column of the corpus: the class that was seen at each location."""
    loss: Literal["an-full", "an-ssdl", "an-slds"] = "an-full"
    """Unseen are all other classes here and all at a random place; the same one at a random place; or another one
    here."""
    unseen: Unseen = "absent"
    """What is unseen is absent; or uncertain, and is kept so (the maximum-entropy variants)."""
    positive_weight: float = Field(default=2048.0, gt=0)
    """Lambda: weight of the class that was seen, under an-full."""


class Method(_types.Method):
    """One view: where something was seen."""

    encoder: LocationEncoder

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, LocationEncoder):
            raise RecipeError(
                "sinr learns what is at places, and the encoder is not of places", remedy="choose the encoder location"
            )
        super().__init__(encoder, policy)
        self.config, self.label = config, config.label
        self.class_of: dict[str, int] = {}
        """By location, the position of its class."""
        self.classifier = nn.Linear(encoder.dim, 1, bias=False)

    def take_labels(self, uid: Sequence[str], values: Sequence[Any]) -> None:
        """Number the classes; RecipeError where there are fewer than two, they look alike, or are continuous values."""
        if any(isinstance(value, float) and value % 1 for value in values):
            raise RecipeError(
                f"column {self.label!r} holds continuous values, not classes",
                where="method.label",
                remedy="name a column of texts or whole numbers",
            )
        names = sorted({str(value) for value in values})
        if len(names) < 2:
            raise RecipeError(
                f"column {self.label!r} holds {len(names)} class", where="method.label", remedy="name another column"
            )
        if len({name.strip() for name in names}) < len(names):
            raise RecipeError(
                f"column {self.label!r} holds classes that differ by the space around them alone",
                where="method.label",
                remedy="write each in one way",
            )
        number = {name: i for i, name in enumerate(names)}
        self.class_of = {one: number[str(value)] for one, value in zip(uid, values, strict=True)}
        self.classifier = nn.Linear(self.encoder.dim, len(names), bias=False)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:  # noqa: ARG002 - samples do not interact
        """The presence-only loss of this batch, with as many random places where it needs some."""
        (view,) = require_number(views, "sinr", "location", 1)
        classes = self._classes(view)
        embedding = self.encoder(view.image)
        seen = self._probabilities(embedding)
        own = seen.gather(1, classes[:, None])[:, 0]
        if self.config.loss == "an-slds":
            total = an_slds(own, seen.gather(1, _another(classes, seen.shape[1])[:, None])[:, 0], self.config.unseen)
        else:
            at_random = self._probabilities(self.encoder.network(anywhere(len(classes), seen.device)))
            if self.config.loss == "an-ssdl":
                total = an_ssdl(own, at_random.gather(1, classes[:, None])[:, 0], self.config.unseen)
            else:
                total = an_full(seen, at_random, classes, self.config.positive_weight, self.config.unseen)
        return Loss(total, embedding.detach(), {"seen": own.detach().mean()})

    def _probabilities(self, embedding: Float[Tensor, "b d"]) -> Float[Tensor, "b s"]:
        return self.classifier(embedding).float().sigmoid()

    def _classes(self, view: View) -> Int[Tensor, " b"]:
        assert view.uid is not None
        return send(torch.tensor([self.class_of[one] for one in view.uid]), view.image.pixels.device)


def anywhere(count: int, device: torch.device) -> Float64[Tensor, "n 2"]:
    """Places in degrees, equally likely all over the sphere."""
    u, v = torch.rand(count, 2, dtype=torch.float64, device=device).unbind(dim=1)
    return torch.stack([360 * u - 180, 90 - torch.rad2deg(torch.acos(2 * v - 1))], dim=1)


def _another(classes: Int[Tensor, " b"], number: int) -> Int[Tensor, " b"]:
    """Of each class a random other one."""
    drawn = torch.randint(number - 1, classes.shape, device=classes.device)
    return drawn + (drawn >= classes)
