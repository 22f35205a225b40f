"""MAE: from a quarter of its patches a decoder says what the rest of the image is.

He et al. 2022, https://arxiv.org/abs/2111.06377; defaults of the official code with `--norm_pix_loss`. Published on
ImageNet: AdamW, betas 0.9 and 0.95, lr 1.5e-4 (x batch / 256), weight decay 0.05, batch 4096, 800 epochs, 40 of them
warm-up, half a cosine; crops with a scale of (0.2, 1) and horizontal flips alone. The view policy is one-crop.

On the encoder any-sensor it is DOFA's pre-training (Xiong et al. 2024, https://arxiv.org/abs/2403.15356), whose view
policy is sensor-crops: `channels` shows a random part of the bands, `distillation` adds the likeness to another
encoder's features. Both as in the code of its successor Copernicus-FM (Wang et al. 2025): 0.75 to 1 of the bands, 0.1.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_serializer
from torch import Tensor, nn

from swath import encoders
from swath.batch import Image, View
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods import _autoencoder
from swath.methods._masked import flat, mean_of
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, TaughtSettings
from swath.sensors import band_id
from swath.settings import Settings

Share = Annotated[float, Field(gt=0, le=1)]


class Distillation(Settings):
    """Features of another encoder that the tokens' mean shall predict."""

    teacher: Path
    """A saved encoder of swath's of fixed bands, which some view must have: published weights become one by
    `swath adopt`."""
    weight: float = Field(default=0.1, gt=0)
    """Factor on one minus the cosine between prediction and teacher, which is added to the error of pixels."""


class Config(_autoencoder.Config, TaughtSettings):
    """MAE (He et al. 2022): most patches are hidden, and their pixels are filled in from the others."""

    name: Literal["mae"] = "mae"  # pyright: ignore[reportIncompatibleVariableOverride]
    channels: tuple[Share, Share] | None = None
    """Show, and ask for, a random share of the bands between these two, of each view another; None: all. For encoders
    that take any number of bands."""
    distillation: Distillation | None = None
    """Learn from another encoder as well, which sees the whole view; None: from pixels alone."""

    @property
    def taught_by(self) -> Path | None:
        """Where the teacher is, if there is one."""
        return self.distillation and self.distillation.teacher

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # settings that say nothing of these have the digest that they had before they were there
        unsaid = {name for name in ("channels", "distillation") if getattr(self, name) is None}
        return {key: value for key, value in handler(self).items() if key not in unsaid}


class Method(_autoencoder.Autoencoder):
    """MAE on any encoder with tokens. What is compared are standardised pixels, all bands of a patch together."""

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(config, encoder, policy)
        self.channels, self.distillation = config.channels, config.distillation
        if config.channels is not None and not encoder.contract.any_number:
            raise RecipeError(
                "channels shows changing numbers of bands, and the encoder always takes the same",
                where="method.channels",
                remedy="choose the encoder any-sensor, or leave channels out",
            )
        self.teacher = None
        if config.distillation is not None:
            self.teacher = _teacher(config.distillation.teacher, encoder)
            self.projection = nn.Linear(encoder.dim, self.teacher.dim)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """Mean over masked patches of the mean squared error of their valid pixels; the teacher's part beside it."""
        errors, asked, features = zip(*(self._of(self._with_some_bands(view)) for view in views), strict=True)
        pixels = mean_of(flat(errors), flat(asked), gather)
        if self.teacher is None or self.distillation is None:
            return Loss(pixels, features[0].detach())
        unlike = self._unlike(self.teacher, views, features, gather)
        terms = {"pixels": pixels.detach(), "distillation": unlike.detach()}
        return Loss(pixels + self.distillation.weight * unlike, features[0].detach(), terms)

    def _with_some_bands(self, view: View) -> View:
        """The view with a random share of its bands, the same for all samples."""
        if self.channels is None:
            return view
        low, high = self.channels
        count, share = view.image.pixels.shape[2], low + (high - low) * float(torch.rand(1))
        chosen = torch.randperm(count)[: max(1, round(share * count))].sort().values
        return replace(view, image=view.image.channels(chosen.tolist()))

    def _unlike(
        self, teacher: Encoder, views: list[View], features: tuple[Tensor, ...], gather: Gather
    ) -> Float[Tensor, ""]:
        """One minus the cosine between the teacher's features and what is predicted of them, on average over images
        with the teacher's bands that have a valid pixel."""
        # here and not once: whoever trains puts all parts in training mode
        teacher.eval()
        distances, seen = [], []
        for view, own in zip(views, features, strict=True):
            image = _with_bands(self.encoder.by_date(view.image), teacher.contract.bands)
            if image is not None:
                with torch.no_grad():
                    target = teacher(image).float()
                distances.append(1 - F.cosine_similarity(self.projection(own).float(), target))
                seen.append(image.valid.flatten(1).any(dim=1))
        if not distances:
            raise RecipeError(
                f"no view has the bands of the teacher: {', '.join(teacher.contract.bands)}",
                where="method.distillation",
                remedy="give the views these bands, or take another teacher",
            )
        return mean_of(flat(distances), flat(seen), gather)


def _teacher(path: Path, encoder: Encoder) -> Encoder:
    """A saved encoder, frozen.

    Raises:
        CheckpointError: there is none.
        RecipeError: it takes other bands than one fixed list, or some that are not the encoder's.
    """
    teacher = encoders.load(path).requires_grad_(requires_grad=False)
    contract = teacher.contract
    if not contract.fixed or len(contract.inputs) > 1:
        raise RecipeError(
            "a teacher takes one fixed list of bands, and this one does not",
            where=str(path),
            remedy="take an encoder of one image with fixed bands",
        )
    if lacking := [key for key in contract.bands if key not in encoder.contract.bands]:
        raise RecipeError(
            f"the teacher takes {', '.join(lacking)}, which the views do not have",
            where=str(path),
            remedy="give the views these bands, or take another teacher",
        )
    return teacher


def _with_bands(image: Image, keys: tuple[str, ...]) -> Image | None:
    """The image with these bands in this order; None if it lacks one."""
    held, wanted = list(image.first_ids()), [band_id(key) for key in keys]
    return image.channels([held.index(i) for i in wanted]) if set(wanted) <= set(held) else None
