"""Sweeps: many arms from few axes, and what each axis does to the result.

A sweep is a recipe whose arms are the points of a design. It runs, continues and reports like any other; what it has
beside that is the effect of each level of each axis, and of each pair, with its interval.
"""

from swath.sweep.axes import SweepConfig, arms_of, name_of
from swath.sweep.design import Design, FractionDesign, GridDesign, Levels, Point, RandomDesign, points_of
from swath.sweep.effects import EFFECTS, Effect, effects_of
from swath.sweep.ranking import PANEL, ranked

__all__ = [
    "EFFECTS",
    "PANEL",
    "Design",
    "Effect",
    "FractionDesign",
    "GridDesign",
    "Levels",
    "Point",
    "RandomDesign",
    "SweepConfig",
    "arms_of",
    "effects_of",
    "name_of",
    "points_of",
    "ranked",
]
