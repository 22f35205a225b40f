"""Places like this one: the nearest of an index to locations, points, polygons or images, as files and pictures.

`Index` is an opened file of embeddings, `Asked` what is looked for; `find` finds, `write_results` and `draw_sheet`
write. `_exact` looks at all vectors, `_approximate` asks a graph.
"""

from swath.products.search._exact import cosines
from swath.products.search._index import Index
from swath.products.search._query import Asked, Query
from swath.products.search._search import Results, check_places, find, write_places, write_results
from swath.products.search._sheet import chip_of, corpus_of, draw_sheet

__all__ = [
    "Asked",
    "Index",
    "Query",
    "Results",
    "check_places",
    "chip_of",
    "corpus_of",
    "cosines",
    "draw_sheet",
    "find",
    "write_places",
    "write_results",
]
