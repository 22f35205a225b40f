"""A location encoder as every other one: from an image, whose pixel is longitude and latitude, to an embedding."""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swath import sensors
from swath.batch import Image
from swath.encoders._base import Encoder, evaluating
from swath.encoders._contract import InputContract
from swath.encoders.location import networks
from swath.encoders.location.encodings import Encoding, check_degrees
from swath.encoders.location.networks import NetworkSettings
from swath.errors import ContractError, RecipeError

LOCATION = tuple(band.key for band in sensors.get(sensors.LOCATION).bands)
"""The bands of an image of locations: degrees on WGS 84, in one pixel."""


class Tower(nn.Module):
    """From degrees to an embedding: a fixed encoding in float64, and a network, or none."""

    def __init__(self, encoding: Encoding, network: nn.Module, dim: int):
        super().__init__()
        self.encoding, self.network = encoding, network
        self.dim = dim
        """Length of the embedding."""

    @classmethod
    def of(cls, encoding: Encoding, network: NetworkSettings | None, dim: int = networks.USUAL_DIM) -> "Tower":
        """The tower with a network of random weights, whose embedding is `dim` long unless its settings say it."""
        if network is None:
            return cls(encoding, nn.Identity(), encoding.dim)
        dim = network.dim or dim
        return cls(encoding, networks.build(network, encoding.dim, dim), dim)

    def forward(self, lonlat: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Embed for training, nothing checked; in the precision of the network, also under autocast."""
        with _whole_precision(lonlat.device.type):
            dtype = next((p.dtype for p in self.network.parameters()), torch.float32)
            return self.network(self.encoding(lonlat).to(dtype))

    @torch.no_grad()
    def embed(self, lonlat: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """Embed for use: coordinates are checked, the network is in evaluation mode, the result is float32.

        Args:
            lonlat: longitude and latitude in degrees on WGS 84.

        Raises:
            ContractError: coordinates are missing, or no such ones exist; the message says what probably happened.
        """
        check_degrees(lonlat)
        with evaluating(self):
            return self(lonlat).float()


class LocationEncoder(Encoder):
    """Embeds the longitude and latitude in an image's first pixel; the image's dates are all of one place."""

    network: Tower

    def __init__(self, tower: Tower, contract: InputContract):
        if not contract.fixed or contract.inputs != (LOCATION,):
            raise RecipeError(
                f"the encoder location takes {' and '.join(LOCATION)}, not {', '.join(contract.bands)}",
                remedy="choose the view policy `location`, or another encoder",
            )
        super().__init__(tower, contract, dim=tower.dim, example_px=1)

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked."""
        return self.network(lonlat_of(image))

    def check(self, image: Image, *, trusted: bool = False) -> None:  # noqa: ARG002 - there is little to look at
        """Raise ContractError unless these are coordinates of locations; they are looked at even if trusted."""
        self.contract.check(image)
        check_image(image)


def _whole_precision(device: str) -> AbstractContextManager[object]:
    """No autocast: the sines of a SIREN turn often, and bfloat16 would round their arguments to a tenth of a radian."""
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def lonlat_of(image: Image) -> Float[Tensor, "b 2"]:
    """Longitude and latitude of an image of locations."""
    return image.pixels[:, 0, :, 0, 0]


def check_image(image: Image) -> None:
    """Raise ContractError where an image of locations holds what is no location."""
    if lost := int((~image.valid[:, 0, 0, 0]).sum()):
        raise ContractError(
            f"{lost} of {len(image)} locations have no coordinates",
            remedy="judge and train on locations with coordinates alone",
        )
    check_degrees(lonlat_of(image))
