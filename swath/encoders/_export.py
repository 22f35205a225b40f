"""Weights for other libraries: a file that they load, and a card beside it that says what its network must be fed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import swath
from swath._files import replacing, write_whole
from swath.encoders._base import Encoder
from swath.encoders._checkpoint import load, load_card
from swath.encoders._contract import InputContract
from swath.encoders._vit_weights import MODEL, as_timm
from swath.encoders.timm import Config, first_convolutions, options, resample_positions
from swath.encoders.vit import Config as VitConfig
from swath.encoders.vit import SpatialVit
from swath.errors import RecipeError
from swath.sensors import band, is_constant

Library = Literal["timm", "torchgeo", "terratorch"]
State = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network as timm builds it."""

    module: nn.Module
    model: str
    options: dict[str, Any]
    """Arguments of `timm.create_model` besides the model's name and the number of channels."""
    masks: bool = False
    """Whether the encoder leaves patches without a valid pixel out, which timm's network does not."""


def export(
    path: Path | str, to: Path | str, library: Library, *, fold: bool = False, px: int | None = None
) -> tuple[Path, Path]:
    """Write a saved encoder's network for another library.

    Args:
        path: of the encoder, as `load` takes it.
        to: path of the files to write, without suffix.
        library: who shall load them. timm: a `.safetensors` under timm's names; torchgeo: a `.ckpt` that its tasks take
            as `weights`; terratorch: a `.pth` that its backbones of timm take as `checkpoint_path`.
        fold: put the standardisation of pixels into the first convolution, so that the network takes physical units.
        px: of a `vit`, width and height of the pictures that its positions are written out for; those that they were
            learnt for if not given.

    Returns:
        The weights, and their card (JSON).

    Raises:
        RecipeError: the other library has no such network, or folding would change what the network computes.
        CheckpointError: the encoder cannot be loaded.
    """
    encoder = load(path)
    network = _network(encoder, path, library, px)
    contract = _steady(encoder.contract, network.module)
    if fold:
        _fold(network, contract)
    write, suffix = _WRITERS[library]
    state = {name: tensor.detach().contiguous() for name, tensor in network.module.state_dict().items()}
    weights, card = (Path(to).with_name(f"{Path(to).name}{end}") for end in (suffix, ".json"))
    weights.parent.mkdir(parents=True, exist_ok=True)
    with replacing(weights) as partial:
        unused = write(state, network, contract.channels, partial)
        said = _card(encoder, contract, network, unused, fold=fold) | {
            "for": library,
            "file": weights.name,
            "sha256": hashlib.sha256(partial.read_bytes()).hexdigest(),
            "load": _HOW[library].format(model=network.model, file=weights.name, n=contract.channels, kw=_kw(network)),
            "provenance": load_card(path).provenance,
        }
    write_whole(card, json.dumps(said, indent=1) + "\n")
    return weights, card


def _network(encoder: Encoder, path: Path | str, library: Library, px: int | None) -> Network:
    """What the other library builds.

    Raises:
        RecipeError: it has no such network.
    """
    said = load_card(path).encoder
    if isinstance(encoder, SpatialVit) and said["name"] == "vit":
        return _of_vit(encoder, path, library, px)
    if said["name"] != "timm":
        raise RecipeError(
            f"{said['name']} is a network of swath's, which no other library has",
            where=str(path),
            remedy="encoders of the kind timm can be exported, and vit of single dates; of others a graph: "
            "swath export model",
        )
    config = Config.model_validate(said)
    if config.small_stem:
        raise RecipeError(
            f"no library has a {config.model} with a small stem",
            where=str(path),
            remedy="train the network without small_stem to use it elsewhere",
        )
    if px is not None:
        raise RecipeError("px is of a vit: this network has a size of its own, or none", remedy="leave --px out")
    return Network(encoder.network, config.model, options(config))


def _of_vit(encoder: SpatialVit, path: Path | str, library: Library, px: int | None) -> Network:
    if library != "timm":
        raise RecipeError(
            f"weights of a vit are written for timm alone: {library} makes networks by the name of one of timm's "
            "models, which says nothing of this one's width, depth and tokens",
            where=str(path),
            remedy="export for timm, and load that file into the task's model",
        )
    assert isinstance(encoder.config, VitConfig)
    size = px or encoder.config.learnt_positions_px
    if size is None:
        raise RecipeError(
            "timm's transformers keep positions for one size of pictures, and this one computes them for any",
            where=str(path),
            remedy="say which: --px 224",
        )
    module, said = as_timm(encoder, size)
    return Network(module, MODEL, said, masks=True)


def _steady(contract: InputContract, network: nn.Module) -> InputContract:
    """The contract, with bands that were constant in the corpus disabled by zero kernels instead of a scale of 0."""
    constant = [is_constant(key, std) for key, std in zip(contract.bands, contract.std, strict=True)]
    if not any(constant):
        return contract
    if not contract.fixed:
        raise RecipeError(
            "a band was constant in the corpus, and any channel may hold it",
            remedy="train without that band to use the network elsewhere",
        )
    for name in first_convolutions(network):
        conv = network.get_submodule(name)
        assert isinstance(conv.weight, Tensor)
        conv.weight.data[:, constant] = 0.0
    std = tuple(1.0 if off else value for off, value in zip(constant, contract.std, strict=True))
    return InputContract(**{**contract.as_dict(), "std": std, "gsd_m": contract.gsd_m})


def _fold(network: Network, contract: InputContract) -> None:
    """Standardise by the first convolution: `w (x - m) / s = (w / s) x - (w / s) m`."""
    if why := _why_not_foldable(network.module, contract):
        raise RecipeError(
            f"the standardisation cannot be folded into {network.model}: {why}",
            remedy="export without folding, and standardise pixels as the card says",
        )
    conv = cast(nn.Conv2d, network.module.get_submodule(first_convolutions(network.module)[0]))
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (contract.mean, contract.std))
    kernels = conv.weight.data.double() / std
    if conv.bias is not None:
        conv.bias.data = (conv.bias.data.double() - (kernels * mean).sum(dim=(1, 2, 3))).float()
    conv.weight.data = kernels.float()


def _why_not_foldable(network: nn.Module, contract: InputContract) -> str:
    """Why a convolution cannot standardise exactly; empty where it can.

    It can where no zeros are padded, which would no longer stand for the means; or where nothing is subtracted.
    """
    names = first_convolutions(network)
    conv = network.get_submodule(names[0])
    if not contract.fixed:
        return "any channel may hold any band"
    if len(names) > 1 or type(conv) is not nn.Conv2d:
        return "its first convolution is no plain one"
    if any(contract.mean) and (conv.padding == "same" or any(conv.padding)):
        return "its first convolution pads with 0, which stands for the bands' means and would no longer do so"
    if any(contract.mean) and conv.bias is None:
        return "its first convolution has no bias that could take the means"
    return ""


def _card(
    encoder: Encoder, contract: InputContract, network: Network, unused: list[str], *, fold: bool
) -> dict[str, Any]:
    sizes = contract.gsd_m or (None,) * len(contract.bands)
    rows = zip(contract.bands, contract.units, contract.mean, contract.std, sizes, strict=True)
    bands = [
        {"band": key, "common_name": band(key).common_name, "unit": unit, "gsd_m": size}
        | ({"invalid": mean} if fold else {"mean": mean, "std": std, "invalid": 0.0})
        for key, unit, mean, std, size in rows
    ]
    each = "channel i is bands[i]" if contract.fixed else "any channel may hold any of bands"
    prepare = "physical units as they are" if fold else "(physical value - mean) / std, of each band"
    return {
        "written_by": f"swath {swath.__version__}",
        "model": network.model,
        "in_chans": contract.channels,
        "create_model": network.options,
        "features": _features(encoder.dim, network, unused),
        "bands": bands,
        "pixels": f"{prepare}; {each}; `invalid` is what invalid pixels hold after that",
        "folded": fold,
    }


def _features(dim: int, network: Network, unused: list[str]) -> str:
    if unused:
        names = ", ".join(unused)
        return f"maps as the stages leave them: the encoder's own {dim} numbers went through {names} as well"
    if network.options.get("global_pool") == "token":
        said = f"{dim} numbers: the normalised class token"
    elif "fc_norm" in network.options:
        said = f"{dim} numbers: the average over positions of the normalised patch tokens, without the class token"
    else:
        said = f"{dim} numbers: the average over positions"
    masks = "; swath leaves patches without a valid pixel out, and here they count as band means do"
    return said + (masks if network.masks else "")


def _kw(network: Network) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in network.options.items())


def _for_timm(
    state: State,
    network: Network,  # noqa: ARG001 - a writer's signature
    channels: int,  # noqa: ARG001 - likewise
    to: Path,
) -> list[str]:
    save_file(state, to)
    return []


def _for_torchgeo(state: State, network: Network, channels: int, to: Path) -> list[str]:
    """Write a checkpoint as torchgeo's `extract_backbone` reads it; torchgeo builds the model for its own
    picture size.
    """
    import timm

    theirs = timm.create_model(network.model, num_classes=2, in_chans=channels)
    if not isinstance(list(theirs.children())[-1], nn.Linear):
        raise RecipeError(
            f"torchgeo cannot read weights of {network.model} from a file: it expects a linear layer at the end",
            remedy="export for timm, and load that file into the task's model",
        )
    if "pos_embed" in state:
        state = {**state, "pos_embed": resample_positions(theirs, state["pos_embed"])}
    torch.save(
        {
            "hyper_parameters": {"model": network.model, "in_channels": channels},
            "state_dict": {f"model.{name}": tensor for name, tensor in state.items()},
        },
        to,
    )
    return []


def _for_terratorch(state: State, network: Network, channels: int, to: Path) -> list[str]:
    """Write weights under the names of timm's `features_only` networks, which terratorch uses as backbones; they have
    no norm behind the last stage.
    """
    import timm

    size = {name: value for name, value in network.options.items() if name == "img_size"}
    features = timm.create_model(network.model, features_only=True, in_chans=channels, **size)
    ours = {_plain(name): name for name in state}
    taken = {name: ours[_plain(name)] for name in features.state_dict()}
    torch.save({name: state[own] for name, own in taken.items()}, to)
    return sorted(state.keys() - taken.values())


def _plain(name: str) -> str:
    """A tensor's name without what timm makes of it where it takes a network apart."""
    return name.removeprefix("model.").replace("_", ".")


_WRITERS: dict[Library, tuple[Callable[[State, Network, int, Path], list[str]], str]] = {
    "timm": (_for_timm, ".safetensors"),
    "torchgeo": (_for_torchgeo, ".ckpt"),
    "terratorch": (_for_terratorch, ".pth"),
}
"""For each library, what writes its file and returns which tensors of the network it has no use for; and the suffix."""
_HOW: dict[Library, str] = {
    "timm": "timm.create_model({model!r}, in_chans={n}, checkpoint_path={file!r}, {kw})",
    "torchgeo": "torchgeo.trainers.ClassificationTask(model={model!r}, weights={file!r}, in_channels={n}, ...)",
    "terratorch": "terratorch.registry.BACKBONE_REGISTRY.build('timm_{model}', in_chans={n}, "
    "checkpoint_path={file!r}); of its factories: backbone 'timm_{model}', backbone_pretrained false, "
    "backbone_in_chans {n}, backbone_checkpoint_path {file!r}",
}
"""For each library, the function to call; the keys are settings of that library."""
