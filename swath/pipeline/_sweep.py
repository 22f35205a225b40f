"""What a sweep has besides an ordinary run: effects of its axes, and its best arm trained once more."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath import config as recipes
from swath import sweep
from swath._files import LONGEST, write_whole
from swath.config import Recipe
from swath.corpus import Corpus
from swath.corpus.splits import rotations
from swath.errors import RecipeError
from swath.pipeline._folder import corpus_path
from swath.sweep import Point, SweepConfig
from swath.tasks import by_budget, schema
from swath.training import Manifest

CONFIRMATION = "confirm"
"""Folder of the run that trains the best arm once more, in the folder of the sweep's run."""


def tell_effects(recipe: Recipe, folder: Path) -> Path:
    """Write what each axis of an evaluated sweep does: `sweep/effects.csv`, and its arms with their levels and costs.

    Returns:
        The folder of effects.csv and arms.csv.
    """
    assert recipe.sweep is not None
    target = folder / "sweep"
    target.mkdir(exist_ok=True)
    points = _points(recipe.sweep, recipe.arms)
    rules = {name: task.rules for stem, given in recipe.tasks.items() for name, task in by_budget(stem, given).items()}
    predictions = schema.PREDICTIONS.read(folder / "evaluate")
    effects = sweep.effects_of(predictions, recipe.sweep.levels, points, rules, recipe.sweep.pairs)
    sweep.EFFECTS.write(target, sweep.EFFECTS.frame(effects))
    write_whole(target / "arms.csv", _arms(recipe, folder, points).to_csv(index=False))
    return target


def confirmation(recipe: Recipe, folder: Path) -> Recipe | None:
    """The recipe that trains the best arm of an evaluated sweep with fresh seeds; None where none is asked for.

    The best is the arm that comes first in the first panel of the table. Where the split has folds that do not
    rotate, the next fold is tested: places that took no part in the choice.

    Raises:
        RecipeError: no arm has a value.
    """
    assert recipe.sweep is not None
    if not recipe.sweep.confirm:
        return None
    best = best_arm(folder)
    document = recipe.model_dump(mode="json", exclude={"sweep", "claims", "replicates", "seeds"})
    path = corpus_path(recipe, folder).absolute()
    folds = 1 if recipe.split.fold is None else len(rotations(Corpus.open(path), recipe.split))
    fresh = max(recipe.seeds) + 1
    document |= {
        "name": f"{recipe.name[: LONGEST - len(CONFIRMATION) - 1]}-{CONFIRMATION}",
        "description": f"Trainings with fresh seeds of {best}, which came first in the sweep {recipe.name}.",
        **_repeated(recipe, fresh, folds),
        "arms": {best: document["arms"][best]},
        "corpus": {"path": str(path)},
    }
    if folds > 1 and not recipe.rotate:
        document["split"]["fold"] = (int(document["split"]["fold"]) + 1) % folds
    for task in document["tasks"].values():
        task["floor_arms"] = [arm for arm in task["floor_arms"] if arm == best]
    return recipes.resolve(document, where=f"the confirmation of {recipe.name}")


def _repeated(recipe: Recipe, first: int, folds: int) -> dict[str, Any]:
    """The seeds of a confirmation, given as the sweep gives its own: as replicates, or as a list."""
    assert recipe.sweep is not None
    trainings = recipe.sweep.confirm
    if recipe.replicates is None:
        return {"seeds": list(range(first, first + trainings * (folds if recipe.rotate else 1)))}
    return {"replicates": recipe.replicates.model_dump() | {"trainings": trainings, "first_seed": first}}


def set_aside(folder: Path, once_more: Recipe) -> None:
    """Rename an earlier confirmation, of another arm or with fewer seeds, to `confirm-1` and so on."""
    stored = folder / CONFIRMATION / "recipe.yaml"
    if not stored.is_file():
        return
    there = recipes.load(stored)
    if list(there.arms) == list(once_more.arms) and once_more.seeds[: len(there.seeds)] == there.seeds:
        return
    number = next(n for n in itertools.count(1) if not (folder / f"{CONFIRMATION}-{n}").exists())
    (folder / CONFIRMATION).rename(folder / f"{CONFIRMATION}-{number}")


def best_arm(folder: Path) -> str:
    """The arm that comes first in the first panel of an evaluated run, by what is good of its metric."""
    first = sweep.ranked(schema.TABLE.read(folder / "evaluate", role="pretrained"))
    if first.empty:
        raise RecipeError("no arm has a value, so none is the best", where=str(folder / "evaluate" / "notes.csv"))
    return str(first["row"].iloc[0])


def _points(config: SweepConfig, arms: Iterable[str]) -> dict[str, Point]:
    every = config.combinations()
    return {name: every[name] for name in arms}


def _arms(recipe: Recipe, folder: Path, points: Mapping[str, Point]) -> pd.DataFrame:
    """A line for each arm and panel: its levels, its value with the interval, and what one training took."""
    table = schema.TABLE.read(folder / "evaluate", role="pretrained")
    shown = pd.DataFrame(table[[*sweep.PANEL, "value", "low", "high"]]).assign(arm=table["row"])
    levels = pd.DataFrame([{"arm": arm, **point} for arm, point in points.items()])
    costs = pd.DataFrame([{"arm": arm, **_cost(recipe, folder, arm)} for arm in points])
    return levels.merge(shown, on="arm", how="left").merge(costs, on="arm")


def _cost(recipe: Recipe, folder: Path, arm: str) -> dict[str, float]:
    """Mean over its trainings: seconds by the clock, and locations seen."""
    stages = [stage for stage in Manifest.open(folder).stages if stage.stage == "pretrain" and stage.arm == arm]
    steps = [stage.figures.get("step", np.nan) for stage in stages]
    seen = np.mean(steps) * recipe.arms[arm].training.samples_per_step if steps else np.nan
    return {
        "seconds": round(float(np.mean([stage.seconds for stage in stages])), 3) if stages else np.nan,
        "samples": float(seen),
    }
