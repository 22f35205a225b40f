"""Keys whose batch statistics are not those of their queries.

Query and key of a chip are recognised as belonging together by what BatchNorm made of their batch, which is nothing of
the chip. The official codes of MoCo and what is built on it therefore shuffle keys between devices, so that a key's
statistics are those of as many chips as a device holds, others than its query's. Here, on any number of devices, keys
go through the network in sub-batches.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swath._device import send
from swath.batch import Image

GhostBatch = Annotated[int, Field(ge=2)] | None
"""Largest number of images that share batch statistics when keys are made, over all devices. null: the whole batch."""

Features = Callable[[Sequence[Image]], Float[Tensor, "b *d"]]
"""A function from images of the same samples to features."""


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether a network's output for a sample depends on the rest of its batch: BatchNorm, of any kind."""
    return any(name.endswith("running_mean") for name, _ in module.named_buffers())


def in_sub_batches(features: Features, images: Sequence[Image], number: int) -> Float[Tensor, "b *d"]:
    """Features of all samples, which go through the network in `number` sub-batches of about the same size.

    Every `number`-th sample is in the same sub-batch. Nothing needs to be shuffled: a batch comes in random order.

    Args:
        features: the network.
        images: one or several of each sample, which stay together.
        number: of sub-batches; 1: all samples at once.
    """
    samples = len(images[0])
    number = min(number, samples)
    if number <= 1:
        return features(images)
    rows = [torch.arange(first, samples, number) for first in range(number)]
    made = torch.cat([features([image.take(some) for image in images]) for some in rows])
    return made[send(torch.cat(rows).argsort(), made.device)]


def number_of(images: int, ghost_batch: GhostBatch, network: nn.Module) -> int:
    """Number of sub-batches into which so many images of all processes are divided."""
    if ghost_batch is None or not has_batch_statistics(network):
        return 1
    return -(-images // ghost_batch)
