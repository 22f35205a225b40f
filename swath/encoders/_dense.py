"""Encoders with features of every pixel: what is fine-tuned to segment."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders._base import Encoder


class DenseEncoder(Encoder, ABC):
    """An encoder that also gives features of every pixel, with its dates already merged."""

    dense_dim: int
    """Length of a pixel's feature vector."""

    @abstractmethod
    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """Features of every pixel, for training: nothing is checked."""

    def head(self, classes: int) -> nn.Module:
        """A new last layer, randomly initialised, from features of pixels to `classes` logits each."""
        return nn.Conv2d(self.dense_dim, classes, 1)

    @property
    def backbone(self) -> nn.Module:
        """The part that keeps its weights when the encoder is frozen."""
        return self


def head_of(encoder: DenseEncoder, classes: int, passes: int = 1) -> nn.Module:
    """A new last layer from features of pixels to classes, randomly initialised.

    Args:
        encoder: whose features it takes.
        classes: how many.
        passes: how many feature maps are concatenated; with more than one, always a 1x1 convolution.
    """
    return encoder.head(classes) if passes == 1 else nn.Conv2d(encoder.dense_dim * passes, classes, 1)


def backbone_of(encoder: nn.Module) -> nn.Module:
    """The part of an encoder that keeps its weights when the encoder is frozen."""
    return encoder.backbone if isinstance(encoder, DenseEncoder) else encoder
