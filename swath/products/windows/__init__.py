"""Rasters as people have them, read a window at a time: files, folders of scenes, mosaics, cubes.

`open_zones` finds what a path holds, and gives a `Zone` for each reference system; `Zone.read` gives a window of it as
images in physical units, by the same rules by which a corpus would be made of the files. Never is more than a window
in memory.
"""

from swath.products.windows._inputs import Input, channels, described, open_zones
from swath.products.windows._tiles import Span, Tile, tiles
from swath.products.windows._types import Raster
from swath.products.windows._zone import Zone

__all__ = ["Input", "Raster", "Span", "Tile", "Zone", "channels", "described", "open_zones", "tiles"]
