"""Optimisers, from timm, with the parameter groups that self-supervised methods use."""

from collections.abc import Collection
from typing import Any

import torch
from timm.optim._optim_factory import create_optimizer_v2
from torch import nn

from swath.training.config import Optimizer


def optimizer(
    config: Optimizer, module: nn.Module, at_peak_rate: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser of a module's trainable parameters; its learning rate is set before every step (`set_rates`).

    Weight decay, unless the settings say otherwise, and the trust ratio of LARS apply to tensors of two or more
    dimensions only. timm's LARS is that of
    You et al. 2017: the trust ratio's denominator is |g| + wd |w|, where some SSL codes have |g + wd w|.
    """
    kwargs: dict[str, Any] = {"betas": config.betas} if config.name == "adamw" else {"momentum": config.momentum}
    if config.name == "sgd":
        # timm's `sgd` would mean Nesterov momentum; the papers use the plain one
        kwargs["nesterov"] = False
    if config.name != "lars":
        # one pass over all parameters; timm's LARS has none
        kwargs["fused"] = True
    steady = {id(p) for p in at_peak_rate}
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = _groups(config, [p for p in trained if id(p) not in steady])
    if steady:
        kept = _groups(config, [p for p in trained if id(p) in steady])
        groups += [{**group, "at_peak_rate": True} for group in kept]
    made = create_optimizer_v2(groups, opt=config.name, lr=config.lr, weight_decay=0.0, **kwargs)
    made.register_load_state_dict_post_hook(_lay_out_as_parameters)
    return made


def _lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give what a checkpoint says of each parameter its layout: on a CPU, the one pass goes by places in memory."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape and value.ndim:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def set_rates(optimizer: torch.optim.Optimizer, rate: float, peak: float) -> None:
    """Set the learning rate of all parameters except those that stay at the peak.

    Args:
        optimizer: made by `optimizer`.
        rate: learning rate of this step.
        peak: of the parameters that stay at the peak.
    """
    for group in optimizer.param_groups:
        group["lr"] = peak if group.get("at_peak_rate") else rate


def peak_lr(config: Optimizer, samples_per_step: int) -> float:
    """The schedule's peak: `lr`, times samples / 256 where the recipe says so (Goyal et al. 2017)."""
    return config.lr * samples_per_step / 256 if config.scale_lr else config.lr


def _groups(config: Optimizer, trained: list[nn.Parameter]) -> list[dict[str, Any]]:
    matrices: dict[str, Any] = {
        "params": [p for p in trained if p.ndim > 1],
        "weight_decay": config.weight_decay,
    }
    if config.name == "lars":
        # otherwise timm's LARS is plain SGD wherever weight decay is 0
        matrices["always_adapt"] = True
    rest = {
        "params": [p for p in trained if p.ndim <= 1],
        "weight_decay": config.weight_decay if config.decay_all else 0.0,
    }
    return [matrices, rest]
