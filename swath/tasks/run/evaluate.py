"""All encoders of a run, and the floors, on all its tasks; continues where it was stopped."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from swath._progress import bar
from swath.corpus import Corpus
from swath.corpus.splits import SplitConfig, split
from swath.errors import RecipeError, TrainingError, nearest
from swath.tasks._types import Outcome
from swath.tasks.config import TaskConfig, by_budget
from swath.tasks.panel import Panel
from swath.tasks.run.jobs import Job, jobs_of
from swath.tasks.run.networks import BuildRandom, Networks
from swath.tasks.run.results import Result, ResultStore, output_of, share_changed
from swath.tasks.run.rotation import folds_of, replicates_of, whole_rounds
from swath.tasks.run.tables import write
from swath.tasks.statistics import StatisticsConfig
from swath.tasks.task import Task
from swath.tasks.trained import Keeper, Trained

TOLERATED = 0.01
"""Share of a test part's units, or pixels, of which a result may say something else when it is computed once more: on
another machine sums have other last digits."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What was trained for one result of an evaluation."""

    task: Task
    panel: Panel
    row: str
    seed: int
    digest: str
    """Hash of everything that the result depends on."""
    trained: Trained
    changed: float | None
    """Share of the test part's units, or pixels, of which it says something else than what the run has kept; None where
    the run has kept nothing."""


def chosen(jobs: Sequence[Job], asked: Mapping[str, str | int | None]) -> tuple[Job, Panel]:
    """The job and panel that are meant: the first seed's of the only one that fits.

    Raises:
        RecipeError: none fits, or several do; the message lists them.
    """
    all_of_it = [(job, panel, _names(job, panel)) for job in jobs for panel in job.panels]
    fit = [one for one in all_of_it if all(one[2][key] == value for key, value in asked.items() if value is not None)]
    said = list(dict.fromkeys(_shown(names) for _, _, names in fit))
    if len(said) == 1:
        return fit[0][:2]
    meant = ", ".join(f"{key} {value}" for key, value in asked.items() if value is not None) or "anything"
    listed = "\n    ".join(said or dict.fromkeys(_shown(names) for _, _, names in all_of_it))
    what = f"{len(said)} results are of {meant}" if said else f"no result is of {meant}"
    close = "" if said else "".join(f"{one}; " for one in _misspelt([names for _, _, names in all_of_it], asked))
    raise RecipeError(what, remedy=f"{close}say which, by --task, --row, --input, --probe, --seed:\n    {listed}")


def _misspelt(known: Sequence[Mapping[str, str | int]], asked: Mapping[str, str | int | None]) -> Iterator[str]:
    """Of names that no result has, the nearest one."""
    for key, value in asked.items():
        names = {str(one[key]) for one in known}
        if value is not None and str(value) not in names:
            yield f"{key}: {nearest(str(value), names)}"


def _names(job: Job, panel: Panel) -> dict[str, str | int]:
    name, probe = panel.key
    return {"task": job.task.name, "row": job.row, "input": name, "probe": probe, "seed": job.seed}


def _shown(names: Mapping[str, str | int]) -> str:
    return ", ".join(f"{key} {names[key]!r}" for key in ("task", "row", "input", "probe"))


class Evaluation:
    """Encoders and floors on all tasks of a run.

    Finished results are kept in `out/cells` as they come, under a hash of everything that they depend on: a run that
    was killed continues with the missing ones and ends with the same files; a changed recipe computes anew what it
    touches; several processes may share one evaluation.
    """

    def __init__(
        self,
        tasks: Mapping[str, TaskConfig],
        splits: SplitConfig | Sequence[SplitConfig],
        corpus: Corpus,
        encoders: Mapping[tuple[str, int], Path],
        build_random: BuildRandom,
        seeds: Sequence[int],
        out: Path,
        statistics: StatisticsConfig | None = None,
        label_draws: int | None = None,
        first_draw: int = 0,
        most_tested: int | None = None,
        seen: str = "",
    ):
        """Plan what is to be computed.

        Args:
            tasks: by name.
            splits: how the corpus is parted, for all tasks. Several are folds that the seeds rotate over: one after the
                other is judged on the next, and the predictions of as many seeds as there are folds become one result
                whose units are the tested locations of all of them.
            corpus: where chips and labels are.
            encoders: saved encoders by arm and seed.
            build_random: the arms' networks before pre-training, for the floors.
            seeds: of the floors and probes.
            out: folder.
            statistics: intervals, tests and claims; each task's metrics are filled in.
            label_draws: how many draws of the labels the replicates take in turn, where a task uses not all of them;
                None: each its own.
            first_draw: number of the first of these draws.
            most_tested: look at so many test locations at most, of all folds together. Then nothing can be computed
                for the tables.
            seen: what must be said of encoders if they may be judged on locations that they were pre-trained on; by
                default they may not.

        Raises:
            RecipeError: the number of seeds is no multiple of the number of folds, or an encoder was pre-trained on
                locations that a task tests.
            SwathError: a task cannot be set up, or an encoder cannot be read.
        """
        folds = [splits] if isinstance(splits, SplitConfig) else list(splits)
        fold_of = folds_of(seeds, folds)
        self._out, self._seeds, self._folds = out, seeds, len(folds)
        self._statistics = statistics or StatisticsConfig()
        self._tasks = planned(tasks, folds, corpus)
        self._store = ResultStore(out / "cells")
        networks = Networks(list(dict.fromkeys(arm for arm, _ in encoders)), build_random, seeds)
        self._jobs: list[Job] = []
        for task in self._tasks:
            own = [seed for seed in seeds if fold_of[seed] == task.split_config]
            theirs = {key: path for key, path in encoders.items() if key[1] in own}
            drawn = {seed: task.drawn(first_draw + k % (label_draws or len(own))) for k, seed in enumerate(own)}
            if most_tested is not None:
                drawn = {seed: one.testing(-(-most_tested // len(folds))) for seed, one in drawn.items()}
            self._jobs += jobs_of(drawn, theirs, networks, seen)
        self._digests = [job.digests() for job in self._jobs]

    def of_rows(self, rows: Collection[str]) -> "Evaluation":
        """The same evaluation, of rows of these names alone."""
        other = copy(self)
        other._jobs = [job for job in self._jobs if job.row in rows]
        other._digests = [job.digests() for job in other._jobs]
        return other

    def run(self) -> dict[str, int]:
        """Compute what is missing and `write`."""
        self.compute()
        return self.write()

    def compute(self, part: int = 0, parts: int = 1, prepare: Callable[[Job], None] | None = None) -> None:
        """Compute the results that are not there yet; of several parts the jobs of one, all of about the same size.

        A result that cannot be computed is no error but a line with a note. `prepare` is called before each job.
        """
        jobs, digests = self._jobs[part::parts], self._digests[part::parts]
        with bar() as progress:
            line = progress.add_task("evaluating", total=sum(map(len, digests)))
            for job, by_panel in zip(jobs, digests, strict=True):
                missing = [panel for panel in job.panels if not self._store.has(by_panel[panel.key])]
                said = f"{job.task.name}: {job.row}, seed {job.seed}"
                progress.update(line, advance=len(by_panel) - len(missing), description=said)
                if prepare is not None:
                    prepare(job)
                for outcome in job.outcomes(missing) if missing else ():
                    key = (outcome.input, outcome.probe)
                    about, task = job.about(key), job.task
                    self._store.write(by_panel[key], about, outcome, task.units, task.validation_units)
                    progress.advance(line)

    def trained(
        self,
        *,
        task: str | None = None,
        row: str | None = None,
        input: str | None = None,  # noqa: A002 — the tables' word
        probe: str | None = None,
        seed: int | None = None,
    ) -> "Judged":
        """What was trained for one result, by the same steps once more; a network's weights are kept for the next time.

        Of several seeds, or rounds of folds, it is the first one's.

        Args:
            task: as the tables call it, and so on; what is not said must be the same for all that is left.
            row: name of an arm, reference or floor that learns from images.
            input: of the task.
            probe: as the tables call it.
            seed: of the training.

        Raises:
            RecipeError: nothing or several things are meant; the message lists them.
            TrainingError: it cannot be trained, cannot be applied to other images, or now says something else of the
                test part than what the run has kept.
        """
        asked = {"task": task, "row": row, "input": input, "probe": probe, "seed": seed}
        job, panel = chosen(self._jobs, asked)
        digest = job.digests()[panel.key]
        outcome, keeper = self.anew(job, panel)
        if outcome.prediction is None:
            raise TrainingError(f"{job.row} has no result there: {outcome.note}", where=job.task.name)
        if keeper.trained is None:
            raise TrainingError(
                f"{job.row} learns from no images that others could take the place of",
                where=job.task.name,
                remedy="take an arm, a reference, scratch or the random encoder",
            )
        changed = self.changed(job, panel, outcome)
        return Judged(job.task, panel, job.row, job.seed, digest, keeper.trained, changed)

    @property
    def jobs(self) -> list[Job]:
        """What there is to compute: a row of a task for a seed each."""
        return self._jobs

    @property
    def folds(self) -> int:
        """Number of folds whose tested locations make one result."""
        return self._folds

    @property
    def statistics(self) -> StatisticsConfig:
        """How intervals are made."""
        return self._statistics

    @property
    def replicates(self) -> dict[int, int]:
        """The number of each seed's round over the folds."""
        return replicates_of(self._seeds, self._folds)

    def anew(self, job: Job, panel: Panel) -> tuple[Outcome, Keeper]:
        """What comes out when a result is computed once more, and what was trained for it."""
        keeper = Keeper(self._out / "networks" / f"{job.digests()[panel.key]}.safetensors")
        job.task.keeper = keeper
        try:
            return next(iter(job.outcomes([panel]))), keeper
        finally:
            job.task.keeper = None

    def changed(self, job: Job, panel: Panel, outcome: Outcome) -> float | None:
        """Share of the test part of which an outcome says something else than the run has kept; None if it has not.

        Raises:
            TrainingError: that is more than other machines would explain.
        """
        digest = job.digests()[panel.key]
        if not self._store.has(digest):
            return None
        kept, units = self._store.read(digest, job.key(panel.key, 0)).output, job.task.units
        tested = np.isin(kept["uid"].to_numpy(), units.uid)
        changed = share_changed(kept.filter(pa.array(tested)), output_of(outcome, units))
        if changed > TOLERATED:
            raise TrainingError(
                f"trained once more, {job.row} says something else of {100 * changed:.1f} % of the test part than the "
                "run has kept",
                where=f"task {job.task.name}, input {panel.key[0]}, probe {panel.key[1]}, seed {job.seed}",
                remedy="was it run on another machine, or by another version of swath? evaluate it again here: remove "
                f"{self._store.path(digest)}",
            )
        return changed

    def write(self) -> dict[str, int]:
        """Write what came out, once all is computed.

        That is `predictions.parquet`, `validation.parquet`, `maps.parquet`, `table.csv`, `comparisons.csv`,
        `clouds.csv`, `notes.csv`, `tasks.csv`, `splits.parquet` and `classes.json`; where a task has `cloud_levels`
        also `under_clouds.parquet`, `cloud_levels.csv` and `cloud_gains.csv`.

        Returns:
            Numbers for the manifest: of results (`cells`), and of those that could not be computed.
        """
        results = self._results()
        numbers = {"cells": len(results), "left_out": sum(not result.output.num_rows for result in results)}
        write(self._out, self._tasks, whole_rounds(results, self._folds), self._statistics)
        return numbers

    def kept(self, jobs: Sequence[Job], panel: tuple[str, str]) -> list[Result]:
        """What the run has kept of these jobs in a panel."""
        replicate = self.replicates
        found = [(job, job.digests().get(panel)) for job in jobs]
        return [
            self._store.read(digest, job.key(panel, replicate[job.seed]), job.remarks)
            for job, digest in found
            if digest is not None and self._store.has(digest)
        ]

    def results(self) -> list[Result]:
        """What came out, once all is computed; of rounds that miss a fold without predictions."""
        return whole_rounds(self._results(), self._folds)

    def _results(self) -> list[Result]:
        replicate = self.replicates
        return [
            self._store.read(digest, job.key(panel, replicate[job.seed]), job.remarks)
            for job, by_panel in zip(self._jobs, self._digests, strict=True)
            for panel, digest in by_panel.items()
        ]


def planned(tasks: Mapping[str, TaskConfig], folds: Sequence[SplitConfig], corpus: Corpus) -> list[Task]:
    """Every task with each of its numbers of labels and in each fold: what a recipe and a corpus say of an evaluation.

    Args:
        tasks: by name.
        folds: how the corpus is parted.
        corpus: where chips and labels are.

    Raises:
        SwathError: a task cannot be set up, such as one whose test part is empty.
    """
    single = {key: one for name, config in tasks.items() for key, one in by_budget(name, config).items()}
    parted = [split(corpus, fold) for fold in folds]
    return [
        Task(name, config, corpus, rows, fold)
        for name, config in single.items()
        for rows, fold in zip(parted, folds, strict=True)
    ]
