"""Self-supervised objectives: one file each, found by its module name.

A file defines `Config` and `Method` (`MethodPlugin`). A method says what its views are (`views`), what their loss is
(`loss`), and what follows an optimiser step (`after_step`: a teacher, a queue). It neither logs, nor holds an
optimiser, nor talks to other processes.
"""

from typing import cast

from swath import plugins
from swath.encoders import Encoder
from swath.methods._targets import Target, cycle, months
from swath.methods._types import DrawViews, Gather, Loss, Method, MethodPlugin, OneProcess, TaughtSettings
from swath.settings import PluginSettings

__all__ = [
    "DrawViews",
    "Gather",
    "Loss",
    "Method",
    "MethodPlugin",
    "OneProcess",
    "Target",
    "TaughtSettings",
    "build",
    "cycle",
    "months",
    "names",
]


def names() -> list[str]:
    """Names of all methods."""
    return plugins.names(__name__)


def build(config: PluginSettings, encoder: Encoder, policy: DrawViews) -> Method:
    """Make the method that the settings name, around an encoder and a view policy."""
    return cast(MethodPlugin, plugins.find(__name__, config.name)).Method(config, encoder, policy)
