"""The vision transformer of `vit` as timm's: the same blocks, its positions written out for one size of pictures."""

from typing import Any

import torch
from torch import nn

from swath.batch import Image
from swath.encoders.vit import SpatialVit, resized
from swath.errors import RecipeError

MODEL = "vit_tiny_patch16_224"
"""A model of timm's; every size of it is overridden."""


def as_timm(encoder: SpatialVit, px: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network as timm builds it, and the arguments of `timm.create_model` besides the number of channels.

    Args:
        encoder: of single dates, with one token for all bands of a patch.
        px: width and height of the pictures.

    Raises:
        RecipeError: timm has no such network, or the pictures are no multiple of a patch.
    """
    import timm

    config = encoder.config
    if len(encoder.groups) > 1:
        raise RecipeError(
            "timm's vision transformers have one token for all bands of a patch, and this one has one for each group",
            remedy="train without groups to use it elsewhere, or export a graph: swath export model",
        )
    if px % config.patch or px < config.patch:
        raise RecipeError(
            f"pictures of {px} pixels are no multiple of a patch of {config.patch}",
            remedy="give another width: --px",
        )
    options: dict[str, Any] = {
        "num_classes": 0, "img_size": px, "patch_size": config.patch, "embed_dim": config.width, "depth": config.depth,
        "num_heads": config.heads, "class_token": config.class_token, "reg_tokens": config.registers,
        "no_embed_class": True, "global_pool": "token" if config.pooling == "class" else "avg", "fc_norm": False,
    }  # fmt: skip
    theirs = timm.create_model(MODEL, in_chans=encoder.contract.channels, **options)
    theirs.load_state_dict(_state(encoder, px))
    return theirs.eval(), options


def _state(encoder: SpatialVit, px: int) -> dict[str, torch.Tensor]:
    """The weights under timm's names."""
    network, config = encoder.network, encoder.config
    (embed,) = network.embeds.values()
    shape = (config.width, encoder.contract.channels, config.patch, config.patch)
    found = {
        "patch_embed.proj.weight": embed.get_parameter("weight").view(shape),
        "patch_embed.proj.bias": embed.get_parameter("bias"),
        "pos_embed": _positions(encoder, px),
        **{f"blocks.{name}": value for name, value in network.blocks.state_dict().items()},
        **{f"norm.{name}": value for name, value in network.norm.state_dict().items()},
    }
    if network.prefix is not None:
        parts = {
            "cls_token": network.prefix[:, : int(config.class_token)],
            "reg_token": network.prefix[:, int(config.class_token) :],
        }
        found |= {name: part for name, part in parts.items() if part.shape[1]}
    return found


def _positions(encoder: SpatialVit, px: int) -> torch.Tensor:
    rows, learnt = px // encoder.config.patch, encoder.network.positions
    if learnt is not None:
        return resized(learnt, rows, rows)
    count = encoder.contract.channels
    gsd_m = encoder.contract.gsd_m[0] if encoder.contract.gsd_m else 1.0
    nothing = torch.zeros(1, 1, count, px, px)
    ids = torch.zeros(1, count, dtype=torch.int32)
    image = Image(nothing, nothing[:, :, 0] == 0, torch.zeros(1, 1, dtype=torch.int32), ids, gsd_m)
    return encoder.positions(image, encoder.config.width)
