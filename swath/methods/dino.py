"""DINO: every crop says of a larger one which of many prototypes a slow teacher would choose for it.

Caron et al. 2021, https://arxiv.org/abs/2104.14294; head and defaults of the official code (`main_dino.py`).
Published on ImageNet, batch 1024: AdamW, lr 5e-4 (x batch / 256), 10 epochs of warm-up, weight decay rising from 0.04
to 0.4, gradients clipped at 3 for each parameter; ResNet-50 with SGD, lr 0.03, weight decay 1e-4. The views are the
policy multi-crop's, whose defaults are DINO's (`views.presets.dino`, its form for Earth observation); SSL4EO-S12's
ResNet-50 used scales of (0.14, 1) and (0.05, 0.14). What is kept is the teacher, which the paper evaluates.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _types
from swath.methods._crops import global_first, together
from swath.methods._losses import full_precision
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, Teacher, cosine_momentum, mlp
from swath.settings import PluginSettings


class Config(PluginSettings):
    """DINO (Caron et al. 2021): crops predict a teacher's choice of prototypes. What its code gives in epochs
    is a share of the training here.
    """

    name: Literal["dino"] = "dino"
    prototypes: int = Field(default=65_536, ge=2)
    """Length of the head's output (code: `--out_dim`)."""
    hidden: int = Field(default=2048, ge=1)
    """Width of the head's two hidden layers (code: `DINOHead`)."""
    bottleneck: int = Field(default=256, ge=1)
    """Length of what is compared with the prototypes (code: `DINOHead`)."""
    momentum: float = Field(default=0.996, ge=0, lt=1)
    """Share of the teacher that each step keeps, at the start; it rises to 1 (code: `--momentum_teacher`)."""
    student_temperature: float = Field(default=0.1, gt=0)
    teacher_temperature: float = Field(default=0.04, gt=0)
    """The teacher's temperature after its warm-up (code: `--teacher_temp`; 0.07 for 300 epochs)."""
    first_teacher_temperature: float = Field(default=0.04, gt=0)
    """The teacher's temperature at the start (code: `--warmup_teacher_temp`)."""
    temperature_warmup: float = Field(default=0.0, ge=0, le=1)
    """Share of the training in which the teacher's temperature rises (code: none; 30 of 300 epochs)."""
    centre_momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the centre that every step keeps (code: `center_momentum`)."""
    frozen: float = Field(default=0.01, ge=0, le=1)
    """Share of the training during which the prototypes are frozen (code: `--freeze_last_layer`, one epoch of 100)."""


class Head(nn.Module):
    """Three layers with GELU, then cosines with the prototypes."""

    thawed: Tensor

    def __init__(self, dim: int, config: Config):
        super().__init__()
        sizes = [dim, config.hidden, config.hidden, config.bottleneck]
        self.layers = mlp(sizes, norm=False, last_bias=True, activation=nn.GELU)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        # normalised where it is used, which is weight normalisation with a gain of 1
        self.prototypes = nn.Parameter(nn.Linear(config.bottleneck, config.prototypes, bias=False).weight.detach())
        self.register_buffer("thawed", torch.tensor(float(config.frozen == 0)))

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Cosine with each prototype."""
        still = self.prototypes.detach()
        prototypes = still + self.thawed * (self.prototypes - still)  # no gradient, as a number, until it has thawed
        return F.linear(F.normalize(self.layers(features), dim=1), F.normalize(prototypes, dim=1))


class Method(_types.Method):
    """DINO. Global views go through the network in one batch and local ones of a size in another, as in the code: views
    that share a batch share BatchNorm's statistics, those of student and teacher differ. The teacher sees global views
    only and follows encoder and head; its BatchNorm statistics are its own. The centre is the moving average of the
    teacher's output over all processes, for which `prototypes` numbers are gathered.
    """

    multi_crop = True
    kept = "teacher.encoder"
    centre: Tensor
    temperature: Tensor

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy)
        self.config = config
        self.head = Head(encoder.dim, config)
        self.teacher = Teacher(encoder, self.head)
        self.register_buffer("centre", torch.zeros(config.prototypes))
        self.register_buffer("temperature", torch.tensor(self._temperature(0.0)))

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Cross-entropy of teacher and student over all pairs of a global view and another view (eq. 3)."""
        ordered, number_global = global_first(views, "dino")
        with torch.no_grad():
            target = together(self.teacher.of, ordered[:number_global])
        features = together(self.encoder, ordered)
        student = self.head(features.flatten(0, 1)).unflatten(0, features.shape[:2])
        total = cross_entropy(student, target, self.centre, self.config.student_temperature, self.temperature)
        with torch.no_grad():
            mean = gather(target.float().mean(dim=(0, 1))[None]).mean(dim=0)
            self.centre.lerp_(mean, 1.0 - self.config.centre_momentum)
        return Loss(total=total, features=features[0].detach())

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the student; thaw the prototypes and warm the teacher's temperature when due."""
        self.teacher.follow(cosine_momentum(self.config.momentum, progress), self.encoder, self.head)
        self.temperature.fill_(self._temperature(progress))
        self.head.thawed.fill_(float(progress >= self.config.frozen))

    def _temperature(self, progress: float) -> float:
        c = self.config
        share = min(1.0, progress / c.temperature_warmup) if c.temperature_warmup else 1.0
        return c.first_teacher_temperature + share * (c.teacher_temperature - c.first_teacher_temperature)


@full_precision
def cross_entropy(
    student: Float[Tensor, "v b k"],
    teacher: Float[Tensor, "g b k"],
    centre: Float[Tensor, " k"],
    student_temperature: float,
    teacher_temperature: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Mean over the batch and over all pairs of a teacher's view and another view of the student, of which the first g
    are the same, of the cross-entropy of softmax((teacher - centre) / T_t) and softmax(student / T_s) (eq. 1 and 3)."""
    chosen = ((teacher.detach() - centre) / teacher_temperature).softmax(dim=2)
    said = (student / student_temperature).log_softmax(dim=2)
    teacher_views, student_views, batch = len(teacher), len(student), student.shape[1]
    return -(chosen * (said.sum(dim=0) - said[:teacher_views])).sum() / (teacher_views * (student_views - 1) * batch)
