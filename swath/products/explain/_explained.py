"""What is explained: a network that was trained for a task, what it says of images, and what no signal is to it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import Standardize
from swath.errors import ContractError
from swath.sensors import bands as all_bands
from swath.tasks import Trained

Images = dict[str, Image]
"""Images by sensor, of the same locations."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Which of a network's outputs is explained, for each location of a batch."""

    output: Int[Tensor, " b"]
    """Number of the class; 0 where a number is estimated."""
    pixels: Bool[Tensor, "b h w"] | None = None
    """Where pixels have classes: those of which the class is explained, at least one of each location."""

    def at(self, i: int) -> "Target":
        """The target of the location at a position in the batch."""
        return Target(self.output[i : i + 1], None if self.pixels is None else self.pixels[i : i + 1])

    def copies(self, n: int) -> "Target":
        """A single location's target n times."""
        return Target(self.output.expand(n), None if self.pixels is None else self.pixels.expand(n, -1, -1))

    def of(self, said: Float[Tensor, "b k *hw"]) -> Float[Tensor, " b"]:
        """What is said of the target, from what is said of all classes; of pixels the mean over those that count."""
        own = said[torch.arange(len(said), device=said.device), self.output.to(said.device)]
        if self.pixels is None:
            return own
        weight = self.pixels.to(own)
        return (own * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))


@dataclass(frozen=True, eq=False)
class Explained:
    """A network, or a probe on an encoder, that is asked why it says what it says."""

    logits: nn.Module | None
    """From images to logits "b k *hw" or to numbers "b 1", in evaluation mode and without gradients of its own; None
    where what is said has none."""
    predict: Callable[[Images], Float[Tensor, "b k *hw"]]
    """From images to probabilities, or to numbers."""
    means: Float[Tensor, " bands"]
    """Mean by global band id that the network subtracts before anything else; NaN where it knows none."""
    unit: str
    """What scores are: `logit`, `probability`, or the unit of a number."""
    exclusive: bool
    """Whether a unit has one class of several, so that only differences of logits mean anything."""

    @classmethod
    def of(cls, trained: Trained, *, exclusive: bool, regression: bool = False, unit: str = "") -> "Explained":
        """Ask what an evaluation trained.

        Args:
            trained: it is copied, and stays as it is.
            exclusive: whether a unit has one class of several.
            regression: whether numbers are estimated.
            unit: of the numbers.

        Raises:
            ContractError: there is no one mean of a band that the network would subtract.
        """
        network = trained.logits()
        means = _means(trained.network if network is None else network)
        of_class = "probability" if network is None else "logit"
        said = unit or "number" if regression else of_class
        return cls(None if network is None else _frozen(network), trained.predict, means, said, exclusive)

    def score(self, images: Images, target: Target) -> Float[Tensor, " b"]:
        """What is explained: the class's logit minus the mean of all classes' logits, which is all that its probability
        depends on. Where units may have several classes its logit, where a number is estimated the number, and where
        nothing has a gradient the probability.
        """
        if self.logits is None:
            return target.of(self.predict(images).float())
        said = self.logits(images).float()
        if not self.exclusive:
            return target.of(said)
        # of a class without any training label a probe's logit is minus infinity, always
        known = said.isfinite()
        said = torch.where(known, said, 0.0)
        return target.of(said - said.sum(dim=1, keepdim=True) / known.sum(dim=1, keepdim=True))

    def probability(self, images: Images, target: Target) -> Float[Tensor, " b"]:
        """The class's probability, or the number."""
        return target.of(self.predict(images).float())

    def blank(self, images: Images) -> dict[str, Float[Tensor, "b t c h w"]]:
        """Pixels that say nothing, by sensor: the mean of each band, which is 0 to the network; invalid ones stay."""
        return {sensor: self._blank(image) for sensor, image in images.items()}

    def _blank(self, image: Image) -> Float[Tensor, "b t c h w"]:
        mean = self.means.to(image.pixels.device)[image.band_ids.long()][:, None, :, None, None]
        # of a band that the network does not read any value says nothing
        known = image.valid[:, :, None] & mean.isfinite()
        return torch.where(known, mean.nan_to_num(), image.pixels)

    def randomised(self, seed: int) -> "Explained":
        """The same network with the numbers of each of its weights shuffled, so that it knows nothing."""
        assert self.logits is not None
        generator, network = torch.Generator().manual_seed(seed), copy.deepcopy(self.logits)
        with torch.no_grad():
            for weight in network.parameters():
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
        return replace(self, logits=network)


def _frozen(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).eval().requires_grad_(requires_grad=False)


def _means(network: nn.Module) -> Float[Tensor, " bands"]:
    """The mean of each band that the network's own standardisations subtract."""
    tables = [part.mean.cpu() for part in network.modules() if isinstance(part, Standardize)]
    known = torch.stack(tables) if tables else torch.full((1, len(all_bands())), torch.nan)
    first = torch.where(known.isnan(), torch.inf, known).amin(dim=0)
    last = torch.where(known.isnan(), -torch.inf, known).amax(dim=0)
    if not first.isfinite().any() or (first.isfinite() & (first != last)).any():
        raise ContractError(
            "the network has no one mean of each band that it subtracts first, so nothing can stand for no signal",
            remedy="explain a row whose network standardises its input as swath's encoders do",
        )
    return torch.where(first.isfinite(), first, torch.nan)


def with_pixels(images: Images, pixels: dict[str, Float[Tensor, "b t c h w"]]) -> Images:
    """The same images with other pixels."""
    return {sensor: replace(image, pixels=pixels[sensor]) for sensor, image in images.items()}


def copies(images: Images, n: int) -> Images:
    """A single location's images n times."""
    return {sensor: image.take([0] * n) for sensor, image in images.items()}


def one(images: Images, i: int) -> Images:
    """The images of the location at a position in the batch."""
    return {sensor: image.take([i]) for sensor, image in images.items()}


def seen(images: Images) -> Bool[Tensor, "b h w"]:
    """Which pixels are valid at any date of any sensor."""
    return torch.stack([image.valid.any(dim=1) for image in images.values()]).any(dim=0)


def size_of(images: Images) -> tuple[int, int]:
    """Height and width of the chips, which is that of maps of attribution."""
    height, width = next(iter(images.values())).pixels.shape[3:]
    return height, width
