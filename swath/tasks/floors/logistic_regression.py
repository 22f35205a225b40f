"""Logistic regression on the raw series of a pixel, brought to one calendar of months and standardised.

It learns as the probe beside it does, where that is a linear one.
"""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import RegressionSettings, regression
from swath.tasks.floors._monthly import SeriesFloorSettings, by_month


class Config(SeriesFloorSettings, RegressionSettings):
    """The floor of logistic regression on a pixel's raw series. The probe beside it says how it learns."""

    name: Literal["logistic-regression"] = "logistic-regression"
    row: ClassVar[str] = "logistic regression"


outcomes = regression(by_month)
