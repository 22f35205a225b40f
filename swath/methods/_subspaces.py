"""What SeCo and CaCo share: one encoder, three heads, three queues (`moco2_module.py` of both official codes)."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor, nn

from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._queue import KeyQueue, Length
from swath.methods._types import DrawViews, Teacher, mlp

SUBSPACES = 3
"""The subspaces: 0 is invariant to season and augmentation, 1 varies with the season, 2 with the augmentation."""
LONGEST = 16_384
"""Number of keys in each published queue."""


class Subspaces(_types.Method):
    """A query and three keys per sample: key s is the positive of subspace s."""

    def __init__(self, encoder: Encoder, policy: DrawViews, *, out: int, queue: Length, momentum: float):
        super().__init__(encoder, policy)
        self.momentum = momentum
        width = encoder.dim
        self.heads = nn.ModuleList(mlp([width, width, out], norm=False, last_bias=True) for _ in range(SUBSPACES))
        self.teacher = Teacher(encoder, *self.heads)
        self.queue = KeyQueue(queue, LONGEST, out, subspaces=SUBSPACES)

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:  # noqa: ARG002 - ids are enough
        """Fit the queues to the number of locations."""
        self.queue.fit_to(len(uid))

    @torch.no_grad()
    def keys(self, features: Float[Tensor, "b d"], subspace: int) -> Float[Tensor, "b k"]:
        """Unit projections of features by the key encoder's head."""
        return F.normalize(self.teacher.head[subspace](features).float(), dim=1)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002 - the momentum is constant
        """Move the key encoder; put the step's positives in place of the oldest."""
        self.teacher.follow(self.momentum, self.encoder, *self.heads)
        self.queue.replace_oldest()
