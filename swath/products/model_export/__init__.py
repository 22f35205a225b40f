"""An encoder as a graph that other programs run (`swath export model`), with units, statistics and invalid pixels
inside.

`_graphs` says what a graph is fed and gives, `_formats` writes and runs one, `_pictures` makes what it is checked on,
and `_item` describes it in STAC.
"""

from swath.products.model_export._export import LIMIT, Exported, export_model
from swath.products.model_export._formats import FORMATS, Format

__all__ = ["FORMATS", "LIMIT", "Exported", "Format", "export_model"]
