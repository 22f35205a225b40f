"""Claims: the comparisons that an experiment is made for, and what can be said of each.

Holm's correction is over them and nothing else. A claim is about the mean difference over groups *and* trainings: its
interval and its p are one calculation (`jackknife`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field, model_validator

from swath.settings import Settings
from swath.tasks import floors
from swath.tasks.budget import LabelBudget
from swath.tasks.metrics import Metric
from swath.tasks.statistics.jackknife import LEAST_EQUAL_GROUPS, LEAST_TRAININGS, Spread, number_of_equal_groups
from swath.tasks.statistics.panels import Panel, RowIdentity, contrast_name

NAMED_FLOORS = ("image-statistics", "random-forest")
"""The floor that an arm is claimed to beat if its recipe states no claims: the first of these that is there."""
UNTESTED_FLOORS = ("majority", "training-mean")
"""Floors that prove nothing when beaten."""
ENOUGH_GROUPS = 30
"""Number of groups below which a note says how far intervals can be trusted."""
LARGE_SHARE = 0.25
"""Share of the units from which a single group is mentioned."""


class Claim(Settings):
    """One row is better than another; `than` that it is not, which is a finding too."""

    better: str = Field(min_length=1)
    """An arm; or a floor or reference, as the task names it."""
    than: str = Field(min_length=1)
    """An arm, floor or reference likewise; `scratch` and `random-encoder` mean the arm's own."""
    task: str | None = None
    """All tasks if not given; so are inputs and numbers of labels."""
    input: str | None = None
    """An input, or a group of bands under a band-wise probe."""
    more_than_on: str | None = None
    """Another input, on which the first row gains less over the second one: a difference of differences."""
    probe: str | None = None
    """The first probe of the input if not given."""
    label_fraction: float | None = Field(default=None, gt=0, le=1)
    """Only where the task learns from this share of the labels, or else:"""
    labels_per_class: int | None = Field(default=None, ge=1)
    """from so many of each class."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> "Claim":
        if self.label_fraction is not None and self.labels_per_class is not None:
            raise ValueError("give label_fraction or labels_per_class, not both")
        return self

    @model_validator(mode="after")
    def _compares_two_inputs(self) -> "Claim":
        if self.more_than_on is not None and self.input in (None, self.more_than_on):
            raise ValueError("more_than_on: give input too, another one: the difference is claimed to be larger there")
        return self

    @property
    def contrast(self) -> tuple[str, str] | None:
        """The input on which the difference is claimed to be larger, and the other one; None if it is about one."""
        return None if self.input is None or self.more_than_on is None else (self.input, self.more_than_on)

    @property
    def panel_input(self) -> str | None:
        """What the tables call the input, or the contrast of two, that it is about."""
        return contrast_name(*self.contrast) if self.contrast else self.input

    @property
    def budget(self) -> LabelBudget | None:
        """With how many labels it holds; None: with each number of them."""
        if self.labels_per_class is not None:
            return LabelBudget(per_class=self.labels_per_class)
        return None if self.label_fraction is None else LabelBudget(self.label_fraction)


def claimed(
    claims: Sequence[Claim] | None, task: str, panel: Panel, *, is_first: bool
) -> list[tuple[Claim | None, RowIdentity, RowIdentity]]:
    """The pairs of rows of a panel that are claimed to differ.

    Args:
        claims: whole, with task, input and probe; None: those of a recipe that states none.
        task: whose panel it is.
        panel: what is compared.
        is_first: whether it is the first panel of its input: claims that nobody stated are about that.

    Returns:
        The claim, if somebody stated it, the row that is claimed to be better, and the other one.
    """
    if claims is None:
        return [(None, *pair) for pair in _usual(panel.rows)] if is_first else []
    here = [
        claim for claim in claims if (claim.task, claim.panel_input, claim.probe) == (task, panel.input, panel.probe)
    ]
    pairs = []
    for claim in here:
        better = _called(claim.better, panel.rows, claim.than)
        than = _called(claim.than, panel.rows, claim.better)
        if better and than:
            pairs.append((claim, better, than))
    return pairs


def _usual(rows: Sequence[RowIdentity]) -> Iterator[tuple[RowIdentity, RowIdentity]]:
    """Each arm against its own random twin, its own training from scratch, and one named floor."""
    named = [_called(name, rows, "") for name in NAMED_FLOORS]
    floor = next((row for row in named if row is not None), None)
    for arm in rows:
        if arm.role == "pretrained":
            own = [_called(name, rows, arm.name) for name in ("random-encoder", "scratch")]
            yield from ((arm, row) for row in [*own, floor] if row is not None)


def _called(name: str, rows: Sequence[RowIdentity], beside: str) -> RowIdentity | None:
    """The row of that name; an arm's own network is that of the arm that it is compared with."""
    role = {"random-encoder": "random-twin", "scratch": "scratch"}.get(name)
    if role:
        return next((row for row in rows if row.role == role and beside in row.of_arm.split(",")), None)
    shown = floors.find(name).row if name in floors.names() else name
    return next((row for row in rows if row.name == shown), None)


def compared(rows: Sequence[RowIdentity]) -> Iterator[tuple[RowIdentity, RowIdentity]]:
    """What stands in the table beside the claims: every arm against every other row that says something of it.

    Not against `majority` or the mean of the training labels, nor against what is the twin or the training from scratch
    of other arms alone.
    """
    arms = [row for row in rows if row.role == "pretrained"]
    for i, arm in enumerate(arms):
        yield from ((arm, other) for other in arms[i + 1 :])
        yield from ((arm, row) for row in rows if row.role != "pretrained" and _says_something(row, arm))


def compared_across(rows: Sequence[RowIdentity]) -> Iterator[tuple[RowIdentity, RowIdentity]]:
    """What is compared between runs: each arm with the arms of other runs, and with what its own run lacks, references
    and floors that say something of it.
    """
    there = {(row.run, row.name) for row in rows}
    arms = [row for row in rows if row.role == "pretrained"]
    for i, arm in enumerate(arms):
        yield from ((arm, other) for other in arms[i + 1 :] if other.run != arm.run)
        yield from (
            (arm, row)
            for row in rows
            if row.role in ("reference", "floor") and (arm.run, row.name) not in there and _says_something(row, arm)
        )


def _says_something(row: RowIdentity, arm: RowIdentity) -> bool:
    if row.role in ("random-twin", "scratch"):
        return arm.name in row.of_arm.split(",")
    return row.name not in {floors.find(name).row for name in UNTESTED_FLOORS}


# ------------------------------------------------------------------------------------------------------------- in words


def refusal(trainings: int, sizes: np.ndarray) -> str:
    """Why a design gets no verdict; empty if it gets one.

    Args:
        trainings: of each fold.
        sizes: of the groups that are tested.
    """
    said = []
    if trainings < LEAST_TRAININGS:
        number = "one training" if trainings == 1 else f"{trainings} trainings"
        said.append(f"{number} of each fold, a verdict needs {LEAST_TRAININGS}")
    equal = number_of_equal_groups(sizes)
    if equal < LEAST_EQUAL_GROUPS:
        as_many = "" if equal > len(sizes) - 0.05 else f", which say as much as {equal:.1f} of equal size,"
        said.append(f"{len(sizes)} groups{as_many} where a verdict needs {LEAST_EQUAL_GROUPS:g}")
    return f"no verdict: {'; '.join(said)}" if said else ""


def unknown(spread: Spread) -> str:
    """Why a difference gets no verdict although its design would; empty if it gets one."""
    if np.isfinite(spread.p()):
        return ""
    if spread.variance == 0:
        return "no verdict: the difference is the same without any group and in every training, so chance is not known"
    return "no verdict: the metric is not defined without some of the groups"


MORE_TRAININGS = f"{LEAST_TRAININGS} trainings of each fold: of one, nothing is known of its luck"


def advice(spread: Spread, alpha: float, metric: Metric, unit: str = "") -> str:
    """A sentence on which part of the variance comes from trainings, and what more of either would make detectable.

    Args:
        spread: of the difference.
        alpha: level.
        metric: that the difference is in.
        unit: of the numbers of a regression.
    """
    if not np.isfinite(spread.detectable(alpha=alpha)):
        return ""
    share = spread.training_share
    halves = {
        "twice the trainings": spread.enlarged(trainings=2.0).detectable(alpha=alpha),
        "twice the groups": spread.enlarged(places=2.0).detectable(alpha=alpha),
    }
    options = ", ".join(f"{name} {metric.in_words(value, unit)}" for name, value in halves.items())
    best = min(halves, key=lambda name: halves[name])
    # more groups leave trainings a larger share of the variance, whose few degrees of freedom then weigh more
    helps = f"{best} would help most" if halves[best] < spread.detectable(alpha=alpha) else "neither would help"
    return (
        f"{100 * share:.0f} % of the variance is how trainings came out, the rest which groups were tested; "
        f"{helps} (detectable: {options})"
    )


def caution(sizes: np.ndarray) -> str:
    """What a reader must know of the groups that are tested; empty if there is nothing."""
    if len(sizes) < 2:
        return "one group only: no interval can be given"
    said = []
    equal, share = number_of_equal_groups(sizes), float(np.max(sizes) / np.sum(sizes))
    if len(sizes) < ENOUGH_GROUPS:
        said.append(f"{len(sizes)} groups only: {_worth(equal)}")
    if share > LARGE_SHARE:
        said.append(f"the largest group holds {100 * share:.0f} % of the units")
    return "; ".join(said)


def _worth(equal_groups: float) -> str:
    """A sentence on what simulations with so many groups found (`python -m benchmarks calibration`)."""
    if equal_groups < LEAST_EQUAL_GROUPS:
        return f"they say as much as {equal_groups:.1f} of equal size, and intervals may be too narrow"
    return (
        f"in simulations with {LEAST_TRAININGS} trainings or more, 95 % intervals held the truth in at least "
        f"{WORST_COVERAGE:.1f} % of experiments"
    )


WORST_COVERAGE = 94.3
"""The worst that designs with a verdict have in the calibration, in per cent."""
