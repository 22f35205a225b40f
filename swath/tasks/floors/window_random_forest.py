"""A random forest on the bands of a pixel and of those around it, 5 x 5: what a practitioner would try first.

Of several dates the means are taken.
"""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import ForestSettings, forest
from swath.tasks.floors._surroundings import surroundings


class Config(ForestSettings):
    """The floor of a random forest (Breiman 2001) on the bands of a pixel and its surroundings: its number of trees."""

    name: Literal["window-random-forest"] = "window-random-forest"
    row: ClassVar[str] = "random forest (5 x 5)"


outcomes = forest(surroundings)
