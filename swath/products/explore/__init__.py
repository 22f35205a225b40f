"""A local page on an index of embeddings: its locations on a map, what is like them, labels, and what they make of it.

`Explorer` is an opened index with its labels, which Python can use as well; `serve` shows it in a browser. In the order
of the work: `_labels` keeps what was labelled in a file, `_vectors` reads and writes it as vector files, `_classifier`
is fitted on it, `_suggestions` says what to label next, `_layout` and `_pictures` are what is drawn, `_explorer` puts
these together, `_server` answers the page in `page/`.
"""

from swath.products.explore._classifier import Predicted
from swath.products.explore._explorer import Explorer
from swath.products.explore._labels import LabelClass, Labels
from swath.products.explore._server import Server, serve

__all__ = ["Explorer", "LabelClass", "Labels", "Predicted", "Server", "serve"]
