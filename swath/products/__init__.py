"""What a run or a corpus leaves for people, a module each.

`report` is the HTML page of a run, `documents` the tables of runs in a Markdown document, `maps` predicted maps as
GeoTIFF, `location_maps` those of location encoders, `embeddings` features of any images, `windows` rasters of any size
read piece by piece, `scene_maps` maps of them, `explain` why a row says what it says, `model_export` encoders that run
without swath. Of a corpus, `contact_sheet` shows chips, `check_page` what a check found, and `split_map` where the
parts of a split lie. They share `tables` (a run's tables and what they say), `draw`, `legends`, `pages` and `words`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # each is imported by whoever needs it
    from swath.products import (
        check_page,
        contact_sheet,
        documents,
        draw,
        embeddings,
        explain,
        legends,
        location_maps,
        maps,
        model_export,
        pages,
        report,
        scene_maps,
        search,
        split_map,
        tables,
        windows,
        words,
    )

__all__ = [
    "check_page",
    "contact_sheet",
    "documents",
    "draw",
    "embeddings",
    "explain",
    "legends",
    "location_maps",
    "maps",
    "model_export",
    "pages",
    "report",
    "scene_maps",
    "search",
    "split_map",
    "tables",
    "windows",
    "words",
]
