"""An image encoder and a location encoder side by side: SatCLIP's two towers (Klemmer et al. 2024, arXiv 2311.17179).

An image is embedded by one, the longitude and latitude of `location` by the other, and an input of both is the two
embeddings one after the other.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from jaxtyping import Float
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from swath import plugins
from swath.batch import Image
from swath.encoders import _checkpoint
from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.encoders._plugin import EncoderSettings, StartableSettings
from swath.encoders.cross_modal_unet_3d import branch_of
from swath.encoders.location import LOCATION, Tower, check_image, lonlat_of, tower
from swath.encoders.location.encodings import EncodingSettings, spherical_harmonics
from swath.encoders.location.networks import NetworkSettings, siren
from swath.errors import RecipeError

if TYPE_CHECKING:
    ImageConfig: TypeAlias = EncoderSettings
    EncodingConfig: TypeAlias = EncodingSettings
    NetworkConfig: TypeAlias = NetworkSettings
else:
    ImageConfig = plugins.union("swath.encoders", EncoderSettings, without=("image-and-location", "location"))
    EncodingConfig = plugins.union("swath.encoders.location.encodings", EncodingSettings)
    NetworkConfig = plugins.union("swath.encoders.location.networks", NetworkSettings)


class Config(StartableSettings):
    """Which image encoder, and which encoding and network of locations."""

    model_config = ConfigDict(defer_build=True)
    HAS_BRANCHES: ClassVar[bool] = True

    name: Literal["image-and-location"] = "image-and-location"
    image: ImageConfig
    """Encoder of the images, which may start from weights of its own."""
    encoding: EncodingConfig = Field(default_factory=spherical_harmonics.Config)
    """From degrees to features."""
    network: NetworkConfig = Field(default_factory=siren.Config)
    """From features to an embedding, which is made as long as that of an image."""

    @property
    def part(self) -> EncoderSettings:
        """The image encoder's settings."""
        return self.image

    @property
    def saw_the_earth(self) -> bool:
        """Whether the image encoder starts from what was trained on Earth observation, nobody knows where."""
        return _checkpoint.saw_unknown_places(self.image)

    @property
    def without_start(self) -> "Config":
        """The same settings with random weights in both towers."""
        image = self.image.without_start if isinstance(self.image, StartableSettings) else self.image
        return self.model_copy(update={"weights": None, "image": image})


class Towers(nn.Module):
    """What is trained of both."""

    def __init__(self, image: Encoder, location: Tower):
        super().__init__()
        self.image, self.location = image, location


class ImageAndLocation(Encoder):
    """Embeds an image, or the longitude and latitude in an image's first pixel, by the bands that it has."""

    network: Towers

    def __init__(self, image: Encoder, location: Tower, contract: InputContract):
        super().__init__(Towers(image, location), contract, dim=image.dim, example_px=image.example_px)
        self.start, self.needs_days = image.start, False

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked."""
        if self._is_location(image):
            return self.network.location(lonlat_of(image))
        return self.network.image(image)

    def check(self, image: Image, *, trusted: bool = False) -> None:
        """Raise ContractError unless the image is what its tower was made for."""
        self.contract.check(image)
        if self._is_location(image):
            check_image(image)
        else:
            self.network.image.check(image, trusted=trusted)

    def _is_location(self, image: Image) -> bool:
        return self.contract.inputs[branch_of(image, self.contract)] == LOCATION


def build(config: Config, contract: InputContract) -> ImageAndLocation:
    """Both towers, with embeddings of the image encoder's length.

    Raises:
        RecipeError: the views are of other bands than an image's and the location's; or a length was asked of the
            location's embedding that is not the image's.
    """
    if len(contract.branches) != 2 or contract.inputs[1] != LOCATION:
        raise RecipeError(
            "the encoder image-and-location takes bands of an image, and the location",
            remedy="choose the view policy `image-and-location`, or the encoder `location` for places alone",
        )
    image = _checkpoint.build(config.image, contract.alone(0))
    if config.network.dim not in (None, image.dim):
        raise RecipeError(
            f"the location's embedding has {config.network.dim} numbers, the image's {image.dim}",
            remedy="leave out network.dim",
        )
    return ImageAndLocation(image, tower(config.encoding, config.network, image.dim), contract)
