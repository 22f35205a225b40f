"""Masked modelling of series: most tokens are hidden, and their values are read off the others.

After Presto (Tseng et al. 2023, https://arxiv.org/abs/2304.14065): which tokens are hidden is drawn for each sample by
one of its four strategies, or hides a sensor as a whole. Only what stays is encoded. Values are standardised by their
band, so that none counts for more than another; invalid ones are neither shown nor asked for.
"""

from collections.abc import Callable
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, model_validator
from torch import Tensor, nn

from swath._device import send
from swath.batch import NO_DAY, View
from swath.encoders import Encoder
from swath.encoders.series_transformer import Blocks, SeriesTransformer, Tokens, presto_init
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._losses import full_precision
from swath.methods._masked import part_of
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss
from swath.settings import PluginSettings

Strategy = Literal["random", "groups", "months", "contiguous-months", "sensors"]
MONTH = 30.4375
"""Days; what is hidden together in time."""
YEARS = 20 * 12
"""Months of the longest series whose months are told apart; later ones count as the last."""

_MIX = (-7046029254386353131, -4658895280553007687, -7723592293110705685, 3935559000370003845)
"""Odd numbers of 64 bits, those of SplitMix64 and PCG."""


class Config(PluginSettings):
    """Presto (Tseng et al. 2023), and one strategy more: hidden tokens of series are read off the others."""

    name: Literal["masked-series"] = "masked-series"
    ratio: float = Field(default=0.75, gt=0, lt=1)
    """Share of a sample's tokens that is hidden, rounded down; Presto: 0.75."""
    masks: tuple[Strategy, ...] = ("random", "groups", "months", "contiguous-months", "sensors")
    """Strategies, of which each sample draws one. Tokens are hidden one by one (`random`); or all of a band group, of
    a month or of a run of months, one after the other until the share is reached. `sensors` hides all of one sensor,
    and of the others so many that the share is reached; a sample with one sensor hides tokens one by one."""
    decoder_dim: int = Field(default=128, ge=8)
    """Width of the decoder, a multiple of its heads."""
    decoder_depth: int = Field(default=2, ge=1)
    """Blocks of the decoder."""
    decoder_heads: int = Field(default=8, ge=1)
    """Its attention heads."""
    loss: Literal["squared", "absolute"] = "squared"
    """What is minimised of the difference of standardised values; Presto: squared."""

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if not self.masks or len({*self.masks}) < len(self.masks):
            raise ValueError("masks: name each strategy once, and one at least")
        if self.decoder_dim % self.decoder_heads:
            raise ValueError(f"decoder_dim {self.decoder_dim} has to be a multiple of decoder_heads")
        return self


class Decoder(nn.Module):
    """Reads the values of all tokens off those that were encoded."""

    def __init__(self, encoder: SeriesTransformer, config: Config):
        super().__init__()
        width, wide = config.decoder_dim, encoder.config.patch**2
        self.narrow, self.place = nn.Linear(encoder.config.dim, width), nn.Linear(encoder.config.dim, width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = Blocks(width, config.decoder_depth, config.decoder_heads, mlp_ratio=4.0)
        sizes = [len(keys) * wide for keys in encoder.groups]
        self.values = nn.Linear(width, sum(sizes))
        self.apply(presto_init)
        starts = torch.tensor(sizes).cumsum(0) - torch.tensor(sizes)
        # tokens of fewer values than others repeat their last one, which nobody asks for
        within = torch.arange(max(sizes)).expand(len(sizes), -1).minimum(torch.tensor(sizes)[:, None] - 1)
        self.register_buffer("columns", starts[:, None] + within, persistent=False)

    def forward(
        self, encoded: Float[Tensor, "b k d"], at: Int64[Tensor, "b k"], shown: Bool[Tensor, "b k"], tokens: Tokens
    ) -> Float[Tensor, "b n v"]:
        """Standardised values of all tokens, from those `at` these places of which are `shown`."""
        known = self.narrow(encoded)
        x = self.hidden.to(known.dtype).expand(*tokens.valid.shape, -1)
        index = at[..., None].expand_as(known)
        x = x.scatter(1, index, torch.where(shown[..., None], known, x.gather(1, index)))
        said = self.values(self.blocks(x + self.place(tokens.place), tokens.valid))
        return said.gather(2, cast(Tensor, self.columns)[tokens.group])


class Method(_types.Method):
    """Takes one view of each sensor that its encoder was built for."""

    encoder: SeriesTransformer

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, SeriesTransformer):
            raise RecipeError(
                "masked-series hides tokens, and the encoder has none", remedy="choose the encoder series-transformer"
            )
        super().__init__(encoder, policy)
        self.config = config
        self.decoder = Decoder(encoder, config)

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """As `Method`: views are not smaller than a patch of the encoder's."""
        for view in draw():
            self.encoder.check_size(view.image)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Mean over the samples that have something to read, of the mean over what is hidden of each."""
        sensors = len(self.encoder.contract.inputs)
        if len(views) != sensors:
            raise RecipeError(
                f"masked-series takes one view of each of {sensors} sensor(s), the view policy draws {len(views)}",
                remedy="choose the policy sensor-series",
            )
        tokens = self.encoder.tokens([view.image for view in views])
        if tokens.valid.shape[1] < 2:
            raise RecipeError(
                "masked-series hides part of a series' tokens, and these have one each",
                remedy="give it several dates or several groups of bands",
            )
        hidden = draw(tokens, len(self.encoder.groups), self.config.masks, self.config.ratio, gather)
        at, shown = kept(tokens.valid & ~hidden, self.config.ratio)
        x = tokens.x.gather(1, at[..., None].expand(-1, -1, tokens.x.shape[2]))
        encoded = self.encoder.encoded(x, shown)
        said = self.decoder(encoded, at, shown, tokens)
        total, share = hidden_error(said, tokens.values, tokens.known & hidden[..., None], self.config.loss, gather)
        features = self.encoder.pooled(encoded.detach(), shown, tokens.days.gather(1, at))
        return Loss(total, features, {"hidden": share})


def kept(shown: Bool[Tensor, "b n"], ratio: float) -> tuple[Int64[Tensor, "b k"], Bool[Tensor, "b k"]]:
    """Where the tokens that are shown are, the same number of places for all samples; and which of these are shown."""
    n = shown.shape[1]
    most = n - int(part_of(torch.tensor(n), ratio))
    at = shown.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return at, shown.gather(1, at)


def draw(
    tokens: Tokens, groups: int, masks: tuple[Strategy, ...], ratio: float, gather: Gather = ONE_PROCESS
) -> Bool[Tensor, "b n"]:
    """Which tokens are hidden: of each sample's valid ones that share, rounded down, or more where a sensor is.

    It follows from one of torch's global random numbers, the first process's, and the sample's place in the joined
    batch: several processes hide what one would.
    """
    b, n = tokens.valid.shape
    seed = gather(send(torch.randint(2**24, (1,)).float(), tokens.valid.device))[:1].long()
    rows = torch.arange(b, device=seed.device) + gather.rank * b
    luck, of_group, of_month, of_sensor, of_sample = (
        uniform(seed, stream, rows, number) for stream, number in enumerate((n, groups, YEARS, groups, 2))
    )
    month = months(tokens)
    orders: dict[Strategy, Tensor] = {
        "random": luck,
        "groups": of_group.gather(1, tokens.group),
        "months": of_month.gather(1, month),
        "contiguous-months": run_of_months(month, tokens.valid, ratio, of_sample[:, :1]),
        "sensors": luck,
    }
    chosen = (of_sample[:, 1:] * len(masks)).long()
    order = torch.stack([orders[name] for name in masks], dim=2).gather(2, chosen[..., None].expand(b, n, 1))[..., 0]
    forced = torch.zeros_like(tokens.valid)
    if "sensors" in masks:
        forced = whole_sensor(tokens, of_sensor) & (chosen == masks.index("sensors"))
    # luck decides where tokens are hidden together and not all are; a forced one goes before all others
    return first_of(order + 1e-4 * luck + 2.0 * forced, tokens.valid, ratio) | forced


def uniform(seed: Int64[Tensor, "1"], stream: int, rows: Int64[Tensor, " b"], number: int) -> Float[Tensor, "b k"]:
    """Numbers in [0, 1) that depend on seed, stream, row and column alone: SplitMix64's mixing of a sum of them."""
    column = torch.arange(number, device=rows.device) + (stream << 32)
    x = seed * _MIX[0] + rows[:, None] * _MIX[2] + column * _MIX[3]
    for shift, factor in ((30, _MIX[1]), (27, _MIX[2])):
        x = (x ^ (x >> shift)) * factor
    return ((x ^ (x >> 31)) & (2**24 - 1)).float() / 2**24


def first_of(order: Float[Tensor, "b n"], valid: Bool[Tensor, "b n"], ratio: float) -> Bool[Tensor, "b n"]:
    """The share of each sample's valid tokens that stands highest in an order, rounded down."""
    rank = order.masked_fill(~valid, -torch.inf).argsort(dim=1, descending=True).argsort(dim=1)
    return valid & (rank < part_of(valid.sum(dim=1, keepdim=True), ratio))


def months(tokens: Tokens) -> Int64[Tensor, "b n"]:
    """Months since the first date of a sample's valid tokens; 0 for unknown dates."""
    dated = tokens.valid & (tokens.days != NO_DAY)
    first = torch.where(dated, tokens.days, torch.iinfo(torch.int32).max).amin(dim=1, keepdim=True)
    since = torch.where(dated, tokens.days - first, 0)
    return (since.float() / MONTH).round().long().clamp(max=YEARS - 1)


def run_of_months(
    month: Int64[Tensor, "b n"], valid: Bool[Tensor, "b n"], ratio: float, luck: Float[Tensor, "b 1"]
) -> Float[Tensor, "b n"]:
    """An order that begins with a random month, goes on to the last, and ends with those before: values up to 1."""
    span = torch.where(valid, month, 0).amax(dim=1, keepdim=True) + 1
    latest = (span * (1 - ratio)).floor()  # from there on there are enough
    start = (luck * (latest + 1)).floor()
    return -((month - start) % span) / span.float()


def whole_sensor(tokens: Tokens, luck: Float[Tensor, "b s"]) -> Bool[Tensor, "b n"]:
    """The tokens of one sensor of each sample that has valid ones of another as well; of the rest, none."""
    there = tokens.valid.float() * (1 + luck.gather(1, tokens.sensor))
    sensor = tokens.sensor.gather(1, there.argmax(dim=1, keepdim=True))
    mine = tokens.valid & (tokens.sensor == sensor)
    return mine & (tokens.valid & ~mine).any(dim=1, keepdim=True)


@full_precision
def hidden_error(
    said: Float[Tensor, "b n v"],
    wanted: Float[Tensor, "b n v"],
    asked: Bool[Tensor, "b n v"],
    kind: Literal["squared", "absolute"] = "squared",
    gather: Gather = ONE_PROCESS,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean error of the values that are asked for, over each sample, and over the samples of whom any is.

    Returns:
        The error, not a number where nothing is asked for of any sample of any process; and which share of all values
        is asked for, for the log.
    """
    difference = (said - wanted).masked_fill(~asked, 0.0)
    each = difference.square() if kind == "squared" else difference.abs()
    number = asked.flatten(1).sum(dim=1).float()
    of_sample = each.flatten(1).sum(dim=1) / number.clamp(min=1)
    has = gather((number > 0).float())
    return of_sample.sum() * (len(has) / len(of_sample)) / has.sum(), asked.float().mean()
