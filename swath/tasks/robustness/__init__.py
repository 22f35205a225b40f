"""What becomes of something trained when its test images change: without bands or dates, hazy, noisy, out of register.

A `Condition` shows the images of a test part otherwise; nothing is learnt anew. `conditions` makes those of an input.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from swath.errors import RecipeError, nearest
from swath.tasks.data import Bands, Condition
from swath.tasks.robustness._bands import left_out
from swath.tasks.robustness._dates import over_time
from swath.tasks.robustness._elsewhere import unseen
from swath.tasks.robustness._shifts import (
    Found,
    cloud_masks,
    haze,
    misregistration,
    moved,
    noise,
    other_sensor,
    painted_clouds,
    resampling,
)
from swath.tasks.task import Task

__all__ = ["ELSEWHERE", "SHIFTS", "Asked", "Found", "conditions", "moved", "unseen"]

SHIFTS: dict[str, Callable[[Task, Bands], Found]] = {
    "haze": haze,
    "noise": noise,
    "resampling": resampling,
    "misregistration": misregistration,
    "painted-clouds": painted_clouds,
    "cloud-masks": cloud_masks,
    "other-sensor": other_sensor,
}
"""Shifts of images by name."""
ELSEWHERE = ("other-region", "other-year")
"""Shifts that are made of no images: some of the test locations are of a region or year that no training one is of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The conditions that are looked at; by default all."""

    bands: bool = True
    """Whether bands are left out."""
    groups: tuple[str, ...] = ()
    """Bands that are left out instead of each: keys, or several joined by a comma; beside each, with `all`."""
    dates: bool = True
    """Whether series are cut short, and their dates exchanged."""
    shifts: tuple[str, ...] = (*SHIFTS, *ELSEWHERE)

    def __post_init__(self) -> None:
        if self.groups and not self.bands:
            raise RecipeError("no bands are left out, and some are named", where="groups", remedy="leave them out")
        for name in self.shifts:
            if name not in (*SHIFTS, *ELSEWHERE):
                raise RecipeError(f"no shift {name!r}", where="--shift", remedy=nearest(name, (*SHIFTS, *ELSEWHERE)))


def conditions(folds: Sequence[Task], bands: Bands, asked: Asked) -> tuple[list[dict[str, Condition]], list[str]]:
    """The conditions of an input in each fold by their keys, and what must be said of those that there cannot be.

    Args:
        folds: the same task in each fold, whose test parts are looked at.
        bands: of the input.
        asked: which.

    Raises:
        RecipeError: a group names a band that the input has not.
    """
    found = [list(_found(task, bands, asked, folds)) for task in folds]
    made = [{one.key: one for some, _ in of_fold for one in some} for of_fold in found]
    # what one of the folds lacks, such as a month, has no result of the whole
    shared = [{key: one for key, one in own.items() if all(key in other for other in made)} for own in made]
    return shared, list(dict.fromkeys(line for of_fold in found for _, said in of_fold for line in said))


def _found(task: Task, bands: Bands, asked: Asked, folds: Sequence[Task]) -> Iterator[Found]:
    if asked.bands:
        yield left_out(task, bands, asked.groups)
    if asked.dates:
        yield over_time(task, bands, folds)
    for name in asked.shifts:
        if name in SHIFTS:
            yield SHIFTS[name](task, bands)
