"""Gauges that tell whether an encoder is learning: a falling loss is no evidence."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from swath.batch import Image
from swath.encoders import Encoder
from swath.training.config import Collapse


def feature_std(features: Float[Tensor, "b d"]) -> float:
    """Mean over dimensions of the std of the L2-normalised features, times sqrt(d).

    1 where features fill the sphere, 0 where all are the same (Chen & He 2021, "SimSiam", figure 2).
    Features behind a ReLU share a direction: a healthy ResNet reads 0.5 to 0.8, before training and after.
    """
    unit = F.normalize(features.float(), dim=1)
    return float(unit.std(dim=0, unbiased=False).mean()) * math.sqrt(features.shape[1])


def effective_rank(features: Float[Tensor, "b d"]) -> float:
    """Exponential of the entropy of the normalised singular values of the centred features (Roy & Vetterli 2007).

    Between 1 and min(b - 1, d): over how many directions the samples are spread. 0 where they do not differ at all.
    """
    unit = F.normalize(features.float(), dim=1)
    values = torch.linalg.svdvals(unit - unit.mean(dim=0))
    if float(values.sum()) <= 1e-6 * math.sqrt(len(unit)):
        return 0.0
    share = values / values.sum()
    return float(torch.exp(torch.special.entr(share).sum()))


def rankme(features: Float[Tensor, "b d"]) -> float:
    """RankMe (Garrido et al. 2023): as the effective rank, of the features as they are, neither scaled nor centred.

    The shares of the singular values get 1e-7 more each, as in the paper. Between 1 and min(b, d); 0 where all features
    are 0.
    """
    values = torch.linalg.svdvals(features.float())
    if not float(values.sum()):
        return 0.0
    return float(torch.exp(torch.special.entr(values / values.sum() + 1e-7).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSet:
    """A few labelled chips for the k-NN gauge, which nothing is trained on."""

    image: Image
    """The chips, in the bands that the encoder takes."""
    classes: Int[Tensor, "n"]
    """Class of each chip, from 0."""
    groups: Int[Tensor, "n"] | None = None
    """Chips of one group (scene, cluster of neighbours) do not vote on each other; None: each is its own."""


def knn_accuracy(encoder: Encoder, labelled: LabelledSet, k: int = 20, temperature: float = 0.07) -> float:
    """Leave-one-out accuracy in [0, 1] of a weighted k-NN in cosine similarity (Wu et al. 2018: exp(cos / 0.07)).

    Args:
        encoder: put into evaluation mode for as long as it takes.
        labelled: a few hundred chips; memory grows with the square of their number.
        k: neighbours that vote.
        temperature: of the votes' weights.
    """
    device = next(encoder.parameters()).device
    rows = torch.arange(len(labelled.image)).split(64)
    # of the corpus that the contract is of
    features = torch.cat([encoder.embed(labelled.image.take(r).to(device), trusted=True) for r in rows])
    return vote(features, labelled.classes.to(device), labelled.groups, k, temperature)


def vote(
    features: Float[Tensor, "n d"],
    classes: Int[Tensor, "n"],
    groups: Int[Tensor, "n"] | None = None,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """The accuracy of `knn_accuracy`, from features that exist already.

    Args:
        features: of the chips.
        classes: class of each chip, from 0.
        groups: chips of one group do not vote on each other; None: each is its own.
        k: number of neighbours that vote.
        temperature: of their weights.
    """
    unit = F.normalize(features, dim=1)
    own = (torch.arange(len(unit)) if groups is None else groups).to(unit.device)
    cosine = (unit @ unit.T).masked_fill(own[:, None] == own[None, :], -torch.inf)
    nearest, index = cosine.topk(min(k, len(unit) - 1), dim=1)
    votes = F.one_hot(classes.long()[index], int(classes.max()) + 1) * torch.exp(nearest / temperature)[..., None]
    return float((votes.sum(dim=1).argmax(dim=1) == classes).float().mean())


@dataclass(slots=True)
class CollapseWatch:
    """Counts consecutive measurements below a floor."""

    rule: Collapse
    first_std: float | None = None
    """Feature std at the first measurement, of the untrained network."""
    below: int = 0

    @property
    def floor(self) -> float:
        """The smallest standard deviation of features that is no collapse: the rule's, or a share of the first one."""
        return max(self.rule.feature_std, self.rule.feature_std_ratio * (self.first_std or 0.0))

    def verdict(self, std: float, rank: float) -> str | None:
        """A message once a gauge has been below its floor for `patience` measurements; None until then.

        The first measurement is never wrong. One that is not finite counts as below: comparisons are written so that
        NaN fails them.
        """
        if self.first_std is None:
            self.first_std = std
            return None
        reasons = []
        if not std >= self.floor:
            reasons.append(f"feature std x sqrt(d) is {std:.4f}, below {self.floor:.4f}")
        if not rank >= self.rule.effective_rank:
            reasons.append(f"effective rank is {rank:.2f}, below {self.rule.effective_rank}")
        self.below = self.below + 1 if reasons else 0
        return " and ".join(reasons) if self.below >= self.rule.patience else None
