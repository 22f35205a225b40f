"""Colours of classes for pictures and maps: those declared, else those that the names suggest, else the next
free one.
"""

import re

from swath.corpus.store import LabelLayer
from swath.errors import CorpusError

SUGGESTED = (
    (r"^(no|not|non|other|others|background|dry)\b", "#e8e4d8"),
    (r"shadow", "#4a4a4a"),
    (r"cloud|haze|smoke", "#d9d9d9"),
    (r"snow|ice|glacier", "#b8f1f5"),
    (r"wetland|marsh|swamp|mangrove|bog|peat", "#0096a0"),
    (r"water|river|lake|sea|ocean|flood|wet|pond", "#1f6fd6"),
    (r"forest|trees?|wood|woodland", "#1e7b34"),
    (r"shrub|scrub|bush|heath", "#a3963c"),
    (r"grass|grassland|pasture|meadow|hay", "#8fce5a"),
    (r"crop|crops|cropland|farm|farmland|agri\w*|arable|field", "#f2d64b"),
    (r"built|built-up|urban|city|residential|building|impervious|developed|settlement|artificial|road", "#d62f27"),
    (r"bare|barren|sand|soil|rock|desert|land|beach", "#c9a66b"),
)
"""Words of a name, as regular expressions of whole words, and the colour that maps give to what they mean."""
OTHERS = (
    *("#e69f00", "#9467bd", "#e377c2", "#8c564b", "#17becf", "#bcbd22", "#ff7f0e", "#5a3d8a", "#f7b6d2", "#6b8e23"),
    *("#c49c94", "#2f4b7c", "#ff9896", "#7f7f7f", "#aec7e8", "#98df8a", "#a05195", "#665191", "#dbdb8d", "#003f5c"),
)
"""Colours for names that suggest none, easily told apart from one another and from the suggested ones."""


def class_colours(layer: LabelLayer) -> dict[int, str]:
    """Colour, `#rrggbb`, of every code of a layer that is a label; void has none.

    Raises:
        CorpusError: what is declared is no colour.
    """
    from matplotlib.colors import is_color_like, to_hex

    for code, colour in layer.colours.items():
        if not is_color_like(colour):
            raise CorpusError(
                f"the colour of class {code} is {colour!r}, which is none",
                where="labels, colours",
                remedy="write #rrggbb, such as #1f77b4, in the corpus.json",
            )
    colours = {code: to_hex(layer.colours[code]) for code in layer.labelled if code in layer.colours}
    missing = {code: name for code, name in layer.labelled.items() if code not in colours}
    for code, name in missing.items():
        if (colour := _suggested(name)) and colour not in colours.values():
            colours[code] = colour
    rest = [colour for colour in OTHERS if colour not in colours.values()] or list(OTHERS)
    for i, code in enumerate(code for code in missing if code not in colours):
        colours[code] = rest[i % len(rest)]
    return {code: colours[code] for code in layer.labelled}


def _suggested(name: str) -> str | None:
    words = name.lower().replace("_", " ")
    return next((colour for word, colour in SUGGESTED if re.search(rf"\b({word})\b", words)), None)
