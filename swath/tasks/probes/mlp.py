"""RS-BYOL's classification probe: Linear(d, 128), BatchNorm, ReLU, Linear(128, classes), cross-entropy, 100 epochs.

The paper states no optimiser, learning rate or batch size: Adam at 1e-3 in batches of 256 is ours, and so is the
z-score before the first layer, which changes the optimisation but not what the network can express. The last epoch is
taken, as in the paper; the validation part is not used. Numbers are z-scored and learnt by the squared error.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath.tasks._losses import label_loss, probabilities
from swath.tasks._types import Features, Prediction
from swath.tasks.data import Centred
from swath.tasks.probes._layers import Scaled, affine, likely
from swath.tasks.probes._scale import ZScore, check_learnable
from swath.tasks.probes._types import LabelKind, ProbeSettings, Validation


class Config(ProbeSettings):
    """RS-BYOL's classification probe (Jain et al. 2022): a small network on frozen features."""

    name: Literal["mlp"] = "mlp"
    hidden: int = Field(default=128, ge=1)
    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=256, ge=2)
    """Samples per step; a remainder of fewer than two is left out of the epoch, as BatchNorm cannot take it."""
    learning_rate: float = Field(default=1e-3, gt=0)

    def label_kinds(self) -> tuple[LabelKind, ...]:
        """Kinds of labels that the probe learns: classes and numbers."""
        return ("classes", "numbers")

    def validation(self) -> Validation:
        """What the validation labels are used for: nothing."""
        return "unused"


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:
    """Train on the training part with a generator of its own, so that a seed means the same wherever it runs.

    Raises:
        TrainingError: one class or number only, or features that are not finite.
    """
    return fit(config, features, seed)(features.test_x)


def fit(config: Config, features: Features, seed: int) -> "Fitted":
    """As `fit_predict`, of any features.

    Raises:
        TrainingError: one class or number only, or features that are not finite.
    """
    check_learnable(features)
    scale, labels = ZScore(features.train_x), Centred.on(features.train_y)
    x, y = torch.from_numpy(scale(features.train_x)), torch.from_numpy(labels(features.train_y))
    network = train(config, x, y, features.classes or 1, seed)
    return Fitted(network, scale, labels, features.regression, features.multi_label)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained network, and the scales of what goes in and comes out."""

    network: nn.Module
    scale: ZScore
    labels: Centred
    regression: bool
    multi_label: bool

    def __call__(self, x: Float[np.ndarray, "m d"]) -> Prediction:
        """What it predicts of these features."""
        with torch.no_grad():
            logits = self.network(torch.from_numpy(self.scale(x)))
        if self.regression:
            return Prediction.of_numbers(self.labels.undone(logits[:, 0].numpy()))
        return Prediction.of(probabilities(logits, multi_label=self.multi_label).numpy(), multi_label=self.multi_label)

    def logits(self) -> nn.Sequential:
        """Layers from features to the logit of each class, or to the number."""
        layers = nn.Sequential(Scaled(self.scale), self.network)
        undone = affine(np.array([[self.labels.std]]), np.array([self.labels.mean]))
        return layers.append(undone) if self.regression else layers

    def layers(self) -> nn.Module:
        """The same as layers, from features to the probability of each class, or to the number."""
        return self.logits() if self.regression else self.logits().append(likely(multi_label=self.multi_label))


def train(config: Config, x: Float[Tensor, "n d"], y: Tensor, outputs: int, seed: int) -> nn.Module:
    """The trained network, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], config.hidden),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, outputs),
        )
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    for _ in range(config.epochs):
        for batch in torch.randperm(len(x), generator=order).split(config.batch_size):
            if len(batch) > 1:
                _step(network, optimiser, x[batch], y[batch])
    return network.eval()


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    label_loss(network(x), y).backward()
    optimiser.step()
