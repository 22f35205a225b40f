"""All encoders of a run, and the floors, on all its tasks; continues where it was stopped."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from swath._progress import bar
from swath.corpus import Corpus
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders import Encoder, load, load_card
from swath.tasks._types import Cell
from swath.tasks.config import TaskConfig, by_fraction
from swath.tasks.floors import ROWS, FloorName, is_random, needs_encoder
from swath.tasks.probes import teacher
from swath.tasks.run.results import CellStore, digest
from swath.tasks.run.rotation import folds_of, joined
from swath.tasks.run.seen import checked
from swath.tasks.run.tables import write
from swath.tasks.statistics import StatisticsConfig
from swath.tasks.task import Task

BuildRandom = Callable[[str, int], Encoder]
"""(arm, seed) -> the arm's network as it was before its pre-training."""


@dataclass(frozen=True, eq=False)
class _Job:
    """One row of one task for one seed."""

    task: Task
    row: str
    kind: str
    seed: int
    source: Any
    """Plain data that identifies what is judged."""
    places: list[tuple[str, str]]
    """(input, probe) that it fills."""
    cells: Callable[[frozenset[tuple[str, str]]], Iterator[Cell]]
    """Computes them, without those that are to be skipped."""
    is_scratch: bool = False
    """Whether the settings of training from scratch matter."""
    remark: str = ""
    """What a reader must know of the row whatever came out."""


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
        self._store = CellStore(out / "cells")
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
            Figures for the manifest: numbers of cells and of cells left out.
        """
        cells = [
            self._store.read(key).remarked(job.remark)
            for job, keys in zip(self._jobs, self._keys, strict=True)
            for key in keys.values()
        ]
        figures = {"cells": len(cells), "left_out": sum(not cell.predictions.num_rows for cell in cells)}
        write(self._out, self._tasks, joined(cells, self._seeds, self._folds), self._statistics)
        return figures


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


def _compute(jobs: Sequence[_Job], keys: Sequence[dict[tuple[str, str], str]], store: CellStore) -> None:
    with bar() as progress:
        line = progress.add_task("evaluating", total=sum(map(len, keys)))
        for job, by_place in zip(jobs, keys, strict=True):
            done = frozenset(place for place, key in by_place.items() if store.has(key))
            said = f"{job.task.name}: {job.row}, seed {job.seed}"
            progress.update(line, advance=len(done), description=said)
            if len(done) == len(by_place):
                continue
            for cell in job.cells(done):
                store.write(by_place[cell.input, cell.probe], cell)
                progress.advance(line)


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
        row = (job.row, job.kind, job.seed, job.source)
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
        yield replace(_encoder_job(task, arm, "pretrained", seed, source, lambda path=path: load(path)), remark=remark)
    for name, build in references.items():
        yield _encoder_job(task, name, "reference", seeds[0], fingerprint(build()), build)
    for name, reference in task.config.references.items():
        for seed in seeds:
            cells = lambda skip, name=name, seed=seed: task.reference_cells(name, seed, _device(), skip)  # noqa: E731
            source = reference.segmenter.model_dump(mode="json")
            yield _Job(task, name, "reference", seed, source, task.reference_places(name), cells)
    for floor in task.config.floors:
        for seed in seeds[: None if is_random(floor) else 1]:
            yield from _floor_jobs(task, floor, seed, networks)


def _encoder_job(task: Task, row: str, kind: str, seed: int, source: str, build: Callable[[], Encoder]) -> _Job:
    def cells(skip: frozenset[tuple[str, str]]) -> Iterator[Cell]:
        return task.encoder_cells(build().to(_device()), row, kind, seed, skip)

    return _Job(task, row, kind, seed, source, task.places(), cells)


def _floor_jobs(task: Task, floor: FloorName, seed: int, networks: "_Networks") -> Iterator[_Job]:
    places = task.floor_places(floor)
    if not places:
        return
    if not needs_encoder(floor):
        yield _Job(
            task, ROWS[floor], "floor", seed, floor, places, lambda skip: task.floor_cells(floor, seed, skip=skip)
        )
        return
    for row, arm in named(ROWS[floor], networks.of(task.config.floor_arms)).items():

        def cells(skip: frozenset[tuple[str, str]], arm: str = arm, row: str = row) -> Iterator[Cell]:
            return task.floor_cells(floor, seed, networks.build(arm, seed).to(_device()), row, skip)

        source = networks.fingerprint(arm, seed)
        yield _Job(task, row, "floor", seed, source, places, cells, is_scratch=floor == "scratch")


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


def named(row: str, groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Row name -> an arm whose network it is.

    With one network in all the row keeps its name; with several each is named after its arms.
    """
    if len(groups) == 1:
        return {row: groups[0][0]}
    return {f"{row}, as {', '.join(same)}": same[0] for same in groups}


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
