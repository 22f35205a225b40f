"""ConvNeXt V2, which looks at a whole picture or at some of its cells only: the encoder of FCMAE and MP-MAE.

Woo et al. 2023, https://arxiv.org/abs/2301.00808. The network is timm's, and a whole picture goes through it as timm
has it. Cells go through the same layers (`tokens`) with the result of the official sparse convolutions: nothing of
what is masked enters, and the global response is normalised over what is seen.
"""

from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders._base import laid_out
from swath.encoders._cells import Cells
from swath.encoders._contract import InputContract
from swath.encoders.timm import PublishedStart, TimmEncoder, create, guard_strides, started
from swath.errors import RecipeError

PUBLISHED_CELL = 32
HALVINGS = 8
"""By how much the stages shrink a picture after the stem."""


class Config(PublishedStart):
    """Which of the published networks, and how coarse its first layer is."""

    name: Literal["convnext-v2"] = "convnext-v2"
    size: Literal["atto", "femto", "pico", "nano", "tiny", "base", "large", "huge"] = "atto"
    """Which of the published networks, with 3.4, 4.8, 8.6, 15, 28, 88, 196 or 657 million weights."""
    depths: tuple[int, int, int, int] | None = None
    """Blocks of each stage, instead of the size's own."""
    widths: tuple[int, int, int, int] | None = None
    """Channels of each stage, instead of the size's own."""
    cell: Literal[8, 16, 32] = 32
    """How many pixels wide a position of the last stage is, and what is masked as a whole. 32 as published, for 224
    pixels; MMEarth takes 16 for 112 pixels and 8 for 56."""
    stem: Literal["patch", "dense"] = "patch"
    """`patch`: one convolution whose stride is its width, `cell` / 8 pixels. `dense`: MMEarth's, a 3 x 3 convolution of
    every pixel, then a depthwise one of that stride."""


class ConvNextV2(TimmEncoder):
    """timm's ConvNeXt V2, of which also single cells can be looked at."""

    def __init__(self, network: nn.Module, contract: InputContract, dim: int, cell: int):
        super().__init__(network, contract, dim, example_px=max(64, 2 * cell))
        self.cell = cell

    def grid(self, image: Image) -> tuple[int, int]:
        """How many cells a picture has, down and across.

        Raises:
            RecipeError: it is not made of whole cells.
        """
        height, width = image.pixels.shape[-2:]
        if height % self.cell or width % self.cell or not height * width:
            fits = min(height, width) // self.cell * self.cell
            remedy = f"set the views' crop.size to {fits}, or " if fits else "take larger chips, or "
            raise RecipeError(
                f"pictures of {height} x {width} pixels are not made of whole cells of {self.cell}",
                remedy=f"{remedy}a smaller encoder.cell",
            )
        return height // self.cell, width // self.cell

    def tokens(self, image: Image, kept: Int[Tensor, "b k"]) -> Float[Tensor, "b k d"]:
        """Features of some cells, computed from these alone; for training, nothing is checked.

        Args:
            image: of one date.
            kept: positions of the cells in the picture, row by row; as many of each sample.
        """
        cells = Cells(kept, self.grid(image))
        standard = self.standardize(image.pixels, image.valid, image.band_ids).flatten(0, 1)
        return self._seen(cells.stack(laid_out(standard)), cells).flatten(2).transpose(1, 2)

    def pooled(self, tokens: Float[Tensor, "b k d"]) -> Float[Tensor, "b d"]:
        """The embedding that these cells alone would have."""
        network: Any = self.network
        return network.head(tokens.transpose(1, 2)[..., None])

    def _seen(self, stacked: Float[Tensor, "b c s w"], cells: Cells) -> Float[Tensor, "b d k 1"]:
        """The last map of stacked cells."""
        network: Any = self.network
        for layer in network.stem:
            stacked = _apply(layer, stacked, cells)
        for stage in network.stages:
            stacked = stage.downsample(stacked)
            for block in stage.blocks:
                stacked = _through(block, stacked, cells)
        return stacked


def _apply(layer: nn.Module, stacked: Tensor, cells: Cells) -> Tensor:
    """A layer on stacked cells; a convolution that looks across their edges is shown them where they belong."""
    if isinstance(layer, nn.Conv2d) and layer.kernel_size != layer.stride:
        return cells.stack(layer(cells.spread(stacked)))
    return layer(stacked)


def _through(block: Any, stacked: Tensor, cells: Cells) -> Tensor:
    """timm's `ConvNeXtBlock.forward` on stacked cells."""
    x = _apply(block.conv_dw, stacked, cells)
    if block.use_conv_mlp:
        x = block.mlp(block.norm(x))
    else:
        x = block.mlp(block.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    return block.drop_path(x) + stacked


def build(config: Config, contract: InputContract) -> ConvNextV2:
    """A network with global pooling and no classifier, initialised by timm or from the given weights.

    Raises:
        RecipeError: the weights are not its own, or of another stem.
        ContractError: a band is none of those that the weights were trained on.
    """
    own = {"depths": config.depths, "dims": config.widths}
    said = {name: value for name, value in own.items() if value is not None}
    network = create(f"convnextv2_{config.size}", contract.channels, {"num_classes": 0, **said})
    if config.stem == "dense" or config.cell != PUBLISHED_CELL:
        if config.weights is not None:
            raise RecipeError(
                f"published weights are of the stem patch and cells of {PUBLISHED_CELL} pixels",
                where=str(config.weights),
                remedy="leave encoder.stem and encoder.cell out, or weights",
            )
        _replace_stem(network, config, contract.channels)
    contract, start = started(network, config, contract)
    guard_strides(network)
    encoder = ConvNextV2(network, contract, network.num_features, config.cell)
    encoder.start = start
    return encoder


def _replace_stem(network: Any, config: Config, channels: int) -> None:
    """Another first layer, initialised as timm does it; its layer norm is timm's own kind."""
    stride, width, norm = config.cell // HALVINGS, network.stem[0].out_channels, type(network.stem[1])
    if config.stem == "patch":
        layers = [nn.Conv2d(channels, width, stride, stride), norm(width)]
    else:
        first = [nn.Conv2d(channels, width, 3, padding=1), norm(width), nn.GELU()]
        layers = [*first, nn.Conv2d(width, width, stride, stride, groups=width), norm(width)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.constant_(layer.bias, 0.0)  # pyright: ignore[reportArgumentType] - timm's all have one
    network.stem = nn.Sequential(*layers)
    for stage, info in enumerate(network.feature_info):
        info["reduction"] = stride * 2**stage
