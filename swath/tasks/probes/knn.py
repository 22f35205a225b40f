"""k-nearest neighbours: without any training, so that whatever it tells apart is the encoder's merit.

Neighbours vote on a class; the estimate of a number is their mean, with the same weights.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from swath.tasks._types import Features, Prediction
from swath.tasks.probes._scale import check_learnable
from swath.tasks.probes._types import LabelKind, ProbeSettings, Validation

_CHUNK = 4096
"""Number of test samples that are compared with the training part at once, to bound memory."""


class Config(ProbeSettings):
    """k-nearest neighbours by cosine, weighted by similarity, as in DINO; torchgeo-bench takes k=5, l2, uniform."""

    name: Literal["knn"] = "knn"
    k: int = Field(default=20, ge=1)
    """Neighbours that vote; all of the training part if it is smaller."""
    distance: Literal["cosine", "l2"] = "cosine"
    weights: Literal["similarity", "uniform"] = "similarity"
    """`similarity`: exp(cosine / temperature), or exp(-distance / temperature) for l2; `uniform`: one vote each."""
    temperature: float = Field(default=0.07, gt=0)

    def label(self) -> str:
        """`knn`, with what differs from the default."""
        changed = self.model_dump(exclude_defaults=True, exclude={"name"})
        return f"knn ({', '.join(f'{key}={value}' for key, value in changed.items())})" if changed else "knn"

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the probe learns: classes and numbers."""
        return ("classes", "numbers")

    def validation(self) -> Validation:
        """What the validation labels are used for: nothing."""
        return "unused"


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:
    """Vote of the k nearest training samples; a tie goes to the class with the lower number.

    Where locations have several classes: those for which more than half of the votes are. Where they have numbers:
    the weighted mean.

    Raises:
        TrainingError: one class or number only, or features that are not finite.
    """
    return fit(config, features, seed)(features.test_x)


def fit(config: Config, features: Features, seed: int) -> "Neighbours":  # noqa: ARG001 — nothing is random here
    """As `fit_predict`, of any features.

    Raises:
        TrainingError: one class or number only, or features that are not finite.
    """
    check_learnable(features)
    train = torch.from_numpy(features.train_x).float()
    return Neighbours(config, train, _said(features), features.regression, features.multi_label)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The training samples, and what each of them says."""

    config: Config
    train: Float[Tensor, "n d"]
    said: Float[Tensor, "n outputs"]
    regression: bool
    multi_label: bool

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Prediction:
        """What the nearest of them say of these features."""
        chunks = torch.from_numpy(x).float().split(_CHUNK)
        means = torch.cat([_means(self.config, chunk, self.train, self.said) for chunk in chunks]).numpy()
        if self.regression:
            return Prediction.of_numbers(means[:, 0])
        return Prediction.of(means, multi_label=self.multi_label)

    def layers(self) -> nn.Module:
        """The same as a layer, from features to the share of votes that each class gets, or to the number."""
        return _Votes(self)


class _Votes(nn.Module):
    """The training samples as a part of a network."""

    samples: Tensor
    said: Tensor

    def __init__(self, neighbours: Neighbours):
        super().__init__()
        self.config = neighbours.config
        self.register_buffer("samples", neighbours.train)
        self.register_buffer("said", neighbours.said)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b outputs"]:
        return _means(self.config, x, self.samples, self.said).float()


def _said(features: Features) -> Float[Tensor, "n outputs"]:
    """What each training sample says: 1 for the classes that it has, else 0; or its number, in double precision."""
    labels = torch.from_numpy(features.train_y)
    if features.regression:
        return labels[:, None].double()
    has = labels if features.multi_label else functional.one_hot(labels.long(), features.classes)
    return has.float()


def _means(
    config: Config, test: Float[Tensor, "m d"], train: Float[Tensor, "n d"], said: Float[Tensor, "n outputs"]
) -> Float[Tensor, "m outputs"]:
    """The weighted mean of what the neighbours say: of classes, the share of the votes that each gets."""
    near, index = similarity(test, train, config.distance).topk(min(config.k, len(train)), dim=1)
    if config.weights == "uniform":
        weights = torch.ones_like(near)
    else:
        # relative to the nearest, so that exp cannot underflow to a vote of nothing
        weights = ((near - near[:, :1]) / config.temperature).exp()
    shares = (weights / weights.sum(dim=1, keepdim=True)).to(said.dtype)
    return torch.einsum("mj,mjc->mc", shares, said[index])


def similarity(
    a: Float[Tensor, "m d"], b: Float[Tensor, "n d"], distance: Literal["cosine", "l2"]
) -> Float[Tensor, "m n"]:
    """Cosine of every pair, or minus the Euclidean distance: more is nearer."""
    if distance == "cosine":
        return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
    return -torch.cdist(a, b)
