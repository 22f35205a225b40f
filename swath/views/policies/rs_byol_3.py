"""RS-BYOL-3: three random optical bands against VV, VH and one of them again (Jain et al. 2022, III and IV.C)."""

from typing import Annotated, Literal

import torch
from pydantic import Field

from swath.batch import Batch, View
from swath.settings import PluginSettings
from swath.views import presets
from swath.views._random import distinct
from swath.views._settings import Augment
from swath.views._types import Inputs
from swath.views.policies._pair import pair
from swath.views.policies._select import image_of, one_sensor, reads, take_channels

_EXAMPLE = {
    "optical": ["sentinel-2-l1c/B02", "sentinel-2-l1c/B03", "sentinel-2-l1c/B04", "sentinel-2-l1c/B08"],
    "radar": ["sentinel-1-grd/VV", "sentinel-1-grd/VH"],
}


class Config(PluginSettings, json_schema_extra={"examples": [_EXAMPLE]}):
    """RS-BYOL-3's views (Jain et al. 2022): the bands to draw from. The paper takes Sentinel-2's ten bands of
    10 and 20 m, and VV and VH.
    """

    name: Literal["rs-byol-3"] = "rs-byol-3"
    optical: Annotated[tuple[str, ...], Field(min_length=3)]
    """Band keys of the optical sensor."""
    radar: Annotated[tuple[str, ...], Field(min_length=1, max_length=3)]
    """Band keys of the radar: they fill the first channels in this order, and random ones of them the rest."""
    augment: Augment = presets.rs_byol(grey=0.2)
    shared_crop: bool = False
    """Cut and turn both views alike; the paper augments them independently."""


class Policy:
    """Roles `optical` and `radar`, three channels each; optical bands come in random order."""

    def __init__(self, config: Config):
        for keys in (config.optical, config.radar):
            one_sensor(keys)
        self.config = config
        self.reads = reads((*config.optical, *config.radar))
        self.inputs = Inputs(3, (*config.optical, *config.radar), fixed=False)
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """Both views."""
        config = self.config
        optical, radar = (image_of(batch, keys) for keys in (config.optical, config.radar))
        optical = take_channels(optical, distinct(generator, len(optical), 3, len(config.optical)))
        radar = take_channels(radar, self._filled(len(radar), generator))
        settings = (config.augment, config.augment)
        return pair((optical, radar), settings, generator, ("optical", "radar"), shared_crop=config.shared_crop)

    def _filled(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """All radar channels, then copies of random ones: int64 "n 3"."""
        k = len(self.config.radar)
        given = torch.arange(k, device=generator.device).expand(n, k)
        copies = torch.randint(k, (n, 3 - k), generator=generator, device=generator.device)
        return torch.cat([given, copies], dim=1)
