"""Networks from series of images to a map of classes: what S4 is compared with. One file each, found by its name.

A segmenter defines `Config` and `build(config, contracts, classes) -> Segmenter`; it is trained like any other network
of the supervised tasks.
"""

from collections.abc import Mapping
from typing import Any

from swath import plugins
from swath.encoders import InputContract
from swath.segmenters._base import Segmenter

__all__ = ["Segmenter", "build", "names"]


def names() -> list[str]:
    """Names of all segmenters."""
    return plugins.names(__name__)


def build(config: Any, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """The segmenter that the settings name, randomly initialised.

    Args:
        config: a plug-in's `Config`.
        contracts: by sensor: bands and statistics of its images; the first sensor's dates lead where they are joined.
        classes: how many.

    Raises:
        RecipeError: no such segmenter, or it takes another number of sensors.
    """
    return plugins.find(__name__, config.name).build(config, contracts, classes)
