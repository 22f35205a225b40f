"""Logistic regression on the bands of a pixel and of those around it, 5 x 5: what a practitioner would try first.

It learns as the probe beside it does, where that is a linear one. Of several dates the means are taken.
"""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import RegressionSettings, regression
from swath.tasks.floors._surroundings import surroundings


class Config(RegressionSettings):
    """The floor of logistic regression on the bands of a pixel and its surroundings. The probe beside it says how it
    learns.
    """

    name: Literal["window-logistic-regression"] = "window-logistic-regression"
    row: ClassVar[str] = "logistic regression (5 x 5)"


outcomes = regression(surroundings)
