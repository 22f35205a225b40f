"""The objectives' formulas: pure functions of tensors, computed in float32 whatever the forward pass used."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run with autocast off and bfloat16 or float16 arguments widened: 8 bits of logit are not enough at T = 0.07."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        wide = [a.float() if isinstance(a, Tensor) and a.dtype in (torch.bfloat16, torch.float16) else a for a in args]
        device = next(a.device.type for a in args if isinstance(a, Tensor))
        with torch.autocast(device, enabled=False):
            return function(*wide, **kwargs)  # type: ignore[arg-type]

    return wrapped


@full_precision
def byol_loss(prediction: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean over the batch of 2 - 2 cos(prediction, target): one order of BYOL's loss (eq. 2); the target is constant.

    Source: Grill et al. 2020, "Bootstrap your own latent", eq. 2. Range [0, 4].
    """
    return 2.0 - 2.0 * mean_cosine(prediction, target)


@full_precision
def mean_cosine(prediction: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean over the batch of the cosine of prediction and target; the target is constant."""
    return (F.normalize(prediction, dim=1) * F.normalize(target.detach(), dim=1)).sum(dim=1).mean()


@full_precision
def nt_xent(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    all_a: Float[Tensor, "B d"],
    all_b: Float[Tensor, "B d"],
    offset: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy of 2b anchors against the other 2B - 1 views.

    Source: Chen et al. 2020, "A simple framework for contrastive learning", eq. 1, averaged over all anchors.

    Args:
        a: projections of the first views of this process; of any length, normalised here.
        b: projections of the second views, in the same order.
        all_a: first views of all processes (`a` itself when alone).
        all_b: second views of all processes.
        offset: row of `all_a` where `a` begins.
        temperature: divides the cosines; > 0.
    """
    a, b, all_a, all_b = (F.normalize(z, dim=1) for z in (a, b, all_a, all_b))
    own = torch.arange(len(a), device=a.device) + offset
    return 0.5 * (_anchors(a, all_b, all_a, own, temperature) + _anchors(b, all_a, all_b, own, temperature))


@full_precision
def clip(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    all_a: Float[Tensor, "B d"],
    all_b: Float[Tensor, "B d"],
    offset: int,
    log_scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Symmetric cross-entropy of pairs: each a against all b, and each b against all a.

    Source: Radford et al. 2021, "Learning transferable visual models from natural language supervision", figure 3.

    Args:
        a: embeddings of one kind of this process; of any length, normalised here.
        b: those of the other kind, in the same order.
        all_a: of all processes (`a` itself when alone).
        all_b: likewise.
        offset: row of `all_a` where `a` begins.
        log_scale: logarithm of what cosines are multiplied by.
    """
    a, b, all_a, all_b = (F.normalize(z, dim=1) for z in (a, b, all_a, all_b))
    own = torch.arange(len(a), device=a.device) + offset
    scale = log_scale.exp()
    return 0.5 * (F.cross_entropy(scale * a @ all_b.T, own) + F.cross_entropy(scale * b @ all_a.T, own))


def _anchors(anchor: Tensor, other: Tensor, same: Tensor, own: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of anchors. The positive of each is row `own` of the other views; row `own` of the same
    views is itself.
    """
    itself = F.one_hot(own, len(same)).bool()
    logits = torch.cat([anchor @ other.T, (anchor @ same.T).masked_fill(itself, -torch.inf)], dim=1)
    return F.cross_entropy(logits / temperature, own)


@full_precision
def info_nce_queue(
    query: Float[Tensor, "b d"],
    key: Float[Tensor, "b d"],
    negatives: Float[Tensor, "k d"],
    temperature: float,
    excluded: Bool[Tensor, "b e"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy of each query's own key against all keys of a queue.

    Source: He et al. 2020, "Momentum contrast", eq. 1, averaged over the batch.

    Args:
        query: of any length, normalised here; gradients flow only through it.
        key: the positives, in the same order; normalised here.
        negatives: of unit length already.
        temperature: divides the cosines; > 0.
        excluded: which of the first e negatives do not count for a query; all count if not given.
    """
    query, key = F.normalize(query, dim=1), F.normalize(key.detach(), dim=1)
    positive = (query * key).sum(dim=1, keepdim=True)
    against = query @ negatives.detach().T
    if excluded is not None:
        against = against.masked_fill(F.pad(excluded, (0, len(negatives) - excluded.shape[1])), -torch.inf)
    logits = torch.cat([positive, against], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


@full_precision
def squares_beside_diagonal(a: Float[Tensor, "b d"], b: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Sum of the squares of all elements of a.T @ b that are not on its diagonal.

    Where the batch is smaller than the dimension, a "d d" matrix is never made: |A'B|^2 = sum of (AA' * BB').
    """
    all_squares = ((a @ a.T) * (b @ b.T)).sum() if len(a) < a.shape[1] else (a.T @ b).square().sum()
    return all_squares - (a * b).sum(dim=0).square().sum()
