"""Where a corpus can come from: each module has `Config` and `build(config, target, data)`."""

from pathlib import Path
from typing import Any

from swath import plugins


def build(config: Any, target: Path, data: Path | None = None) -> None:
    """Make the corpus at `target` from a source's settings, or continue one that was interrupted.

    Args:
        config: the `Config` of a module in this folder.
        target: folder of the corpus.
        data: folder of the source data, for sources that read one.

    Raises:
        CorpusError: the source data, or what is at `target`, is not what it should be.
    """
    plugins.find(__name__, config.name).build(config, target, data)


def formats() -> dict[str, str]:
    """One line on each published format that can be converted, by name."""
    from swath.corpus.sources._published import FormatSettings

    modules = {name: plugins.find(__name__, name) for name in plugins.names(__name__)}
    published = {name: module for name, module in modules.items() if issubclass(module.Config, FormatSettings)}
    return {name: (module.__doc__ or "").partition("\n")[0] for name, module in published.items()}
