"""swath: self-supervised learning on Earth observation.

The names below are imported on first use, because torch takes seconds to import and `swath --help` should not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.config import load as load_recipe
    from swath.corpus import Corpus
    from swath.encoders import load as load_encoder
    from swath.pipeline import evaluate_on as evaluate
    from swath.pipeline import run
    from swath.products.embeddings import embed

__version__ = "0.1.0"

__all__ = ["Corpus", "embed", "evaluate", "load_encoder", "load_recipe", "run"]

_LAZY = {
    "Corpus": ("swath.corpus", "Corpus"),
    "embed": ("swath.products.embeddings", "embed"),
    "evaluate": ("swath.pipeline", "evaluate_on"),
    "load_encoder": ("swath.encoders", "load"),
    "load_recipe": ("swath.config", "load"),
    "run": ("swath.pipeline", "run"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'swath' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
