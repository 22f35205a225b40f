"""MoCo v2: a query finds its key, made by a slowly moving encoder, among a long queue of older keys.

He et al. 2020, https://arxiv.org/abs/1911.05722, and Chen et al. 2020, https://arxiv.org/abs/2003.04297.
SSL4EO-L used `temperature=0.07`. Keys of the query's own location, which a short data set's queue holds from the epoch
before, are no negatives.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._losses import info_nce_queue
from swath.methods._queue import KeyQueue, Length, owner_of
from swath.methods._sub_batches import GhostBatch, in_sub_batches, number_of
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, Teacher, mlp, pair
from swath.settings import PluginSettings

LONGEST = 65_536
"""Number of keys in the published queue."""


class Config(PluginSettings):
    """MoCo v2 (He et al. 2020; Chen et al. 2020): a query finds its key among a queue of older keys."""

    name: Literal["moco-v2"] = "moco-v2"
    hidden: int | None = Field(default=None, ge=1)
    """Width of the head's hidden layer; null: the encoder's."""
    out: int = Field(default=128, ge=1)
    """Length of the projection."""
    queue: Length = "auto"
    """Number of keys kept; auto: 65,536, or as many as there are training locations if they are fewer."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Share of the key encoder that each step keeps."""
    temperature: float = Field(default=0.2, gt=0)
    ghost_batch: GhostBatch = 32
    """Keys go through BatchNorm in sub-batches of at most so many images, as on the official codes' devices; null: all
    at once."""


class Method(_types.Method):
    """MoCo v2. The first view is the query, which goes through the network in one batch, the second the key, made by
    the teacher in sub-batches. Keys of all processes are gathered for the queue, without gradients (batch x `out`
    numbers), and twice which locations they are of (8 bytes each). The teacher follows encoder and head.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.head = mlp([encoder.dim, config.hidden or encoder.dim, config.out], norm=False, last_bias=True)
        self.teacher = Teacher(encoder, self.head)
        self.queue = KeyQueue(config.queue, LONGEST, config.out)

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:  # noqa: ARG002 - ids are enough
        """Fit the queue to the number of locations."""
        self.queue.fit_to(len(uid))

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """InfoNCE of queries and keys against the queue as it was before this step."""
        return self.contrast(views, gather)[0]

    def contrast(self, views: list[View], gather: Gather) -> tuple[Loss, Float[Tensor, "b d"]]:
        """The loss, and the queries' projections as the head gives them."""
        query, key = pair(views, self.config.name)
        owner = owner_of(query)
        number = number_of(len(gather(owner)), self.config.ghost_batch, self.teacher)
        keys = in_sub_batches(lambda images: self.teacher.of(images[0]), [key.image], number)
        keys = F.normalize(keys.float(), dim=1)
        features = self.encoder(query.image)
        projected = self.head(features)
        older, own = self.queue.keys[0], self.queue.is_of(owner)
        total = info_nce_queue(projected, keys, older, self.config.temperature, own)
        self.queue.remember([keys], owner, gather)
        return Loss(total=total, features=features.detach()), projected

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002 - the momentum is constant
        """Move the key encoder; put the step's keys of all processes in place of the oldest."""
        self.teacher.follow(self.config.momentum, self.encoder, self.head)
        self.queue.replace_oldest()
