"""What an evaluation trained for one row, to be applied to images beyond the task's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from swath._files import replacing
from swath.batch import Image
from swath.encoders import Encoder
from swath.errors import CheckpointError, RecipeError
from swath.segmenters import Segmenter
from swath.tasks._losses import probabilities
from swath.tasks._types import Prediction
from swath.tasks.data import Bands, Centred, Composer, Labelled, device_of, match_bands

Images = dict[str, Image]
FittedProbe = Callable[[Float[np.ndarray, "m d"]], Prediction]
"""A function from frozen features to what a probe that was fitted predicts."""


@runtime_checkable
class Layered(Protocol):
    """A fitted probe that can be a part of a network."""

    def layers(self) -> nn.Module:
        """The same as layers, from features "b d" to the probability of each class, or to the number, "b k"."""
        ...


@runtime_checkable
class WithLogits(Protocol):
    """A fitted probe that is a network up to its logits, so that what it says has a gradient."""

    def logits(self) -> nn.Module:
        """From features "b d" to logits "b k", infinite for what is said of nothing or everything; or to the number in
        its own unit "b 1".
        """
        ...


@runtime_checkable
class FromImages(Protocol):
    """A network from images by sensor to logits, which any composer can feed."""

    composer: Composer

    def check(self, images: Images) -> None:
        """Raise ContractError unless the images have the bands, units and pixel size that it was made for."""
        ...

    def __call__(self, images: Images) -> Float[Tensor, "b k *hw"]:
        """Logits of locations or of pixels."""
        ...


@runtime_checkable
class Trained(Protocol):
    """What was trained: a network, or a probe on an encoder. It can be pickled."""

    @property
    def bands(self) -> Bands:
        """Band keys that it reads."""
        ...

    @property
    def network(self) -> nn.Module:
        """What is computed with on a device."""
        ...

    def check(self, images: Images) -> None:
        """Raise ContractError unless the images have the bands, units and pixel size that it was made for."""
        ...

    def predict(self, images: Images) -> Float[Tensor, "b k *hw"]:
        """Probabilities of classes, or the number in its own unit, of locations or of pixels; on the CPU or the
        network's device.
        """
        ...

    def module(self) -> nn.Module:
        """`predict` as a network, for graphs that run without swath.

        Raises:
            RecipeError: a probe that cannot be a part of a network was fitted.
        """
        ...

    def logits(self) -> nn.Module | None:
        """A network from images to what `predict` makes probabilities of, or to the number: what gradients are taken
        of. It shares weights with `network`. None where there is none, as of nearest neighbours.
        """
        ...


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that was trained on the labels."""

    network: nn.Module
    """A `FromImages`, in evaluation mode."""
    bands: Bands
    labels: Centred
    regression: bool
    multi_label: bool

    def check(self, images: Images) -> None:
        """Raise ContractError unless the images have the bands, units and pixel size that it was made for."""
        assert isinstance(self.network, FromImages)
        self.network.check(images)

    @torch.no_grad()
    def predict(self, images: Images) -> Float[Tensor, "b k *hw"]:
        """Probabilities of classes, or the number in its own unit."""
        return self.said(self.network(images).float())

    def said(self, outputs: Float[Tensor, "b k *hw"]) -> Float[Tensor, "b k *hw"]:
        """Probabilities of classes, or the number in its own unit, of what the network gives."""
        if self.regression:
            return outputs * self.labels.std + self.labels.mean
        return probabilities(outputs, multi_label=self.multi_label)

    def module(self) -> nn.Module:
        """`predict` as a network."""
        return _Whole(self)

    def logits(self) -> nn.Module:
        """The network itself; of numbers up to their unit."""
        return self.module() if self.regression else self.network


class _Whole(nn.Module):
    """A network that was trained, up to what is said."""

    def __init__(self, trained: TrainedNetwork):
        super().__init__()
        self.network, self._said = trained.network, trained.said

    def forward(self, images: Images) -> Float[Tensor, "b k *hw"]:
        return self._said(self.network(images).float())


@dataclass(frozen=True, eq=False)
class TrainedProbe:
    """A probe that was fitted on frozen features, and the encoder that they are of."""

    encoder: Encoder
    bands: Bands
    fitted: FittedProbe

    @property
    def network(self) -> nn.Module:
        """The encoder, which is what is moved to a device."""
        return self.encoder

    def _passes(self, images: Images) -> list[Image]:
        composer = Composer(self.bands)
        return [composer.compose(images, bands) for bands in match_bands(self.encoder.contract, self.bands).passes]

    def check(self, images: Images) -> None:
        """Raise ContractError unless the images have the bands, units and pixel size that it was made for."""
        for image in self._passes(images):
            self.encoder.check(image)

    def predict(self, images: Images) -> Float[Tensor, "b k"]:
        """Class scores, or the number in its own unit."""
        features = torch.cat([self.encoder.embed(image, trusted=True) for image in self._passes(images)], dim=1)
        said = self.fitted(features.cpu().numpy())
        return torch.from_numpy(said.y_pred[:, None] if said.scores is None else said.scores)

    def module(self) -> nn.Module:
        """`predict` as a network.

        Raises:
            RecipeError: the probe cannot be a part of one.
        """
        if not isinstance(self.fitted, Layered):
            raise RecipeError(
                "this probe has no layers, so no graph can be made of it",
                remedy="take linear, knn, mlp or ridge; one of your own needs `layers` (swath.tasks.trained.Layered)",
            )
        return _Headed(self.encoder, self._passes, self.fitted.layers())

    def logits(self) -> nn.Module | None:
        """The encoder with the probe behind it, up to its logits."""
        if not isinstance(self.fitted, WithLogits):
            return None
        return _Headed(self.encoder, self._passes, self.fitted.logits().to(device_of(self.encoder)))


class _Headed(nn.Module):
    """An encoder and the probe on its features."""

    def __init__(self, encoder: Encoder, passes: Callable[[Images], list[Image]], head: nn.Module):
        super().__init__()
        self.encoder, self._passes, self.head = encoder, passes, head

    def forward(self, images: Images) -> Float[Tensor, "b k"]:
        return self.head(torch.cat([self.encoder(image).float() for image in self._passes(images)], dim=1))


def needs_days(network: nn.Module, *, series: bool) -> bool:
    """Whether what a network says may depend on the days of what it sees: a segmenter of series is fed them."""
    return any(
        part.needs_days if isinstance(part, Encoder) else series and isinstance(part, Segmenter)
        for part in network.modules()
    )


class Keeper:
    """Keeps what is trained for one result; of a network the weights in a file as well, so that it is trained once."""

    def __init__(self, path: Path):
        """Say where the weights are, or will be."""
        self.path = path
        self.trained: Trained | None = None

    def network(self, model: nn.Module, train: Callable[[], None], bands: Bands, part: Labelled) -> None:
        """Take a network's weights from the file, or train it and write them.

        Raises:
            CheckpointError: the file is of another network, or damaged.
        """
        if self.path.exists():
            _load(model, self.path)
        else:
            train()
            state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as temporary:
                save_file(state, temporary)
        assert isinstance(model, FromImages)
        model.composer = Composer(bands)
        self.trained = TrainedNetwork(
            model.eval(), bands, Centred.on(part.y), regression=part.regression, multi_label=part.multi_label
        )

    def probe(self, encoder: Encoder, bands: Bands, fitted: FittedProbe) -> None:
        """Take a probe that is fitted: that is quick, so nothing is written."""
        self.trained = TrainedProbe(encoder, bands, fitted)

    @property
    def sha256(self) -> str | None:
        """Hash of the file of weights; None where there is none."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest() if self.path.exists() else None


def _load(model: nn.Module, path: Path) -> None:
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(
            f"the kept weights are not those of this network: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="remove the file: the network is trained again",
        ) from None
