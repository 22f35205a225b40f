"""Self-supervised objectives: one file each, found by its module name.

A method says what its views are (`views`), what their loss is (`loss`), and what follows an optimiser step
(`after_step`: a teacher, a queue). It neither logs, nor holds an optimiser, nor talks to other processes.
"""

from swath import plugins
from swath.encoders import Encoder
from swath.methods._types import Alone, DrawViews, Gather, Loss, Method
from swath.settings import Settings

__all__ = ["Alone", "DrawViews", "Gather", "Loss", "Method", "build", "names"]


def names() -> list[str]:
    """Names of all methods."""
    return plugins.names(__name__)


def build(config: Settings, encoder: Encoder, policy: DrawViews) -> Method:
    """The method that the settings name, around an encoder and a view policy."""
    return plugins.find(__name__, getattr(config, "name")).Method(config, encoder, policy)  # noqa: B009 - plug-ins add it
