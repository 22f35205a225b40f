"""What the encoders of a run know before labels are read out of their features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from swath import tasks
from swath.config import ArmConfig, Recipe
from swath.corpus import Corpus
from swath.encoders import EncoderSettings, InputContract, load
from swath.encoders import build as build_encoder
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
    """The arms that are trained for the seed, each random twin behind the first arm that has it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    paths = {arm: arm_folder(folder, arm, seed) for arm in recipe.arms}
    trained = {arm: path / "encoder" for arm, path in paths.items() if is_trained(path)}
    twins = _twins({arm: recipe.arms[arm] for arm in trained}, corpus)
    for arm, path in trained.items():
        yield tasks.Seen(arm, "pretrained", arm, load(path).to(device), path)
        if (twin := twins[arm]).arms[0] == arm:
            with seeded(seed):
                network = build_encoder(twin.settings, twin.contract)
            row = f"random encoder, as {', '.join(twin.arms)}"
            yield tasks.Seen(row, "random-twin", ",".join(twin.arms), network.to(device))


@dataclass(frozen=True, slots=True)
class _Twin:
    """A network before its pre-training, which is the same for all arms with these settings and this contract."""

    settings: EncoderSettings
    contract: InputContract
    arms: list[str] = field(default_factory=list, compare=False)


def _twins(arms: Mapping[str, ArmConfig], corpus: Corpus) -> dict[str, _Twin]:
    found: dict[str, _Twin] = {}
    for name, arm in arms.items():
        own = _Twin(of_random_twin(arm.encoder), contract_of(arm, corpus))
        found[name] = next((twin for twin in found.values() if twin == own), own)
        found[name].arms.append(name)
    return found
