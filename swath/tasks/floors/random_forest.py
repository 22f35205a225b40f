"""A random forest on the raw series of a pixel, brought to one calendar of months; training and validation labels."""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import ForestSettings, forest
from swath.tasks.floors._monthly import SeriesFloorSettings, by_month


class Config(SeriesFloorSettings, ForestSettings):
    """The floor of a random forest (Breiman 2001) on a pixel's raw series, and its number of trees."""

    name: Literal["random-forest"] = "random-forest"
    row: ClassVar[str] = "random forest"


outcomes = forest(by_month)
