"""Recipes: typed, strict, and resolved to exactly defaults + document + overrides.

A recipe names things (`method: {name: byol}`), never import paths, so reading one runs no code of its author's.
"""

from swath.config._document import (
    complete,
    dump,
    load,
    load_source,
    load_sweep,
    merge,
    resolve,
    resolve_source,
    resolve_split,
    schema,
)
from swath.config._recipe import ArmConfig, CorpusConfig, Recipe, is_name

__all__ = [
    "ArmConfig",
    "CorpusConfig",
    "Recipe",
    "complete",
    "dump",
    "is_name",
    "load",
    "load_source",
    "load_sweep",
    "merge",
    "resolve",
    "resolve_source",
    "resolve_split",
    "schema",
]
