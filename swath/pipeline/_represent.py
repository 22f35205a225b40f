"""What the encoders of a run know before labels are read out of their features."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from swath import tasks
from swath.config import Recipe
from swath.corpus import Corpus
from swath.encoders import build as build_encoder
from swath.encoders import load
from swath.encoders import untrained as of_random_twin
from swath.errors import RecipeError
from swath.pipeline._folder import arm_folder, opened
from swath.pipeline._inputs import contract_of, folds
from swath.training import seeded
from swath.training.folder import is_trained

LOCATIONS = 2000


def represent(
    run: Path | str,
    *,
    task: str | None = None,
    inputs: Sequence[str] = (),
    seed: int | None = None,
    most: int = LOCATIONS,
) -> list[str]:
    """Measure the features of a run's encoders, and of their random twins, on the test locations of a task.

    Writes `properties.csv`, `likeness.csv`, `plane.csv` and `closest.csv` into `RUN/represent`, which the report shows;
    of one training.

    Args:
        run: folder of a run whose arms are pre-trained.
        task: of the recipe; the first if not said. Of several numbers of labels, which test the same, the first.
        inputs: of the task; the first if none is said.
        seed: of the trainings; the recipe's first if not said.
        most: largest number of locations, up to 100,000; more are drawn at random.

    Returns:
        What a reader must know, in sentences.

    Raises:
        RecipeError: no such task, input or seed; the run has no trained arm, or one that saw what is tested.
        SwathError: features are not finite.
    """
    folder = Path(run)
    recipe, corpus = opened(folder)
    number = _seed(recipe, seed)
    name = _task(recipe, task)
    fold = tasks.folds_of(recipe.seeds, folds(recipe, corpus))[number]
    own = tasks.planned({name: recipe.tasks[name]}, [fold], corpus)[0]
    seen = list(_seen(recipe, corpus, folder, number))
    if not seen:
        raise RecipeError(
            f"no arm is pre-trained for seed {number}", where=str(folder), remedy="`swath pretrain` its recipe first"
        )
    return tasks.represent(own, inputs or list(recipe.tasks[name].inputs)[:1], seen, number, folder / "represent", most)


def _task(recipe: Recipe, asked: str | None) -> str:
    if not recipe.tasks or (asked is not None and asked not in recipe.tasks):
        known = ", ".join(recipe.tasks) or "none"
        raise RecipeError(f"the recipe has no task {asked or ''}".strip(), where="tasks", remedy=f"there are {known}")
    return asked or next(iter(recipe.tasks))


def _seed(recipe: Recipe, asked: int | None) -> int:
    if not recipe.seeds or (asked is not None and asked not in recipe.seeds):
        known = ", ".join(map(str, recipe.seeds)) or "none"
        raise RecipeError(f"no training has seed {asked}", where="seeds", remedy=f"there are {known}")
    return recipe.seeds[0] if asked is None else asked


def _seen(recipe: Recipe, corpus: Corpus, folder: Path, seed: int) -> Iterator[tasks.Seen]:
    """The arms that are trained for the seed, each followed by its random twin."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for arm, config in recipe.arms.items():
        path = arm_folder(folder, arm, seed)
        if not is_trained(path):
            continue
        yield tasks.Seen(arm, "pretrained", arm, load(path / "encoder").to(device), path / "encoder")
        with seeded(seed):
            twin = build_encoder(of_random_twin(config.encoder), contract_of(config, corpus))
        yield tasks.Seen(f"random encoder, as {arm}", "random-twin", arm, twin.to(device))
