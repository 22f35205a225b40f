"""What a sweep leaves beside its run: the effects of its levels, what its arms cost, and the best one once more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from swath.sweep import EFFECTS, PANEL, ranked
from swath.tasks.schema import TABLE

_NUMBERS = ("value", "low", "high", "seconds", "samples")
_COLUMNS = {"arm", *PANEL, *_NUMBERS}


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The best arm in the sweep, and trained again with fresh seeds."""

    arm: str
    metric: str
    in_sweep: float
    fresh: float
    low: float
    high: float
    other_places: bool
    """Whether places judge it that had no part in the choice."""
    trainings: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """The tables of a sweep."""

    effects: pd.DataFrame
    """Lines of `swath.sweep.EFFECTS`."""
    arms: pd.DataFrame
    """A line for each arm and panel, with its levels, its value, and what a training of it took."""
    confirmation: Confirmation | None

    @property
    def samples_differ(self) -> str:
        """From how few to how many locations the trainings saw; empty where all saw as many."""
        seen = self.arms["samples"].dropna().to_numpy(float)
        if not len(seen) or seen.max() <= 1.01 * seen.min():
            return ""
        return f"{seen.min():,.0f} to {seen.max():,.0f}"

    @property
    def panels_without_effects(self) -> list[str]:
        """Panels in which arms have values, but not all of them of the same trainings."""
        keys = list(PANEL[:3])
        told = set(self.effects[keys].itertuples(index=False, name=None))
        judged = self.arms.loc[self.arms["value"].notna(), keys].drop_duplicates().itertuples(index=False, name=None)
        return [" · ".join(panel) for panel in judged if panel not in told]


def read_sweep(run: Path, fold: int | None, load_table: Callable[[Path], tuple[pd.DataFrame, int | None]]) -> Sweep:
    """The tables of a sweep.

    Args:
        run: its folder.
        fold: the fold that tests in it, if one does.
        load_table: reads the table of values of the run of a confirmation, and its fold.

    Raises:
        OSError, ValueError, KeyError: a table is missing or damaged.
    """
    effects = EFFECTS.read(run / "sweep")
    arms = _arms(run / "sweep" / "arms.csv")
    again = run / "confirm"
    confirmed = (again / "evaluate" / TABLE.file).is_file()
    return Sweep(effects, arms, _confirmation(arms, fold, *load_table(again)) if confirmed else None)


def _arms(file: Path) -> pd.DataFrame:
    # an arm that is called NA has a name
    empty = {name: [""] for name in _NUMBERS}
    arms = pd.read_csv(file, dtype={"arm": str}, keep_default_na=False, na_values=empty)
    if lacking := sorted(_COLUMNS - set(arms)):
        raise ValueError(f"{file} lacks columns: {', '.join(lacking)}")
    return arms


def _confirmation(
    arms: pd.DataFrame, fold: int | None, again: pd.DataFrame, their_fold: int | None
) -> Confirmation | None:
    """None where the best arm has not been trained again yet."""
    first = ranked(arms)
    if first.empty:
        return None
    best = first.iloc[0]
    table = again.loc[again["role"] == "pretrained"]
    same = table.loc[(table[list(PANEL)] == best[list(PANEL)]).all(axis=1) & (table["row"] == best["arm"])]
    if same.empty:
        return None
    fresh = same.iloc[0]
    numbers = (float(best["value"]), *(float(fresh[name]) for name in ("value", "low", "high")))
    return Confirmation(
        str(best["arm"]),
        str(best["metric"]),
        *numbers,
        other_places=fold != their_fold,
        trainings=len(fresh["per_seed"]),
    )
