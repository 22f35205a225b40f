"""When the chips of a corpus are taken: rules, one file each (`DateRulePlugin`)."""

from typing import cast

from swath import plugins
from swath.corpus.dates._types import DateRulePlugin, Interval, Window, around, day, joined
from swath.settings import PluginSettings

__all__ = ["DateRulePlugin", "Interval", "Window", "around", "day", "joined", "windows"]


def windows(config: PluginSettings, uid: str) -> tuple[Window, ...]:
    """The windows of one location: a function of the rule's settings and the location's id."""
    return cast(DateRulePlugin, plugins.find(__name__, config.name)).windows(config, uid)
