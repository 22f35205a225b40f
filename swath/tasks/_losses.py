"""Losses of supervised training, which leave out void pixels."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from swath.corpus.labels import VOID

LossName = Literal["cross-entropy", "focal", "dice"]
Loss = Callable[[Tensor, Tensor], Tensor]
"""A function of logits and classes that returns a number."""
GAMMA = 2.0
"""Exponent of the focal loss: the larger, the less a pixel counts of which the network is sure (Lin et al. 2017)."""


def classification_loss(
    logits: Float[Tensor, "b k *hw"],
    y: Int[Tensor, "b *_"],
    reduction: Literal["mean", "sum"] = "mean",
    weight: Float[Tensor, " k"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy over classes; over yes and no for each class where `y` says that of each.

    Args:
        logits: of units or pixels.
        y: their classes.
        reduction: with weights, the mean is the weighted one.
        weight: of each class; where units have several, None.
    """
    if y.shape == logits.shape:
        return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction=reduction)
    return F.cross_entropy(logits, y, weight, ignore_index=VOID, reduction=reduction)


def label_loss(
    outputs: Float[Tensor, "b k *hw"],
    y: Int[Tensor, "b *_"] | Float[Tensor, " b"],
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Tensor, ""]:
    """The loss that belongs to the kind of labels: squared error of numbers, else `classification_loss`."""
    if y.is_floating_point():
        return F.mse_loss(outputs[:, 0], y.to(outputs.dtype), reduction=reduction)
    return classification_loss(outputs, y, reduction)


def focal_loss(
    logits: Float[Tensor, "b k *hw"], y: Int[Tensor, "b *hw"], weight: Float[Tensor, " k"] | None = None
) -> Float[Tensor, ""]:
    """Cross-entropy times (1 - p)^2, p being the probability of the true class; a mean like that of cross-entropy."""
    there = y != VOID
    entropy = F.cross_entropy(logits, y, ignore_index=VOID, reduction="none")[there]
    each = torch.ones_like(entropy) if weight is None else weight[y[there]]
    return (each * (1 - torch.exp(-entropy)) ** GAMMA * entropy).sum() / each.sum()


def dice_loss(logits: Float[Tensor, "b k *hw"], y: Int[Tensor, "b *hw"]) -> Float[Tensor, ""]:
    """One minus the soft Dice coefficient, the mean over the classes that occur in the batch (Milletari et al. 2016).

    Of a class it is 2 sum(p t) / (sum(p) + sum(t)), over all labelled pixels of the batch, of probabilities p and 0 or
    1 t. Every class weighs the same, however rare.
    """
    there = (y != VOID).flatten()
    p = logits.softmax(dim=1).movedim(1, -1).flatten(0, -2)[there]
    t = F.one_hot(y.flatten()[there], p.shape[1]).to(p.dtype)
    dice = 2 * (p * t).sum(dim=0) / (p.sum(dim=0) + t.sum(dim=0))
    return 1 - dice[t.sum(dim=0) > 0].mean()


def balanced(counts: Int[np.ndarray, " k"]) -> Float[Tensor, " k"]:
    """Weights n / (classes that occur x labels of this class), by which all classes count alike.

    scikit-learn's `balanced`. A class without a label, of which nothing can be learnt, has 0.
    """
    occurs = counts > 0
    weight = np.divide(counts.sum(), occurs.sum() * counts, out=np.zeros(len(counts)), where=occurs)
    return torch.from_numpy(weight).float()


def chosen(name: LossName, weight: Float[Tensor, " k"] | None) -> Loss:
    """The loss of that name with these weights of classes; Dice takes none."""
    if name == "dice":
        return dice_loss
    if name == "focal":
        return lambda logits, y: focal_loss(logits, y, weight)
    return lambda logits, y: classification_loss(logits, y, weight=weight)


def probabilities(logits: Float[Tensor, "b k *hw"], *, multi_label: bool) -> Float[Tensor, "b k *hw"]:
    """The probability of each class; where units have several, of each by itself."""
    return logits.sigmoid() if multi_label else logits.softmax(dim=1)
