"""Rows on the same locations under several ways to split them: what neighbours in the training part are worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from swath.corpus import Corpus
from swath.corpus.splits import SplitConfig, independent, rotations, split
from swath.errors import CorpusError, known_name
from swath.tasks.config import TaskConfig, by_budget
from swath.tasks.data import FeatureMemory
from swath.tasks.run.conditions import Wanted, beside_earlier
from swath.tasks.run.evaluate import Evaluation
from swath.tasks.run.jobs import Job
from swath.tasks.run.networks import BuildRandom
from swath.tasks.run.provenance import origin
from swath.tasks.run.results import Result, digest, joined
from swath.tasks.schema import PREDICTIONS, SPLIT_VALUES, SplitValue
from swath.tasks.statistics import RANDOM, Folds, StatisticsConfig, over_splits

SEEN = "the encoder saw the pixels of tested locations in its pre-training, without labels"
TRAINED = ("scratch",)
"""Floors that are trained whole: once for each fold of each split would take days."""
FEWER = 0.8
"""Share of a random fold's training locations below which those of a fold are said to be few."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The ways to split that are compared."""

    folds: int = 5
    """Number of folds of each."""
    block_km: float = 5.0
    """Side of a block, in kilometres."""
    region: str | None = None
    """Column of the locations whose values are the regions that are left out; the corpus's groups if not given."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoders:
    """The networks of a run, one of each arm for a round over its folds."""

    paths: Mapping[tuple[str, int], Path]
    """By arm and number of the round."""
    build_random: BuildRandom
    """The arm's untrained network of a round."""
    rounds: int


def compare_splits(
    tasks: Mapping[str, TaskConfig],
    corpus: Corpus,
    encoders: Encoders,
    wanted: Wanted,
    splits: Splits,
    out: Path,
    statistics: StatisticsConfig | None = None,
) -> list[str]:
    """Judge frozen encoders and floors on all labelled locations under each split, and write `splits.csv`.

    Each location is tested once under each split, so that the same units are compared. Probes and floors learn anew in
    each fold; encoders stay as the run pre-trained them. Finished results are in `out/splits`.

    Args:
        tasks: of the recipe, by name.
        corpus: where chips and labels are.
        encoders: of the run.
        wanted: which task, inputs, probe and rows.
        splits: the ways to split.
        out: folder.
        statistics: how intervals are made.

    Returns:
        What must be said: of splits that there cannot be, and of rows that are left out.

    Raises:
        RecipeError: no such task, input, probe or row, or no probe that reads frozen features.
        CorpusError: fewer than two splits can be made.
    """
    known = {key: one for name, config in tasks.items() for key, one in by_budget(name, config).items()}
    name = known_name("task", wanted.task, known)
    config, said = _frozen(name, known[name], wanted)
    schemes, impossible = _schemes(corpus, splits)
    said += impossible
    if len(schemes) < 2:
        raise CorpusError("there is nothing to compare", where=str(corpus.path), remedy="; ".join(impossible))
    memories: dict[str, FeatureMemory] = {}
    rounds = min(encoders.rounds, wanted.replicates or encoders.rounds)
    results, train = {}, {}
    for scheme, folds in schemes.items():
        evaluation = _evaluation({name: config}, folds, corpus, encoders, rounds, out / "splits" / scheme, statistics)
        for row in wanted.rows:
            known_name("row of frozen features", row, dict.fromkeys(job.row for job in evaluation.jobs), f"task {name}")
        evaluation = evaluation.of_rows(wanted.rows) if wanted.rows else evaluation
        evaluation.compute(prepare=_remembering(memories, rounds, len(folds)))
        results[scheme] = evaluation.results()
        train[scheme] = list({job.task.fold: len(job.task.parts["train"]) for job in evaluation.jobs}.values())
    about = {scheme: Folds(len(some), float(np.mean(some)), _fewer(scheme, train)) for scheme, some in train.items()}
    units = _groups(corpus, schemes)
    lines = _lines(name, config, results, about, units, statistics or StatisticsConfig())
    # which parts the recipe makes does not matter here
    origins = {item: origin(name, known[name], None, corpus.content_hash, item) for item in config.inputs}
    new = SPLIT_VALUES.frame(replace(line, origin=origins[line.input]) for line in lines)
    SPLIT_VALUES.write(out, beside_earlier(SPLIT_VALUES, new, out, tasks=known))
    return [*said, *_without_result(results)]


def _frozen(name: str, config: TaskConfig, wanted: Wanted) -> tuple[TaskConfig, list[str]]:
    """The task with what needs no training of networks, and what is left out."""
    where = f"task {name}"
    inputs = [known_name("input", one, config.inputs, where) for one in wanted.inputs]
    frozen = {probe.label(): probe for probe in config.probes if probe.supervision() is None}
    probe = frozen[known_name("probe of frozen features", wanted.probe, frozen, where)]
    floors = tuple(floor for floor in config.floors if floor.name not in TRAINED)
    lost = [floor.row for floor in config.floors if floor.name in TRAINED] + list(config.references)
    changes = {
        "probes": (probe,),
        "floors": floors,
        "references": {},
        "inputs": {key: config.inputs[key] for key in inputs or config.inputs},
    }
    said = [f"{len(lost)} left out, which would be trained for each fold: {', '.join(lost)}"] if lost else []
    return config.model_copy(update=changes), said


def _schemes(corpus: Corpus, splits: Splits) -> tuple[dict[str, list[SplitConfig]], list[str]]:
    """The folds of each way to split, and why some there cannot be."""
    dealt = {"folds": splits.folds, "fold": 0}
    by_region = (
        {"by": "group", **dealt} if splits.region is None else {"by": "column", "column": splits.region, "fold": 0}
    )
    asked = {
        "random": {"by": "location", **dealt},
        "blocks": {"by": "block", "block_km": splits.block_km, **dealt},
        "regions": by_region,
    }
    found, said = {}, []
    for name, settings in asked.items():
        try:
            found[name] = _folds(corpus, SplitConfig.model_validate(settings), name)
        except CorpusError as error:
            said.append(f"no split by {name}: {error.what}")
    return found, said


def _folds(corpus: Corpus, config: SplitConfig, name: str) -> list[SplitConfig]:
    if name == "regions" and config.by == "group" and corpus.locations["group"].is_unique:
        raise CorpusError("each location is a group of its own")
    folds = rotations(corpus, config)
    split(corpus, folds[0])  # whether there are enough units, and coordinates
    return folds


def _evaluation(
    tasks: Mapping[str, TaskConfig],
    folds: Sequence[SplitConfig],
    corpus: Corpus,
    encoders: Encoders,
    rounds: int,
    out: Path,
    statistics: StatisticsConfig | None,
) -> Evaluation:
    count = len(folds)
    arms = dict.fromkeys(arm for arm, _ in encoders.paths)
    paths = {(arm, seed): encoders.paths[arm, seed // count] for arm in arms for seed in range(count * rounds)}
    return Evaluation(
        tasks,
        folds,
        corpus,
        paths,
        lambda arm, seed: encoders.build_random(arm, seed // count),
        range(count * rounds),
        out,
        statistics,
        seen=SEEN,
    )


def _remembering(memories: dict[str, FeatureMemory], rounds: int, folds: int) -> Callable[[Job], None]:
    """Lets jobs of one encoder share features, whatever the split."""

    def prepare(job: Job) -> None:
        # random filters are drawn by the seed of the job, networks by that of the round
        drawn = job.seed // folds if job.role in ("pretrained", "random-twin") else (folds, rounds, job.seed)
        key = digest(job.row, job.role, job.of_arm, job.source, drawn)
        job.task.memory = memories.setdefault(key, FeatureMemory())

    return prepare


def _fewer(scheme: str, train: Mapping[str, Sequence[int]]) -> str:
    """What must be said of folds that learn from far fewer locations than those of the random split; empty of none."""
    usual, own = min(train.get(RANDOM, [0])), train[scheme]
    few = [count for count in own if count < FEWER * usual]
    if not few:
        return ""
    return (
        f"{len(few)} of {len(own)} folds by {scheme} {'learns' if len(few) == 1 else 'learn'} from far fewer locations "
        f"(from {min(few):,} at least, random ones from {usual:,}): part of what a random split adds is that it learns "
        "from more"
    )


def _groups(corpus: Corpus, schemes: Mapping[str, Sequence[SplitConfig]]) -> pd.Series:
    """Group of each location, the same for all splits: the coarsest units that were kept together."""
    kept = [schemes[name][0] for name in ("regions", "blocks") if name in schemes]
    groups = [_kept_together(corpus, config) for config in kept] or [independent(corpus, None)]
    uid = corpus.locations["uid"].to_numpy(dtype=str)
    return pd.Series(min(groups, key=lambda own: len(np.unique(own))), index=uid)


def _kept_together(corpus: Corpus, config: SplitConfig) -> Shaped[np.ndarray, " location"]:
    if config.by == "column":
        return corpus.locations[config.column].astype(str).to_numpy(dtype=str)
    return independent(corpus, config)


def _lines(
    task: str,
    config: TaskConfig,
    results: Mapping[str, Sequence[Result]],
    about: Mapping[str, Folds],
    group: pd.Series,
    statistics: StatisticsConfig,
) -> list[SplitValue]:
    tables = {
        name: joined(PREDICTIONS, [(r.key, r.output) for r in some]).to_pandas() for name, some in results.items()
    }
    shared = set.intersection(*(set(table["uid"]) for table in tables.values()))
    frames = [table.loc[table["uid"].isin(shared)].assign(run=name, fold=0) for name, table in tables.items()]
    predictions = pd.concat(frames, ignore_index=True)
    if predictions.empty:
        return []
    predictions["group"] = group.loc[predictions["uid"]].to_numpy()
    notes = {r.key.row: SEEN for some in results.values() for r in some if r.key.role == "pretrained"}
    lines = []
    for _, own in predictions.groupby(["input", "probe"], sort=False):
        lines += over_splits(task, own, about, notes, config.rules, statistics)
    return lines


def _without_result(results: Mapping[str, Sequence[Result]]) -> list[str]:
    lost = {
        f"{r.key.row} ({r.key.input}, {scheme}): {'; '.join(note for note in r.notes if note != SEEN)}"
        for scheme, some in results.items()
        for r in some
        if not r.output.num_rows
    }
    return [f"without a result: {line}" for line in sorted(lost)]
