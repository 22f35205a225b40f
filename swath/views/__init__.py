"""Views: what a method compares. Augmentation in physical units, and policies that choose which chips become views."""

from typing import cast

from swath import plugins
from swath.settings import PluginSettings
from swath.views import _presets as presets
from swath.views._augment import augment, draw_geometry
from swath.views._geometry import Geometry
from swath.views._settings import Augment, Blur, Crop, Erase, Jitter, Rotation, Speckle
from swath.views._types import Inputs, Nearby, Policy, PolicyPlugin, Seasons, Wanted

__all__ = [
    "Augment",
    "Blur",
    "Crop",
    "Erase",
    "Geometry",
    "Inputs",
    "Jitter",
    "Nearby",
    "Policy",
    "PolicyPlugin",
    "Rotation",
    "Seasons",
    "Speckle",
    "Wanted",
    "augment",
    "build",
    "draw_geometry",
    "names",
    "presets",
]


def names() -> list[str]:
    """Names of all view policies."""
    return plugins.names("swath.views.policies")


def build(config: PluginSettings) -> Policy:
    """The policy that a plug-in's `Config` asks for, by its `name`."""
    return cast(PolicyPlugin, plugins.find("swath.views.policies", config.name)).Policy(config)
