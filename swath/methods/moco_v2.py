"""MoCo v2: a query finds its key, made by a slowly moving encoder, among a long queue of older keys.

He et al. 2020, https://arxiv.org/abs/1911.05722, and Chen et al. 2020, https://arxiv.org/abs/2003.04297.
SSL4EO-L used `temperature=0.07`.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.batch import View
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._losses import info_nce_queue
from swath.methods._types import ALONE, DrawViews, Gather, Loss, Teacher, mlp, pair
from swath.settings import Settings


class Config(Settings):
    """Settings of MoCo v2."""

    name: Literal["moco-v2"] = "moco-v2"
    hidden: int | None = Field(default=None, ge=1)
    """Width of the head's hidden layer; null: the encoder's."""
    out: int = Field(default=128, ge=1)
    """Length of the projection."""
    queue: int = Field(default=65536, ge=1)
    """Number of keys kept; a multiple of the batch size."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Of the key encoder."""
    temperature: float = Field(default=0.2, gt=0)


class Method(_types.Method):
    """MoCo v2. The first view is the query, the second the key."""

    queue: Tensor
    cursor: Tensor

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.head = mlp([encoder.dim, config.hidden or encoder.dim, config.out], norm=False, last_bias=True)
        self.teacher = Teacher(encoder, self.head)
        # buffers: a resumed run continues with the very same keys
        self.register_buffer("queue", F.normalize(torch.randn(config.queue, config.out), dim=1))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))
        self._fresh: list[Tensor] = []

    def loss(self, views: list[View], gather: Gather = ALONE) -> Loss:
        """InfoNCE of queries and keys against the queue as it was before this step."""
        return self.contrast(views, gather)[0]

    def contrast(self, views: list[View], gather: Gather) -> tuple[Loss, Float[Tensor, "b d"]]:
        """The loss, and the queries' projections as the head gives them."""
        query, key = pair(views, self.config.name)
        keys = F.normalize(self.teacher(key).float(), dim=1)
        features = self.encoder(query.image)
        projected = self.head(features)
        total = info_nce_queue(projected, keys, self.queue, self.config.temperature)
        self._fresh.append(fitting(gather(keys), self.config.queue, self.config.name))
        return Loss(total=total, features=features.detach()), projected

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002 - the momentum is constant
        """Move the key encoder; put the step's keys of all processes in place of the oldest."""
        self.teacher.follow(self.config.momentum, self.encoder, self.head)
        # not during the loss: the backward pass still needs the queue, and a copy of it is 33 MB a step
        for keys in self._fresh:
            rows = torch.arange(len(keys), device=keys.device) + self.cursor
            self.queue[rows] = keys
            self.cursor.copy_((self.cursor + len(keys)) % self.config.queue)
        self._fresh.clear()


def fitting(keys: Float[Tensor, "B d"], queue: int, method: str) -> Float[Tensor, "B d"]:
    """The keys of a step; RecipeError unless the queue's length is a multiple of their number."""
    if queue % len(keys):
        raise RecipeError(
            f"{method}'s queue of {queue} keys is no multiple of the batch of {len(keys)}",
            remedy=f"set method.queue={max(queue // len(keys), 1) * len(keys)}, or change the batch size",
        )
    return keys
