"""How many labels pre-training saves: curves of a run's rows against labels, and what is read off them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from swath.products.leaderboard._families import Family, families
from swath.products.leaderboard._join import Entry
from swath.products.tables import Panel
from swath.products.words import lower_is_better
from swath.tasks import statistics
from swath.tasks.schema import RowValue
from swath.tasks.statistics import LabelCurve, LeftOut, Reading, RowIdentity, TaskResults, crossover, labels_saved


@dataclass(frozen=True, slots=True)
class Saved:
    """By what factor a pre-trained row needs fewer labels than another one to be as good."""

    arm: str
    than: str
    labels: float
    """Number of labels of the other row."""
    factor: Reading


@dataclass(frozen=True, slots=True)
class Crossing:
    """With how many labels another row has caught up; None where the pre-trained row is not ahead with the fewest."""

    arm: str
    than: str
    labels: Reading | None


@dataclass(frozen=True, eq=False)
class Efficiency:
    """What labels do to the rows of one run on one task, input and probe."""

    run: str
    family: Family
    labels: tuple[float, ...]
    label: str
    saved: tuple[Saved, ...]
    crossings: tuple[Crossing, ...]
    note: str

    @property
    def title(self) -> str:
        """Task, input and probe in one line."""
        return self.family.title


def efficiency_of(entry: Entry) -> Iterator[Efficiency]:
    """What is read off the curves of a run, for each task, input and probe with several numbers of labels."""
    results: dict[str, TaskResults] = {}
    for family in families(entry):
        if len(family.panels) > 1 and all(panel.pretrained for panel in family.panels):
            for panel in family.panels:
                if panel.task not in results:
                    results[panel.task] = _results(entry, panel.task)
            yield _read(entry, family, results)


def _results(entry: Entry, task: str) -> TaskResults:
    rules, lines = entry.rules(task), entry.predictions(task)
    return TaskResults.of(lines, flips=1, seed=0, multi_label=rules.multi_label, regression=rules.regression)


def _read(entry: Entry, family: Family, results: dict[str, TaskResults]) -> Efficiency:
    lower = lower_is_better(family.panels[0].metric)
    saved, crossings, unpaired = [], [], []
    for arm, other in _pairs(family.panels):
        curves = _curves(entry, family, results, [arm, other])
        if curves is None:
            unpaired.append(other.row)
            continue
        a, b = curves
        saved += [
            # at the fewest labels nothing can be saved: curves are not extrapolated
            Saved(arm.row, other.row, n, labels_saved(a, b, n, lower_is_better=lower))
            for n in b.labels[1:]
        ]
        crossings.append(Crossing(arm.row, other.row, crossover(a, b, lower_is_better=lower)))
    without = f"no curve of the same trainings: {', '.join(dict.fromkeys(unpaired))}" if unpaired else ""
    return Efficiency(
        run=entry.name,
        family=family,
        labels=tuple(entry.labels(panel.task) for panel in family.panels),
        label=entry.kind_of_label(family.panels[0].task),
        saved=tuple(saved),
        crossings=tuple(crossings),
        note="; ".join(filter(None, [family.note, without])),
    )


def _pairs(panels: Sequence[Panel]) -> Iterator[tuple[RowValue, RowValue]]:
    """Each arm with its training from scratch, its random twin, and the floor that is best over all panels."""
    most = panels[-1]
    floor = _best_floor(panels)
    for arm in most.pretrained:
        others = [most.scratch(arm.row), most.twin(arm.row), floor]
        yield from ((arm, other) for other in others if other is not None)


def _best_floor(panels: Sequence[Panel]) -> RowValue | None:
    """The floor with the best mean over the panels, of those that all panels have."""
    sign = 1 if lower_is_better(panels[0].metric) else -1
    means = {}
    for score in panels[-1].ranked:
        own = [panel.score(score.row) for panel in panels]
        if score.role == "floor" and all(own):
            means[score.row] = sign * float(np.mean([one.value for one in own if one]))
    return panels[-1].score(min(means, key=lambda row: means[row])) if means else None


def _curves(
    entry: Entry, family: Family, results: dict[str, TaskResults], rows: Sequence[RowValue]
) -> list[LabelCurve] | None:
    """The curves of rows, of the same trainings and groups; None where they have none."""
    identities = [RowIdentity(score.row, score.role, score.of_arm) for score in rows]
    known = [_apart(results[panel.task], panel, identities) for panel in family.panels]
    points = [point for point in known if point is not None]
    trainings = {len(part.value) for point in points for part in point}
    units = [sorted(zip(one.uid, one.codes, strict=True)) for one in (results[panel.task] for panel in family.panels)]
    if len(points) < len(known) or len(trainings) > 1 or any(own != units[0] for own in units):
        return None
    labels = np.array([entry.labels(panel.task) for panel in family.panels])
    return [LabelCurve(row, labels, tuple(one)) for row, one in zip(identities, zip(*points, strict=True), strict=True)]


def _apart(results: TaskResults, panel: Panel, rows: Sequence[RowIdentity]) -> list[LeftOut] | None:
    """The rows' values without parts of the experiment, with as many replicates each; None where they do not pair."""
    there = results.rows.get((panel.input, panel.probe), {})
    if any(row not in there for row in rows):
        return None
    replicates = {there[row].replicates for row in rows if len(there[row].replicates) > 1}
    if len(replicates) > 1:
        return None
    times = len(next(iter(replicates), (0,)))
    here = statistics.Panel(panel.input, panel.probe, tuple(rows), {panel.input: 1.0})
    found = [(row, results.left_out(here, row, panel.metric)) for row in rows]
    apart = [
        one if len(there[row].replicates) == times else one.repeated(times) for row, one in found if one is not None
    ]
    return apart if len(apart) == len(rows) else None
