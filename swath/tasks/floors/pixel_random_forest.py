"""A random forest on the bands of a single pixel: what a practitioner would try first on one date.

Of several dates the means are taken.
"""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import ForestSettings, forest
from swath.tasks.floors._surroundings import pixel


class Config(ForestSettings):
    """The floor of a random forest (Breiman 2001) on the bands of a single pixel, and its number of trees."""

    name: Literal["pixel-random-forest"] = "pixel-random-forest"
    row: ClassVar[str] = "random forest (pixel)"


outcomes = forest(pixel)
