"""Asking what an evaluation trained about its test part again, under other conditions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from swath._progress import bar
from swath.errors import RecipeError, SwathError, known_name
from swath.tasks._types import Outcome
from swath.tasks.data import Condition, Labelled
from swath.tasks.panel import Panel, TaskInput
from swath.tasks.robustness import ELSEWHERE, Asked, conditions, unseen
from swath.tasks.run.evaluate import Evaluation
from swath.tasks.run.jobs import Job
from swath.tasks.run.provenance import origin_of
from swath.tasks.run.results import Result, ResultStore, digest, joined
from swath.tasks.run.rotation import whole_rounds
from swath.tasks.schema import CONDITIONS, PREDICTIONS, Stressed, Table
from swath.tasks.statistics import AS_IT_IS, elsewhere, under_conditions
from swath.tasks.task import Task

HIDDEN = "hidden"
"""Note of a prediction whose network was told which bands are missing."""
BLIND = "learns from no images, or cannot be applied to others"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which results are asked again."""

    task: str | None = None
    """As the tables call it; the first if not said."""
    inputs: tuple[str, ...] = ()
    """All if none is said."""
    probe: str | None = None
    """As the tables call it; the first of each input if not said."""
    rows: tuple[str, ...] = ()
    """As the tables call them; all if none is said."""
    replicates: int | None = None
    """The first so many trainings, or rounds over the folds; all if not said."""


@dataclass(eq=False)
class _Lost:
    """Why rows are not asked, a reason for each."""

    why: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def note(self, job: Job, panel: tuple[str, str], reason: str) -> None:
        """Keep the reason of a result."""
        self.why.setdefault((job.row, *panel), reason)

    def lines(self) -> Iterator[str]:
        """A sentence for each reason, with the rows that it is of."""
        rows: dict[str, list[str]] = {}
        for (row, name, probe), reason in self.why.items():
            rows.setdefault(reason, []).append(f"{row} ({name}, {probe})")
        for reason, some in rows.items():
            yield f"{len(some)} left out: {', '.join(some)}: {reason}"


def stress(evaluation: Evaluation, wanted: Wanted, asked: Asked, out: Path) -> list[str]:
    """Ask every row of a task about the test part under conditions, and write `conditions.csv`.

    Nothing is learnt anew but what the run did not keep. Finished predictions are in `out/cells`, so that it continues
    where it was stopped. Lines of earlier calls about other kinds of conditions stay in the table.

    Args:
        evaluation: of a finished run.
        wanted: which results.
        asked: which conditions.
        out: folder.

    Returns:
        What must be said: of conditions that there cannot be, and of rows that cannot be asked.

    Raises:
        RecipeError: no such task, input, probe or band.
    """
    jobs = _jobs(evaluation, wanted)
    inputs, said, lines, lost = _inputs(jobs[0].task, wanted), list(_sampled(jobs)), [], _Lost()
    out.mkdir(parents=True, exist_ok=True)
    for item in inputs:
        own = _with_conditions(jobs, item, asked)
        said += [f"{item.name}: {line}" for line in own.said]
        if own.keys:
            probe = _probe(item, wanted)
            store = ResultStore(out / "cells")
            _compute(evaluation, own, (item.name, probe), store, lost)
            lines += _lines(evaluation, own, (item.name, probe), store)
        more, why = _elsewhere(evaluation, jobs, (item.name, _probe(item, wanted)), asked)
        lines, said = lines + more, said + [f"{item.name}: {line}" for line in why]
    if lines:
        about = {item.name: origin_of(jobs[0].task, item.name) for item in inputs}
        lines = [replace(line, origin=about[line.input]) for line in lines]
        there = {job.task.name for job in evaluation.jobs}
        CONDITIONS.write(out, beside_earlier(CONDITIONS, CONDITIONS.frame(lines), out, "kind", tasks=there))
    return [*said, *lost.lines()]


def _sampled(jobs: Sequence[Job]) -> Iterator[str]:
    """What must be said where not all test locations are looked at."""
    folds = {job.task.fold: job.task for job in jobs}.values()
    looked, there = (sum(map(len, parts)) for parts in zip(*map(_tested, folds), strict=True))
    if looked < there:
        yield f"{looked:,} of {there:,} test locations are looked at, drawn at random"


def _tested(task: Task) -> tuple[Labelled, Labelled]:
    """The test locations that are looked at, and all of them."""
    return task.parts["test"], task.undrawn["test"]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is asked of one input: jobs, and the conditions in each fold."""

    jobs: Sequence[Job]
    by_fold: Mapping[int, dict[str, Condition]]
    keys: Sequence[str]
    said: Sequence[str]

    def of(self, job: Job) -> dict[str, Condition]:
        """Conditions of a job by key."""
        return self.by_fold[job.task.fold]


def _with_conditions(jobs: Sequence[Job], item: TaskInput, asked: Asked) -> _Plan:
    # draws of the labels differ in what is learnt from, not in what is tested
    folds = {job.task.fold: job.task for job in jobs}
    made, said = conditions(list(folds.values()), item.bands, asked)
    return _Plan(jobs, dict(zip(folds, made, strict=True)), list(made[0]), said)


def _jobs(evaluation: Evaluation, wanted: Wanted) -> list[Job]:
    name = known_name("task", wanted.task, dict.fromkeys(job.task.name for job in evaluation.jobs))
    replicate, most = evaluation.replicates, wanted.replicates
    own = [job for job in evaluation.jobs if job.task.name == name]
    for row in wanted.rows:
        known_name("row", row, dict.fromkeys(job.row for job in own), f"task {name}")
    return [
        job
        for job in own
        if (not wanted.rows or job.row in wanted.rows) and (most is None or replicate[job.seed] < most)
    ]


def _inputs(task: Task, wanted: Wanted) -> list[TaskInput]:
    known = {name: task.inputs[name] for name in task.config.inputs if name in task.inputs}
    if not known:
        raise RecipeError(
            "no probe of the task reads an input as a whole", where=f"task {task.name}", remedy="take another task"
        )
    return [known[known_name("input", name, known, f"task {task.name}")] for name in wanted.inputs or known]


def _probe(item: TaskInput, wanted: Wanted) -> str:
    return known_name("probe", wanted.probe, [probe.label() for probe in item.probes], f"input {item.name}")


# -- asking ------------------------------------------------------------------------------------------------------------


def _compute(evaluation: Evaluation, plan: _Plan, key: tuple[str, str], store: ResultStore, lost: _Lost) -> None:
    with bar() as progress:
        line = progress.add_task("under conditions", total=len(plan.jobs))
        for job in plan.jobs:
            progress.update(line, description=f"{job.task.name}: {job.row}, seed {job.seed}")
            panel = next((panel for panel in job.panels if panel.key == key), None)
            missing = {k: c for k, c in plan.of(job).items() if not store.has(_digest(job, key, k))}
            if panel is not None and (missing or not store.has(_digest(job, key, AS_IT_IS))):
                _ask(evaluation, job, panel, missing, store, lost)
            progress.advance(line)


def _ask(
    evaluation: Evaluation, job: Job, panel: Panel, missing: dict[str, Condition], store: ResultStore, lost: _Lost
) -> None:
    """Train what a result was trained for once more, or take it from the run, and ask it."""
    job.task.conditions = tuple(missing.values())
    try:
        outcome, _ = evaluation.anew(job, panel)
        evaluation.changed(job, panel, outcome)
    except SwathError as error:
        lost.note(job, panel.key, error.what)
        return
    finally:
        job.task.conditions = ()
    said = outcome.prediction
    if said is None or (missing and not said.altered):
        lost.note(job, panel.key, outcome.note if said is None else BLIND)
        return
    for key, altered in said.altered.items():
        there = Outcome(*panel.key, altered.prediction, HIDDEN if altered.hidden else "")
        store.write(_digest(job, panel.key, key), job.about(panel.key) | {"condition": key}, there, job.task.units)
    # the plain one last: where it is, all are
    store.write(_digest(job, panel.key, AS_IT_IS), job.about(panel.key), outcome, job.task.units)


def _digest(job: Job, panel: tuple[str, str], condition: str) -> str:
    return digest(job.digests()[panel], condition, job.task.units.uid)


# -- what came out -----------------------------------------------------------------------------------------------------


def _lines(evaluation: Evaluation, plan: _Plan, key: tuple[str, str], store: ResultStore) -> list[Stressed]:
    frames, hidden = [], {}
    for condition in (AS_IT_IS, *plan.keys):
        results = list(_results(evaluation, plan.jobs, key, condition, store))
        hidden |= {(result.key.row, condition): HIDDEN in result.notes for result in results}
        frames.append(_joined(evaluation, results).assign(run=condition))
    predictions = pd.concat(frames, ignore_index=True)
    if predictions.empty:
        return []
    task = plan.jobs[0].task
    rules = task.config.rules
    found = under_conditions(task.name, predictions, plan.of(plan.jobs[0]), hidden, rules, evaluation.statistics)
    return list(found)


def _elsewhere(
    evaluation: Evaluation, jobs: Sequence[Job], key: tuple[str, str], asked: Asked
) -> tuple[list[Stressed], list[str]]:
    """The rows on test locations of regions and years that were not learnt from, by what the run has kept."""
    kinds = [kind for kind in ELSEWHERE if kind in asked.shifts]
    lines, said, task = [], [], jobs[0].task
    predictions = _joined(evaluation, evaluation.kept(jobs, key)) if kinds else None
    for kind in kinds:
        name, is_new, why = unseen(list({job.task.fold: job.task for job in jobs}.values()), kind)
        said += why
        if is_new and predictions is not None and len(predictions):
            config = evaluation.statistics
            lines += elsewhere(task.name, predictions, is_new, kind, name, task.config.rules, config)
    return lines, said


def _joined(evaluation: Evaluation, results: Sequence[Result]) -> pd.DataFrame:
    whole = [result for result in whole_rounds(results, evaluation.folds) if result.output.num_rows]
    return joined(PREDICTIONS, [(one.key, one.output) for one in whole]).to_pandas()


def _results(
    evaluation: Evaluation, jobs: Sequence[Job], key: tuple[str, str], condition: str, store: ResultStore
) -> Iterator[Result]:
    replicate = evaluation.replicates
    for job in jobs:
        if any(panel.key == key for panel in job.panels) and store.has(made := _digest(job, key, condition)):
            yield store.read(made, job.key(key, replicate[job.seed]))


def beside_earlier(table: Table, lines: pd.DataFrame, out: Path, *about: str, tasks: Collection[str]) -> pd.DataFrame:
    """Lines, and those that a folder's table held of other tasks, inputs and probes.

    Args:
        table: which.
        lines: new ones.
        out: the folder.
        about: further columns in whose values lines differ that stand side by side.
        tasks: names of the tasks that there are; lines of others, and those of a task whose labels, parts or images
            were others, are left out.
    """
    if not (out / table.file).is_file():
        return lines
    old, key = table.read(out), ["task", "input", "probe", *about]
    now = lines.groupby(["task", "input"])["origin"].first().to_dict()
    new = set(lines[key].itertuples(index=False, name=None))
    kept = [
        line not in new and task in tasks and origin in ("", now.get((task, item), origin))
        for line, task, item, origin in zip(
            old[key].itertuples(index=False, name=None), old["task"], old["input"], old["origin"], strict=True
        )
    ]
    return pd.concat([old.loc[kept], lines], ignore_index=True)
