"""Encoders of single dates with maps of features: what decoders segment from."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swath.encoders._base import Encoder, evaluating


class MapEncoder(Encoder, ABC):
    """An encoder whose network also gives feature maps: of several sizes or, for a transformer's tokens, of one."""

    @abstractmethod
    def maps(self, pixels: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Maps of standardised pictures of single dates, from the input to the output; nothing is checked."""

    @abstractmethod
    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters of the network by layer, from input to output, for learning rates that fall with depth."""

    def dilate(self) -> bool:
        """Have the last stage keep its input's size, dilated, so that the last map has twice the resolution.

        Returns:
            Whether it could; if not, the encoder is as it was.
        """
        return False

    @torch.no_grad()
    def map_sizes(self) -> list[tuple[int, float]]:
        """Channels of each map, and how many pixels of the input one of its own is wide; found by a trial."""
        device = next(self.buffers()).device
        trial = torch.zeros(1, self.contract.channels, self.example_px, self.example_px, device=device)
        with evaluating(self):
            maps = self.maps(trial)
        return [(one.shape[1], self.example_px / one.shape[-1]) for one in maps]
