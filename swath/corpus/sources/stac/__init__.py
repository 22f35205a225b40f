"""Chips from STAC catalogues: locations, dates and products in, a corpus out; see `docs/building.md`.

Locations are drawn by a strategy and built as Dask tasks: on the client that is active in the process, such as `with
distributed.Client("tcp://scheduler:8786"):`, or else in threads.
"""

from pathlib import Path
from typing import Literal

from swath.corpus.sources.stac._cost import Cost, Rate, cost
from swath.corpus.sources.stac._section import StacSection, footprint
from swath.settings import PluginSettings

__all__ = ["Config", "Cost", "Rate", "StacSection", "build", "cost", "footprint"]


class Config(StacSection, PluginSettings):
    """A corpus of chips read from STAC catalogues on the web, such as Earth Search or Planetary Computer."""

    name: Literal["stac"] = "stac"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Args:
        config: the section of the recipe.
        target: folder of the corpus. `plan.parquet` in it holds the locations, `failures.parquet` what is missing and
            why.
        data: folder where files of label layers are looked for first.

    Raises:
        CorpusError: no location has a chip, hosts failed in spite of all retries, or the folder cannot be used.
    """
    # Dask and the loader take seconds to import, and whoever reads a recipe needs neither
    from swath.corpus.sources.stac._run import run

    run(config, Path(target), data)
