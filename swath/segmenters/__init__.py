"""Networks from series of images to a map of classes: what S4 is compared with. One file each, found by its name.

A file defines `Config` and `build(config, contracts, classes) -> Segmenter` (`SegmenterPlugin`); a segmenter is trained
like any other network of the supervised tasks.
"""

from collections.abc import Mapping
from typing import cast

from swath import plugins
from swath.encoders import InputContract
from swath.segmenters._base import Segmenter, SegmenterPlugin
from swath.settings import PluginSettings

__all__ = ["Segmenter", "SegmenterPlugin", "build", "names"]


def names() -> list[str]:
    """Names of all segmenters."""
    return plugins.names(__name__)


def build(config: PluginSettings, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """The segmenter that the settings name, randomly initialised.

    Args:
        config: a plug-in's `Config`.
        contracts: by sensor: bands and statistics of its images; the first sensor's dates lead where they are joined.
        classes: how many.

    Raises:
        RecipeError: no such segmenter, or it takes another number of sensors.
    """
    return cast(SegmenterPlugin, plugins.find(__name__, config.name)).build(config, contracts, classes)
