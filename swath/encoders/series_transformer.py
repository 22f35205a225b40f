"""A transformer over the tokens of series: a token is a patch of one group of bands at one date.

After Presto (Tseng et al. 2023, https://arxiv.org/abs/2304.14065): small, and trained by masked modelling
(`masked-series`). It is fed whatever is there: any whole groups of bands of any of its sensors, at any dates; what is
invalid or absent is no token. Presto's land cover, weather, terrain and location tokens are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int32, Int64, Shaped
from pydantic import Field, model_validator
from torch import Tensor, nn

from swath._device import send
from swath.batch import NO_DAY, Image
from swath.encoders._contract import InputContract
from swath.encoders._plugin import StartableSettings
from swath.encoders._series import SeriesEncoder, masked_mean
from swath.encoders.cross_modal_unet_3d import MONTHS, YEAR, by_month
from swath.errors import ContractError, RecipeError
from swath.sensors import band, band_id

Bands = tuple[str, ...]
HARMONICS = 4
"""Number of frequencies, 1 to this many cycles a year, whose sines and cosines encode the day of the year."""
WAVELENGTHS = (60.0, 3650.0)
"""Shortest and longest wavelength, in days, of the sines and cosines that encode the time since the first date."""
SPECTRUM = (
    (0.69, "visible"),
    (0.79, "red edge"),
    (1.0, "near infrared"),
    (3.0, "short-wave infrared"),
    (20.0, "thermal"),
)
"""Upper bounds of the parts of the spectrum, in micrometres; radar lies beyond them."""


class Config(StartableSettings):
    """Presto (Tseng et al. 2023): a small transformer over the tokens of series, a group of bands at a date each."""

    HAS_BRANCHES: ClassVar[bool] = True

    name: Literal["series-transformer"] = "series-transformer"
    dim: int = Field(default=128, ge=8)
    """Length of a token, and of the embedding with `pooling: mean`; a multiple of 4 and of `heads`."""
    depth: int = Field(default=2, ge=1)
    """Number of blocks."""
    heads: int = Field(default=8, ge=1)
    """Attention heads of each block."""
    mlp_ratio: float = Field(default=4.0, gt=0)
    """Width of a block's hidden layer over `dim`."""
    patch: int = Field(default=1, ge=1)
    """Height and width of a token in pixels; 1 for series of pixels. Chips that are no multiple lose their right and
    lower rest."""
    groups: Literal["spectrum", "sensor", "band"] | tuple[Bands, ...] = "spectrum"
    """Which bands share a token: those of a sensor that lie in the same part of the spectrum (visible, red edge, near,
    short-wave and thermal infrared; radar), all of a sensor, each by itself, or lists of band keys."""
    pooling: Literal["mean", "months"] = "mean"
    """What an embedding is: the mean over normalised tokens, or one for each month of the year, which keeps what
    happened when (12 `dim` numbers)."""

    @model_validator(mode="after")
    def _divides(self) -> "Config":
        if self.dim % 4 or self.dim % self.heads:
            raise ValueError(f"dim {self.dim} has to be a multiple of 4 and of heads ({self.heads})")
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Tokens of series; each belongs to a date, a group of bands and a patch of ground."""

    x: Float[Tensor, "b n d"]
    """The encoder's input: embedded values plus the encoding in `place`."""
    place: Float[Tensor, "b n d"]
    """Encoding of date, season, group of bands and patch, without the values."""
    valid: Bool[Tensor, "b n"]
    """False for padding, for groups that an image lacks, and where no pixel is valid."""
    values: Float[Tensor, "b n v"]
    """Standardised values of the tokens' pixels, band after band, filled up with 0."""
    known: Bool[Tensor, "b n v"]
    """True for values that are pixels and valid."""
    days: Int32[Tensor, "b n"]
    """Day of each token's date."""
    group: Int64[Tensor, "b n"]
    """Number of each token's group of bands."""
    sensor: Int64[Tensor, "b n"]
    """Number of the sensor of each token's group."""


class Block(nn.Module):
    """A pre-norm transformer block: attention and a two-layer perceptron, each with a residual connection."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Float[Tensor, "b n d"], seen: Bool[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """Compute all tokens anew; only those that are `seen` are attended to."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        x = x + self.proj(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Blocks(nn.Module):
    """Transformer blocks, followed by a layer norm."""

    def __init__(self, dim: int, depth: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "b n d"], seen: Bool[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """Send tokens through all blocks. Those that are not `seen` come out finite and without a meaning."""
        # attention to nothing would be 0 / 0: of a sample without any token all are looked at, and none is used
        seen = seen | ~seen.any(dim=1, keepdim=True)
        for block in self.blocks:
            x = block(x, seen)
        return self.norm(x)


class Network(nn.Module):
    """All weights: linear embeddings of values, one for each group of bands; encodings of group and season; blocks."""

    def __init__(self, groups: Sequence[Bands], config: Config):
        super().__init__()
        area = config.patch**2
        # named by their bands: weights of another grouping do not fit in silence
        self.values = nn.ModuleDict({_label(keys): nn.Linear(len(keys) * area, config.dim) for keys in groups})
        self.group = nn.Parameter(torch.randn(len(groups), config.dim // 4))
        self.season = nn.Linear(2 * HARMONICS, config.dim // 4)
        self.blocks = Blocks(config.dim, config.depth, config.heads, config.mlp_ratio)
        self.apply(presto_init)


@torch.no_grad()
def presto_init(module: nn.Module) -> None:
    """Initial weights as in Presto's code; give it to `nn.Module.apply`: Xavier-uniform, biases of 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class SeriesTransformer(SeriesEncoder):
    """An encoder of series of several sensors, whose tokens are groups of bands (`Network`)."""

    network: Network
    needs_days = True
    halves = False
    ids: Int64[Tensor, " c"]
    """Ids of all groups' bands, group after group."""
    sensor_of_group: Int64[Tensor, " g"]
    """The number of each group's sensor."""

    def __init__(self, contract: InputContract, config: Config):
        by_month = config.pooling == "months"
        super().__init__(
            Network(contract.groups, config),
            contract,
            dim=config.dim * (MONTHS if by_month else 1),
            example_px=2 * config.patch,
        )
        self.config, self.groups = config, contract.groups
        self.values_wide = max(map(len, self.groups)) * config.patch**2
        """Most values that a token holds."""
        sensors = list(dict.fromkeys(_sensor(keys) for keys in self.groups))
        self.group_ids = [tuple(band_id(key) for key in keys) for keys in self.groups]
        numbers = {
            "ids": [i for ids in self.group_ids for i in ids],
            "sensor_of_group": [sensors.index(_sensor(keys)) for keys in self.groups],
        }
        for name, of in numbers.items():
            self.register_buffer(name, torch.tensor(of), persistent=False)

    def check(self, image: Image, *, trusted: bool = False) -> None:
        """As `Encoder.check`; chips have to hold a patch.

        Raises:
            ContractError: the image is not what the encoder was made for.
        """
        super().check(image, trusted=trusted)
        self.check_size(image)

    def check_size(self, image: Image) -> None:
        """Raise ContractError where chips are smaller than a patch."""
        if (least := min(image.pixels.shape[3:])) < self.config.patch:
            raise ContractError(
                f"the image is {least} pixel(s) wide, a token of the encoder {self.config.patch}",
                remedy="give it larger chips, or train an encoder with a smaller patch",
            )

    def tokens(self, images: Sequence[Image]) -> Tokens:
        """Tokens of several images of the same samples, such as of two sensors; the first image's come first."""
        origin = torch.stack([_first_day(image) for image in images]).amin(dim=0)
        parts = [self._tokens(image, origin) for image in images]
        return _compact(
            Tokens(*(torch.cat([getattr(part, f) for part in parts], dim=1) for f in Tokens.__dataclass_fields__))
        )

    def _tokens(self, image: Image, origin: Int32[Tensor, " b"]) -> Tokens:
        standard = self.standardize(image.pixels, image.valid, image.band_ids)
        held = self._held(image)
        wanted = self.ids.split([len(keys) for keys in self.groups])
        found = [_found(image.band_ids, wanted[g]) for g in held]
        taken = [_taken(standard, at) for at, _ in found]
        values = [_patches(x, self.config.patch) for x in taken]
        known = [
            _patches((image.valid[:, :, None] & there[:, None, :, None, None]).expand(x.shape), self.config.patch)
            for x, (_, there) in zip(taken, found, strict=True)
        ]
        layers = [cast(nn.Linear, self.network.values[_label(self.groups[g])]) for g in held]
        embedded = torch.stack([layer(x) for layer, x in zip(layers, values, strict=True)], dim=2)
        group = send(torch.tensor(held), standard.device)
        place = self._place(image, origin, group)
        b, t, g, p, _ = place.shape
        seen = self._side_by_side(known)
        group = group[:, None].expand(b, t, g, p).flatten(1)
        return Tokens(
            x=(embedded + place).flatten(1, 3),
            place=place.flatten(1, 3),
            valid=seen.any(dim=2),
            values=self._side_by_side(values),
            known=seen,
            # not `repeat_interleave`: in ONNX torch gives it a shape that fits a single date alone
            days=image.days[:, :, None].expand(-1, -1, g * p).flatten(1),
            group=group,
            sensor=self.sensor_of_group[group],
        )

    def _held(self, image: Image) -> list[int]:
        """Numbers of the groups of bands that an image holds; all groups where only the device knows its bands."""
        ids = image.common_ids
        return [g for g, wanted in enumerate(self.group_ids) if ids is None or set(wanted) <= set(ids)]

    def _side_by_side(self, of_groups: Sequence[Shaped[Tensor, "b t p _"]]) -> Shaped[Tensor, "b n v"]:
        """Join the values of all groups' tokens; groups with fewer bands are filled up with 0."""
        wide = [F.pad(one, (0, self.values_wide - one.shape[3])) for one in of_groups]
        return torch.stack(wide, dim=2).flatten(1, 3)

    def _place(
        self, image: Image, origin: Int32[Tensor, " b"], group: Int64[Tensor, " g"]
    ) -> Float[Tensor, "b t g p d"]:
        """Encode where tokens belong.

        Half of the numbers encode the time since the first date, a quarter the season, a quarter the group of bands; an
        encoding of the patch's row and column is added to all of them.
        """
        dim, patch = self.config.dim, self.config.patch
        rows, columns = (size // patch for size in image.pixels.shape[3:])
        dated = image.days != NO_DAY
        since = torch.where(dated, image.days - origin[:, None], 0).float()
        season = self.network.season(_year_waves(image.days))
        date = torch.cat([_waves(since, dim // 2, WAVELENGTHS), season], dim=2) * dated[:, :, None]
        which = self.network.group[group]
        shape = (*image.days.shape, len(group), rows * columns)
        date, which = (
            date[:, :, None, None].expand(*shape, -1),
            which[None, None, :, None].expand(*shape, -1),
        )
        return torch.cat([date, which], dim=4) + _grid(rows, columns, dim, date.device)

    def encoded(self, x: Float[Tensor, "b n d"], seen: Bool[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """Send tokens through the blocks. Those that are not `seen` come out finite and without a meaning."""
        return self.network.blocks(x, seen)

    def pooled(
        self, encoded: Float[Tensor, "b n d"], seen: Bool[Tensor, "b n"], days: Int32[Tensor, "b n"]
    ) -> Float[Tensor, "b e"]:
        """The embedding: the mean over tokens that are `seen`, or such a mean for each month; 0 where there is none."""
        volume, there = encoded.transpose(1, 2)[..., None, None], seen[..., None, None]
        if self.config.pooling == "mean":
            return masked_mean(volume, there)
        return by_month(volume, days, there).flatten(1)

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked."""
        tokens = self.tokens([image])
        return self.pooled(self.encoded(tokens.x, tokens.valid), tokens.valid, tokens.days)

    def volumes(self, image: Image) -> Float[Tensor, "b d t h w"]:
        """Features of every date and patch: the mean over its groups of bands."""
        tokens = self._tokens(image, _first_day(image))
        rows, columns = (size // self.config.patch for size in image.pixels.shape[3:])
        shape = (image.pixels.shape[1], len(self._held(image)), rows, columns)
        encoded = self.encoded(tokens.x, tokens.valid).unflatten(1, shape)
        weight = tokens.valid.unflatten(1, shape).to(encoded.dtype)
        return torch.einsum("btghwd,btghw->bdthw", encoded, weight / weight.sum(dim=2, keepdim=True).clamp(min=1))


def build(config: Config, contract: InputContract) -> SeriesTransformer:
    """A randomly initialised network for a contract's bands, whatever sensors they are of.

    Raises:
        RecipeError: the groups are not those of the contract's bands, or any channel may hold any band.
    """
    if not contract.fixed:
        raise RecipeError(
            "the views' channels hold changing bands, and a token holds a group of certain ones",
            remedy="choose the policy sensor-series",
        )
    return SeriesTransformer(replace(contract, groups=groups_of(config.groups, contract.bands)), config)


def groups_of(how: str | tuple[Bands, ...], bands: Sequence[str]) -> tuple[Bands, ...]:
    """Group bands as the setting `groups` says.

    Raises:
        RecipeError: the groups that are listed are not exactly these bands.
    """
    if isinstance(how, tuple):
        if sorted(key for keys in how for key in keys) != sorted(bands) or _mixed(how):
            raise RecipeError(
                f"the groups hold {', '.join(key for keys in how for key in keys)}, the views {', '.join(bands)}",
                remedy="put each band of the views in one group of bands of its sensor",
            )
        return how
    groups: dict[tuple[str, str], Bands] = {}
    for key in bands:
        sensor = key.partition("/")[0]
        name = {"spectrum": _part_of_the_spectrum(key), "sensor": "", "band": key}[how]
        groups[sensor, name] = (*groups.get((sensor, name), ()), key)
    return tuple(groups.values())


def _part_of_the_spectrum(key: str) -> str:
    centre = band(key).centre_um
    if centre is None:
        return ""
    return next((name for limit, name in SPECTRUM if centre < limit), "")


def _mixed(groups: Sequence[Bands]) -> bool:
    """Whether a group is empty, or of several sensors."""
    return any(len({key.partition("/")[0] for key in keys}) != 1 for keys in groups)


def _sensor(keys: Bands) -> str:
    return keys[0].partition("/")[0]


def _label(keys: Bands) -> str:
    """A name that parts of networks may have: without dots."""
    return f"{_sensor(keys)}:{'+'.join(key.partition('/')[2] for key in keys)}".replace(".", "_")


def _compact(tokens: Tokens) -> Tokens:
    """Drop padding that no sample needs: as many tokens are left as the fullest sample has.

    About half of the tokens of a cloudy series are invalid. All stay on a GPU, where the host would wait to count them,
    and in an exported graph, which has to fit any series.
    """
    if tokens.valid.device.type != "cpu" or torch.compiler.is_exporting():
        return tokens
    most = max(2, int(tokens.valid.sum(dim=1).max()))
    at = tokens.valid.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    row = torch.arange(len(at))[:, None]
    return Tokens(*(getattr(tokens, field)[row, at] for field in Tokens.__dataclass_fields__))


def _first_day(image: Image) -> Int32[Tensor, " b"]:
    """First date of each sample that has a valid pixel."""
    there = image.valid.flatten(2).any(dim=2) & (image.days != NO_DAY)
    return torch.where(there, image.days, torch.iinfo(torch.int32).max).amin(dim=1)


def _found(
    band_ids: Int[Tensor, "b c"], wanted: Int64[Tensor, " g"]
) -> tuple[Int64[Tensor, "b g"], Bool[Tensor, "b g"]]:
    """Channel of each wanted band in each sample, and whether the sample has that band."""
    here = band_ids[:, None] == wanted[:, None]
    return here.long().argmax(dim=2), here.any(dim=2)


def _taken(x: Float[Tensor, "b t c h w"], at: Int64[Tensor, "b g"]) -> Float[Tensor, "b t g h w"]:
    return x.gather(2, at[:, None, :, None, None].expand(-1, x.shape[1], -1, *x.shape[3:]))


def _patches(x: Shaped[Tensor, "b t c h w"], patch: int) -> Shaped[Tensor, "b t p v"]:
    """Cut into patches: the values of each patch, band after band."""
    rows, columns = (size // patch for size in x.shape[3:])
    x = x[..., : rows * patch, : columns * patch].unflatten(4, (columns, patch)).unflatten(3, (rows, patch))
    return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)


def _waves(x: Float[Tensor, "*n"], number: int, wavelengths: tuple[float, float]) -> Float[Tensor, "*n k"]:
    """Encode x by `number` sines and cosines, whose wavelengths lie evenly spaced on a logarithmic scale."""
    low, high = map(math.log, wavelengths)
    length = torch.linspace(low, high, number // 2, device=x.device).exp()
    angle = x[..., None] * (2 * torch.pi / length)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def _year_waves(days: Int32[Tensor, "b t"]) -> Float[Tensor, "b t k"]:
    angle = (days.float() * (2 * torch.pi / YEAR))[..., None] * torch.arange(1, HARMONICS + 1, device=days.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def _grid(rows: int, columns: int, dim: int, device: torch.device) -> Float[Tensor, "p d"]:
    """Encode where patches lie: the row in one half of the numbers, the column in the other."""
    row, column = (
        _waves(torch.arange(size, device=device, dtype=torch.float32), dim // 2, (4.0, 256.0))
        for size in (rows, columns)
    )
    return torch.cat([row[:, None].expand(rows, columns, -1), column[None].expand(rows, columns, -1)], dim=2).flatten(
        0, 1
    )
