"""Logistic regression on the bands of a single pixel: what a practitioner would try first on one date.

It learns as the probe beside it does, where that is a linear one. Of several dates the means are taken.
"""

from typing import ClassVar, Literal

from swath.tasks.floors._classifiers import RegressionSettings, regression
from swath.tasks.floors._surroundings import pixel


class Config(RegressionSettings):
    """The floor of logistic regression on the bands of a single pixel. The probe beside it says how it learns."""

    name: Literal["pixel-logistic-regression"] = "pixel-logistic-regression"
    row: ClassVar[str] = "logistic regression (pixel)"


outcomes = regression(pixel)
