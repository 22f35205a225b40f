"""Bringing series of several sensors to common dates: the shortest stays, the others follow (S4 §4).

A batch of series is one array of times, a row each: ascending, with NaT at the end of rows that are shorter.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Shaped
from numpy import ndarray

ABSENT = -1
"""Stands for the column of a date that is not there."""
_FAR = np.iinfo(np.int64).max


def pair(series: Sequence[Shaped[ndarray, "b _"]]) -> tuple[Int64[ndarray, "b t"], ...]:
    """Which date of every series stands at each of the common dates.

    Row by row, the shortest series (the first of several equally short ones) keeps all its dates, and every other one
    gives the date nearest to each: the earlier of two equally near, and the same date again where nothing is nearer.
    A row in which a series is empty has no common date.

    Args:
        series: times (datetime64) of the same rows, one array a sensor.

    Returns:
        Per series, the columns to take; -1 at the end of rows with fewer common dates than the longest.
    """
    counts = np.array([(~np.isnat(when)).sum(axis=1) for when in series])
    shortest, common = counts.argmin(axis=0), counts.min(axis=0)
    columns = np.arange(common.max(initial=0))
    anchors = np.zeros((len(common), len(columns)), "datetime64[us]")
    for number, when in enumerate(series):
        rows = (shortest == number)[:, None] & (columns < common[:, None])
        width = min(len(columns), when.shape[1])
        anchors[:, :width] = np.where(rows[:, :width], when[:, :width], anchors[:, :width])
    return tuple(
        np.where(
            columns < common[:, None],
            np.where((shortest == number)[:, None], columns, nearest(anchors, when)),
            ABSENT,
        )
        for number, when in enumerate(series)
    )


def nearest(anchors: Shaped[ndarray, "b t"], when: Shaped[ndarray, "b _"]) -> Int64[ndarray, "b t"]:
    """Column of the time nearest to each anchor of its row, the earlier of two equally near; 0 in empty rows.

    In whole microseconds, because rounding would decide ties.
    """
    if not when.shape[1]:
        return np.zeros(anchors.shape, np.int64)
    micros = when.astype("datetime64[us]").astype(np.int64)
    apart = np.abs(micros[:, None] - anchors.astype("datetime64[us]").astype(np.int64)[..., None])
    return np.where(np.isnat(when)[:, None], _FAR, apart).argmin(axis=2)
