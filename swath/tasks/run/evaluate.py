"""All encoders of a run, and the floors, on all its tasks; continues where it was stopped."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from swath._progress import bar
from swath.corpus import Corpus
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders import Encoder, load, load_card
from swath.tasks._types import Outcome
from swath.tasks.config import TaskConfig, by_fraction
from swath.tasks.floors import ROWS, FloorName, is_random, needs_encoder
from swath.tasks.probes import teacher
from swath.tasks.run.results import ResultStore, digest
from swath.tasks.run.rotation import folds_of, replicates_of, whole_rounds
from swath.tasks.run.seen import checked
from swath.tasks.run.tables import write
from swath.tasks.schema import ResultKey, Role
from swath.tasks.statistics import StatisticsConfig
from swath.tasks.task import Task

BuildRandom = Callable[[str, int], Encoder]
"""(arm, seed) -> the arm's network as it was before its pre-training."""


@dataclass(frozen=True, eq=False)
class _Job:
    """One row of one task for one seed."""

    task: Task
    row: str
    role: Role
    of_arm: str
    seed: int
    source: Any
    """Plain data that identifies what is judged."""
    places: list[tuple[str, str]]
    """(input, probe) that it fills."""
    outcomes: Callable[[frozenset[tuple[str, str]]], Iterator[Outcome]]
    """Computes them, without those that are to be skipped."""
    is_scratch: bool = False
    """Whether the settings of training from scratch matter."""
    remark: str = ""
    """What a reader must know of the row whatever came out."""

    def key(self, place: tuple[str, str], replicate: int) -> ResultKey:
        """What the row's result on an input by a probe is in the tables."""
        return ResultKey(
            task=self.task.name,
            input=place[0],
            probe=place[1],
            row=self.row,
            role=self.role,
            of_arm=self.of_arm,
            seed=self.seed,
            fold=self.task.fold,
            replicate=replicate,
        )


class Evaluation:
    """Encoders and floors on all tasks of a run.

    Finished cells are kept in `out/cells` as they come, under a hash of everything that they depend on: a run that was
    killed continues with the missing ones and ends with the same files; a changed recipe computes anew what it touches;
    several processes may share one evaluation.
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
        references: Mapping[str, Callable[[], Encoder]] | None = None,
        statistics: StatisticsConfig | None = None,
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
            references: further encoders by row name, such as one with ImageNet weights.
            statistics: intervals and tests; each task's metrics are filled in.

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
        networks = _Networks(list(dict.fromkeys(arm for arm, _ in encoders)), build_random, seeds)
        self._jobs: list[_Job] = []
        for task in self._tasks:
            own = [seed for seed in seeds if fold_of[seed] == task.split_config]
            theirs = {key: path for key, path in encoders.items() if key[1] in own}
            self._jobs += _jobs(task, theirs, networks, own, references or {})
        self._keys = [_keys(job, corpus) for job in self._jobs]

    def run(self) -> dict[str, int]:
        """Compute what is missing and `write`."""
        self.compute()
        return self.write()

    def compute(self, part: int = 0, parts: int = 1) -> None:
        """Compute the cells that are not there yet; of several parts the jobs of one, all of about the same size.

        A cell that cannot be computed is no error but a line with a note.
        """
        _compute(self._jobs[part::parts], self._keys[part::parts], self._store)

    def write(self) -> dict[str, int]:
        """Write what came out, once all is computed.

        That is `predictions.parquet`, `maps.parquet`, `table.csv`, `comparisons.csv`, `clouds.csv`, `notes.csv`,
        `tasks.csv`, `splits.parquet` and `classes.json`; where a task has `cloud_levels` also `under_clouds.parquet`,
        `cloud_levels.csv` and `cloud_gains.csv`.

        Returns:
            Numbers for the manifest: of results (`cells`), and of those that could not be computed.
        """
        replicate = replicates_of(self._seeds, self._folds)
        results = [
            self._store.read(key, job.key(place, replicate[job.seed]), job.remark)
            for job, keys in zip(self._jobs, self._keys, strict=True)
            for place, key in keys.items()
        ]
        numbers = {"cells": len(results), "left_out": sum(not result.output.num_rows for result in results)}
        write(self._out, self._tasks, whole_rounds(results, self._folds), self._statistics)
        return numbers


def planned(tasks: Mapping[str, TaskConfig], folds: Sequence[SplitConfig], corpus: Corpus) -> list[Task]:
    """Every task at each of its label fractions and in each fold: what a recipe and a corpus say of an evaluation.

    Args:
        tasks: by name.
        folds: how the corpus is parted.
        corpus: where chips and labels are.

    Raises:
        SwathError: a task cannot be set up, such as one whose test part is empty.
    """
    single = {key: one for name, config in tasks.items() for key, one in by_fraction(name, config).items()}
    parted = [split(corpus, fold) for fold in folds]
    return [
        Task(name, config, corpus, rows, fold)
        for name, config in single.items()
        for rows, fold in zip(parted, folds, strict=True)
    ]


def _compute(jobs: Sequence[_Job], keys: Sequence[dict[tuple[str, str], str]], store: ResultStore) -> None:
    with bar() as progress:
        line = progress.add_task("evaluating", total=sum(map(len, keys)))
        for job, by_place in zip(jobs, keys, strict=True):
            done = frozenset(place for place, key in by_place.items() if store.has(key))
            said = f"{job.task.name}: {job.row}, seed {job.seed}"
            progress.update(line, advance=len(done), description=said)
            if len(done) == len(by_place):
                continue
            for outcome in job.outcomes(done):
                about = {"task": job.task.name, "row": job.row, "input": outcome.input, "probe": outcome.probe}
                store.write(by_place[outcome.input, outcome.probe], about | {"seed": job.seed}, outcome, job.task.units)
                progress.advance(line)


_KIND: dict[Role, str] = {"pretrained": "pretrained", "reference": "reference"}
"""What digests call roles; all others are floors there. Other words would compute everything anew."""
_ROWS_AND_COLUMNS = ("floors", "floor_arms", "references", "inputs", "probes")


def _keys(job: _Job, corpus: Corpus) -> dict[tuple[str, str], str]:
    """Digest of everything that each cell of a job depends on."""
    config = job.task.config.model_dump(mode="json")
    if not config["cloud_levels"]:
        config.pop("cloud_levels")  # so that what was finished before there were any stays finished
    # what is measured, and which other inputs and rows there are, changes no prediction
    for name in (*_ROWS_AND_COLUMNS, "metric", "more_metrics", "label_fractions", "cloud_bins"):
        config.pop(name)
    if not job.is_scratch:
        config.pop("scratch")
    # the first sensor leads in the choice of dates
    sensors = list(job.task.pictures.reads)
    parted = job.task.split_config.model_dump(mode="json") if job.task.split_config else None
    if parted and parted["largest"] is None:
        parted.pop("largest")  # for the same reason as `cloud_levels`
    common = (corpus.content_hash, parted, config, job.task.name, sensors)
    keys = {}
    for name, label in job.places:
        item = job.task.inputs[name]
        probe = item.probes[item.labels.index(label)]
        row = (job.row, _KIND.get(job.role, "floor"), job.seed, job.source)
        taught = [job.task.inputs[one].bands for one in teacher(probe)]
        said = probe.model_dump(mode="json")
        keys[name, label] = digest(*common, name, item.bands, label, said, *row, *([taught] if taught else []))
    return keys


# --------------------------------------------------------------------------------------------------------------- jobs


def _jobs(
    task: Task,
    encoders: Mapping[tuple[str, int], Path],
    networks: "_Networks",
    seeds: Sequence[int],
    references: Mapping[str, Callable[[], Encoder]],
) -> Iterator[_Job]:
    """Everything there is to do for a task, in the order of its tables: arms, references, floors."""
    for (arm, seed), path in encoders.items():
        remark = checked(task, arm, path)
        card = load_card(path)
        # the statistics of the bands are no weights
        source = digest(card.sha256, card.contract.as_dict())

        def saved(skip: frozenset[tuple[str, str]], path: Path = path, seed: int = seed) -> Iterator[Outcome]:
            return task.outcomes(load(path).to(_device()), seed, skip, pretrained=True)

        yield _Job(task, arm, "pretrained", arm, seed, source, task.places(), saved, remark=remark)
    for name, build in references.items():

        def given(skip: frozenset[tuple[str, str]], build: Callable[[], Encoder] = build) -> Iterator[Outcome]:
            return task.outcomes(build().to(_device()), seeds[0], skip)

        yield _Job(task, name, "reference", "", seeds[0], fingerprint(build()), task.places(), given)
    for name, reference in task.config.references.items():
        for seed in seeds:
            outcomes = lambda skip, name=name, seed=seed: task.reference_outcomes(name, seed, _device(), skip)  # noqa: E731
            source = reference.segmenter.model_dump(mode="json")
            yield _Job(task, name, "reference", "", seed, source, task.reference_places(name), outcomes)
    for floor in task.config.floors:
        for seed in seeds[: None if is_random(floor) else 1]:
            yield from _floor_jobs(task, floor, seed, networks)


def _floor_jobs(task: Task, floor: FloorName, seed: int, networks: "_Networks") -> Iterator[_Job]:
    places = task.floor_places(floor)
    if not places:
        return
    if not needs_encoder(floor):
        outcomes = lambda skip: task.floor_outcomes(floor, seed, skip=skip)  # noqa: E731
        yield _Job(task, ROWS[floor], "floor", "", seed, floor, places, outcomes)
        return
    role: Role = "scratch" if floor == "scratch" else "random-twin"
    for row, same in named(ROWS[floor], networks.of(task.config.floor_arms)).items():

        def untrained(skip: frozenset[tuple[str, str]], arm: str = same[0]) -> Iterator[Outcome]:
            return task.floor_outcomes(floor, seed, networks.build(arm, seed).to(_device()), skip)

        source = networks.fingerprint(same[0], seed)
        yield _Job(task, row, role, ",".join(same), seed, source, places, untrained, is_scratch=floor == "scratch")


class _Networks:
    """The arms' networks before pre-training."""

    def __init__(self, arms: Sequence[str], build: BuildRandom, seeds: Sequence[int]):
        self.build = build
        self.shared = shared(arms, lambda arm: build(arm, seeds[0]))
        self.fingerprint = cache(lambda arm, seed: fingerprint(build(arm, seed)))

    def of(self, arms: Sequence[str]) -> list[list[str]]:
        """Arms by network: of all networks, or of those of these arms."""
        return [same for same in self.shared if not arms or not set(arms).isdisjoint(same)]


def shared(arms: Sequence[str], build: Callable[[str], Encoder]) -> list[list[str]]:
    """The arms, those with the same network and the same input together."""
    groups: dict[str, list[str]] = {}
    for arm in arms:
        groups.setdefault(_shape(build(arm)), []).append(arm)
    return list(groups.values())


def named(row: str, groups: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """The arms whose network each row is, by the row's name.

    With one network in all the row keeps its name; with several each is named after its arms.
    """
    if len(groups) == 1:
        return {row: groups[0]}
    return {f"{row}, as {', '.join(same)}": same for same in groups}


def _shape(encoder: Encoder) -> str:
    # which bands a network that takes any has seen is no part of what it was before it saw them
    own = encoder.contract
    takes = (own.channels, own.bands if own.fixed else "any")
    shapes = {name: list(value.shape) for name, value in encoder.state_dict().items()}
    return digest(type(encoder).__name__, takes, shapes)


def fingerprint(encoder: Encoder) -> str:
    """Hash of an encoder's weights and contract."""
    total = hashlib.sha256(json.dumps(encoder.contract.as_dict(), sort_keys=True).encode())
    for name, value in sorted(encoder.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
