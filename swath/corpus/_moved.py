"""Modules of this package by the names that they had before it had rooms: scripts that import them go on working.

They are known to `import` alone and are no attributes of the package, whose functions `info`, `leakage`, `split` and
`targets` have names of such modules.
"""

import sys
from importlib import import_module

NOW = {
    "adjacency": "ground.adjacency",
    "colours": "labels.colours",
    "format": "store.format",
    "info": "summary",
    "leakage": "splits.audit",
    "loader": "reading.loader",
    "pairing": "reading.pairing",
    "reader": "reading.reader",
    "sampler": "reading.sampler",
    "seen": "splits.seen",
    "split": "splits.partition",
    "statistics": "store.statistics",
    "subset": "splits.subset",
    "targets": "labels.target",
    "writer": "store.writer",
}
sys.modules.update({f"swath.corpus.{was}": import_module(f"swath.corpus.{now}") for was, now in NOW.items()})
