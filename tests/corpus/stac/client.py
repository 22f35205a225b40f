"""Builds a corpus on a running cluster, as a process that a test can kill: SECTION.json TARGET ADDRESS."""

import sys
from pathlib import Path

from distributed import Client

from swath.corpus.sources._stac.run import run
from swath.corpus.sources.stac import Config

if __name__ == "__main__":
    section, target, address = sys.argv[1:]
    with Client(address):
        # small parts, so that a kill falls between commits and inside them
        run(Config.model_validate_json(Path(section).read_text(), strict=True), Path(target), part_bytes=30_000)
