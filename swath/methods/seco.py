"""SeCo: seasons are contrasted in one subspace, augmentations in another, and both are ignored in a third.

Mañas et al. 2021, "Seasonal Contrast", https://arxiv.org/abs/2103.16607; settings and negatives as in its code.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.batch import Image, View
from swath.encoders import Encoder
from swath.methods._losses import info_nce_queue
from swath.methods._queue import Length, owner_of
from swath.methods._sub_batches import GhostBatch, in_sub_batches, number_of
from swath.methods._subspaces import SUBSPACES, Subspaces
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, require_number
from swath.settings import PluginSettings


class Config(PluginSettings):
    """SeCo (Mañas et al. 2021): contrast in three subspaces, for seasons, augmentations, and what is invariant
    to both.
    """

    name: Literal["seco"] = "seco"
    out: int = Field(default=128, ge=1)
    """Length of the projections."""
    queue: Length = "auto"
    """Number of keys kept for each subspace; auto: 16,384, or as many as there are training locations if they
    are fewer."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Share of the key encoder that each step keeps."""
    temperature: float = Field(default=0.07, gt=0)
    ghost_batch: GhostBatch = 32
    """Keys go through BatchNorm in sub-batches of at most so many images, as on the official codes' devices; null: all
    at once."""


class Method(Subspaces):
    """SeCo. The views are the policy three-dates': query t0, then keys aug(t1), t2, aug(t0)."""

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy, out=config.out, queue=config.queue, momentum=config.momentum)
        self.config = config

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """The sum of the subspaces' InfoNCE.

        Negatives are the queue, without keys of a query's own location, and but for the first subspace the other two
        keys of all samples of the batch.
        """
        query, *keys = require_number(views, "seco", "three-dates", 4)
        features, owner = self.encoder(query.image), owner_of(query)
        number = number_of(len(gather(owner)), self.config.ghost_batch, self.teacher.encoder)
        with torch.no_grad():
            seen = [in_sub_batches(self._of_teacher, [view.image], number) for view in keys]
        own = self.queue.is_of(owner)
        total, positives = features.new_zeros((), dtype=torch.float32), []
        for s in range(SUBSPACES):
            others = [] if s == 0 else [gather(self.keys(z, s)) for i, z in enumerate(seen) if i != s]
            positives.append(self.keys(seen[s], s))
            negatives = torch.cat([self.queue.keys[s], *others])
            projected = self.heads[s](features)
            total = total + info_nce_queue(projected, positives[s], negatives, self.config.temperature, own)
        self.queue.remember(positives, owner, gather)
        return Loss(total=total, features=features.detach())

    def _of_teacher(self, images: Sequence[Image]) -> Float[Tensor, "b d"]:
        return self.teacher.encoder(images[0])
