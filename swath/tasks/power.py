"""What a design can detect: how many trainings or groups a difference of a certain size would take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.tasks import metrics, schema
from swath.tasks.statistics import Source, Spread

MOST_TIMES = 64
"""Largest multiple of the existing trainings or groups that is worth asking for."""


@dataclass(frozen=True, slots=True)
class Power:
    """What a claim's design can detect, by the variances that its run found."""

    claim: str
    metric: str
    detectable: float
    """The smallest difference that is found with a probability of 80 %; NaN where unknown."""
    trainings: int
    """Number of trainings of each fold in the run."""
    groups: int
    trainings_needed: int | None
    """Number of trainings needed with the existing groups; None: no number suffices, or it is unknown."""
    groups_needed: int | None
    """Number of groups needed with the existing trainings; None likewise."""
    unit: str = ""
    """Unit of the numbers that the task estimates; empty where they have none, and for classes."""


def needed_for(evaluation: Path, difference: float, alpha: float = 0.05) -> list[Power]:
    """What each claim of a run would have needed to detect a difference.

    Args:
        evaluation: the folder `evaluate` of a run.
        difference: in percentage points; of a metric that is no share, in its own unit.
        alpha: level, which the strictest of the claims has to pass after Holm's correction.

    Raises:
        FileNotFoundError: the run has no table of claims.
        SwathError: the table cannot be read, or names a metric that is not installed.
    """
    lines = schema.CLAIMS.read(evaluation).to_dict("records")
    units = _units(evaluation)
    family = max(1, sum(line["verdict"] != "untested" for line in lines))
    return [_power(line, difference, alpha / family, units.get(line["task"], "")) for line in lines]


def _units(evaluation: Path) -> dict[str, str]:
    """Unit of each task's numbers, where the run has a table of tasks."""
    if not (evaluation / schema.TASKS.file).is_file():
        return {}
    tasks = schema.TASKS.read(evaluation)
    return dict(zip(tasks["task"], tasks["unit"], strict=True))


def spread_of(line: Mapping[str, Any]) -> Spread:
    """The spread that a line of claims.csv holds."""
    return Spread(
        float(line["difference"]),
        Source(float(line["groups_variance"]), float(line["groups_freedom"])),
        Source(float(line["trainings_variance"]), float(line["trainings_freedom"])),
        float(line["interaction"]),
    )


def _power(line: Mapping[str, Any], difference: float, alpha: float, unit: str) -> Power:
    spread, metric = spread_of(line), str(line["metric"])
    if not metric or metrics.find(metric).unit == "share":
        difference /= 100

    def needed(number: int, source: str) -> int | None:
        for more in range(number, MOST_TIMES * number + 1):
            if spread.enlarged(**{source: more / number}).detectable(alpha=alpha) <= difference:
                return more
        return None

    return Power(
        claim=f"{line['task']}, {line['input']}, {line['probe']}: {line['better']} against {line['than']}",
        metric=metric,
        detectable=spread.detectable(alpha=alpha),
        trainings=int(line["trainings"]),
        groups=int(line["groups"]),
        trainings_needed=needed(int(line["trainings"]), "trainings"),
        groups_needed=needed(int(line["groups"]), "places"),
        unit=unit,
    )
