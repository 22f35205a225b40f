"""Methods of attribution: one file each, found by its module name, which defines `Config`, `NEEDS_GRADIENT` and
`attribute` (`AttributionPlugin`).
"""

from collections.abc import Sequence
from typing import cast

from swath import plugins
from swath.errors import ContractError
from swath.products.explain._explained import Explained, Images, Target
from swath.products.explain.attributions._types import (
    Attribution,
    AttributionPlugin,
    Part,
    band_names,
    by_band_and_date,
    summed,
)
from swath.settings import PluginSettings

__all__ = [
    "Attribution",
    "AttributionPlugin",
    "Part",
    "attribute",
    "band_names",
    "by_band_and_date",
    "names",
    "settings",
    "summed",
]


def names() -> list[str]:
    """Names of all methods of attribution."""
    return plugins.names(__name__)


def settings(asked: Sequence[str]) -> list[PluginSettings]:
    """Usual settings of the methods of these names.

    Raises:
        RecipeError: there is no such method; the message names the nearest one.
    """
    return [cast(AttributionPlugin, plugins.find(__name__, name)).Config(name=name.replace("_", "-")) for name in asked]


def attribute(config: PluginSettings, explained: Explained, images: Images, target: Target) -> Attribution:
    """Explain what a network says of images by the method that `config.name` names.

    Args:
        config: a method's settings.
        explained: the network.
        images: of some locations, by sensor, on the network's device.
        target: which output is explained.

    Raises:
        ContractError: the method cannot explain this network; the message says why, and what can.
    """
    plugin = cast(AttributionPlugin, plugins.find(__name__, config.name))
    if plugin.NEEDS_GRADIENT and explained.logits is None:
        raise ContractError(
            f"{config.name} follows gradients, and what is explained has none",
            remedy="take occlusion, which needs none",
        )
    return plugin.attribute(config, explained, images, target)
