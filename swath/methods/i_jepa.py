"""I-JEPA: from a part of an image's tokens a predictor says what a slow teacher makes of blocks beside it.

Assran et al. 2023, https://arxiv.org/abs/2301.08243; defaults of the official code (`in1k_vith14_ep300.yaml`).
Published on ImageNet: AdamW, batch 2048, lr 2e-4 to 1e-3 in 40 epochs and down to 1e-6 at the 300th along half a
cosine, weight decay rising from 0.04 to 0.4; crops with a scale of (0.3, 1) and no other augmentation. The view policy
is one-crop. What is kept is the teacher, which the paper evaluates.

In short trainings on small chips the teacher comes to say less and less; `variance` and `covariance` keep it from that,
by VICReg's terms (as C-JEPA adds VICReg, Mo and Tong 2024, https://arxiv.org/abs/2410.19560).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_serializer, model_validator
from torch import Tensor, nn

from swath._device import send
from swath.batch import View
from swath.encoders import Encoder, TokenEncoder, TokenGrid
from swath.encoders.vit import attend
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._autoencoder import Filler, scale_of, with_tokens
from swath.methods._losses import full_precision
from swath.methods._masked import flat, left_out, mean_of, normal_init, take
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, Teacher
from swath.settings import PluginSettings

Share = Annotated[float, Field(gt=0, le=1)]
TRIES = 20
"""How many contexts are drawn until one is large enough (code: `timeout`)."""
DRAWS = 200
"""How many sizes of targets are tried before anything is trained."""


class Config(PluginSettings):
    """I-JEPA (Assran et al. 2023): from a context's tokens, those that a slow teacher makes of hidden blocks."""

    name: Literal["i-jepa"] = "i-jepa"
    targets: int = Field(default=4, ge=1)
    """Number of blocks that are predicted (code: `num_pred_masks`)."""
    target_scale: tuple[Share, Share] = (0.15, 0.2)
    """Share of the patches that each of them has (code: `pred_mask_scale`)."""
    target_aspect: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.75, 1.5)
    """Height over width of each (code: `aspect_ratio`)."""
    context_scale: tuple[Share, Share] = (0.85, 1.0)
    """Share of the patches in the square from which the context comes: what the targets leave of it (code:
    `enc_mask_scale`)."""
    least_context: int = Field(default=10, ge=0)
    """The context has more patches than this, if any that is drawn does (code: `min_keep`)."""
    predictor_width: int | None = Field(default=None, ge=32, multiple_of=32)
    """Length of the predictor's tokens (code: `pred_emb_dim`); None: 384, or the encoder's where that is shorter."""
    predictor_depth: int = Field(default=12, ge=1)
    """Number of its blocks (code: `pred_depth`; 6 for ViT-B in the paper)."""
    predictor_heads: int | None = Field(default=None, ge=1)
    """Attention heads of each; None: one for 32 numbers of width."""
    momentum: float = Field(default=0.996, ge=0, lt=1)
    """Share of the teacher that every step keeps, at the start; it rises to 1 along a line (code: `ema`)."""
    variance: float = Field(default=0.0, ge=0)
    """Weight of what keeps each number of the context's tokens varying (VICReg's eq. 1); 0 in the paper."""
    covariance: float = Field(default=0.0, ge=0)
    """Weight of what keeps them from varying together (VICReg's eq. 3); 0 in the paper."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # settings that say nothing of these have the digest that they had before they were there
        unsaid = {name for name in ("variance", "covariance") if getattr(self, name) == 0}
        return {key: value for key, value in handler(self).items() if key not in unsaid}

    @model_validator(mode="after")
    def _ordered(self) -> "Config":
        for name in ("target_scale", "target_aspect", "context_scale"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is from {low:g} to {high:g}, which are in the wrong order")
        return self


class Predictor(Filler):
    """Says what the teacher makes of tokens, of which it knows the positions alone."""

    def __init__(self, dim: int, config: Config):
        width = config.predictor_width or max(32, min(384, dim) // 32 * 32)
        super().__init__(dim, width, config.predictor_depth, config.predictor_heads or width // 32)
        self.width = width
        self.project = nn.Linear(self.width, dim)
        self.apply(normal_init)

    def forward(
        self,
        context: Float[Tensor, "b k d"],
        there: Bool[Tensor, "b k"],
        at: Float[Tensor, "b k w"],
        wanted: Float[Tensor, "b q m w"],
        asked: Bool[Tensor, "b q m"],
    ) -> Float[Tensor, "b q m d"]:
        """Every block by itself.

        Args:
            context: tokens of the encoder.
            there: which of them mean something.
            at: their positions.
            wanted: positions of the tokens of each block.
            asked: those of patches that have a valid pixel.
        """
        blocks, k = wanted.shape[1], context.shape[1]
        known = (self.embed(context) + at).repeat_interleave(blocks, dim=0)
        tokens = torch.cat([known, (self.missing + wanted).flatten(0, 1).to(known.dtype)], dim=1)
        seen = torch.cat([there.repeat_interleave(blocks, dim=0), asked.flatten(0, 1)], dim=1)
        said = self.norm(attend(self.blocks, tokens, seen))[:, k:]
        return self.project(said).unflatten(0, (-1, blocks))


@dataclass(frozen=True, slots=True, eq=False)
class _Predicted:
    """How the targets of a view were predicted from its context."""

    errors: Float[Tensor, "b q m"]
    asked: Bool[Tensor, "b q m"]
    """Which errors count."""
    tokens: Float[Tensor, "b _ d"]
    """The encoder's, of the prefix and of the context."""
    there: Bool[Tensor, "b k"]
    """Which patches of the context have a valid pixel."""


class Method(_types.Method):
    """I-JEPA on any encoder with tokens. Blocks are of ground: of several groups of bands or dates all tokens are
    masked alike. Each view is by itself, so that any number of views will do. The blocks' sizes are shared by a batch,
    their places are each sample's own; contexts of different lengths are padded, where the code cuts them to the
    shortest. A block may lie anywhere, in the code nowhere at the last row and column. Gathered is one number, and
    where tokens are kept varying the square of their length.
    """

    encoder: TokenEncoder
    kept = "teacher.encoder"

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(with_tokens(encoder, config.name), policy)
        self.config = config
        self.predictor = Predictor(encoder.dim, config)
        self.teacher = Teacher(encoder)

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """As `Method`: targets of any size that may be drawn leave something of views of this size."""
        for view in draw():
            grid = self.encoder.grid(self.encoder.by_date(view.image))
            for _ in range(DRAWS):
                target_size(grid, self.config)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Smooth L1 between predictions and the teacher's normalised tokens, the mean over all that are asked for.

        A sample whose context has no valid pixel is asked for nothing.
        """
        found, c = [self._of(view) for view in views], self.config
        total = mean_of(flat([one.errors for one in found]), flat([one.asked for one in found]), gather)
        terms = left_out([one.there.any(dim=1) for one in found])
        if c.variance or c.covariance:
            prefix = self.encoder.prefix
            spreads = [torch.stack(spread(one.tokens[:, prefix:], one.there, gather)) for one in found]
            varies, together = torch.stack(spreads).mean(dim=0)
            terms |= {"prediction": total.detach(), "variance": varies.detach(), "covariance": together.detach()}
            total = total + c.variance * varies + c.covariance * together
        return Loss(total, self.encoder.pooled(found[0].tokens, found[0].there).detach(), terms)

    def _of(self, view: View) -> _Predicted:
        encoder, image = self.encoder, self.encoder.by_date(view.image)
        seen, scale, device = encoder.seen(image), scale_of(view, len(image)), image.pixels.device
        keep, targets = (send(one, device) for one in blocks(encoder.grid(image), len(image), self.config))
        tokens = encoder.tokens(image, keep, scale)
        there = take(seen, keep) & (keep >= 0)
        asked = take(seen, targets) & there.any(dim=1)[:, None, None]
        where = encoder.positions(image, self.predictor.width, scale).expand(len(image), -1, -1)
        said = self.predictor(tokens[:, encoder.prefix :], there, take(where, keep), take(where, targets), asked)
        wanted = take(self._targets(view, scale), targets)
        return _Predicted(errors_of(said, wanted), asked, tokens, there)

    @torch.no_grad()
    def _targets(self, view: View, scale: Float[Tensor, " b"]) -> Float[Tensor, "b n d"]:
        teacher = self.teacher.encoder
        assert isinstance(teacher, TokenEncoder)
        return teacher.tokens(teacher.by_date(view.image), scale=scale)[:, teacher.prefix :]

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the student."""
        self.teacher.follow(self.config.momentum + (1.0 - self.config.momentum) * progress, self.encoder)


@full_precision
def errors_of(said: Float[Tensor, "b q m d"], wanted: Float[Tensor, "b q m d"]) -> Float[Tensor, "b q m"]:
    """Smooth L1, mean over a token's numbers, of what the teacher says normalised to mean 0 and variance 1."""
    wanted = F.layer_norm(wanted.detach(), wanted.shape[-1:])
    return F.smooth_l1_loss(said, wanted, reduction="none").mean(dim=-1)


@full_precision
def spread(
    tokens: Float[Tensor, "b k d"], there: Bool[Tensor, "b k"], gather: Gather
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """VICReg's terms of variance and covariance of all tokens that are there, those of all processes together."""
    z = (tokens * there[..., None]).flatten(0, 1)
    number = there.sum().to(z.dtype).expand(1, z.shape[1])
    sums = gather(torch.cat([z.T @ z, z.sum(dim=0, keepdim=True), number])[None]).sum(dim=0)
    squares, whole, n = sums[:-2], sums[-2], sums[-1, 0].clamp(min=2)
    covariances = (squares - torch.outer(whole, whole) / n) / (n - 1)
    variances = covariances.diagonal()
    beside = covariances.square().sum() - variances.square().sum()
    return torch.relu(1 - (variances.clamp(min=0) + 1e-4).sqrt()).mean(), beside / len(variances)


def blocks(grid: TokenGrid, samples: int, config: Config) -> tuple[Int[Tensor, "b k"], Int[Tensor, "b q m"]]:
    """Tokens of the context of each sample, padded with -1, and those of each target, of torch's random numbers.

    Raises:
        RecipeError: targets may be empty or cover everything: there are too few patches.
    """
    target = target_size(grid, config)
    square = block_size(grid, config.context_scale, (1.0, 1.0))
    wanted = block_places(grid, target, samples, config.targets)
    free = torch.ones(samples, grid.places, dtype=torch.bool).scatter_(1, wanted.flatten(1), value=False)
    drawn = block_places(grid, square, samples, TRIES)
    left = free[torch.arange(samples)[:, None, None], drawn].sum(dim=2)
    # the first that is large enough, else the largest
    best = torch.where(left > config.least_context, 2 * grid.places - torch.arange(TRIES), left).argmax(dim=1)
    inside = torch.zeros_like(free).scatter_(1, drawn[torch.arange(samples), best], value=True)
    context = free & inside
    context = torch.where(context.any(dim=1, keepdim=True), context, free)
    return _every_layer(_numbers(context), grid), _every_layer(wanted, grid)


def target_size(grid: TokenGrid, config: Config) -> tuple[int, int]:
    """Rows and columns of a batch's targets.

    Raises:
        RecipeError: they may cover everything: there are too few patches.
    """
    target = block_size(grid, config.target_scale, config.target_aspect)
    if config.targets * target[0] * target[1] >= grid.places:
        raise RecipeError(
            f"{config.targets} blocks of {target[0]} x {target[1]} patches may leave none of {grid.rows} x "
            f"{grid.columns} as a context",
            remedy="larger views, smaller patches, fewer targets or a smaller target_scale",
        )
    return target


def block_size(grid: TokenGrid, scale: tuple[float, float], aspect: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of blocks of a batch: a random share of the patches, of a random height over width."""
    share, ratio = (low + float(torch.rand(())) * (high - low) for low, high in (scale, aspect))
    area = int(grid.places * share)
    rows, columns = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
    return min(max(rows, 1), grid.rows), min(max(columns, 1), grid.columns)


def block_places(grid: TokenGrid, size: tuple[int, int], samples: int, number: int) -> Int[Tensor, "b q m"]:
    """Patches of so many blocks of each sample, anywhere."""
    rows, columns = size
    room = torch.tensor([grid.rows - rows + 1, grid.columns - columns + 1])
    corner = (torch.rand(samples, number, 2) * room).long()
    block = torch.arange(rows)[:, None] * grid.columns + torch.arange(columns)
    return (corner[..., 0] * grid.columns + corner[..., 1])[..., None] + block.flatten()


def _numbers(chosen: Bool[Tensor, "b n"]) -> Int[Tensor, "b k"]:
    """Numbers of the chosen, -1 behind them where others have more."""
    number = chosen.sum(dim=1, keepdim=True)
    most = int(number.max())
    order = (~chosen).int().argsort(dim=1, stable=True)[:, :most]
    return torch.where(torch.arange(most) < number, order, -1)


def _every_layer(places: Int[Tensor, "b *m"], grid: TokenGrid) -> Int[Tensor, "b *k"]:
    """The tokens of all layers at these patches."""
    return torch.cat([torch.where(places < 0, -1, places + i * grid.places) for i in range(grid.layers)], dim=-1)
