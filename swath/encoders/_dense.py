"""Encoders with features of every pixel: what is fine-tuned to segment."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from swath.batch import Image


@runtime_checkable
class DenseEncoder(Protocol):
    """An encoder with features of every pixel, dates already collapsed.

    It may say which layer turns them into classes, `head(classes)` (else a 1x1 convolution), and which part of it is
    the encoder proper, `backbone`, that stays as it is when the encoder is frozen (else all of it).
    """

    dense_dim: int

    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """Features of every pixel, for training: nothing is checked."""
        ...


def head_of(encoder: DenseEncoder, classes: int, passes: int = 1) -> nn.Module:
    """A new last layer from features of pixels to classes, randomly initialised.

    Args:
        encoder: whose features it takes.
        classes: how many.
        passes: how many feature maps are concatenated; with more than one, always a 1x1 convolution.
    """
    if passes == 1 and (make := getattr(encoder, "head", None)):
        return make(classes)
    return nn.Conv2d(encoder.dense_dim * passes, classes, 1)


def backbone_of(encoder: nn.Module) -> nn.Module:
    """The part of an encoder that stays as it is when the encoder is frozen."""
    return getattr(encoder, "backbone", encoder)
