"""Any convolutional network or vision transformer of timm, with any number of bands.

timm is imported when a network is built, not when a recipe is read: it takes seconds.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_serializer, model_validator
from torch import Tensor, nn

from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.encoders._dilation import dilate
from swath.encoders._foreign import Match, StartReport, read_tensors
from swath.encoders._maps import MapEncoder
from swath.encoders._plugin import StartableSettings
from swath.encoders._published import PublishedCard, published_card
from swath.errors import ContractError, RecipeError

_TRANSFORMERS = {"vision_transformer", "deit"}
"""Modules of timm whose models accept another picture size."""


class PublishedStart(StartableSettings):
    """Base of the `Config` of encoders that are networks of timm: the weights that such a network starts from."""

    TAKES_FOREIGN_WEIGHTS: ClassVar[bool] = True
    OF_FOREIGN_WEIGHTS: ClassVar[tuple[str, ...]] = ("card", "prefix", "at_least")

    weights: Path | None = None
    """Weights to start from: an encoder that swath saved, of the same bands and settings; or a file of tensors
    that others published (.safetensors, or torch's). Without a card it is taken for a network of RGB, whose
    first kernels are adapted to the bands."""
    card: str | None = None
    """Description of the published file: a card that swath ships, such as `ssl4eo-l-oli-sr`, or the path of a
    YAML file of your own. The bands' kernels are chosen by their names, and pixels are scaled as its authors
    did it."""
    prefix: str | None = None
    """Prefix of the network's tensors in the file; null: recognise the known published layouts."""
    at_least: float = Field(default=1.0, gt=0, le=1)
    """Share of the network's numbers that the file must hold; the rest stays random."""

    @property
    def saw_the_earth(self) -> bool:
        """Whether the published weights were trained on Earth observation, as their card says."""
        return self.card is not None and published_card(self.card).of_the_earth

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # settings that say nothing of these have the digest that they had before they were there
        usual = {
            name for name in self.OF_FOREIGN_WEIGHTS if getattr(self, name) == type(self).model_fields[name].default
        }
        return {key: value for key, value in handler(self).items() if key not in usual}

    @model_validator(mode="after")
    def _speaks_of_weights(self) -> "PublishedStart":
        if self.weights is None and (self.card, self.prefix, self.at_least) != (None, None, 1.0):
            raise ValueError("card, prefix and at_least speak of weights: give weights, or leave them out")
        return self


class Config(PublishedStart):
    """A convolutional network or vision transformer of timm (Wightman 2019): which one, and what weights it
    starts from.
    """

    name: Literal["timm"] = "timm"
    model: str = "resnet18"
    """A name that `timm.list_models()` lists, such as `resnet18`, `convnext_atto` or `vit_small_patch16_224`."""
    small_stem: bool = False
    """For chips of 64 pixels and less: a ResNet whose stem is one 3×3 convolution without stride or pooling."""
    image_size: int | None = Field(default=None, ge=1)
    """Height and width in pixels that a transformer's position embeddings are made for."""


def build(config: Config, contract: InputContract) -> Encoder:
    """A network with global pooling and no classifier, initialised by timm or from the given weights.

    Raises:
        RecipeError: timm has no such model, or the model has no small stem, takes no image size, or the weights are
            not its own.
        ContractError: a band is none of those that the weights were trained on.
    """
    network = create(config.model, contract.channels, options(config))
    if config.small_stem:
        _shrink_stem(network, config)
    contract, start = started(network, config, contract)
    guard_strides(network)
    kind = TimmEncoder if _has_maps(network) else Encoder
    encoder = kind(network, contract, dim=_width(network), example_px=_example_px(network, config))
    encoder.start = start
    if _is_transformer(config.model):
        encoder.patch_px, encoder.prefix = network.patch_embed.patch_size[0], network.num_prefix_tokens
    return encoder


def _is_transformer(model: str) -> bool:
    from timm.models import is_model_in_modules

    return is_model_in_modules(model, _TRANSFORMERS)


def started(network: Any, config: PublishedStart, contract: InputContract) -> tuple[InputContract, StartReport | None]:
    """Fill a network from what its settings name, if anything; returns the contract as the file's card scales pixels.

    Raises:
        RecipeError: the weights are not its own.
        ContractError: a band is none of those that the weights were trained on.
    """
    card = None if config.card is None else published_card(config.card)
    if card is not None:
        contract = card.scaled(contract, str(config.card))
    start = None if config.weights is None else _load(network, config, config.weights, contract, card)
    return contract, start


class TimmEncoder(MapEncoder):
    """A network of timm with intermediate features, which nearly all of its networks have."""

    def maps(self, pixels: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The output of each stage, finest first; of a transformer that of the last block alone, normalised."""
        network: Any = self.network
        if _one_size(network):
            return network.forward_intermediates(pixels, indices=1, norm=True, intermediates_only=True)
        return network.forward_intermediates(pixels, intermediates_only=True)

    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters by layer as timm groups them: the stem, then block by block."""
        from timm.models import group_parameters

        network: Any = self.network
        layer_of: Any = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
        layers: list[list[nn.Parameter]] = [[] for _ in range(1 + max(layer_of.values()))]
        for name, parameter in network.named_parameters():
            layers[layer_of[name]].append(parameter)
        return layers

    def dilate(self) -> bool:
        """As `MapEncoder`: where the last stage is one of plain convolutions, as a ResNet's."""
        network: Any = self.network
        return dilate(network.get_submodule(network.feature_info[-1]["module"]))


def _has_maps(network: Any) -> bool:
    return hasattr(network, "forward_intermediates")


def _one_size(network: Any) -> bool:
    """Whether all blocks work on one grid, as in a plain transformer."""
    return len({stage["reduction"] for stage in network.feature_info}) == 1


def adapt_rgb(kernels: Float[Tensor, "o 3 h w"], channels: int) -> Float[Tensor, "o c h w"]:
    """Kernels for any number of channels from kernels for red, green and blue.

    One channel: their sum. Otherwise they repeat cyclically, times 3 / channels so that the response keeps its scale
    (timm's `adapt_input_conv`, which SSL4EO-L used).
    """
    if channels == 1:
        return kernels.sum(dim=1, keepdim=True)
    return kernels[:, torch.arange(channels) % 3] * (3 / channels)


def options(config: Config) -> dict[str, Any]:
    """Arguments of `timm.create_model` besides the model's name and the number of channels."""
    said: dict[str, Any] = {"num_classes": 0}
    if config.image_size is not None:
        said["img_size"] = config.image_size
    if _is_transformer(config.model):
        # average the normalised patch tokens: the norm keeps the place and name it has in published weights
        said |= {"global_pool": "avg", "fc_norm": False, "dynamic_img_size": True, "dynamic_img_pad": True}
    return said


def create(model: str, channels: int, said: dict[str, Any]) -> Any:
    """A network of timm's without weights.

    Args:
        model: its name.
        channels: of its pictures.
        said: what it is made with beside these.

    Raises:
        RecipeError: timm has no such model, or cannot build it so.
    """
    import timm

    if not timm.is_model(model):
        close = difflib.get_close_matches(model, timm.list_models(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise RecipeError(f"timm has no model {model!r}", remedy=f"{hint}`timm.list_models()` lists all")
    try:
        return timm.create_model(model, pretrained=False, in_chans=channels, **said)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        if "img_size" in str(error):
            raise RecipeError(f"{model} takes images of any size", remedy="leave image_size out") from error
        raise RecipeError(f"timm cannot build {model!r}: {error}") from error


def _shrink_stem(network: Any, config: Config) -> None:
    stem = getattr(network, "conv1", None)
    if not isinstance(stem, nn.Conv2d) or not hasattr(network, "maxpool"):
        raise RecipeError(
            f"{config.model} has no ResNet stem to make small",
            remedy="leave small_stem out, or take a ResNet such as resnet18 or resnet50",
        )
    if config.weights is not None:
        raise RecipeError("a small stem has no counterpart in the given weights", remedy="give small_stem or weights")
    network.conv1 = nn.Conv2d(stem.in_channels, stem.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()


def guard_strides(network: nn.Module) -> None:
    """Make every strided convolution refuse input that it cannot take, or from which it would learn nonsense."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and max(module.kernel_size) > 1:
            module.register_forward_pre_hook(_refuse_one_pixel)
            if type(module) is nn.Conv2d:  # others pad as they go along
                module.register_forward_pre_hook(_refuse_less_than_a_kernel)


def _refuse_one_pixel(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Stop before a wrong gradient: in bfloat16 on a CPU, torch (2.15) leaves the weight gradient of a strided
    convolution uninitialised where its input is a single pixel. Nothing else says so; weights turn to noise or NaN.
    """
    x = inputs[0]
    learns = conv.training and torch.is_grad_enabled()
    if learns and x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and x.shape[-2:] == (1, 1):
        raise ContractError(
            "the views are so small that a strided convolution sees one pixel: bfloat16 on a CPU learns noise there",
            remedy="larger views, a network with a smaller total stride, or training.precision: '32'",
        )


def _refuse_less_than_a_kernel(conv: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
    """Raise before torch does, whose message does not say what it means."""
    if isinstance(conv.padding, str) or torch.compiler.is_exporting():  # a graph has to fit any size
        return
    sides = tuple(inputs[0].shape[-2:])
    if any(side + 2 * pad < kernel for side, pad, kernel in zip(sides, conv.padding, conv.kernel_size, strict=True)):
        raise ContractError(
            f"the views are so small that a convolution of {conv.kernel_size[0]} x {conv.kernel_size[1]} pixels sees "
            f"{sides[0]} x {sides[1]}",
            remedy="larger views (local crops of 32 pixels and more for a network that halves them five times), or a "
            "network with a smaller total stride",
        )


def _load(
    network: Any, config: PublishedStart, path: Path, contract: InputContract, card: PublishedCard | None
) -> StartReport:
    """Fill a network from a file, first kernels adapted to the bands and positions to the size of pictures."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stems = [f"{conv}.weight" for conv in first_convolutions(network)]
    children = [name for name, _ in network.named_children()]
    match = Match(before, children, read_tensors(path), dict.fromkeys(stems, (1,)) | {"pos_embed": (1,)})
    naming = match.naming(path, config.prefix)
    heads = tuple(f"{name}." for name in _names(network.default_cfg["classifier"]))
    match.check(naming, path, heads, config.at_least)
    taken, remarks = match.taken(naming), []
    for stem in stems:
        if stem in taken:
            taken[stem], how = _adapted(taken[stem], contract, card, f"{path}, {stem}")
            remarks.append(f"{stem}: {how}")
    if "pos_embed" in taken and taken["pos_embed"].shape != before["pos_embed"].shape:
        taken["pos_embed"] = resample_positions(network, taken["pos_embed"])
        remarks.append("pos_embed: interpolated to the size of pictures")
    network.load_state_dict({**before, **match.counted(naming), **taken})
    return match.report(naming, path, before, network.state_dict(), config.card, remarks)


def _adapted(kernels: Tensor, contract: InputContract, card: PublishedCard | None, where: str) -> tuple[Tensor, str]:
    """Kernels "o c h w" for the contract's channels, and how they came about, for people."""
    channels = kernels.shape[1]
    if card is not None:
        if channels != len(card.bands):
            raise ContractError(
                f"the file's first kernels take {channels} channels, the card says {len(card.bands)}",
                where=where,
                remedy="give the card of these weights",
            )
        rows = card.channels(contract.bands)
        return kernels[:, rows], f"channels of the card by name: {', '.join(contract.bands)}"
    if channels == 3:
        return adapt_rgb(kernels, contract.channels), "taken for kernels of red, green and blue"
    if channels != contract.channels:
        raise ContractError(
            f"the file's first kernels take {channels} channels, the encoder has {contract.channels}, and which bands "
            "they are nobody says",
            where=where,
            remedy="give the card of these weights (docs/encoders.md lists those that swath ships)",
        )
    return kernels, "channels taken in the encoder's order, which no card confirms"


def resample_positions(network: Any, positions: Float[Tensor, "1 n d"]) -> Float[Tensor, "1 m d"]:
    """Position embeddings for a transformer's grid of patches, interpolated from those for another one."""
    from timm.layers import resample_abs_pos_embed  # pyright: ignore[reportPrivateImportUsage]

    return resample_abs_pos_embed(
        positions, list(network.patch_embed.grid_size), num_prefix_tokens=network.num_prefix_tokens
    )


def first_convolutions(network: Any) -> tuple[str, ...]:
    """Names of the convolutions that take the input pixels."""
    return _names(network.default_cfg["first_conv"])


def _names(setting: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (setting,) if isinstance(setting, str) else tuple(setting or ())


def _width(network: Any) -> int:
    return getattr(network, "head_hidden_size", None) or network.num_features


def _example_px(network: Any, config: Config) -> int:
    if config.image_size is not None:
        return config.image_size
    return network.default_cfg["input_size"][-1] if network.default_cfg.get("fixed_input_size") else 64
