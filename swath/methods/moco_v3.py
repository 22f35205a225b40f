"""MoCo v3: each view finds the key that a slow teacher makes of the other, among those of the batch.

Chen et al. 2021, https://arxiv.org/abs/2104.02057; heads and defaults of the official code (`moco/builder.py`).
Published on ImageNet, batch 4096: ResNet-50 with LARS, lr 0.6 for 100 epochs and 0.3 for 300 (x batch / 256), weight
decay 1e-6, `temperature` 1, 10 epochs of warm-up; ViT with AdamW, lr 1.5e-4 (x batch / 256), weight decay 0.1,
`temperature` 0.2, 40 epochs of warm-up, 300 epochs. Augmented as BYOL (`views.presets.byol`, its form for Earth
observation). The code also keeps a ViT's patch embedding as it was initialised, which is not done here.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._losses import full_precision
from swath.methods._sub_batches import has_batch_statistics
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, Teacher, cosine_momentum, joined, mlp, pair
from swath.settings import PluginSettings


class Config(PluginSettings):
    """MoCo v3 (Chen et al. 2021): each view finds the key that a slow teacher makes of the other, within the batch."""

    name: Literal["moco-v3"] = "moco-v3"
    hidden: int = Field(default=4096, ge=1)
    """Width of the heads' hidden layers (code: `--moco-mlp-dim`)."""
    out: int = Field(default=256, ge=1)
    """Length of queries and keys (code: `--moco-dim`)."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Share of the teacher that each step keeps, at the start; it rises to 1 (code: `--moco-m`, `--moco-m-cos`)."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature that cosines are divided by (code: `--moco-t`; 0.2 for ViT)."""
    heads: Literal["auto", "resnet", "vit"] = "auto"
    """`resnet`: a projector of two layers; `vit`: of three, and BatchNorm at the predictor's end. `auto`: `resnet` for
    networks with BatchNorm."""


class Method(_types.Method):
    """MoCo v3. The views go through encoder and teacher one after the other, each with its own batch statistics: in one
    batch, BatchNorm would tell a query of its key. Keys of all processes are gathered, without gradients (2 x batch x
    `out` numbers); queries stay. The teacher follows encoder and projector; its BatchNorm statistics are its own.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        resnet = config.heads == "resnet" or (config.heads == "auto" and has_batch_statistics(encoder))
        hidden = [config.hidden] * (1 if resnet else 2)
        self.projector = mlp([encoder.dim, *hidden, config.out], bias=False, last_norm="plain")
        last_norm = False if resnet else "plain"
        self.predictor = mlp([config.out, config.hidden, config.out], bias=False, last_norm=last_norm)
        self.teacher = Teacher(encoder, self.projector)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """The contrast of each view's queries with the other's keys, summed over both orders (algorithm 1)."""
        first, second = pair(views, "moco-v3")
        keys = [joined(self.teacher(view), gather, "moco-v3") for view in (first, second)]
        features = self.encoder(first.image)
        q1, q2 = (self.predictor(self.projector(x)) for x in (features, self.encoder(second.image)))
        offset, temperature = gather.rank * len(q1), self.config.temperature
        total = contrast(q1, keys[1], offset, temperature) + contrast(q2, keys[0], offset, temperature)
        return Loss(total=total, features=features.detach())

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the student."""
        self.teacher.follow(cosine_momentum(self.config.momentum, progress), self.encoder, self.projector)


@full_precision
def contrast(
    query: Float[Tensor, "b d"], keys: Float[Tensor, "B d"], offset: int, temperature: float
) -> Float[Tensor, ""]:
    """2 T times the cross-entropy of each query's own key, row `offset` + i, among all keys (algorithm 1: `ctr`)."""
    logits = F.normalize(query, dim=1) @ F.normalize(keys.detach(), dim=1).T / temperature
    return 2.0 * temperature * F.cross_entropy(logits, torch.arange(len(query), device=query.device) + offset)
