"""Builds corpora on a running cluster, each in a process that a test can kill: SECTION.json ADDRESS.

For every folder on standard input: fork, print the child's id, wait for its end, print how it ended (0, or minus the
signal). Forking saves the seconds that imports take.
"""

import os
import sys
from pathlib import Path

from distributed import Client

from swath.corpus.sources.stac import Config
from swath.corpus.sources.stac._run import run


def build(section: Config, target: Path, address: str) -> None:
    with Client(address):
        # small parts, so that a kill falls between commits and inside them
        run(section, target, part_bytes=30_000)


if __name__ == "__main__":
    document, address = sys.argv[1:]
    section = Config.model_validate_json(Path(document).read_text(), strict=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            build(section, Path(line.strip()), address)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
