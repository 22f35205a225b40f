"""The section of a recipe that describes training."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from swath.settings import Settings


class Optimizer(Settings):
    """The optimiser: SGD, AdamW or LARS, with its rates and weight decay."""

    name: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: float = Field(default=0.03, gt=0)
    """Base learning rate."""
    scale_lr: bool = True
    """Multiply lr by (samples per optimiser step) / 256."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of sgd and lars."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of adamw's running averages."""
    weight_decay: float = Field(default=1e-4, ge=0)
    decay_all: bool = False
    """Weight decay on all parameters, as in the codes of MoCo, SeCo, GASSL and CaCo; false: not on biases and
    normalisation (1-D tensors)."""

    @model_validator(mode="after")
    def _lars_leaves_vectors_alone(self) -> "Optimizer":
        if self.decay_all and self.name == "lars":
            raise ValueError("decay_all is for sgd and adamw: LARS leaves biases and normalisation alone")
        return self


class Cosine(Settings):
    """Linear warm-up, then half a cosine down to `lr_min`."""

    name: Literal["cosine"] = "cosine"
    warmup_epochs: float = Field(default=0.0, ge=0)
    lr_min: float = Field(default=0.0, ge=0)
    """Learning rate at the end, which is not scaled by the batch."""


class WarmRestarts(Settings):
    """Cosine annealing from `lr` to `lr_min`, again and again, each cycle longer (SGDR; RS-BYOL)."""

    name: Literal["warm-restarts"] = "warm-restarts"
    first_epochs: float = Field(default=10.0, gt=0)
    """Length of the first cycle (T0)."""
    multiplier: float = Field(default=2.0, ge=1)
    """Each cycle is this much longer than the one before."""
    lr_min: float = Field(default=0.0, ge=0)
    """Learning rate at the end of a cycle, not scaled by the batch."""


class Steps(Settings):
    """Linear warm-up, then constant, multiplied by `factor` at each milestone."""

    name: Literal["steps"] = "steps"
    milestones: tuple[float, ...] = (120.0, 160.0)
    """Epochs at which the learning rate is multiplied by `factor`."""
    factor: float = Field(default=0.1, gt=0, le=1)
    warmup_epochs: float = Field(default=0.0, ge=0)


class Constant(Settings):
    """Linear warm-up, then constant."""

    name: Literal["constant"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0)


Schedule = Annotated[Cosine | WarmRestarts | Steps | Constant, Field(discriminator="name")]


class Collapse(Settings):
    """When a run counts as collapsed: a gauge is below its floor in several measurements in a row."""

    feature_std: float = Field(default=0.05, ge=0)
    """Floor of the feature std x sqrt(d): 1 where features fill the sphere, 0 where all are the same."""
    feature_std_ratio: float = Field(default=0.3, ge=0, le=1)
    """Floor as a share of the first step's value: networks with BatchNorm never come down to 0."""
    effective_rank: float = Field(default=1.5, ge=0)
    """Floor of the effective rank of a batch of features."""
    patience: int = Field(default=3, ge=1)
    """Number of measurements in a row."""


class TrainConfig(Settings):
    """How an encoder is trained, whatever the method."""

    epochs: int = Field(default=100, ge=1)
    samples: int | None = Field(default=None, ge=1)
    """Number of locations seen in all, instead of `epochs`: the same for batches of any size, up to less than a
    step."""
    batch_size: int = Field(default=64, ge=2)
    """Locations in one forward pass, over all devices."""
    accumulate: int = Field(default=1, ge=1)
    """Forward passes per optimiser step."""
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Cosine()
    precision: Literal["bf16", "32"] = "bf16"
    compile: bool = False
    """Compile the network by torch.compile: faster on a GPU after minutes of compiling, with different rounding."""
    gradient_clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; null: no clipping."""
    min_valid: float = Field(default=0.0, ge=0, le=1)
    """Chips with a smaller share of valid pixels are not drawn."""
    log_every: int = Field(default=10, ge=1)
    """Optimiser steps between rows of log.csv."""
    gauge_every: int = Field(default=50, ge=1)
    """Optimiser steps between collapse gauges."""
    knn_every: int = Field(default=200, ge=1)
    """Optimiser steps between k-NN accuracies, where labels were given."""
    checkpoint_every: int = Field(default=200, ge=1)
    """Optimiser steps between checkpoints."""
    collapse: Collapse | None = Collapse()
    """When to stop a collapsed run; null: never."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # settings that say nothing of it have the digest that they had before it was there
        return {key: value for key, value in handler(self).items() if key != "samples" or value is not None}

    @property
    def samples_per_step(self) -> int:
        """Locations that one optimiser step sees, over all devices."""
        return self.batch_size * self.accumulate
