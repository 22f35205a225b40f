"""MP-MAE: FCMAE that also predicts what else is known of the ground: other sensors, maps, place and month.

Nedungadi et al. 2024, "MMEarth", https://arxiv.org/abs/2405.02771, and its code. Published with ConvNeXt V2 atto, its
stem `dense` and cells of 16 pixels in crops of 112 (8 in 56), AdamW (0.9, 0.95), lr 1.5e-4 x batch / 256, weight decay
0.05, batch 4096, 40 epochs of warm-up, 200 epochs. The policy with-targets says what is predicted.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from swath.batch import View
from swath.encoders import Encoder
from swath.methods import _cells, fcmae
from swath.methods._cells import Decoder, cell_errors
from swath.methods._losses import full_precision
from swath.methods._masked import hidden, left_out, normal_init, shares, take
from swath.methods._targets import NONE, Target, classes, numbers
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, require_number

IMAGE = "image"
"""What the hidden cells of the image itself are called in the log."""
Error = tuple[Float[Tensor, ""], Float[Tensor, ""]]
"""Sum of the errors of a target, and how many there are."""


class Config(fcmae.Config):
    """Settings of MP-MAE; those of FCMAE, and how the tasks are weighed."""

    name: Literal["mp-mae"] = "mp-mae"  # pyright: ignore[reportIncompatibleVariableOverride]
    weights: Literal["learnt", "equal"] = "learnt"
    """`learnt`: each task's by its own uncertainty (Kendall et al. 2018). `equal`: the sum of all errors."""


class Head(nn.Module):
    """One target: a linear layer from the decoder's features to what is said of it."""

    codes: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, target: Target, width: int, cell: int):
        super().__init__()
        self.target = target
        self.norm = nn.Identity() if target.of_pixels else nn.LayerNorm(width, eps=1e-6)
        self.linear = nn.Linear(width, target.size * (cell**2 if target.of_pixels else 1))
        self.linear.apply(normal_init)
        self.register_buffer("codes", torch.tensor(target.codes, dtype=torch.float64), persistent=False)
        self.register_buffer("mean", torch.tensor(target.mean, dtype=torch.float64), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(target.std, dtype=torch.float64), persistent=False)

    def of_cells(self, features: Float[Tensor, "b m w"]) -> Float[Tensor, "b m k p"]:
        """What is said of every pixel of some cells."""
        return self.linear(features).unflatten(2, (self.target.size, -1))

    def of_image(self, features: Float[Tensor, "b n w"]) -> Float[Tensor, "b k"]:
        """What is said of the whole, from all its cells."""
        return self.linear(self.norm(features).mean(dim=1))

    def standard(self, values: Float[Tensor, "b *n"]) -> Float[Tensor, "b *n"]:
        """Values less their mean, over their deviation; channels are the second axis."""
        shape = (1, -1, *[1] * (values.ndim - 2))
        return ((values.double() - self.mean.view(shape)) * self.scale.view(shape)).float()


class Method(_cells.Masked):
    """MP-MAE. All tasks share the decoder, as in the official code, and each has a linear layer of its own. What a
    sample lacks is left out of its task's error, and a task that no sample of a step has is left out of the step.
    """

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(config.name, config.mask, encoder, policy)
        self.config = config
        self.decoder = Decoder(encoder.dim, config.decoder_width, config.decoder_depth)
        self.predict = nn.Linear(config.decoder_width, encoder.contract.channels * self.encoder.cell**2)
        self.predict.apply(normal_init)
        self.heads: Sequence[Head] = []
        self.expect(())

    def expect(self, targets: Sequence[Target]) -> None:
        """Also make a linear layer for each."""
        width, cell = self.config.decoder_width, self.encoder.cell
        self.heads = nn.ModuleList(Head(target, width, cell) for target in targets)  # pyright: ignore
        learns = self.config.weights == "learnt"
        self.uncertainty = nn.Parameter(torch.zeros(1 + len(targets)), requires_grad=learns)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Sum over tasks of exp(-s) L + s, where s is learnt, or of L; each L the mean over what is known.

        Of a sample whose seen cells have no valid pixel nothing is asked.
        """
        mapped = sum(head.target.kind == "map" for head in self.heads)
        view, *others = require_number(views, "mp-mae", "with-targets", 1 + mapped)
        maps = {one.role: one for one in others}
        assert view.kept is not None
        grid = self.encoder.grid(view.image)
        tokens = self.encoder.tokens(view.image, view.kept)
        every = self.decoder(tokens, view.kept, grid)
        of_hidden = take(every, hidden(view.kept, grid[0] * grid[1]))
        found = [self._of_image_itself(of_hidden, view)]
        found += [self._error(head, every, of_hidden, view, maps) for head in self.heads]
        sums, counts = (torch.stack(part) for part in zip(*found, strict=True))
        errors, present = shares(sums, counts, gather)
        names = [IMAGE, *(head.target.name for head in self.heads)]
        terms = {name: error.detach() for name, error in zip(names, errors, strict=True)}
        terms |= left_out([self.shown(view)])
        return Loss(self._weighed(errors, present), self.encoder.pooled(tokens).detach(), terms)

    def _weighed(self, errors: Float[Tensor, " t"], present: Bool[Tensor, " t"]) -> Float[Tensor, ""]:
        if self.config.weights == "equal":
            return errors.sum()
        return homoscedastic(errors, self.uncertainty, present)

    def _of_image_itself(self, of_hidden: Float[Tensor, "b m w"], view: View) -> Error:
        wanted, valid = self.standard(view)
        said = self.predict(of_hidden).unflatten(2, (wanted.shape[2], -1))
        return cell_errors(said, wanted, valid, normalise=self.config.normalised)

    def _error(self, head: Head, every: Tensor, of_hidden: Tensor, view: View, maps: dict[str, View]) -> Error:
        """How far off a target is predicted: a map or layer at hidden pixels, anything else from all cells."""
        target, shown = head.target, self.shown(view)
        if target.kind == "map":
            image = maps[target.name].image
            wanted, valid = self.hide(view, head.standard(image.pixels[:, 0])), self.hide(view, image.valid)[:, :, 0]
            return cell_errors(head.of_cells(of_hidden), wanted, valid & shown[:, None, None])
        if target.kind == "layer":
            wanted = classes(self.hide(view, view.targets[target.name][:, None])[:, :, 0].double(), head.codes)
            asked = wanted.masked_fill(~shown[:, None, None], NONE)
            return class_errors(head.of_cells(of_hidden).transpose(2, 3), asked)
        if target.kind == "class":
            wanted = classes(view.targets[target.name], head.codes).masked_fill(~shown, NONE)
            return class_errors(head.of_image(every), wanted)
        wanted = head.standard(numbers(target, view)).masked_fill(~shown[:, None], torch.nan)
        return number_errors(head.of_image(every), wanted)


@full_precision
def homoscedastic(
    errors: Float[Tensor, " t"], uncertainty: Float[Tensor, " t"], present: Bool[Tensor, " t"]
) -> Float[Tensor, ""]:
    """Sum of exp(-s) L + s over the tasks that are present (Kendall et al. 2018, as the official code has it)."""
    return ((-uncertainty).exp() * errors + uncertainty).where(present, 0.0).sum()


@full_precision
def class_errors(logits: Float[Tensor, "*n k"], wanted: Tensor) -> Error:
    """Sum of the cross entropies where a class is known, and how often one is."""
    errors = F.cross_entropy(logits.flatten(0, -2), wanted.flatten(), ignore_index=NONE, reduction="sum")
    return errors, (wanted != NONE).sum().to(errors.dtype)


@full_precision
def number_errors(said: Float[Tensor, "b k"], wanted: Float[Tensor, "b k"]) -> Error:
    """Sum of the squared errors of numbers that are known, and how many are."""
    known = wanted.isfinite()
    errors = (said - wanted.where(known, said.detach())).square()
    return errors.where(known, 0.0).sum(), known.sum().to(errors.dtype)
