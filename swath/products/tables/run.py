"""Reading a run directory, whole or half-finished: what is missing is empty, what is broken is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from swath import _yaml
from swath._files import read_json
from swath.corpus.splits import SplitConfig
from swath.errors import RecipeError, SwathError
from swath.products.tables.sweep import Sweep, read_sweep
from swath.sensors import declare
from swath.settings import plainly
from swath.sweep import EFFECTS
from swath.tasks import TaskConfig, by_budget, listed_budgets, origin, schema

MANIFEST_FORMAT = 1
"""Newest manifest format that this version reads."""
T = TypeVar("T")


class _Training(BaseModel):
    collapse: dict[str, Any] | None = None


class _Arm(BaseModel):
    training: _Training | None = None


class _Task(BaseModel):
    target: dict[str, Any] | None = None


class _Recipe(BaseModel):
    arms: dict[str, _Arm | None] | None = None
    tasks: dict[str, _Task | None] | None = None
    seeds: list[Any] | None = None


class _Stage(BaseModel):
    stage: str = ""
    arm: str | None = None
    seconds: float | None = None
    jobs: int = 1
    figures: dict[str, Any] | None = None


class _Corpus(BaseModel):
    path: str | None = None
    definitions: dict[str, Any] | None = None


class _Manifest(BaseModel):
    """What is read of a manifest, and of which form it has to be; anything may be missing."""

    format: int = 0
    name: str | None = None
    recipe: _Recipe | None = None
    stages: list[_Stage] | None = None
    corpus: _Corpus | None = None
    machine: dict[str, Any] | None = None
    packages: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """Everything that a run's files say, apart from the chips and the single predictions."""

    path: Path
    manifest: dict[str, Any]
    recipe_text: str
    """The resolved recipe, as YAML."""
    logs: dict[tuple[str, int], pd.DataFrame]
    """Pre-training logs by arm and seed."""
    table: pd.DataFrame
    """`evaluate/table.csv`; `per_seed` holds tuples of floats. Empty if nothing was evaluated."""
    comparisons: pd.DataFrame
    classes: dict[str, list[str]]
    """Class names by task."""
    tasks: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`evaluate/tasks.csv`: what each task learns from, with each of its numbers of labels."""
    clouds: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`evaluate/clouds.csv`: differences between rows in bins of cloud."""
    cloud_levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`evaluate/cloud_levels.csv`: rows under painted clouds."""
    cloud_gains: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`evaluate/cloud_gains.csv`: differences between rows under painted clouds."""
    claims: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`evaluate/claims.csv`: what came of the comparisons that the experiment was made for."""
    sweep: Sweep | None = None
    """The tables of `sweep/`; None of a run that is no sweep, or while its effects are not known."""
    problems: tuple[str, ...] = field(default=())
    """What could not be read, in words."""

    @property
    def name(self) -> str:
        """Name of the run, as its manifest or its folder says."""
        return str(self.manifest.get("name") or self.path.name)

    @property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe."""
        return self.manifest.get("recipe") or {}

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The executed stages, in order."""
        return self.manifest.get("stages") or []

    @property
    def arms(self) -> list[str]:
        """Arms in the recipe's order, then any others that left logs or results."""
        pretrained = self.table.loc[self.table["role"] == "pretrained", "row"]
        arms = [*(self.recipe.get("arms") or {}), *(arm for arm, _ in self.logs), *pretrained]
        return list(dict.fromkeys(str(arm) for arm in arms))

    @property
    def corpus_path(self) -> Path | None:
        """The folder of the corpus if there is one: where the manifest says, else in the run."""
        stated = (self.manifest.get("corpus") or {}).get("path")
        candidates = [self.path / "corpus"]
        if stated:
            candidates = [Path(stated), self.path / stated, *candidates]
        return next((path for path in candidates if (path / "corpus.json").is_file()), None)

    def predictions(self, task: str, input: str, probe: str, row: str) -> pd.DataFrame:  # noqa: A002 — the column's name
        """Predictions of one row of a panel, of all trainings; empty if there are none."""
        return self._of_row(schema.PREDICTIONS, task=task, input=input, probe=probe, row=row)

    def validation(self, task: str, input: str, probe: str, row: str) -> pd.DataFrame:  # noqa: A002 — the column's name
        """Class scores of one row for the validation part, of all trainings; empty if none were kept."""
        return self._of_row(schema.VALIDATION, task=task, input=input, probe=probe, row=row)

    def maps(self, task: str, input: str, probe: str, row: str) -> pd.DataFrame:  # noqa: A002 — the column's name
        """Labels and predictions of some units of a segmentation, for the row's first replicate; empty if none."""
        kept = self._of_row(schema.MAPS, task=task, input=input, probe=probe, row=row)
        return kept if kept.empty else kept.loc[kept["replicate"] == kept["replicate"].min()]

    def _of_row(self, table: schema.Table, **only: str) -> pd.DataFrame:
        try:
            return table.read(self.path / "evaluate", **only)
        except FileNotFoundError:
            return table.frame()

    def target(self, task: str) -> dict[str, Any]:
        """How the task's locations get their classes, as the recipe says."""
        return self._task_settings(task).get("target") or {}

    def folds(self, task: str) -> int:
        """How many folds of a task are tested in turn; 1 where splits do not rotate, or nothing says so."""
        return int(self.tasks.loc[self.tasks["task"] == task, "fold"].nunique()) or 1 if len(self.tasks) else 1

    def unit(self, task: str) -> str:
        """Unit of the numbers that a task estimates; empty where they have none, and of classes."""
        if "unit" not in self.tasks:
            return ""
        return next(iter(self.tasks.loc[self.tasks["task"] == task, "unit"]), "")

    def of_now(self, lines: pd.DataFrame, *, parted: bool = True) -> pd.Series:
        """Whether lines are of labels, parts and images that the recipe's tasks have; of those of earlier versions of
        swath, which do not say so, whether there is such a task.

        Args:
            lines: with `task`, `input` and, in tables of this version, `origin`.
            parted: whether the parts that the recipe makes matter.
        """
        said = lines["origin"] if "origin" in lines else pd.Series("", index=lines.index)
        keys = list(zip(lines["task"], lines["input"], strict=True))
        now = {key: self._origin(*key, parted=parted) for key in dict.fromkeys(keys)}
        same = [
            own is None or (bool(own) and was in ("", own)) for was, own in zip(said, map(now.get, keys), strict=True)
        ]
        return pd.Series(same, index=lines.index, dtype=bool)

    def _origin(self, task: str, item: str, *, parted: bool) -> str | None:
        """What `swath.tasks.origin` says of an input; empty if there is none such, None where that is not known."""
        corpus, split = (self.manifest.get("corpus") or {}).get("hash"), self.recipe.get("split")
        if self._tasks_of_now is None or corpus is None or split is None:
            return None
        if task not in self._tasks_of_now:
            return ""
        parts = SplitConfig.model_validate(split) if parted else None
        return origin(task, self._tasks_of_now[task], parts, corpus, item)

    @cached_property
    def _tasks_of_now(self) -> dict[str, TaskConfig] | None:
        """The recipe's tasks by the tables' names; None where they cannot be read."""
        try:
            stated = {name: TaskConfig.model_validate(own) for name, own in (self.recipe.get("tasks") or {}).items()}
        except (SwathError, ValidationError):
            return None
        return {key: one for name, config in stated.items() for key, one in by_budget(name, config).items()}

    def recipe_task(self, task: str) -> str:
        """The recipe's name of a task, which may be one of its numbers of labels (`crops@10%`, `crops@5-shot`)."""
        return self._recipe_tasks.get(task, task)

    @cached_property
    def _recipe_tasks(self) -> dict[str, str]:
        stated = {name: settings or {} for name, settings in (self.recipe.get("tasks") or {}).items()}
        return {
            budget.task_name(name): name
            for name, task in stated.items()
            for budget in listed_budgets(task.get("label_fractions") or (), task.get("labels_per_class"))
        }

    def _task_settings(self, task: str) -> dict[str, Any]:
        return (self.recipe.get("tasks") or {}).get(self.recipe_task(task)) or {}


def load(path: Path) -> Run:
    """Read a run directory.

    Raises:
        SwathError: there is no run at that path, or its manifest cannot be read.
    """
    manifest = _manifest(path)
    problems: list[str] = []
    _declare_sensors(manifest, problems)
    if not manifest.get("recipe"):  # it is there once there is a corpus
        manifest["recipe"] = _lenient(path / "recipe.yaml", _recipe, {}, problems)
    evaluate = path / "evaluate"
    table = _table(evaluate, schema.TABLE, problems)
    return Run(
        path=path,
        manifest=manifest,
        recipe_text=_lenient(path / "recipe.yaml", _text, "", problems),
        logs=_logs(path / "pretrain", problems),
        table=table,
        comparisons=_of_known_tasks(_table(evaluate, schema.COMPARISONS, problems), table, problems),
        classes=_lenient(evaluate / "classes.json", _classes, {}, problems),
        tasks=_table(evaluate, schema.TASKS, problems),
        clouds=_table(evaluate, schema.CLOUDS, problems),
        cloud_levels=_table(evaluate, schema.CLOUD_LEVELS, problems),
        cloud_gains=_table(evaluate, schema.CLOUD_GAINS, problems),
        claims=_table(evaluate, schema.CLAIMS, problems),
        sweep=_sweep(path, manifest, problems),
        problems=tuple(problems),
    )


def stage_name(stage: Mapping[str, Any]) -> str:
    """A stage in words: `pretrain of byol, seed 0`, or the stage alone."""
    name = str(stage.get("stage", "?"))
    if stage.get("arm") is not None:
        name += f" of {stage['arm']}"
    if stage.get("seed") is not None:
        name += f", seed {stage['seed']}"
    return name


def seconds_in_all(stages: Sequence[Mapping[str, Any]]) -> float:
    """Seconds that a manifest's stages took together, those that ran side by side counted once."""
    return sum((stage.get("seconds") or 0.0) / (stage.get("jobs") or 1) for stage in stages)


def _declare_sensors(manifest: dict[str, Any], problems: list[str]) -> None:
    """Make the run's own sensors known: its tables name their bands, and its corpus may be elsewhere."""
    try:
        declare((manifest.get("corpus") or {}).get("definitions") or {}, "the run's manifest")
    except RecipeError as error:
        problems.append(f"The run's own sensors cannot be read: {error.what}")


def _manifest(path: Path) -> dict[str, Any]:
    file = path / "manifest.json"
    try:
        manifest = _json(file)
    except (FileNotFoundError, NotADirectoryError):
        raise _no_run(path) from None
    except (OSError, ValueError) as error:
        raise SwathError(
            f"cannot read the run's manifest: {error}", where=str(file), remedy="run the recipe again to write it anew"
        ) from None
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        raise SwathError(
            f"the run's manifest is damaged: {'.'.join(map(str, first['loc']))}: {plainly(first)}",
            where=str(file),
            remedy="run the recipe again to write it anew",
        ) from None
    if manifest.get("format", 0) > MANIFEST_FORMAT:
        raise SwathError("the manifest is of a newer format", where=str(file), remedy="update swath")
    return manifest


def _no_run(path: Path) -> SwathError:
    """What is there instead of a run, and what to give instead of that."""
    remedy = "give the folder that `swath run` or `swath pretrain` made, such as runs/quickstart"
    if path.is_file():
        kind = {".md": "a document", ".html": "a page"}.get(path.suffix.lower(), "a file")
        run = next((folder for folder in path.absolute().parents if (folder / "manifest.json").is_file()), None)
        what, remedy = f"it is {kind}, and no folder of a run", remedy if run is None else f"give its run: {run}"
    elif not path.is_dir():
        what = "there is no such folder"
    elif runs := [str(one.parent) for one in sorted(path.glob("*/manifest.json"))]:
        what = "there is no manifest.json, but there are some in folders of it"
        remedy = f"give {', '.join(runs[:3])}{' or another' if len(runs) > 3 else ''}"
    else:
        what = "there is no manifest.json" + ("" if any(path.glob("*")) else ", nor anything else")
    return SwathError(f"no run here: {what}", where=str(path), remedy=remedy)


def _table(folder: Path, table: schema.Table, problems: list[str]) -> pd.DataFrame:
    """A table of the evaluation; without rows where it is missing or broken.

    Raises:
        SwathError: an earlier version of swath wrote it, which did not say what a row is.
    """
    return _lenient(folder / table.file, lambda _: table.read(folder), table.frame(), problems)


def _sweep(path: Path, manifest: dict[str, Any], problems: list[str]) -> Sweep | None:
    """The tables of a sweep; None where there are none, or they are damaged, which is noted."""
    if not (path / "sweep" / EFFECTS.file).is_file():
        return None

    def confirmed(folder: Path) -> tuple[pd.DataFrame, int | None]:
        again = load(folder)
        return again.table, _fold(again.manifest)

    try:
        return read_sweep(path, _fold(manifest), confirmed)
    except (SwathError, OSError, ValueError, KeyError) as error:
        problems.append(f"The sweep cannot be shown: {error}")
        return None


def _fold(manifest: dict[str, Any]) -> int | None:
    return ((manifest.get("recipe") or {}).get("split") or {}).get("fold")


def _of_known_tasks(comparisons: pd.DataFrame, table: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    """The comparisons of tasks that the table of values has too; of others no metric is known."""
    strange = set(comparisons["task"]) - set(table["task"])
    if strange and len(table):
        named = ", ".join(sorted(strange))
        problems.append(f"comparisons.csv speaks of tasks that table.csv does not have: {named}")
    return comparisons.loc[~comparisons["task"].isin(list(strange))]


def _lenient(file: Path, read: Callable[[Path], T], otherwise: T, problems: list[str]) -> T:
    """What the file says; if it is missing `otherwise`, if it is broken too, and the problem is noted."""
    if not file.is_file():
        return otherwise
    try:
        return read(file)
    except schema.OldTableError:
        raise
    # a report of a broken run is still wanted, so whatever a parser raises becomes a line in it
    except (SwathError, OSError, ValueError, KeyError, TypeError) as error:
        problems.append(f"{file.parent.name}/{file.name} cannot be read: {error}")
        return otherwise


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _recipe(file: Path) -> dict[str, Any]:
    try:
        content, _ = _yaml.read(_text(file))
    except SwathError as error:
        raise ValueError(error.what) from None
    if not isinstance(content, dict):
        raise TypeError("it is no recipe")
    return content


def _json(file: Path) -> Any:
    return read_json(file)


def _classes(file: Path) -> dict[str, list[str]]:
    said = _json(file)
    if not isinstance(said, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in said.values()
    ):
        raise ValueError("it does not list the names of each task's classes")
    return said


def _logs(folder: Path, problems: list[str]) -> dict[tuple[str, int], pd.DataFrame]:
    logs = {}
    for file in sorted(folder.glob("*/seed-*/log.csv")):
        seed = file.parent.name.removeprefix("seed-")
        log = _lenient(file, pd.read_csv, None, problems)
        if log is not None and seed.isdigit() and {"step", "loss"} <= set(log.columns):
            logs[file.parent.parent.name, int(seed)] = log.apply(pd.to_numeric, errors="coerce")
    return logs
