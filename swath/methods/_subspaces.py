"""What SeCo and CaCo share: one encoder, three heads, three queues (`moco2_module.py` of both official codes)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._types import DrawViews, Gather, Teacher, mlp
from swath.methods.moco_v2 import fitting

SUBSPACES = 3
"""0: what season and augmentation leave as it is; 1: what the season does; 2: what the augmentation does."""


class Subspaces(_types.Method):
    """A query and three keys per sample: key s is the positive of subspace s."""

    queues: Tensor
    cursor: Tensor

    def __init__(self, encoder: Encoder, policy: DrawViews, *, out: int, queue: int, momentum: float, name: str):
        super().__init__(encoder, policy)
        self.momentum, self.name = momentum, name
        width = encoder.dim
        self.heads = nn.ModuleList(mlp([width, width, out], norm=False, last_bias=True) for _ in range(SUBSPACES))
        self.teacher = Teacher(encoder, *self.heads)
        self.register_buffer("queues", F.normalize(torch.randn(SUBSPACES, queue, out), dim=2))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))
        self._fresh: list[Tensor] = []

    @torch.no_grad()
    def keys(self, features: Float[Tensor, "b d"], subspace: int) -> Float[Tensor, "b k"]:
        """Unit projections of features by the key encoder's head."""
        return F.normalize(self.teacher.head[subspace](features).float(), dim=1)

    def remember(self, positives: list[Tensor], gather: Gather) -> None:
        """Keep the step's positives of all processes, one set per subspace, for the queues."""
        size = self.queues.shape[1]
        self._fresh.append(torch.stack([fitting(gather(keys), size, self.name) for keys in positives]))

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002 - the momentum is constant
        """Move the key encoder; put the step's positives in place of the oldest."""
        self.teacher.follow(self.momentum, self.encoder, *self.heads)
        for keys in self._fresh:
            rows = torch.arange(keys.shape[1], device=keys.device) + self.cursor
            self.queues[:, rows] = keys
            self.cursor.copy_((self.cursor + keys.shape[1]) % self.queues.shape[1])
        self._fresh.clear()
