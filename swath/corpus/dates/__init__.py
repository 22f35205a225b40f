"""When the chips of a corpus are taken: rules, one file each, with `Config` and `windows(config, uid)`."""

from swath import plugins
from swath.corpus.dates._types import Interval, Window, around, day, joined
from swath.settings import Settings

__all__ = ["Interval", "Window", "around", "day", "joined", "windows"]


def windows(config: Settings, uid: str) -> tuple[Window, ...]:
    """The windows of one location: a function of the rule's settings and the location's id."""
    return plugins.find(__name__, getattr(config, "name")).windows(config, uid)  # noqa: B009
