"""Any convolutional network or vision transformer of timm, with any number of bands.

timm is imported when a network is built, not when a recipe is read: it takes seconds.
"""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn

from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.encoders._dilation import dilate
from swath.encoders._maps import MapEncoder
from swath.encoders._plugin import StartableSettings
from swath.errors import ContractError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRANSFORMERS = {"vision_transformer", "deit"}
"""timm's modules whose models take pictures of any size when asked to."""


class Config(StartableSettings):
    """Which network, and what it starts from."""

    TAKES_FOREIGN_WEIGHTS: ClassVar[bool] = True

    name: Literal["timm"] = "timm"
    model: str = "resnet18"
    """A name that `timm.list_models()` lists, such as `resnet18`, `convnext_atto` or `vit_small_patch16_224`."""
    weights: Path | None = None
    """What to start from: an encoder that swath saved, of the same bands and settings; or a state dict (.safetensors or
    .pth) trained on RGB, whose first kernels are adapted to the bands."""
    small_stem: bool = False
    """For chips of 64 pixels and less: a ResNet whose stem is one 3×3 convolution without stride or pooling."""
    image_size: int | None = Field(default=None, ge=1)
    """Height and width in pixels that position embeddings are made for; for transformers."""


def build(config: Config, contract: InputContract) -> Encoder:
    """A network with global pooling and no classifier, initialised by timm or from the given weights.

    Raises:
        RecipeError: timm has no such model, or the model has no small stem, takes no image size, or the weights are
            not its own.
    """
    network = _create(config, contract.channels)
    if config.small_stem:
        _shrink_stem(network, config)
    if config.weights is not None:
        _load_rgb(network, config.weights, contract.channels)
    _guard_strides(network)
    kind = TimmEncoder if _has_maps(network) else Encoder
    return kind(network, contract, dim=_width(network), example_px=_example_px(network, config))


class TimmEncoder(MapEncoder):
    """A network of timm that gives its intermediate features: nearly all of them do."""

    def maps(self, pixels: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The output of each stage, finest first; of a transformer that of the last block alone, normalised."""
        network: Any = self.network
        if _one_size(network):
            return network.forward_intermediates(pixels, indices=1, norm=True, intermediates_only=True)
        return network.forward_intermediates(pixels, intermediates_only=True)

    def layers(self) -> list[list[nn.Parameter]]:
        """As timm groups them: the stem, then block by block."""
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
    """Whether all blocks see one grid, as a plain transformer's."""
    return len({stage["reduction"] for stage in network.feature_info}) == 1


def adapt_rgb(kernels: Float[Tensor, "o 3 h w"], channels: int) -> Float[Tensor, "o c h w"]:
    """Kernels for any number of channels from kernels for red, green and blue.

    One channel: their sum. Otherwise they repeat cyclically, times 3 / channels so that the response keeps its scale
    (timm's `adapt_input_conv`, which SSL4EO-L used).
    """
    if channels == 1:
        return kernels.sum(dim=1, keepdim=True)
    return kernels[:, torch.arange(channels) % 3] * (3 / channels)


def _create(config: Config, channels: int) -> Any:
    import timm
    from timm.models import is_model_in_modules

    if not timm.is_model(config.model):
        close = difflib.get_close_matches(config.model, timm.list_models(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise RecipeError(f"timm has no model {config.model!r}", remedy=f"{hint}`timm.list_models()` lists all")
    options: dict[str, Any] = {}
    if config.image_size is not None:
        options["img_size"] = config.image_size
    if is_model_in_modules(config.model, _TRANSFORMERS):
        # average the normalised patch tokens: the norm keeps the place and name it has in published weights
        options |= {"global_pool": "avg", "fc_norm": False, "dynamic_img_size": True, "dynamic_img_pad": True}
    try:
        return timm.create_model(config.model, pretrained=False, num_classes=0, in_chans=channels, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        if "img_size" in str(error):
            raise RecipeError(f"{config.model} takes images of any size", remedy="leave image_size out") from error
        raise RecipeError(f"timm cannot build {config.model!r}: {error}") from error


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


def _guard_strides(network: nn.Module) -> None:
    """Have every strided convolution refuse what it would learn nonsense from; see `_refuse_one_pixel`."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and max(module.kernel_size) > 1:
            module.register_forward_pre_hook(_refuse_one_pixel)


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


def _load_rgb(network: Any, path: Path, channels: int) -> None:
    own, classifier = network.state_dict(), _names(network.default_cfg["classifier"])
    state = {key: value for key, value in _read(path).items() if key.rpartition(".")[0] not in classifier}
    for conv in _names(network.default_cfg["first_conv"]):
        kernels = state.get(f"{conv}.weight")
        if kernels is not None and kernels.ndim == 4 and kernels.shape[1] == 3:
            state[f"{conv}.weight"] = adapt_rgb(kernels, channels)
    if "pos_embed" in state and "pos_embed" in own and state["pos_embed"].shape != own["pos_embed"].shape:
        state["pos_embed"] = _resample_positions(network, state["pos_embed"])
    _check_same(own, state, path)
    network.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        for wrapper in ("state_dict", "model"):
            state = state.get(wrapper, state)
        return dict(state)
    except OSError as error:
        raise RecipeError(f"cannot read weights: {error}", where=str(path)) from error
    except Exception as error:  # torch's words for it, whatever it stumbles over first, say how to run the file's code
        raise RecipeError(
            "cannot read weights: it is damaged, or holds more than tensors",
            where=str(path),
            remedy="give a file of tensors alone, such as torch.save(model.state_dict()) or safetensors writes",
        ) from error


def _check_same(own: "Mapping[str, Tensor]", state: "Mapping[str, Tensor]", path: Path) -> None:
    wrong = [f"{key} is missing" for key in own if key not in state]
    wrong += [f"{key} is not the model's" for key in state if key not in own]
    wrong += [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise RecipeError(
            f"the weights are not this model's: {'; '.join(wrong[:3])}{more}",
            where=str(path),
            remedy="give weights of the same timm model, trained on three channels",
        )


def _resample_positions(network: Any, positions: Tensor) -> Tensor:
    from timm.layers import resample_abs_pos_embed  # pyright: ignore[reportPrivateImportUsage]

    return resample_abs_pos_embed(
        positions, list(network.patch_embed.grid_size), num_prefix_tokens=network.num_prefix_tokens
    )


def _names(setting: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (setting,) if isinstance(setting, str) else tuple(setting or ())


def _width(network: Any) -> int:
    return getattr(network, "head_hidden_size", None) or network.num_features


def _example_px(network: Any, config: Config) -> int:
    if config.image_size is not None:
        return config.image_size
    return network.default_cfg["input_size"][-1] if network.default_cfg.get("fixed_input_size") else 64
