"""Draws of a batch's parameters, on the host, so that a view is a pure function of the generator's state everywhere."""

import torch
from torch import Tensor


def uniform(generator: torch.Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers in [low, high)."""
    return torch.rand(shape, generator=generator) * (high - low) + low


def log_uniform(generator: torch.Generator, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """Numbers whose logarithm is uniform: as often halved as doubled."""
    bounds = torch.tensor([low, high], dtype=torch.float64).log().tolist()
    return uniform(generator, shape, *bounds).exp()


def chance(generator: torch.Generator, shape: tuple[int, ...], p: float) -> Tensor:
    """True with probability p; nothing is drawn for p = 0."""
    if p == 0:
        return torch.zeros(shape, dtype=torch.bool)
    return torch.rand(shape, generator=generator) < p


def factors(generator: torch.Generator, n: int, p: float, bounds: tuple[float, float], off: float) -> Tensor:
    """One uniform number per sample, or `off` where the sample's coin says no."""
    on = chance(generator, (n,), p)
    if p == 0:
        return on.float() + off
    return torch.where(on, uniform(generator, (n,), *bounds), off)


def distinct(generator: torch.Generator, n: int, k: int, of: int) -> Tensor:
    """`k` different numbers below `of` for each of n samples, in random order: int64 "n k"."""
    return torch.rand((n, of), generator=generator).argsort(dim=1)[:, :k]


def noise(generator: torch.Generator, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Standard normal numbers, drawn where they are needed; other devices than the host draw others."""
    if device.type == "cpu":
        return torch.randn(shape, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)
