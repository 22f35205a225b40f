"""MMF: the sensor that is missing is made from the one that is there, and both are fused.

The two-stage comparator of S4 (Shenoy et al. 2024, section 5.3): a generator for each direction, which unlabelled pairs
train, and a segmenter of the real and the generated bands stacked ("early fusion", PASTIS-R), which labels train. The
frames of both are the real one's, so they are aligned by construction.
"""

from dataclasses import replace
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import cross_modal_unet_3d
from swath.encoders._contract import InputContract
from swath.encoders._dense import DenseEncoder
from swath.encoders._plugin import StartableSettings
from swath.encoders._series import SeriesEncoder
from swath.encoders.cross_modal_unet_3d import CrossModalUNet3d, SeriesNet, branch_of
from swath.encoders.unet_3d import Contracted, final_convolution
from swath.errors import RecipeError
from swath.sensors import band_id


class Config(SeriesNet, StartableSettings):
    """MMF (Shenoy et al. 2024, section 5.3): the size of each generator and of the fusion network."""

    HAS_BRANCHES: ClassVar[bool] = True
    name: Literal["mmf"] = "mmf"


class Generator(nn.Module):
    """A 3-D U-Net from one sensor's series to the other's bands."""

    def __init__(self, config: SeriesNet, given: InputContract, wanted: InputContract):
        super().__init__()
        self.encoder = _unet(config, given)
        self.final = final_convolution(config.width, wanted.channels)

    def forward(self, contracted: Contracted) -> Float[Tensor, "b c t h w"]:
        """The other sensor's standardised bands at every date, from `encoder.contracted(image)`."""
        return self.final(self.encoder.network.expanding(contracted))


class GeneratorsAndFusion(nn.Module):
    """A generator for each of the two sensors to be given, and the network that fuses."""

    def __init__(self, config: SeriesNet, contract: InputContract):
        super().__init__()
        each = [contract.alone(position) for position in range(2)]
        self.generators = nn.ModuleList(Generator(config, *pair) for pair in (each, each[::-1]))
        self.fusion = _unet(config, replace(contract, channels=len(contract.bands), branches=()))


class Mmf(SeriesEncoder, DenseEncoder):
    """Generators and a fusion network, of which labels fine-tune the fusion only.

    Unlabelled pairs train the generators, which then stay as they are. Until labels have trained the fusion network,
    the embedding is the generator's, of the real sensor.
    """

    network: GeneratorsAndFusion

    def __init__(self, network: GeneratorsAndFusion, contract: InputContract):
        first = cast(Generator, network.generators[0]).encoder
        super().__init__(network, contract, dim=first.dim, example_px=first.example_px)
        self.dense_dim, self.needs_days = network.fusion.dense_dim, first.needs_days

    def generator(self, image: Image) -> Generator:
        """The generator that takes the sensor whose image this is, by the image's bands."""
        return cast(Generator, self.network.generators[branch_of(image, self.contract)])

    def volumes(self, image: Image) -> Float[Tensor, "b d t h w"]:
        """The generator's features, at a quarter of the resolution in time and space."""
        return self.generator(image).encoder.volumes(image)

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked."""
        return self.generator(image).encoder(image)

    @torch.no_grad()
    def generated(self, image: Image) -> Image:
        """The other sensor on the image's dates and pixels, in its own units; valid where the image is."""
        generator = self.generator(image)
        said = generator(generator.encoder.contracted(image)).transpose(1, 2).float()
        other = self.contract.alone(1 - branch_of(image, self.contract))
        ids = torch.tensor([band_id(key) for key in other.bands], dtype=torch.int32, device=said.device)
        ids = ids.expand(said.shape[0], -1)
        return replace(image, pixels=self.standardize.undo(said, ids), band_ids=ids, common_ids=None)

    def completed(self, image: Image) -> Image:
        """Both sensors as one image, in the order of the contract: one is real, the other generated."""
        made = self.generated(image)
        both = (made, image) if branch_of(image, self.contract) else (image, made)
        return replace(
            image,
            pixels=torch.cat([one.pixels for one in both], dim=2),
            band_ids=torch.cat([one.band_ids for one in both], dim=1),
            common_ids=None,
        )

    @property
    def backbone(self) -> nn.Module:
        """The generators, which labels never train."""
        return self.network.generators

    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """The fusion's features of every pixel, dates collapsed."""
        return self.network.fusion.dense(self.completed(image))

    def head(self, classes: int) -> nn.Module:
        """The final convolution, to classes."""
        return self.network.fusion.head(classes)


def build(config: Config, contract: InputContract) -> Mmf:
    """Randomly initialised networks for two sensors, the generators frozen: the method `mmf` thaws and trains them.

    Raises:
        RecipeError: the contract is not of two sensors.
    """
    if len(contract.inputs) != 2:
        raise RecipeError(
            "mmf makes one sensor from another, and the views are of one input",
            remedy="choose the policy paired-series",
        )
    network = GeneratorsAndFusion(config, contract)
    network.generators.requires_grad_(requires_grad=False)
    return Mmf(network, contract)


def _unet(config: SeriesNet, contract: InputContract) -> CrossModalUNet3d:
    """A U-Net of these settings for the bands of a contract, all of one input."""
    own = {name: getattr(config, name) for name in SeriesNet.model_fields}
    return cross_modal_unet_3d.build(cross_modal_unet_3d.Config(**own), contract)
