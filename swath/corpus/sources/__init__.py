"""Where a corpus can come from: one module or package per source, in families (`SourcePlugin`).

`published` holds one module per published format, `landsat` what USGS ships, `folder` a user's own images, `stac`
catalogues on the web, and `synth` a generated world. A new source may also lie here, beside the families.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, cast, get_args, get_origin

from swath import plugins
from swath.corpus.sources import _growth, folder, points
from swath.corpus.sources._contents import announce, read_log
from swath.corpus.sources._growth import ANSWERS, OutOfOrderError, Stock, same_settings, say_unknown
from swath.corpus.sources._shapes import Shapes
from swath.corpus.sources._types import SourcePlugin
from swath.corpus.sources.folder import FolderSection
from swath.corpus.sources.published import FormatSettings, data_folder
from swath.corpus.store import Corpus
from swath.settings import PluginSettings

__all__ = ["ANSWERS", "SourcePlugin", "build", "formats", "needed", "new_files", "same_settings", "say_unknown"]


def build(config: PluginSettings, target: Path, data: Path | None = None) -> None:
    """Make the corpus at `target` from a source's settings, or continue one that was interrupted; add what is new.

    Args:
        config: a source's section of a recipe.
        target: folder of the corpus.
        data: folder of the source data, for sources that read one.

    Raises:
        CorpusError: the source data, or what is at `target`, is not what it should be: made with other settings, or of
            files that were changed or are gone.
    """
    source, target = _source(config.name), Path(target)
    _growth.settle(target)
    same_settings(config, target)
    stock, grown, why = None, False, "new files belong between those that are stored"
    log = read_log(target)
    if isinstance(config, FormatSettings):
        stock = Stock(target, _growth.below(data_folder(data), target))
        grown = stock.known and bool(stock.new)
        if stock.known and not grown and not config.shapes:
            return
        # such a format does not say which location a file is of: a new one may be of a location that is stored
        why = f"{len(stock.new)} new files ({stock.named}) may be of locations that are stored" if grown else why
        if grown and config.shapes:
            Shapes(config.shapes, data_folder(data)).begin(Corpus.open(target))
    if grown or not _continued(config, target, data):
        _growth.anew(target, lambda beside: source.build(config, beside, data), why)
    if stock is not None:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            stock.record(pool)
    announce(target, log)


def _source(name: str) -> SourcePlugin:
    return cast(SourcePlugin, plugins.find(__name__, name))


def _continued(config: PluginSettings, target: Path, data: Path | None) -> bool:
    """Make or continue a corpus; False where it has to be made anew."""
    try:
        _source(config.name).build(config, target, data)
    except OutOfOrderError:
        return False
    return True


def new_files(config: PluginSettings, target: Path, data: Path | None) -> set[str] | None:
    """Files of a source that the corpus at `target` does not know yet; none for sources without files, or if no data
    folder is given.

    None where only `build` can tell: an earlier swath made the corpus and did not note a published format's files.

    Raises:
        CorpusError: the folder is not there, or files of the corpus were changed or are gone.
    """
    if isinstance(config, points.Config):
        points.check_unchanged(config, target, data)
    if data is None or not isinstance(config, FolderSection | FormatSettings):
        return set()
    if isinstance(config, FormatSettings):
        stock = Stock(target, _growth.below(data_folder(data), target))
        return stock.new if stock.known else None
    return folder.stock(config, target, Path(data)).new


def formats() -> dict[str, str]:
    """One line on each published format that can be converted, by name."""
    sources = cast(dict[str, SourcePlugin], plugins.usable(__name__))
    published = {name: source for name, source in sources.items() if issubclass(source.Config, FormatSettings)}
    return {name: (source.__doc__ or "").partition("\n")[0] for name, source in published.items()}


def needed(name: str) -> dict[str, tuple[str, ...]]:
    """Settings that a format requires, each with its possible values (none where any value will do)."""
    fields = _source(name).Config.model_fields
    types = {key: field.annotation for key, field in fields.items() if field.is_required()}
    return {key: get_args(one) if get_origin(one) is Literal else () for key, one in types.items()}
