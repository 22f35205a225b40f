"""The runs that are compared: finished ones, joined where they test the same units."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath.errors import SwathError
from swath.products.tables import Run, band_of, failures, load
from swath.products.words import listing
from swath.tasks import metrics, schema
from swath.tasks.statistics import TaskRules

NAMED = 3
"""Number of units that a message names."""
ANEW = "run the same recipe again: finished results are kept, and the tables are written anew"


@dataclass(frozen=True, eq=False)
class Entry:
    """A run under the name that tells it from the others."""

    name: str
    run: Run
    splits: pd.DataFrame
    """`splits.parquet`: which labelled location was used for what."""

    @property
    def tasks(self) -> list[str]:
        """Its tasks, each number of labels one of its own."""
        return list(dict.fromkeys(self.run.table["task"]))

    def labels(self, task: str) -> float:
        """Number of labels that the task learns from; of several folds the mean."""
        return float(np.mean(self._parts(task)["train_labels"].to_numpy()))

    def kind_of_label(self, task: str) -> str:
        """What has a label: `location` or `pixel`."""
        return next(iter(self._parts(task)["label"]), "location")

    def _parts(self, task: str) -> pd.DataFrame:
        tasks = self.run.tasks
        return tasks.loc[tasks["task"] == task]

    def metrics(self, task: str) -> tuple[str, ...]:
        """Metrics of a task, the first of which ranks the rows."""
        own = self.run.table.loc[self.run.table["task"] == task, "metric"]
        return tuple(dict.fromkeys(filter(None, own)))

    def settings(self, task: str) -> dict[str, Any]:
        """The task's section of the resolved recipe."""
        return (self.run.recipe.get("tasks") or {}).get(self.run.recipe_task(task)) or {}

    def rules(self, task: str) -> TaskRules:
        """What the statistics need to know of a task; means over bands are no part of it."""
        rule = (self.settings(task).get("target") or {}).get("rule")
        return TaskRules(metrics=self.metrics(task), multi_label=rule == "multi-label", regression=rule == "value")

    def predictions(self, task: str) -> pd.DataFrame:
        """Predictions for a task, other than from single bands; without class scores where its metric needs none.

        Raises:
            SwathError: they are not there, or damaged.
        """
        try:
            lines = schema.PREDICTIONS.read(self.run.path / "evaluate", task=task)
        except FileNotFoundError:
            raise SwathError("there is no predictions.parquet", where=str(self.run.path), remedy=ANEW) from None
        bands = [name for name in lines["input"].unique() if band_of(str(name)) is not None]
        lines = lines[~lines["input"].isin(bands)]
        needs_scores = any(metrics.find(name).needs_scores for name in self.metrics(task)[:1])
        return pd.DataFrame(lines if needs_scores else lines.assign(score=None))


@dataclass(frozen=True, eq=False)
class DataSet:
    """Runs on one corpus, which test the same units of the tasks that they share."""

    name: str
    entries: tuple[Entry, ...]

    def having(self, task: str) -> list[Entry]:
        """The runs that have a task."""
        return [entry for entry in self.entries if task in entry.tasks]

    @property
    def tasks(self) -> list[str]:
        """Tasks of all runs."""
        return list(dict.fromkeys(task for entry in self.entries for task in entry.tasks))


def opened(paths: Sequence[Path]) -> list[Entry]:
    """The runs, which must be evaluated.

    Raises:
        SwathError: none is given, one is given twice, is not evaluated, or was written by an earlier version of swath.
    """
    if not paths:
        raise SwathError("no run is given", where="swath compare", remedy="give the folders of some, such as runs/a")
    for path in map(Path, paths):
        if path.suffix.lower() == ".md" and path.is_file():
            raise SwathError(
                "a document is no run",
                where=str(path),
                remedy=f"give the folders of its runs, such as runs/a; of it alone `swath compare --to {path} --check` "
                "says whether it is as it was written",
            )
    places = Counter(Path(path).resolve() for path in paths)
    if twice := [place for place, count in places.items() if count > 1]:
        raise SwathError("the run is given twice", where=str(twice[0]), remedy="give each run once")
    runs = [load(place) for place in places]
    return [Entry(name, run, _splits(run)) for name, run in zip(_names(runs), runs, strict=True)]


def _names(runs: Sequence[Run]) -> list[str]:
    """What each run is called: its own name, or, where two have the same, that of its folder, or its whole path."""
    for names in ([run.name for run in runs], [run.path.name for run in runs]):
        if len(set(names)) == len(names):
            return names
    return [str(run.path) for run in runs]


def _splits(run: Run) -> pd.DataFrame:
    if run.table.empty:
        begun = "its evaluation has not ended" if (run.path / "evaluate").is_dir() else "nothing was judged yet"
        recipe = run.path / "recipe.yaml"
        again = f": `swath run {recipe} --out {run.path}`" if recipe.is_file() and run.recipe.get("arms") else ""
        raise SwathError(
            f"the run is not evaluated: {' '.join([*failures(run), *run.problems]) or begun}",
            where=str(run.path),
            remedy=f"leave it out, or run its recipe again, which continues where it stopped{again}",
        )
    try:
        return schema.SPLITS.read(run.path / "evaluate")
    except FileNotFoundError:
        raise SwathError("there is no splits.parquet", where=str(run.path), remedy=ANEW) from None


def data_sets(entries: Sequence[Entry]) -> list[DataSet]:
    """The runs by data set: those of one corpus, or that test the same units with the same labels.

    Raises:
        SwathError: two runs on one data set test other units, learn from other labels, or are judged by other metrics.
    """
    found: list[list[Entry]] = []
    for entry in entries:
        home = next((others for others in found if any(_same_ground(entry, other) for other in others)), None)
        for other in home or ():
            _check_pair(other, entry)
        if home is None:
            found.append([entry])
        else:
            home.append(entry)
    return [DataSet(others[0].name, tuple(others)) for others in found]


def _same_ground(a: Entry, b: Entry) -> bool:
    one, other = ((entry.run.manifest.get("corpus") or {}).get("hash") for entry in (a, b))
    if one and one == other:
        return True
    return any(_same_test(a, b, task) for task in a.tasks if task in b.tasks)


def _same_test(a: Entry, b: Entry, task: str) -> bool:
    """Whether the same units with the same classes are tested, in corpora that are not the same."""
    one, other = (_units(entry, task, {"test"}) for entry in (a, b))
    return bool(one) and one == other and all(content[-1] >= 0 for content in one.values())


def _units(entry: Entry, task: str, parts: set[str]) -> dict[tuple[str, int, str], tuple[str, int]]:
    """Group and label of each unit of some parts in each fold; −1 for labels that splits do not say."""
    own = entry.splits[(entry.splits["task"] == task) & entry.splits["split"].isin(list(parts))]
    keys = zip(own["uid"], own["fold"], own["split"], strict=True)
    labels = pd.Series(own["y"]).fillna(-1).astype(int)
    return dict(zip(keys, zip(own["group"], labels, strict=True), strict=True))


def _check_pair(a: Entry, b: Entry) -> None:
    for task in a.tasks:
        if task in b.tasks:
            _check_parts(a, b, task, {"test"}, "test other units")
            _check_parts(a, b, task, {"train", "val"}, "learn from other locations")
            _check_labels(a, b, task)
            _check_metrics(a, b, task)


def _check_parts(a: Entry, b: Entry, task: str, parts: set[str], what: str) -> None:
    one, other = _units(a, task, parts), _units(b, task, parts)
    if one == other:
        return
    common = one.keys() & other.keys()
    different = {
        f"are in {a.name} alone": one.keys() - other.keys(),
        f"are in {b.name} alone": other.keys() - one.keys(),
        "have another group or label": {key for key in common if one[key] != other[key]},
    }
    said = [f"{len(keys):,} {how} ({_some(keys)})" for how, keys in different.items() if keys]
    raise SwathError(
        f"{a.name} and {b.name} {what} of task {task}, so their rows cannot be paired: {len(common):,} are common, "
        f"{', '.join(said)}",
        where=f"{a.run.path}, {b.run.path}",
        remedy="compare runs of one corpus with the same split, target and tasks, or leave one of the two out",
    )


def _some(keys: Iterable[tuple[str, int, str]]) -> str:
    uids = sorted({uid for uid, *_ in keys})
    return ", ".join(uids[:NAMED]) + (", ..." if len(uids) > NAMED else "")


def _check_labels(a: Entry, b: Entry, task: str) -> None:
    classes = [entry.run.classes.get(task, []) for entry in (a, b)]
    if classes[0] != classes[1]:
        raise SwathError(
            f"{a.name} and {b.name} tell other classes apart in task {task}: {listing(classes[0]) or 'none'}; and "
            f"{listing(classes[1]) or 'none'}",
            where=f"{a.run.path}, {b.run.path}",
            remedy="compare runs with the same target",
        )
    numbers = [f"{entry.labels(task):,.1f}" for entry in (a, b)]
    if numbers[0] != numbers[1]:
        raise SwathError(
            f"{a.name} and {b.name} learn from other numbers of labels in task {task}: {' and '.join(numbers)}",
            where=f"{a.run.path}, {b.run.path}",
            remedy="compare runs with the same number of labels, or call their tasks differently",
        )


def _check_metrics(a: Entry, b: Entry, task: str) -> None:
    first = [(entry.metrics(task) or ("",))[0] for entry in (a, b)]
    if all(first) and first[0] != first[1]:
        raise SwathError(
            f"{a.name} ranks the rows of task {task} by {first[0]}, and {b.name} by {first[1]}",
            where=f"{a.run.path}, {b.run.path}",
            remedy="give both recipes the same `metric` and run `swath evaluate` again: nothing is trained anew",
        )


def remarks(found: DataSet) -> list[str]:
    """What a reader must know of runs that are compared: what their recipes say differently of the same task."""
    hashes = {(entry.run.manifest.get("corpus") or {}).get("hash") for entry in found.entries}
    names = listing([entry.name for entry in found.entries])
    grown = [f"the corpora of {names} differ, and the test units and their classes are the same"]
    first, *rest = found.entries
    pairs = [(other, task) for other in rest for task in first.tasks if task in other.tasks]
    unlike = [(other, task, _unlike(first.settings(task), other.settings(task))) for other, task in pairs]
    return (grown if len(hashes) > 1 else []) + [
        f"{first.name} and {other.name} set {listing(keys)} of task {task} differently"
        for other, task, keys in unlike
        if keys
    ]


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Settings that differ, other than which rows and columns there are."""
    shown = {"floors", "floor_arms", "references", "more_metrics", "label_fractions", "labels_per_class", "claims"}
    inputs = {name for name in one.get("inputs", {}) if name in other.get("inputs", {})}
    keys = [key for key in dict.fromkeys([*one, *other]) if key not in {*shown, "inputs", "probes"}]
    differ = [key for key in keys if one.get(key) != other.get(key)]
    differ += [f"input {name}" for name in sorted(inputs) if one["inputs"][name] != other["inputs"][name]]
    probes = [{probe["name"]: probe for probe in settings.get("probes", ())} for settings in (one, other)]
    differ += [f"probe {name}" for name in probes[0] if name in probes[1] and probes[0][name] != probes[1][name]]
    return differ
