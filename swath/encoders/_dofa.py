"""DOFA's published weights, read into the network of `any_sensor`."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from swath.encoders import _positions
from swath.encoders._foreign import Match, Naming, StartReport, read_tensors
from swath.errors import RecipeError

_GENERATOR = "embeds.any.generator"
_NAMES = (
    (r"cls_token", "prefix"),
    (r"patch_embed\.fclayer\.w1\.", f"{_GENERATOR}.residual.0."),
    (r"patch_embed\.fclayer\.w2\.", f"{_GENERATOR}.residual.2."),
    (r"patch_embed\.weight_generator\.weight_tokens", f"{_GENERATOR}.queries"),
    (r"patch_embed\.weight_generator\.bias_token", f"{_GENERATOR}.query_of_bias"),
    (r"patch_embed\.weight_generator\.transformer_encoder\.layers\.0\.", f"{_GENERATOR}.mix."),
    (r"patch_embed\.weight_generator\.fc_weight\.", f"{_GENERATOR}.weights."),
    (r"patch_embed\.weight_generator\.fc_bias\.", f"{_GENERATOR}.biases."),
    (r"fc_norm\.", "norm."),
)
"""Beginnings of the published names, and what they are here; `blocks` are called alike."""
_SIGN = "patch_embed.weight_generator.weight_tokens"
"""A tensor that every file of DOFA's has."""
_OF_TRAINING = ("norm.", "mask_token", "projector.", "decoder", "head.", "head_drop.")
"""What the official code does not use: of the pre-training, and classifiers."""
_SAME = 1e-4
"""Positions that differ by less are the same."""


def fill(network: nn.Module, path: Path, prefix: str | None, published: str | None) -> StartReport:
    """Fill a network from a file of DOFA's; says what was used.

    Args:
        network: the transformer of `any_sensor`.
        path: the file.
        prefix: what stands before the names of its tensors; None: whatever does.
        published: which of DOFA's codes the network computes like.

    Raises:
        RecipeError: nobody says which code the weights were made by, or they are not such a network's.
    """
    if published is None:
        raise RecipeError(
            "the weights have no card of swath's beside them, and DOFA's own want its code, which differs from swath's",
            where=str(path),
            remedy="set published to dofa, or to dofa-first for weights of its first release",
        )
    file, remarks = _of_one_network(read_tensors(path), prefix, path), []
    _check_positions(file.pop("pos_embed", None), path)
    remarks.append("pos_embed: sines and cosines, which swath computes for chips of any size")
    width = file["cls_token"].shape[-1] if "cls_token" in file else 0
    if "fc_norm.weight" not in file:
        file |= {"fc_norm.weight": torch.ones(width), "fc_norm.bias": torch.zeros(width)}
        remarks.append("fc_norm: not in the file; nothing is scaled or shifted, as in the official code")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    of_training = {name: tensor for name, tensor in file.items() if name.startswith(_OF_TRAINING)}
    match = Match(before, (), {_ours(name): file[name] for name in file.keys() - of_training.keys()}, {})
    match.check(Naming(""), path, (), 1.0)
    network.load_state_dict(match.taken(Naming("")))
    if of_training:
        remarks.append(f"left out, as the official code does: {', '.join(sorted(of_training))}")
    return match.report(Naming(""), path, before, network.state_dict(), None, remarks)


def _of_one_network(tensors: dict[str, Tensor], prefix: str | None, path: Path) -> dict[str, Tensor]:
    """The tensors of the network under its own names, without what stands before these in the file."""
    found = [name.removesuffix(_SIGN) for name in tensors if name.endswith(_SIGN)]
    chosen = [one for one in found if prefix in (None, one)]
    if len(chosen) != 1:
        offer = f"set prefix_of_names to one of {', '.join(map(repr, found))}" if found else "give weights of DOFA"
        raise RecipeError(
            f"the file holds {len(chosen)} networks like DOFA's" + (f" under {prefix!r}" if prefix is not None else ""),
            where=str(path),
            remedy=offer,
        )
    return {name.removeprefix(chosen[0]): tensor for name, tensor in tensors.items() if name.startswith(chosen[0])}


def _ours(name: str) -> str:
    for theirs, here in _NAMES:
        if re.match(theirs, name):
            return re.sub(f"^{theirs}", here, name)
    return name


def _check_positions(positions: Tensor | None, path: Path) -> None:
    """Raise RecipeError unless positions are MAE's, which are no weights."""
    if positions is None:
        return
    side = round((positions.shape[1] - 1) ** 0.5)
    fits = positions.ndim == 3 and positions.shape[1] == side**2 + 1 and positions.shape[2] % 4 == 0
    if fits:
        expected = _positions.of_grid(side, side, positions.shape[2], torch.device("cpu"))
        fits = bool((positions[:, 1:] - expected).abs().max() < _SAME and positions[:, 0].abs().max() < _SAME)
    if not fits:
        raise RecipeError(
            "the positions of the weights are not DOFA's sines and cosines",
            where=str(path),
            remedy="give the file as its authors published it",
        )
