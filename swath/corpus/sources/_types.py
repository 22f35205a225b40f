"""The interface of a source."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from swath.settings import PluginSettings


@runtime_checkable
class SourcePlugin(Protocol):
    """A module or package of this folder or of a family in it, or one that an installed package offers."""

    Config: type[PluginSettings]
    """Its section of a recipe."""

    def build(self, config: Any, target: Path, data: Path | None = None) -> None:
        """Make the corpus in the folder `target`, or continue a build of the same settings that was interrupted.

        Args:
            config: the section of the recipe, a `Config`.
            target: folder of the corpus; it may hold what an interrupted build left.
            data: folder of the source data, for sources that read one.

        Raises:
            CorpusError: the data cannot be used, or what is at `target` was made with other settings.
        """
        ...
