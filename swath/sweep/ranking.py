"""Which arm of a sweep came first, in one place: the confirmation trains it, and the report speaks of it."""

import pandas as pd

from swath.tasks import metrics

PANEL = ("task", "input", "probe", "metric")
"""Columns that say which values are compared with each other."""


def ranked(arms: pd.DataFrame) -> pd.DataFrame:
    """The lines of the first panel that have a value, best first by what is good of its metric.

    Args:
        arms: a line for each arm and panel, with the columns of `PANEL` and `value`.

    Raises:
        RecipeError: there is no such metric.
    """
    known = arms.loc[arms["value"].notna()]
    if known.empty:
        return known
    panel = known[list(PANEL)]
    first = known.loc[(panel == panel.iloc[0]).all(axis=1)]
    lower = metrics.find(str(first["metric"].iloc[0])).better == "lower"
    return first.sort_values("value", ascending=lower, kind="stable")
