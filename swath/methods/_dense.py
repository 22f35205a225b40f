"""The space-time contrastive loss of S4: exact, with memory that grows with the positions, not with their square."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from swath._threads import each
from swath.errors import RecipeError
from swath.methods._losses import full_precision

_SIDE = {"cpu": 512, "cuda": 8192}
"""Number of anchors and candidates of a block. On a CPU a block of similarities stays in a core's second-level
cache between the product that makes it and those that use it; a GPU wants products large enough to fill it."""

_TOGETHER = 256
"""Number of positions up to which the matrix of similarities is small, and a loop over samples would cost more."""


@full_precision
def dense_info_nce(
    a: Float[Tensor, "b p d"],
    b: Float[Tensor, "b p d"],
    temperature: float,
    valid: Bool[Tensor, "b p"] | None = None,
    *,
    across_batch: bool = False,
) -> Float[Tensor, ""]:
    """Every position of one modality's map finds the same position in the other's, among all positions of that map.

    Source: Shenoy et al. 2024, "S4: Self-Supervised Sensing Across the Spectrum", eq. 2. With S the cosines over the
    temperature, a sample's loss is 1/2 mean_i(lse_j S_ij - S_ii) + 1/2 mean_j(lse_i S_ij - S_jj). It is ln p where all
    positions look alike (chance) and never below ln(1 + (p - 1) exp(-2 / temperature)). A sample's candidates are its
    own positions, so processes need not gather anything.

    Args:
        a: one modality's projections, of any length: they are normalised here.
        b: the other's, at the same positions.
        temperature: divides the cosines; S4 has 0.5.
        valid: positions that are anchors and candidates; None: all. The others change nothing, whatever they hold.
        across_batch: the positions of all of this process's samples are candidates, and the mean is over them all; in
            S4 each sample is on its own.

    Returns:
        The mean over the samples that have a valid position; 0 where none has one.

    Raises:
        RecipeError: the temperature is so low that exponentials leave the range of the projections' type.
    """
    _check(temperature, a.dtype)
    valid = torch.ones(a.shape[:2], dtype=torch.bool, device=a.device) if valid is None else valid
    if across_batch:
        a, b, valid = a.flatten(0, 1)[None], b.flatten(0, 1)[None], valid.flatten()[None]
    if a.shape[1] <= _TOGETHER:
        return _together(a, b, temperature, valid)
    return (_one_by_one if a.device.type == "cpu" else _masked)(a, b, temperature, valid)


def _one_by_one(
    a: Float[Tensor, "b p d"], b: Float[Tensor, "b p d"], temperature: float, valid: Bool[Tensor, "b p"]
) -> Float[Tensor, ""]:
    """Losses sample by sample, with only the valid positions of each."""
    samples = zip(a, b, valid, strict=True)
    losses = [_one_sample(x[seen], y[seen], None, temperature) for x, y, seen in samples if seen.any()]
    # without any, an empty sum: a zero that is still connected, so that every parameter has a gradient
    return torch.stack(losses).mean() if losses else a[valid].sum() + b[valid].sum()


def _together(
    a: Float[Tensor, "b p d"], b: Float[Tensor, "b p d"], temperature: float, valid: Bool[Tensor, "b p"]
) -> Float[Tensor, ""]:
    """Losses of all samples at once by the naive formula, for many small maps such as series of pixels."""
    a, b = (z.masked_fill(~valid[:, :, None], 0) for z in (a, b))
    similar = F.normalize(a, dim=2) @ F.normalize(b, dim=2).transpose(1, 2) / temperature
    own = similar.diagonal(dim1=1, dim2=2)
    # so low that its exponential is 0, and finite, so that a row of nothing else has a gradient
    similar = similar.masked_fill(~(valid[:, :, None] & valid[:, None]), torch.finfo(similar.dtype).min / 2)
    loss = (similar.logsumexp(dim=2) + similar.logsumexp(dim=1)) / 2 - own
    count = valid.sum(dim=1)
    of_sample = loss.masked_fill(~valid, 0).sum(dim=1) / count.clamp(min=1)
    return of_sample.sum() / (count > 0).sum().clamp(min=1)


def _check(temperature: float, dtype: torch.dtype) -> None:
    """Refuse temperatures at which the exponential may overflow: cosines are bounded, so that no shift is
    needed up to there.
    """
    lowest = 1 / (0.85 * math.log(torch.finfo(dtype).max))
    if temperature < lowest:
        raise RecipeError(
            f"a temperature of {temperature} is too low for the dense contrastive loss in {dtype}",
            remedy=f"set temperature to {lowest:.4f} or more; S4 has 0.5",
        )


def _masked(
    a: Float[Tensor, "b p d"], b: Float[Tensor, "b p d"], temperature: float, valid: Bool[Tensor, "b p"]
) -> Float[Tensor, ""]:
    """Losses with invalid positions at a weight of 0: leaving them out would mean to wait for the device."""
    a, b = (z.masked_fill(~valid[:, :, None], 0) for z in (a, b))
    counts = valid.to(a.dtype)
    losses = [_one_sample(x, y, seen, temperature) for x, y, seen in zip(a, b, counts, strict=True)]
    return torch.stack(losses).sum() / valid.any(dim=1).sum().clamp(min=1)


def _one_sample(
    a: Float[Tensor, "p d"], b: Float[Tensor, "p d"], counts: Float[Tensor, " p"] | None, temperature: float
) -> Float[Tensor, ""]:
    """The loss of one sample's positions, or of those whose count is 1; the vectors of the others are 0."""
    return _Blocked.apply(F.normalize(a, dim=1) / temperature, F.normalize(b, dim=1), counts)  # pyright: ignore


class _Blocked(torch.autograd.Function):
    """The loss of similarities S = a b^T, of which only a few blocks exist at a time, forward and backward."""

    @staticmethod
    def forward(
        ctx, a: Float[Tensor, "p d"], b: Float[Tensor, "p d"], counts: Float[Tensor, " p"] | None
    ) -> Float[Tensor, ""]:
        of_rows, of_columns = a.new_zeros(len(a)), a.new_zeros(len(a))

        def add(i: slice, j: slice) -> None:
            exponential = torch.mm(a[i], b[j].T).exp_()
            of_rows[i] += exponential.sum(dim=1) if counts is None else exponential @ counts[j]
            of_columns[j] += exponential.sum(dim=0) if counts is None else counts[i] @ exponential

        _sweep(add, a)
        if counts is None:
            number = a.new_full((), len(a))
        else:
            number = counts.sum().clamp(min=1)
            of_rows, of_columns = (total.masked_fill(counts == 0, 1.0) for total in (of_rows, of_columns))
        ctx.save_for_backward(a, b, of_rows, of_columns, number, counts)
        # where it does not count, logarithm and product are 0
        return (0.5 * (of_rows.log() + of_columns.log()) - (a * b).sum(dim=1)).sum() / number

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream: Float[Tensor, ""]) -> tuple[Tensor, Tensor, None]:  # pyright: ignore
        """dS_ij = (softmax over j + softmax over i) / 2p - [i = j] / p, where one exponential serves both."""
        a, b, of_rows, of_columns, number, counts = ctx.saved_tensors
        mean = upstream / number
        of_a, of_b = -mean * b, -mean * a
        row, column = 0.5 * mean / of_rows[:, None], 0.5 * mean / of_columns

        def add(i: slice, j: slice) -> None:
            slope = torch.mm(a[i], b[j].T).exp_().mul_(row[i] + column[j])
            of_a[i].addmm_(slope, b[j])
            of_b[j].addmm_(slope.T, a[i])

        _sweep(add, a)
        if counts is not None:
            of_a, of_b = of_a * counts[:, None], of_b * counts[:, None]
        return of_a, of_b, None


def _sweep(work: Callable[[slice, slice], None], like: Float[Tensor, "p d"]) -> None:
    """Call `work` with the rows and columns of every block.

    In each round no two blocks share rows or columns, so on a CPU they are worked on side by side, and add up in an
    order that does not depend on the number of threads: the same bits every time.
    """
    side = _SIDE.get(like.device.type, _SIDE["cuda"])
    parts = [slice(start, min(start + side, len(like))) for start in range(0, len(like), side)]
    for shift in range(len(parts)):
        blocks = zip(parts, parts[shift:] + parts[:shift], strict=True)
        if like.device.type == "cpu":
            each(lambda block: work(*block), blocks)
        else:
            for i, j in blocks:
                work(i, j)
