"""SatMAE: MAE whose patches have a token for every group of bands, or for every date of a series.

Cong et al. 2022, https://arxiv.org/abs/2207.08051. The groups, and whether dates are seen together, are the encoder's
settings (`vit`, `groups` and `dates`). Published on fMoW-Sentinel: groups B02 B03 B04 B08, B05 B06 B07 B8A and
B11 B12, chips of 96 pixels, patches of 8, lr 1e-4 (x batch / 256), 200 epochs; all else as MAE. Temporal: three dates,
patches of 16. Pixels are normalised token by token here, in the official code patch by patch over all groups.
"""

from collections.abc import Callable
from typing import Literal

from swath.batch import View
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods import _autoencoder
from swath.methods._types import DrawViews


class Config(_autoencoder.Config):
    """SatMAE (Cong et al. 2022): MAE with a token for each group of bands, or for each date, of a patch."""

    name: Literal["sat-mae"] = "sat-mae"  # pyright: ignore[reportIncompatibleVariableOverride]
    masks: _autoencoder.Masks = "independent"
    """Whether each token is masked by itself (the paper's better variant of groups, and the code's default), or all
    groups and dates of a patch of ground alike (`consistent`; code: `--spatial_mask`, `same_mask`)."""


class Method(_autoencoder.Autoencoder):
    """SatMAE. The encoder has to have groups of bands or to see dates together: else it would be MAE."""

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(config, encoder, policy)
        if not (self.encoder.groups or self.encoder.together):
            raise RecipeError(
                "sat-mae masks tokens of groups of bands or of dates, and the encoder has neither",
                remedy="give the encoder vit groups, or dates: together; or choose the method mae",
            )
        self.masks = config.masks

    def rehearse(self, draw: Callable[[], list[View]]) -> None:
        """As `Autoencoder`; and no patch has one token after all, of the one date that views have."""
        views = draw()
        # of whole series some batch may have one date each: that is no fault of the recipe
        if any(self.encoder.grid(self.encoder.by_date(view.image)).layers == 1 for view in views):
            raise RecipeError(
                "sat-mae masks tokens of several dates, and the views have one",
                where="views.dates",
                remedy="read more dates (views.dates: 3), or choose the method mae",
            )
        super().rehearse(lambda: views)
