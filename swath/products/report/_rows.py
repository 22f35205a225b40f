"""Rows that several sections of the report look at closely, and their scores."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from swath.errors import SwathError
from swath.products.draw.style import MUTED, colour
from swath.products.tables import Panel, Run

T = TypeVar("T")
MOST = 6
"""Largest number of rows in a figure."""


def or_noted(problems: list[str], what: str, make: Callable[[], T]) -> T | None:
    """What the function returns; None, and a line more among the problems, where the run's files do not allow it."""
    try:
        return make()
    except (SwathError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        problems.append(f"{what} cannot be shown: {error}")
        return None


def of_now(
    run: Run, lines: pd.DataFrame, problems: list[str], what: str, again: str, *, parted: bool = True
) -> pd.DataFrame:
    """The lines whose labels, parts and images are those of the recipe's tasks; what is left out is said.

    Args:
        run: whose.
        lines: of a table that a command has left.
        problems: gets a sentence.
        what: name of the section.
        again: the command.
        parted: whether the parts that the recipe makes matter.
    """
    same = run.of_now(lines, parted=parted)
    if not same.all():
        of = lines.loc[~same, "task"].unique()
        problems.append(
            f"{what}: {int((~same).sum()):,} lines on {', '.join(map(str, of))} are left out: the recipe has no such "
            f"task any more, or one of other labels, parts or images; call `{again}` again"
        )
    return lines.loc[same]


def leading(panel: Panel) -> list[str]:
    """The best encoder, its random twin, its training from scratch and the best floor; then further encoders."""
    first = (panel.pretrained or panel.ranked)[0]
    beside = (panel.twin(first.row), panel.scratch(first.row), panel.best_floor())
    rows = [first.row, *(score.row for score in beside if score), *(score.row for score in panel.pretrained)]
    return list(dict.fromkeys(rows))[:MOST]


def look(row: str, rows: Sequence[str], arms: Sequence[str]) -> dict[str, Any]:
    """How a row's line is drawn: an arm in its colour, others grey and told apart by their dashes."""
    others = [name for name in rows if name not in arms]
    if row in arms:
        return {"color": colour(arms.index(row)), "linestyle": "-"}
    return {"color": MUTED, "linestyle": ("--", ":", "-.")[others.index(row) % 3]}


def scored(run: Run, panel: Panel, row: str) -> pd.DataFrame:
    """A row's predictions, each training's in the order of the units; empty where it has no finite class scores."""
    found = run.predictions(*panel.key, row)
    if found.empty or bool(found["score"].isna().to_numpy().any()) or not np.isfinite(scores_of(found)).all():
        return found.iloc[:0]
    return found.sort_values(["replicate", "fold", "uid"], kind="stable", ignore_index=True)


def scores_of(predictions: pd.DataFrame) -> np.ndarray:
    """Class scores as one array, "n k"."""
    return np.stack([np.asarray(score, np.float64) for score in predictions["score"]])
