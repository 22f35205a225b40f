"""What methods of masked modelling share: which tokens or cells stay, and the error of what is said of the others."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from swath.errors import RecipeError
from swath.methods._losses import full_precision
from swath.methods._types import Gather


def normal_init(layer: nn.Module) -> None:
    """Initial weights of ConvNeXt and of I-JEPA's predictor: a truncated Gaussian of 0.02; biases of 0."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def random_keep(noise: Float[Tensor, "b p"], seen: Bool[Tensor, "b n"], mask: float) -> Int[Tensor, "b k"]:
    """The tokens with the least noise: all but a share `mask` of those that a sample has, rounded down; at least one.

    Args:
        noise: in [0, 1); of each token, or of each patch of ground, all of whose tokens are then kept or masked
            together: `seen` lists them layer by layer.
        seen: tokens of patches with a valid pixel: the others are not kept.
        mask: share that is not kept.

    Raises:
        RecipeError: a sample all of whose pixels are valid would keep nothing.
    """
    patches = noise.shape[1]
    by_layer = seen.unflatten(1, (-1, patches))
    there = by_layer.any(dim=1)
    number = part_of(there.sum(dim=1, keepdim=True), 1 - mask).clamp(min=1)
    most = kept_of(patches, mask)
    order = (noise + (~there).to(noise.dtype)).argsort(dim=1, stable=True)[:, :most]
    first = torch.where(torch.arange(most, device=seen.device) < number, order, -1)
    layers = by_layer.shape[1]
    if layers == 1:
        return first
    tokens = first[..., None] + patches * torch.arange(layers, device=seen.device)
    kept = (first[..., None] >= 0) & take(by_layer.transpose(1, 2), first)
    return tokens.where(kept, -1).flatten(1)


def kept_of(number: int, mask: float, what: str = "patches") -> int:
    """How many of a number are kept when a share is masked.

    Raises:
        RecipeError: none is; the message calls them `what`.
    """
    if (kept := int(part_of(torch.tensor(number), 1 - mask))) < 1:
        raise RecipeError(
            f"mask={mask:g} leaves none of {number} {what}",
            remedy=f"larger views, smaller {what}, or a smaller method.mask",
        )
    return kept


def part_of(number: Int[Tensor, "*n"], share: float) -> Int[Tensor, "*n"]:
    """That share of whole numbers, rounded down."""
    # in float64, as float32 rounds 0.53 of 100 to 52; 1e-6: 0.1 of 10 is a little less than 1 in binary numbers
    return (number.double() * share + 1e-6).floor().long()


def chosen(keep: Int[Tensor, "b k"], n: int) -> Bool[Tensor, "b n"]:
    """True for the tokens whose numbers these are."""
    one_more = torch.zeros(len(keep), n + 1, dtype=torch.bool, device=keep.device)
    return one_more.scatter(1, torch.where(keep < 0, n, keep), True)[:, :n]


def hidden(keep: Int[Tensor, "b k"], n: int) -> Int[Tensor, "b m"]:
    """The tokens that are not among these, of which each sample has as many."""
    return chosen(keep, n).to(torch.uint8).argsort(dim=1, stable=True)[:, : n - keep.shape[1]]


def take(rows: Shaped[Tensor, "b n *d"], index: Int[Tensor, "b *k"]) -> Shaped[Tensor, "b *_"]:
    """The rows of these numbers of each sample; of -1 some row or other."""
    sample = torch.arange(len(rows), device=rows.device).view(-1, *[1] * (index.ndim - 1))
    return rows[sample, index.clamp(min=0)]


@full_precision
def patch_errors(
    said: Float[Tensor, "b n p"], values: Float[Tensor, "b n p"], valid: Bool[Tensor, "b n p"], *, normalise: bool
) -> Float[Tensor, "b n"]:
    """Mean squared error over the valid values of each patch, 0 where it has none.

    With `normalise`, values are brought to mean 0 and variance 1 patch by patch, by their valid ones alone; 1e-6 is
    added to the variance, whose divisor is one less than the number (MAE's official code).
    """
    number = valid.sum(dim=2, keepdim=True)
    if normalise:
        mean = (values * valid).sum(dim=2, keepdim=True) / number.clamp(min=1)
        deviation = (values - mean) * valid
        variance = deviation.square().sum(dim=2, keepdim=True) / (number - 1).clamp(min=1)
        values = deviation / (variance + 1e-6).sqrt()
    return ((said - values) * valid).square().sum(dim=2) / number[..., 0].clamp(min=1)


def left_out(shown: Sequence[Bool[Tensor, " b"]]) -> dict[str, Tensor]:
    """For the log: of how many samples of this process nothing valid is shown, so that nothing is asked of them.

    Args:
        shown: whether anything valid is, for each sample of each view.
    """
    return {"left_out": (~torch.cat(list(shown))).sum()}


def flat(parts: Sequence[Tensor]) -> Shaped[Tensor, " n"]:
    """The numbers of several tensors, one after the other."""
    return torch.cat([part.flatten() for part in parts])


def shares(
    sums: Float[Tensor, " t"], counts: Float[Tensor, " t"], gather: Gather
) -> tuple[Float[Tensor, " t"], Bool[Tensor, " t"]]:
    """This process's shares of means over the counts of all processes, and which of these are not 0.

    The mean of all processes' shares is the mean over their joined batch.
    """
    joined = gather(counts[None])
    whole = joined.mean(dim=0)
    return sums / whole.clamp(min=1 / len(joined)), whole > 0


@full_precision
def mean_of(errors: Float[Tensor, " n"], counted: Bool[Tensor, " n"], gather: Gather) -> Float[Tensor, ""]:
    """Mean of the errors that count; that of several processes' results is the mean over all of them."""
    (mean,), _ = shares((errors * counted).sum()[None], counted.sum().float()[None], gather)
    return mean
