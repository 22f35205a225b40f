"""A vision transformer that can compute some of its tokens without the others, as masked modelling needs it.

Its blocks are timm's; positions and initial weights are MAE's (He et al. 2022, https://arxiv.org/abs/2111.06377).
Groups of bands and dates as in SatMAE (Cong et al. 2022, https://arxiv.org/abs/2207.08051), positions by pixel size as
in Scale-MAE (Reed et al. 2023, https://arxiv.org/abs/2212.14532). timm is imported when a network is built: it takes
seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders import _positions
from swath.encoders._contract import InputContract
from swath.encoders._dense import DenseEncoder
from swath.encoders._maps import MapEncoder
from swath.encoders._plugin import StartableSettings
from swath.encoders._tokens import TokenEncoder, cut, picked, take
from swath.errors import RecipeError


class TransformerSettings(StartableSettings):
    """Base of the `Config` of vision transformers that can compute some tokens without the others: their size.

    Widths, depths and heads of the usual sizes: tiny 192, 12, 3; small 384, 12, 6; base 768, 12, 12; large 1024, 24,
    16.
    """

    patch: int = Field(default=16, ge=1)
    """Height and width of a patch in pixels. Chips of other sizes than a multiple are padded with invalid pixels."""
    width: int = Field(default=384, ge=4)
    """Length of a token."""
    depth: int = Field(default=12, ge=1)
    """Number of blocks."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of a block."""
    class_token: bool = True
    """Whether there is a token of the whole image."""
    registers: int = Field(default=0, ge=0)
    """Number of further tokens that belong to no patch, which attention may use as it likes (registers)."""
    pooling: Literal["mean", "class"] = "mean"
    """What the embedding is: the mean of the patches' tokens, or the class token."""
    reference_gsd_m: float | None = Field(default=None, gt=0)
    """Count positions in pixels of this many metres instead of the image's own pixels (Scale-MAE)."""
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    """Probability with which training leaves out the last block; it grows linearly from 0 at the first (stochastic
    depth)."""

    @model_validator(mode="after")
    def _has_a_shape(self) -> "TransformerSettings":
        if self.width % 4:
            raise ValueError(f"width is {self.width}, and what positions are made of needs a multiple of 4")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}, which is no multiple of {self.heads} heads")
        if self.pooling == "class" and not self.class_token:
            raise ValueError("pooling is class, and there is no class_token")
        return self

    @property
    def prefix(self) -> int:
        """Number of tokens that belong to no patch: the class token and the registers."""
        return int(self.class_token) + self.registers


class Config(TransformerSettings):
    """Settings of a vision transformer that masked modelling can train: its size, and what its tokens stand for."""

    name: Literal["vit"] = "vit"
    learnt_positions_px: int | None = Field(default=None, ge=1)
    """Learn the positions of patches, for chips of this many pixels; they are interpolated for chips of other sizes.
    None: fixed sines and cosines, as in MAE."""
    groups: Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...], Field(min_length=1)] | None = None
    """Groups of bands, by their keys, each with tokens of its own (SatMAE's group channels); None: all in one token."""
    dates: Literal["apart", "together"] = "apart"
    """`apart`: every date of a series is embedded by itself, and the embeddings are averaged. `together`: tokens of all
    dates attend to each other, and each is told its year and month (SatMAE's temporal form)."""

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        unit = 4 * (4 if self.groups else 1) * (2 if self.dates == "together" else 1)
        if self.width % unit:
            raise ValueError(f"width is {self.width}, and what positions are made of needs a multiple of {unit}")
        if self.learnt_positions_px is not None and self.reference_gsd_m is not None:
            raise ValueError("positions are either learnt (learnt_positions_px) or by pixel size (reference_gsd_m)")
        if self.learnt_positions_px is not None and self.learnt_positions_px < self.patch:
            raise ValueError(f"learnt_positions_px is less than a patch of {self.patch} pixels")
        return self


def shares(width: int, *, groups: bool, dates: bool) -> tuple[int, int, int]:
    """How many of a positional encoding's `width` numbers encode position, group of bands and date.

    A quarter is for the group, and an eighth each for year and month, as in SatMAE's decoders and large encoders; the
    rest is for the position. What does not apply gets none.

    Args:
        width: length of a token.
        groups: whether there are several groups of bands.
        dates: whether tokens are told their date.
    """
    group, date = (width // 4 if groups else 0), (width // 4 if dates else 0)
    return width - group - date, group, date


class Transformer(nn.Module):
    """All weights: linear embeddings of patches, the class token and registers, and the transformer's blocks."""

    def __init__(
        self, config: TransformerSettings, embeds: Mapping[str, nn.Module], positions: tuple[int, int] | None = None
    ):
        """Draw the initial weights.

        Args:
            config: size of the network.
            embeds: modules that turn patches into tokens, by the name of the patches' group of bands.
            positions: length of learnt positions, and number of patches in each direction that they are for; None:
                positions are not learnt.
        """
        super().__init__()
        width = config.width
        # the groups' names stand in the state, so that weights of other groups are not taken for these
        self.embeds = nn.ModuleDict(dict(embeds))
        self.prefix = nn.Parameter(torch.empty(1, config.prefix, width).normal_(std=0.02)) if config.prefix else None
        self.positions = None
        if positions is not None:
            spatial, side = positions
            self.positions = nn.Parameter(torch.empty(1, spatial, side, side).normal_(std=0.02))
        drops = torch.linspace(0, config.drop_path, config.depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(block(width, config.heads, drop) for drop in drops)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.apply(initialise)

    def embed(self, patches: Float[Tensor, "b *k p"], group: int) -> Float[Tensor, "b *k d"]:
        """Turn the pixels of patches, which are of one group of bands, into tokens."""
        return list(self.embeds.values())[group](patches)

    def forward(self, tokens: Float[Tensor, "b k d"], there: Bool[Tensor, "b k"]) -> Float[Tensor, "b m d"]:
        """Class token, registers and patch tokens after all blocks and the last norm.

        Args:
            tokens: embedded patches with their positions.
            there: False for tokens that no other token may attend to.
        """
        return self.norm(self.attended(tokens, there))

    def attended(self, tokens: Float[Tensor, "b k d"], there: Bool[Tensor, "b k"]) -> Float[Tensor, "b m d"]:
        """As `forward`, before the last norm."""
        if self.prefix is not None:
            prefix = self.prefix.expand(tokens.shape[0], -1, -1)
            tokens = torch.cat([prefix.to(tokens.dtype), tokens], dim=1)
        return attend(self.blocks, tokens, there)


def block(width: int, heads: int, drop_path: float = 0.0) -> nn.Module:
    """A transformer block of timm's, with MAE's settings."""
    from timm.models.vision_transformer import Block

    norm: Any = partial(nn.LayerNorm, eps=1e-6)
    return Block(width, heads, qkv_bias=True, norm_layer=norm, drop_path=drop_path)


def attend(
    blocks: Sequence[nn.Module] | nn.ModuleList, tokens: Float[Tensor, "b m d"], there: Bool[Tensor, "b k"]
) -> Float[Tensor, "b m d"]:
    """Send tokens through timm's blocks.

    Args:
        blocks: one after the other.
        tokens: a prefix that every token attends to, and k tokens after it.
        there: which of these k may be attended to.
    """
    prefix = tokens.shape[1] - there.shape[1]
    # a softmax over nothing is no number: where nothing is there, all of it is
    seen = there if prefix else there | ~there.any(dim=1, keepdim=True)
    mask = F.pad(seen, (prefix, 0), value=True)[:, None, None]
    for each in blocks:
        tokens = each(tokens, attn_mask=mask)
    return tokens


def initialise(module: nn.Module) -> None:
    """Give a linear layer MAE's initial weights, which are those of the official ViT in JAX."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class Vit(TokenEncoder):
    """What both vision transformers share: `SpatialVit` for single dates, and `TemporalVit` for series as a whole."""

    network: Transformer

    def __init__(self, config: TransformerSettings, contract: InputContract, network: Transformer):
        super().__init__(network, contract, dim=config.width, example_px=4 * config.patch)
        self.config, self.patch_px = config, config.patch
        self.prefix, self.pooling = config.prefix, config.pooling

    def tokens(
        self, image: Image, keep: Int[Tensor, "b k"] | None = None, scale: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b m d"]:
        """As `TokenEncoder.tokens`. Without groups of bands, only the patches of kept tokens are embedded at all."""
        return self.network(*self._entering(self._standard(image), keep, scale))

    def _standard(self, image: Image) -> Image:
        return replace(image, pixels=self.standardize(image.pixels, image.valid, image.band_ids))

    def _entering(
        self, image: Image, keep: Int[Tensor, "b k"] | None = None, scale: Float[Tensor, " b"] | None = None
    ) -> tuple[Float[Tensor, "b k d"], Bool[Tensor, "b k"]]:
        """Embed the patches of a standardised image.

        Returns:
            Tokens as they enter the first block, and True for those that have a valid pixel.
        """
        there = self.seen(image)
        positions = self._positions(image, self.config.width, scale, self.network.positions)
        embedded = self._embedded(image, keep)
        if keep is not None:
            there = take(there, keep) & (keep >= 0)
            positions = take(positions.expand(len(keep), -1, -1), keep)
        return embedded + positions, there

    def _embedded(self, image: Image, keep: Int[Tensor, "b k"] | None) -> Float[Tensor, "b k d"]:
        """What the patches of a standardised image are, without their positions."""
        patches = cut(image.pixels, self.patch_px)
        if not self.groups:
            rows = patches.flatten(3).flatten(1, 2)
            return self.network.embed(rows if keep is None else take(rows, keep), 0)
        of_each = [self.network.embed(picked(patches, own).flatten(3), i) for i, own in enumerate(self.groups)]
        rows = torch.stack(of_each, dim=2).flatten(1, 3)
        return rows if keep is None else take(rows, keep)

    def positions(self, image: Image, width: int, scale: Float[Tensor, " b"] | None = None) -> Float[Tensor, "s n w"]:
        """As `TokenEncoder.positions`: sines and cosines, also where the encoder's own positions are learnt."""
        return self._positions(image, width, scale, None)

    def _positions(
        self, image: Image, width: int, scale: Tensor | None, learnt: nn.Parameter | None
    ) -> Float[Tensor, "b n w"]:
        """Each token's position, group and date, encoded and concatenated (`shares`)."""
        grid, device = self.grid(image), image.pixels.device
        spatial, of_group, of_date = shares(width, groups=len(self.groups) > 1, dates=self.together)
        if learnt is None:
            ground = _positions.of_grid(grid.rows, grid.columns, spatial, device, self._factor(image, scale))
        else:
            ground = resized(learnt, grid.rows, grid.columns)
        parts, dates, groups = [ground[:, None, None]], image.days.shape[1], max(1, len(self.groups))
        if of_group:
            parts.append(_positions.waves(torch.arange(groups, device=device), of_group)[None, None, :, None])
        if of_date:
            parts.append(_positions.of_days(image.days, of_date)[:, :, None, None])
        samples = max(part.shape[0] for part in parts)
        wide = [part.expand(samples, dates, groups, grid.places, -1) for part in parts]
        return torch.cat(wide, dim=-1).flatten(1, 3)

    def _factor(self, image: Image, scale: Tensor | None) -> float | Tensor:
        """What positions are multiplied by: the image's pixel size over `reference_gsd_m`, or 1."""
        if self.config.reference_gsd_m is None:
            return 1.0
        factor = image.gsd_m / self.config.reference_gsd_m
        return factor if scale is None else factor * scale

    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters, first to last: embeddings, prefix and positions; each block; the last norm."""
        network = self.network
        own = [p for p in (network.prefix, network.positions) if p is not None]
        stem = [*network.embeds.parameters(), *own]
        return [stem, *(list(each.parameters()) for each in network.blocks), list(network.norm.parameters())]


class SpatialVit(Vit, MapEncoder):
    """A vision transformer that embeds every date by itself."""

    def encode(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n d"]:
        """Features of standardised pictures, of the pixel size that the encoder was trained on."""
        image = self._picture(pixels, valid)
        return self.pooled(self._of_standard(image), self.seen(image))

    def maps(self, pixels: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """The normalised tokens of patches, groups averaged: a map of one size, as of any transformer."""
        image = self._picture(pixels, torch.ones_like(pixels[:, 0], dtype=torch.bool))
        grid, tokens = self.grid(image), self._of_standard(image)[:, self.prefix :]
        by_place = tokens.unflatten(1, (grid.layers, grid.rows, grid.columns))
        return [by_place.mean(dim=1).permute(0, 3, 1, 2)]

    def _picture(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Image:
        """Wrap standardised pixels in an image of one date; its band ids and day are placeholders."""
        nothing = torch.zeros(pixels.shape[0], 1, dtype=torch.int32, device=pixels.device)
        gsd_m = self.contract.gsd_m[0] if self.contract.gsd_m else 1.0
        return Image(pixels[:, None], valid[:, None], nothing, nothing.expand(-1, pixels.shape[1]), gsd_m)

    def _of_standard(self, image: Image) -> Float[Tensor, "n m d"]:
        return self.network(*self._entering(image))


class TemporalVit(Vit, DenseEncoder):
    """A vision transformer whose tokens of all dates attend to each other and are told their year and month."""

    needs_days = True

    together = True

    def __init__(self, config: TransformerSettings, contract: InputContract, network: Transformer):
        super().__init__(config, contract, network)
        self.dense_dim = config.width

    def dense(self, image: Image) -> Float[Tensor, "b d h w"]:
        """Features of every pixel: tokens averaged over groups of bands and dates, then interpolated bilinearly.

        A date counts for a patch only if one of the patch's pixels is valid on it.
        """
        grid, h, w = self.grid(image), *image.pixels.shape[3:]
        tokens = self.tokens(image)[:, self.prefix :].unflatten(1, (grid.layers, -1))
        there = self.seen(image).unflatten(1, (grid.layers, -1))
        weight = (there | ~there.any(dim=1, keepdim=True)).to(tokens.dtype)
        mean = torch.einsum("blnd,bln->bdn", tokens, weight / weight.sum(dim=1, keepdim=True))
        maps = mean.unflatten(2, (grid.rows, grid.columns))
        size = (grid.rows * self.patch_px, grid.columns * self.patch_px)
        return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, :, :h, :w]


def resized(positions: Float[Tensor, "1 w r c"], rows: int, columns: int) -> Float[Tensor, "1 n w"]:
    """Interpolate learnt positions to another number of rows and columns of patches."""
    size = (rows, columns)
    if torch.compiler.is_exporting() or positions.shape[2:] != size:
        positions = F.interpolate(positions, size=size, mode="bicubic", antialias=True, align_corners=False)
    return positions.flatten(2).transpose(1, 2)


def build(config: Config, contract: InputContract) -> Vit:
    """A randomly initialised transformer for a contract's bands.

    Raises:
        RecipeError: the groups are not of the contract's bands, or miss one of them; or positions are by pixel size,
            and that of the contract's bands nobody knows.
    """
    check_reference(config, contract)
    channels, together = _channels(config, contract), config.dates == "together"
    embeds = {name: nn.Linear(len(own) * config.patch**2, config.width) for name, own in channels.items()}
    learnt = None
    if config.learnt_positions_px is not None:
        spatial = shares(config.width, groups=len(channels) > 1, dates=together)[0]
        learnt = (spatial, -(-config.learnt_positions_px // config.patch))
    encoder = (TemporalVit if together else SpatialVit)(config, contract, Transformer(config, embeds, learnt))
    encoder.groups = tuple(channels.values()) if config.groups else ()
    return encoder


def check_reference(config: TransformerSettings, contract: InputContract) -> None:
    """Raise RecipeError if positions are by pixel size, and that of the contract's bands nobody knows."""
    if config.reference_gsd_m is not None and not contract.gsd_m:
        raise RecipeError(
            "positions are by pixel size, and how large the pixels of the training are nobody knows",
            remedy="leave reference_gsd_m out",
        )


def _channels(config: Config, contract: InputContract) -> dict[str, tuple[int, ...]]:
    """Channels of each group, by the group's name."""
    if config.groups is None:
        return {"all": tuple(range(contract.channels))}
    if not contract.fixed:
        raise RecipeError(
            "groups of bands need channels that always hold the same band, and in these views any channel may hold any",
            remedy="leave groups out, or take a policy whose views have fixed bands",
        )
    said = list(chain.from_iterable(config.groups))
    twice, unknown = {key for key in said if said.count(key) > 1}, set(said) - set(contract.bands)
    faults = {
        "stand in two groups": twice,
        "are none of the views' bands": unknown,
        "are in no group": set(contract.bands) - set(said),
    }
    for fault, keys in faults.items():
        if keys:
            raise RecipeError(
                f"groups of bands: {', '.join(sorted(keys))} {fault}",
                remedy=f"put each of these into one group: {', '.join(contract.bands)}",
            )
    return {" + ".join(group).replace(".", "_"): tuple(map(contract.bands.index, group)) for group in config.groups}
