"""An encoder, or what was trained for a task, as a graph that other programs run (`swath export model`), with units,
statistics and invalid pixels inside.

`_graphs` says what the graph of an encoder is fed and gives, `_predictors` that of an encoder with its head, `_formats`
writes and runs one, `_pictures` makes what it is checked on, and `_item` describes it in STAC.
"""

from swath.products.model_export._export import LIMIT, Exported, export_model, export_trained
from swath.products.model_export._formats import FORMATS, Format
from swath.products.model_export._item import INSIDE, About

__all__ = ["FORMATS", "INSIDE", "LIMIT", "About", "Exported", "Format", "export_model", "export_trained"]
