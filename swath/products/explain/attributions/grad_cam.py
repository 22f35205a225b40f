"""Grad-CAM: where the features of a layer are that speak for the class.

Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391: with A the features of a layer and w_k the mean over places of
df/dA_k, the map is ReLU(sum_k w_k A_k), bilinear at the image's size. Of a transformer the patches' tokens are the
places. It tells no bands and dates apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swath.encoders import Encoder
from swath.errors import ContractError, nearest
from swath.products.explain._explained import Explained, Images, Target, seen, size_of, with_pixels
from swath.products.explain.attributions._types import Attribution
from swath.settings import PluginSettings

NEEDS_GRADIENT = True


class Config(PluginSettings):
    """Grad-CAM (Selvaraju et al. 2017): of which layer."""

    name: Literal["grad-cam"] = "grad-cam"
    layer: str | None = None
    """Name of a module of the network, such as `0.encoder.network.layer3`; null: of the coarsest features that have
    more than one place the last ones."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A module's output."""

    name: str
    places: tuple[int, int]


def attribute(config: Config, explained: Explained, images: Images, target: Target) -> Attribution:
    """The map of a layer; by band and date it says nothing.

    Raises:
        ContractError: there is no such layer, or it has no places.
    """
    network = explained.logits
    assert network is not None
    layers = _layers(network, explained, images, target)
    name = _chosen(config.layer, layers, network)
    kept: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        features = output.detach().clone()  # what follows may work in place
        output.register_hook(lambda gradient: kept.append((features, gradient)))

    pixels = {sensor: image.pixels.detach().clone().requires_grad_() for sensor, image in images.items()}
    with _hooked({name: keep}, network):
        score = explained.score(with_pixels(images, pixels), target)
    torch.autograd.grad(score.sum(), list(pixels.values()), allow_unused=True)
    n, size, tokens = len(target.output), size_of(images), _with_tokens(network)
    maps = [_cam(*(_placed(one, n, tokens, size) for one in pair)) for pair in kept]
    return Attribution(torch.stack([_drawn(one, tokens, size) for one in maps]).sum(dim=0) * seen(images))


def _drawn(cam: Float[Tensor, "b i j"], tokens: Encoder | None, size: tuple[int, int]) -> Float[Tensor, "b h w"]:
    """A map at the image's size; patches may reach beyond the image."""
    height, width = size
    whole = size if tokens is None else (cam.shape[1] * tokens.patch_px, cam.shape[2] * tokens.patch_px)
    return F.interpolate(cam[:, None], whole, mode="bilinear")[:, 0, :height, :width]


def _cam(features: Float[Tensor, "b c *t h w"], gradient: Float[Tensor, "b c *t h w"]) -> Float[Tensor, "b h w"]:
    """The map of one output; dates are summed."""
    weight = gradient.flatten(2).mean(dim=2)
    weighted = torch.einsum("bc,bc...->b...", weight, features).relu()
    return weighted.reshape(len(features), -1, *features.shape[-2:]).sum(dim=1)


def _layers(network: nn.Module, explained: Explained, images: Images, target: Target) -> list[_Layer]:
    """Modules whose output has places that matter to the score, in the order in which they end."""
    size, tokens, n = size_of(images), _with_tokens(network), len(target.output)
    found: list[_Layer] = []
    matter: set[_Layer] = set()

    def look_for(name: str) -> Any:
        def look(_: nn.Module, __: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or not output.requires_grad:
                return
            placed = _placed(output.detach(), n, tokens, size)
            if placed.ndim > 3 and placed.shape[-2] * placed.shape[-1] > 1:
                found.append(layer := _Layer(name, (placed.shape[-2], placed.shape[-1])))
                output.register_hook(lambda gradient: note(layer, gradient))

        return look

    def note(layer: _Layer, gradient: Tensor) -> None:
        # behind the last attention a class token has taken all that it will ever take from the patches
        if bool(_placed(gradient, n, tokens, size).any()):
            matter.add(layer)

    pixels = {sensor: image.pixels.detach().clone().requires_grad_() for sensor, image in images.items()}
    with _hooked({name: look_for(name) for name, _ in network.named_modules() if name}, network):
        score = explained.score(with_pixels(images, pixels), target)
    torch.autograd.grad(score.sum(), list(pixels.values()), allow_unused=True)
    return [layer for layer in found if layer in matter]


@contextmanager
def _hooked(hooks: dict[str, Any], network: nn.Module) -> Iterator[None]:
    handles = [network.get_submodule(name).register_forward_hook(hook) for name, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _chosen(asked: str | None, layers: list[_Layer], network: nn.Module) -> str:
    named = [layer.name for layer in layers]
    if asked is not None and asked not in named:
        known = asked in dict(network.named_modules())
        raise ContractError(
            f"the layer {asked} {'has no places that matter to the score' if known else 'is none of the network'}",
            remedy=f"{nearest(asked, named)}: layers with places are {', '.join(dict.fromkeys(named))}"
            if named
            else "take integrated-gradients",
        )
    if asked is not None:
        return asked
    if not layers:
        raise ContractError(
            "no layer of the network has features at more than one place, so there is no map to draw",
            remedy="take integrated-gradients, which tells bands and dates apart",
        )
    # the last of the coarsest: where classes are decided, and a place is still a place
    coarsest = min(layer.places for layer in layers)
    return next(layer.name for layer in reversed(layers) if layer.places == coarsest)


def _with_tokens(network: nn.Module) -> Encoder | None:
    """The encoder in the network whose tokens stand for patches, if there is one."""
    return next((part for part in network.modules() if isinstance(part, Encoder) and part.patch_px), None)


def _placed(
    output: Float[Tensor, "n *c"], samples: int, tokens: Encoder | None, size: tuple[int, int]
) -> Float[Tensor, "_ *d"]:
    """An output with its places as the last two axes and its dates before them; of fewer than four axes where it has
    no places."""
    if tokens is not None:
        output = _patches(output, tokens, size)
    if output.ndim > 3 and len(output) != samples and len(output) % samples == 0:
        # dates that were encoded one by one
        return output.unflatten(0, (samples, -1)).transpose(1, 2)
    return output


def _patches(output: Float[Tensor, "n *c"], tokens: Encoder, size: tuple[int, int]) -> Float[Tensor, "n *d"]:
    """Tokens "n d layers rows columns"; features that are none, such as single heads', as a vector."""
    rows, columns = (-(-side // tokens.patch_px) for side in size)
    layers, rest = divmod(output.shape[1] - tokens.prefix, rows * columns) if output.ndim == 3 else (0, 0)
    if rest or layers < 1:
        return output.flatten(1)
    return output[:, tokens.prefix :].unflatten(1, (layers, rows, columns)).permute(0, 4, 1, 2, 3)
