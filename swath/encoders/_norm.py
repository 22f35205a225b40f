"""Batch normalisation whose statistics leave out padded dates."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Reduce = Callable[[Tensor], Tensor]
"""A function that sums a tensor over all processes, without gradients."""


def _alone(tensor: Tensor) -> Tensor:
    return tensor


class FrameBatchNorm(nn.Module):
    """`nn.BatchNorm3d` whose statistics are those of some dates only, and which leaves 0 at the others.

    With all dates it is `nn.BatchNorm3d`, and its state dictionary is always that one's.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    reduce: Reduce
    """Set where several processes share their statistics."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.eps, self.momentum, self.reduce = eps, momentum, _alone
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

    def activated(
        self, x: Float[Tensor, "b c t h w"], frames: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b c t h w"]:
        """Normalise as `forward` does, and go through a leaky ReLU; of series of pixels, each date's channels then lie
        side by side in memory.
        """
        if not is_pixels(x) or self.reduce is not _alone:
            return F.leaky_relu_(self(x, frames))
        rows = as_rows(x)
        if frames is None:
            return as_series(F.leaky_relu_(self(rows.flatten(0, 1))).view(rows.shape))
        at = frames.flatten().nonzero()[:, 0]
        if len(at) < 2:  # torch has no statistics of them
            return F.leaky_relu_(self(x, frames))
        # taken by `embedding`, whose gradient is put back several times faster than that of an index
        kept = F.leaky_relu_(self(F.embedding(at, rows.flatten(0, 1))))
        return as_series(kept.new_zeros(frames.numel(), kept.shape[1]).index_copy(0, at, kept).view(rows.shape))

    def forward(
        self, x: Float[Tensor, "b c *t_h_w"], frames: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b c *t_h_w"]:
        """Normalise each channel over batch, dates and space.

        Args:
            x: features "b c t h w", or single dates of pixels "b c"; those of other dates are ignored, whatever they
                are.
            frames: True for the dates that count; None: all do.
        """
        if self.training:
            self.num_batches_tracked += 1
        if frames is None and (self.reduce is _alone or not self.training):
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
            )
        kept = x.new_ones(x.shape[0], x.shape[2]) if frames is None else frames.to(x.dtype)
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return _affine(x, scale, self.bias - scale * self.running_mean, kept)
        out, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, kept, self.eps, self.reduce)  # pyright: ignore
        self._track(mean, variance * count / (count - 1).clamp(min=1), count)
        return out

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        momentum = self.momentum * (count > 0).to(mean.dtype)  # a batch without any date teaches nothing
        # new tensors: torch's own batch norm, called before on other views, keeps the old ones for its gradient
        self.running_mean = torch.lerp(self.running_mean, mean, momentum)
        self.running_var = torch.lerp(self.running_var, variance, momentum)


def is_pixels(x: Float[Tensor, "b c t h w"]) -> bool:
    """Whether these are series of single pixels on a CPU, where products of matrices and rows of channels are faster
    than what torch has for pictures. A graph has to fit any size.
    """
    return x.shape[3] == x.shape[4] == 1 and x.device.type == "cpu" and not torch.compiler.is_exporting()


def as_rows(x: Float[Tensor, "b c t 1 1"]) -> Float[Tensor, "b t c"]:
    """Series of pixels with the channels of each date side by side in memory; no copy where they are already."""
    return x[..., 0, 0].transpose(1, 2).contiguous()


def as_series(rows: Float[Tensor, "b t c"]) -> Float[Tensor, "b c t 1 1"]:
    """The inverse of `as_rows`, without a copy."""
    return rows.transpose(1, 2)[..., None, None]


def _affine(
    x: Float[Tensor, "b c t h w"], scale: Float[Tensor, " c"], shift: Float[Tensor, " c"], kept: Float[Tensor, "b t"]
) -> Float[Tensor, "b c t h w"]:
    """Scale and shift each channel at dates that count, 0 at others, in one pass."""
    return torch.addcmul(_where(shift, kept), x.to(shift.dtype), _where(scale, kept)).to(x.dtype)


def _where(values: Float[Tensor, " c"], kept: Float[Tensor, "b t"]) -> Float[Tensor, "b c t 1 1"]:
    return (values[:, None] * kept.to(values.dtype)[:, None])[..., None, None]


class _Normalise(torch.autograd.Function):
    """Normalise by the statistics of the dates that are kept: few passes over the features, both ways."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, kept: Tensor, eps: float, reduce: Reduce
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalised features; mean and (biased) variance by channel; number of values of each."""
        kept = kept.to(weight.dtype)
        count = kept.sum()[None] * (x.shape[3] * x.shape[4])
        sums = reduce(torch.cat([count, _over(_sums(x, weight.dtype), kept), _over(_products(x, x, weight), kept)]))
        count, (total, squares) = sums[0], sums[1:].chunk(2)
        mean = total / count.clamp(min=1)
        # not centred first, which would be two more passes: what that loses is far below eps
        variance = (squares / count.clamp(min=1) - mean.square()).clamp(min=0)
        scale = weight * torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, kept, mean, variance, count)
        ctx.eps, ctx.reduce = eps, reduce
        ctx.mark_non_differentiable(mean, variance, count)
        return _affine(x, scale, bias - scale * mean, kept), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        """With n values and y the normalised x: w / sigma (g - mean(g) - y mean(g y)), affine in g and in x."""
        x, weight, kept, mean, variance, count = ctx.saved_tensors
        inverse = torch.rsqrt(variance + ctx.eps)
        of_bias = _over(_sums(grad, weight.dtype), kept)
        of_weight = inverse * (_over(_products(grad, x, weight), kept) - mean * of_bias)
        mean_grad, mean_product = ctx.reduce(torch.stack([of_bias, of_weight])) / count.clamp(min=1)
        slope = weight * inverse
        by_x = -slope * inverse * mean_product
        of_x = torch.addcmul(_where(-slope * mean_grad - by_x * mean, kept), x.to(weight.dtype), _where(by_x, kept))
        of_x.addcmul_(grad.to(weight.dtype), _where(slope, kept))
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None


def _sums(x: Float[Tensor, "b c t h w"], dtype: torch.dtype) -> Float[Tensor, "b c t"]:
    return x.sum(dim=(3, 4), dtype=dtype)


def _products(x: Float[Tensor, "b c t h w"], y: Float[Tensor, "b c t h w"], like: Tensor) -> Float[Tensor, "b c t"]:
    """Sums of x y, as products of matrices, which need no memory for x y; autocast would narrow them."""
    device = x.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        return torch.einsum("bcthw,bcthw->bct", x.to(like.dtype), y.to(like.dtype))


def _over(values: Float[Tensor, "b c t"], kept: Float[Tensor, "b t"]) -> Float[Tensor, " c"]:
    """Sum over the dates that count; the values at others may be any finite numbers."""
    return (values * kept[:, None]).sum(dim=(0, 2))
