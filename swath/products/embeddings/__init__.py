"""Embeddings of images: in memory, and as files that other tools open.

`embed` returns vectors, `build_index` writes them as GeoParquet, `build_zones` one row a polygon, `build_dense` a grid
over whole scenes as Zarr or GeoTIFF; `check_embeddings` looks for what is wrong with a file. In the order in which an
index is made: `_inputs` opens what is embedded, `_plan` chooses rows, `_parts` runs the encoder, `_reduce` and
`_quantise` make vectors smaller, `_round_trip` says what that changed, `_table`, `_stores` and `_stac` write files.
"""

from swath.products.embeddings._build import Storage, Written, build_index, mark
from swath.products.embeddings._checking import check_embeddings
from swath.products.embeddings._dense import build_dense
from swath.products.embeddings._in_memory import embed, write
from swath.products.embeddings._plan import outlined
from swath.products.embeddings._quantise import Method, Quantisation
from swath.products.embeddings._reduce import Pca, Reduction, applied
from swath.products.embeddings._table import GRIDS, EncoderMark, Header, Stored, mapped, stored_blocks
from swath.products.embeddings._zones import build_zones, read_polygons

__all__ = [
    "GRIDS",
    "EncoderMark",
    "Header",
    "Method",
    "Pca",
    "Quantisation",
    "Reduction",
    "Storage",
    "Stored",
    "Written",
    "applied",
    "build_dense",
    "build_index",
    "build_zones",
    "check_embeddings",
    "embed",
    "mapped",
    "mark",
    "outlined",
    "read_polygons",
    "stored_blocks",
    "write",
]
