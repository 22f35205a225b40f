"""MMF's first stage: generators learn to make one sensor's series from the other's.

The comparator of Shenoy et al. 2024, section 5.3: L1 as in S4's eq. 3, and nothing else. The second stage, which labels
train, is fine-tuning the encoder `mmf`.
"""

from typing import Literal

import torch

from swath.batch import View
from swath.encoders import Encoder
from swath.encoders.mmf import Mmf
from swath.errors import RecipeError
from swath.methods import _types
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, pair
from swath.methods.s4 import masked_mean_error, positions
from swath.settings import PluginSettings

FROM = ("from_first", "from_second")
"""Names of the generators' errors in the log."""


class Config(PluginSettings):
    """The first stage of MMF (Shenoy et al. 2024, section 5.3): generators that make one sensor's series from
    the other's.
    """

    name: Literal["mmf"] = "mmf"
    inference: Literal["first", "second", "both"] = "first"
    """The modality that will be available when the encoder is used; the other one is generated from it. "both"
    trains a generator for each, in one run; they share nothing."""


class Method(_types.Method):
    """MMF's first stage: the error of each generator's output, made from its own view, against the other view."""

    encoder: Mmf

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        if not isinstance(encoder, Mmf):
            raise RecipeError("mmf trains generators, and the encoder has none", remedy="choose the encoder mmf")
        super().__init__(encoder, policy)
        self.given = {"first": [0], "second": [1], "both": [0, 1]}[config.inference]
        """Views from which the other one is generated."""
        encoder.network.fusion.requires_grad_(requires_grad=False)
        for position in self.given:
            encoder.network.generators[position].requires_grad_(requires_grad=True)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:  # noqa: ARG002 - samples do not interact
        """Mean absolute error of standardised bands over valid pixels, the sum over generators."""
        images = [view.image for view in pair(views, "mmf")]
        terms, features = {}, []
        for position in self.given:
            generator, wanted = self.encoder.generator(images[position]), images[1 - position]
            contracted = generator.encoder.contracted(images[position])
            standard = self.encoder.standard(wanted)
            terms[FROM[position]] = masked_mean_error(generator(contracted), standard, wanted.valid)
            features.append(positions(contracted))
        total = torch.stack(list(terms.values())).sum()
        of_positions, seen = features[0]
        return Loss(total, of_positions, {k: v.detach() for k, v in terms.items()}, seen)
