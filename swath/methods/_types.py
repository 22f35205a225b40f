"""What a method is, and the pieces that several methods are made of."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from swath.batch import Batch, Image, View
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods._targets import Target
from swath.settings import PluginSettings

DrawViews = Callable[[Batch, torch.Generator], list[View]]
"""A function that draws the views of a batch; all randomness comes from the generator."""

GAUGED = 512
"""Number of positions, about, that the collapse gauges look at. Averages over positions would not do: those of
different locations may well be alike without any collapse."""


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """The result of a method's loss."""

    total: Float[Tensor, ""]
    """The number to minimise, in float32; the mean over this process's samples."""
    features: Float[Tensor, "n d"]
    """The encoder's output for the first view, detached, for the collapse gauges: one vector a sample, or one a
    position for methods that compare positions."""
    terms: dict[str, Tensor] = field(default_factory=dict)
    """Other numbers worth logging, by name; detached scalars."""
    seen: Bool[Tensor, " n"] | None = None
    """True for features that mean something; None: all do."""

    def gauged(self) -> Float[Tensor, "m d"]:
        """The features that gauges look at: about `GAUGED` where they are of positions. Waits for the device."""
        if self.seen is None:
            return self.features
        features = self.features[self.seen]
        return features[:: max(1, len(features) // GAUGED)].float()


@runtime_checkable
class Gather(Protocol):
    """Joins a tensor of all processes; methods communicate with other processes only through this."""

    @property
    def rank(self) -> int:
        """Position of this process."""
        ...

    def __call__(self, tensor: Float[Tensor, "b *n"]) -> Float[Tensor, "B *n"]:
        """The tensors of all processes, one after the other in order of rank; gradients flow back to their owners."""
        ...


class OneProcess:
    """The `Gather` of a training in a single process, which joins nothing."""

    rank = 0

    def __call__(self, tensor: Float[Tensor, "b *n"]) -> Float[Tensor, "b *n"]:
        """The tensor itself."""
        return tensor


ONE_PROCESS = OneProcess()


class TaughtSettings(PluginSettings):
    """Base of the `Config` of methods that may learn from a saved encoder of swath's."""

    @property
    def taught_by(self) -> Path | None:
        """Where that encoder is; None: there is none. What it saw, whoever learns from it has seen."""
        return None


@runtime_checkable
class MethodPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its settings in a recipe."""
    Method: "Callable[[Any, Encoder, DrawViews], Method]"
    """The method's class, made from its settings, the encoder to train, and what draws its views."""


class Method(nn.Module, ABC):
    """Base of all methods; `encoder` is the network that is trained."""

    multi_crop: ClassVar[bool] = False
    """Whether it takes any number of views from two on, of any sizes and local crops among them; otherwise it
    takes exactly two."""
    kept: ClassVar[str] = "encoder"
    """Path of the module that is kept after training: the trained network, or a teacher's."""

    def __init__(self, encoder: Encoder, policy: DrawViews):
        super().__init__()
        self.encoder = encoder
        self.policy = policy

    @property
    def result(self) -> Encoder:
        """The network that is kept after training."""
        return cast(Encoder, self.get_submodule(self.kept))

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Draw the views on the batch's device; the generator lives on the host.

        Raises:
            RecipeError: the batch is one location, and the statistics of batches are a part of the method.
        """
        # where processes share their statistics, BatchNorm is another class, and one location each is enough
        if len(batch) < 2 and any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in self.modules()):
            raise RecipeError(
                "one location is no batch: BatchNorm would know its statistics from that location alone",
                where=batch.uid[0],
                remedy="give two or more",
            )
        uid = tuple(batch.uid)
        return [replace(view, lonlat=batch.lonlat, uid=uid) for view in self.policy(batch, generator)]

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """Raise what the first step would raise whatever the locations are, before anything is trained.

        Args:
            draw: gives this method's views of a few locations, which takes a moment.

        Raises:
            SwathError: views of this size leave the method nothing to do, or are not what the encoder can take.
        """

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:
        """Look at which locations are trained on, once, before the first step or its continuation.

        Args:
            uid: their ids.
            lonlat: their centres in degrees; NaN where unknown.
        """

    def expect(self, targets: Sequence[Target]) -> None:
        """Hear what views will carry to be predicted, once, before `prepare`; parameters may be made for it.

        Args:
            targets: in the order of the policy's `inputs.targets`.

        Raises:
            RecipeError: there are any, and the method predicts none.
        """
        if targets:
            raise RecipeError(
                f"the views carry targets ({', '.join(one.name for one in targets)}), and the method predicts none",
                where="views",
                remedy="choose the method mp-mae, or list no targets",
            )

    label: str | None = None
    """The scalar column of a corpus that it learns from; None: it learns without labels."""

    def take_labels(self, uid: Sequence[str], values: Sequence[Any]) -> None:
        """Look at the labels of the locations that are trained on, right after `prepare`, if it names a column.

        Args:
            uid: their ids.
            values: what the column `label` says of each; none is missing.
        """

    @abstractmethod
    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """The objective of these views. The mean over processes of `total` is the objective of their joined batch."""

    def at_peak_rate(self) -> list[nn.Parameter]:
        """Parameters whose learning rate does not decay with that of the others."""
        return []

    def after_step(self, progress: float) -> None:
        """Follow an optimiser step.

        Args:
            progress: share of the training done, in (0, 1].
        """


def require_number(views: list[View], method: str, policy: str, number: int) -> list[View]:
    """The views of a method that takes more than two; RecipeError if the view policy draws another number."""
    if len(views) != number:
        raise RecipeError(
            f"{method} compares {number} views, the view policy draws {len(views)}",
            remedy=f"choose the policy {policy}",
        )
    return views


def pair(views: list[View], method: str) -> tuple[View, View]:
    """The two views of a method that takes two; RecipeError if the policy draws another number."""
    if len(views) != 2:
        raise RecipeError(
            f"{method} compares two views, the view policy draws {len(views)}",
            remedy="choose a policy that draws two views, such as two-crops",
        )
    return views[0], views[1]


def relu() -> nn.Module:
    """The activation of nearly all heads."""
    return nn.ReLU(inplace=True)


def joined(tensor: Float[Tensor, "b *n"], gather: Gather, method: str) -> Float[Tensor, "B *n"]:
    """The rows of all processes in float32, for losses that are of the batch as a whole.

    Raises:
        RecipeError: there is only one.
    """
    rows = gather(tensor.float())
    if len(rows) < 2:
        raise RecipeError(
            f"{method} compares the samples of a batch, and this batch has one", remedy="set a larger batch_size"
        )
    return rows


def mlp(
    sizes: Sequence[int],
    *,
    norm: bool = True,
    last_norm: bool | Literal["plain"] = False,
    bias: bool = True,
    last_bias: bool = False,
    activation: Callable[[], nn.Module] = relu,
) -> nn.Sequential:
    """A head: Linear (- BatchNorm) - ReLU for every layer but the last, which is Linear (- BatchNorm).

    Args:
        sizes: widths from input to output; n widths make n - 1 layers.
        norm: BatchNorm after all layers but the last.
        last_norm: BatchNorm after the last layer; "plain": one that learns neither scale nor shift.
        bias: whether all linear layers but the last have one.
        last_bias: whether the last linear layer has one.
        activation: makes what follows all layers but the last.
    """
    layers: list[nn.Module] = []
    for i, (wide, out) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        layers.append(nn.Linear(wide, out, bias=last_bias if last else bias))
        if last_norm if last else norm:
            layers.append(nn.BatchNorm1d(out, affine=not (last and last_norm == "plain")))
        if not last:
            layers.append(activation())
    return nn.Sequential(*layers)


class Teacher(nn.Module):
    """A copy of modules that follows them as an exponential moving average, without gradients.

    Only parameters are averaged. BatchNorm statistics are the teacher's own: it stays in training mode, and its
    running statistics come from its own forward passes (as in the official BYOL code). What the student leaves out at
    random, the teacher does not: it has no dropout and no stochastic depth (as in the official DINO code).
    """

    def __init__(self, encoder: Encoder, *heads: nn.Module):
        super().__init__()
        # deepcopy gives every tensor its own storage; sharing it is the bug that a test guards against
        self.encoder = cast(Encoder, copy.deepcopy(encoder)).requires_grad_(requires_grad=False)
        self.head = nn.Sequential(*(copy.deepcopy(head) for head in heads)).requires_grad_(requires_grad=False)
        leave_nothing_out(self)

    def forward(self, view: View) -> Float[Tensor, "b d"]:
        """The target of a view."""
        return self.of(view.image)

    @torch.no_grad()
    def of(self, image: Image) -> Float[Tensor, "b d"]:
        """The target of an image."""
        return self.head(self.encoder(image))

    @torch.no_grad()
    def follow(self, momentum: float, encoder: Encoder, *heads: nn.Module) -> None:
        """teacher <- momentum * teacher + (1 - momentum) * student, all parameters in one fused operation."""
        student: list[Tensor] = [*encoder.parameters(), *(p for head in heads for p in head.parameters())]
        teacher: list[Tensor] = list(self.parameters())
        torch._foreach_lerp_(teacher, student, 1.0 - momentum)  # pyright: ignore


def leave_nothing_out(module: nn.Module) -> None:
    """Set the probability of all dropout and of stochastic depth to 0, in training mode as well."""
    from timm.layers.drop import DropPath

    for part in module.modules():
        if isinstance(part, DropPath):
            part.drop_prob = 0.0
        elif isinstance(part, _DropoutNd):
            part.p = 0.0


def cosine_momentum(start: float, progress: float) -> float:
    """Momentum that rises from `start` to 1 along half a cosine: 1 - (1 - start)(1 + cos(pi progress)) / 2 (BYOL)."""
    return 1.0 - (1.0 - start) * 0.5 * (1.0 + math.cos(math.pi * progress))
