"""Maps of whole scenes: any raster, window by window, with overlaps blended, as GeoTIFFs that a GIS shows with legends.

`map_scene` takes a `Predictor` (`Dense` networks of pixels, `Chips` moved over the raster) and the kind of map
(`Classes`, `Presences`, `Numbers`).
"""

from swath.products.scene_maps._files import SETTINGS
from swath.products.scene_maps._layout import Layout
from swath.products.scene_maps._map import How, map_scene
from swath.products.scene_maps._predictors import Chips, Dense, Predictor, trial
from swath.products.scene_maps._products import Classes, Layer, Numbers, Presences, Product

__all__ = [
    "SETTINGS",
    "Chips",
    "Classes",
    "Dense",
    "How",
    "Layer",
    "Layout",
    "Numbers",
    "Predictor",
    "Presences",
    "Product",
    "map_scene",
    "trial",
]
