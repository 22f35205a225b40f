"""The floor that costs most to beat: the same network, trained end to end on the labels alone."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from swath.batch import Image
from swath.encoders import Encoder
from swath.errors import TrainingError
from swath.settings import Settings
from swath.tasks._types import Prediction
from swath.tasks.features import Pictures, device_of, fit


class ScratchConfig(Settings):
    """Plain supervised training: AdamW, cosine schedule, flips; the epoch that is best on validation is kept."""

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Locations and their classes."""

    locations: Int[np.ndarray, " n"]
    y: Int[np.ndarray, " n"]


class _Classifier(nn.Module):
    """Encoder and a linear head; several embeddings are concatenated, as for a probe."""

    def __init__(self, encoder: Encoder, pictures: Pictures, bands: tuple[str, ...], classes: int):
        super().__init__()
        self.passes = fit(encoder.contract, bands).passes
        self.encoder, self.pictures = encoder, pictures
        self.head = nn.Linear(encoder.dim * len(self.passes), classes)

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b classes"]:
        composed = [self.pictures.compose(images, bands) for bands in self.passes]
        return self.head(torch.cat([self.encoder(image) for image in composed], dim=1))


def train_and_predict(
    config: ScratchConfig,
    encoder: Encoder,
    pictures: Pictures,
    bands: tuple[str, ...],
    parts: dict[str, Labelled],
    classes: int,
    seed: int,
) -> Prediction:
    """Train a copy of a randomly initialised encoder on `parts["train"]` and apply it to `parts["test"]`.

    bfloat16 where matrices are multiplied, float32 for the final predictions.

    Raises:
        ContractError: the encoder cannot take these bands.
        TrainingError: one class only, or the loss became non-finite.
    """
    if len(np.unique(parts["train"].y)) < 2:
        raise TrainingError("the training part holds one class, so there is nothing to tell apart")
    with torch.random.fork_rng(devices=_cuda(encoder)):
        torch.manual_seed(seed)
        model = _Classifier(copy.deepcopy(encoder), pictures, bands, classes).to(device_of(encoder))
        _train(config, model, parts, seed)
    scores = _scores(model, parts["test"].locations, config.batch_size)
    return Prediction(scores.argmax(axis=1), scores)


def _train(config: ScratchConfig, model: _Classifier, parts: dict[str, Labelled], seed: int) -> None:
    """Leave the model with the weights of its best epoch on validation, or of the last if there is no validation."""
    steps = config.epochs * max(1, len(parts["train"].y) // config.batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(seed)
    best, kept = -1.0, model.state_dict()
    for _ in range(config.epochs):
        _epoch(config, model, parts["train"], optimiser, schedule, generator)
        accuracy = _accuracy(model, parts["val"], config.batch_size)
        if accuracy > best or not len(parts["val"].y):
            best, kept = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)


def _epoch(
    config: ScratchConfig,
    model: _Classifier,
    train: Labelled,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
) -> None:
    model.train()
    device = device_of(model.encoder)
    order = torch.randperm(len(train.y), generator=generator)
    # a rest that is no full batch waits for the next epoch's order, unless it is all there is
    for rows in order[: max(1, len(order) // config.batch_size) * config.batch_size].split(config.batch_size):
        images = flip(model.pictures.read(train.locations[rows.numpy()], device), generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), torch.from_numpy(train.y[rows.numpy()]).to(device))
        if not loss.isfinite():
            raise TrainingError("training from scratch became non-finite", remedy="lower scratch.learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def flip(images: dict[str, Image], generator: torch.Generator) -> dict[str, Image]:
    """Each sample mirrored left-right and top-bottom by the toss of a coin, the same for all sensors."""
    b = len(next(iter(images.values())))
    for axis in (-1, -2):
        toss = torch.rand(b, generator=generator) < 0.5
        images = {sensor: _flip(image, toss, axis) for sensor, image in images.items()}
    return images


def _flip(image: Image, toss: Tensor, axis: int) -> Image:
    toss = toss.to(image.pixels.device)
    return replace(
        image,
        pixels=torch.where(toss[:, None, None, None, None], image.pixels.flip(axis), image.pixels),
        valid=torch.where(toss[:, None, None, None], image.valid.flip(axis), image.valid),
    )


def _accuracy(model: _Classifier, part: Labelled, batch_size: int) -> float:
    if not len(part.y):
        return 0.0
    return float(np.mean(_scores(model, part.locations, batch_size).argmax(axis=1) == part.y))


@torch.no_grad()
def _scores(model: _Classifier, locations: Int[np.ndarray, " n"], batch_size: int) -> Float[np.ndarray, "n classes"]:
    model.eval()
    device = device_of(model.encoder)
    batches = [locations[start : start + batch_size] for start in range(0, len(locations), batch_size)]
    return np.concatenate([model(model.pictures.read(b, device)).float().softmax(1).cpu().numpy() for b in batches])


def _cuda(encoder: Encoder) -> list[torch.device]:
    device = device_of(encoder)
    return [device] if device.type == "cuda" else []
