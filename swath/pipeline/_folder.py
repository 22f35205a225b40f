"""A run's folder: where its parts lie, and which recipe it belongs to."""

from pathlib import Path
from typing import Any

from swath import config as recipes
from swath._files import write_whole
from swath.config import Recipe
from swath.corpus import Corpus, CorpusInfo
from swath.corpus.sources import ANSWERS
from swath.errors import CorpusError, RecipeError
from swath.settings import differences
from swath.training import Manifest
from swath.training.folder import has_begun


def run_folder(recipe: Recipe, out: Path | str | None) -> Path:
    """The folder of this recipe's run, made if needed; it holds the resolved recipe.

    Raises:
        RecipeError: the folder holds a run of a recipe that says something else.
    """
    folder = Path(out) if out else Path("runs") / recipe.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(
            f"cannot make the run's folder: {said}", where=str(folder), remedy="give another with --out"
        ) from error
    stored = folder / "recipe.yaml"
    there = recipes.load(stored) if stored.exists() else None
    changed = _changed(there, recipe, folder) if there else ()
    if said := "\n".join(f"    {change}" for change in changed):
        raise RecipeError(
            f"the folder holds a run of another recipe:\n{said}",
            where=str(folder),
            remedy="give another folder with --out, or remove this one to start anew",
        )
    write_whole(stored, recipes.dump(recipe))
    return folder


def corpus_path(recipe: Recipe, folder: Path) -> Path:
    """Where the corpus of a recipe's run is."""
    return recipe.corpus.path or folder / "corpus"


def opened(folder: Path) -> tuple[Recipe, Corpus]:
    """The recipe and the corpus of a run that is there.

    Raises:
        RecipeError: there is no run.
        CorpusError: its corpus cannot be opened, or is another than the one that the run was made on.
    """
    if not (folder / "recipe.yaml").is_file():
        raise RecipeError(
            "no run here: there is no recipe.yaml", where=str(folder), remedy="give the folder that `swath run` made"
        )
    recipe = recipes.load(folder / "recipe.yaml")
    corpus = Corpus.open(corpus_path(recipe, folder))
    was = Manifest.open(folder).corpus.get("hash", corpus.content_hash)
    if was != corpus.content_hash:
        raise CorpusError(
            f"the corpus is another than the one that the run in {folder} was made on: its content hash was "
            f"{was[:16]}…, and is {corpus.content_hash[:16]}…",
            where=str(corpus.path),
            remedy="bring the earlier corpus back, or do the run again in another folder",
        )
    return recipe, corpus


def arm_folder(run: Path, arm: str, seed: int) -> Path:
    """Where one pre-training lives."""
    return run / "pretrain" / arm / f"seed-{seed}"


def has_trained(folder: Path) -> bool:
    """Whether a run holds anything of a pre-training that another recipe or corpus would belie."""
    return any(map(has_begun, (folder / "pretrain").glob("*/*")))


def _changed(there: Recipe, recipe: Recipe, folder: Path) -> list[str]:
    """What of a run's recipe is another, and would belie what its folder holds."""
    was, now = fixed(there), fixed(recipe)
    if now["seeds"][: len(was["seeds"])] == was["seeds"]:
        now["seeds"] = was["seeds"]  # further trainings stand beside those that are there
    if not has_trained(folder):
        # nothing was trained: only the corpus depends on the recipe
        was, now = ({"corpus": one["corpus"]} for one in (was, now))
    for arm in {*was.get("arms", ()), *now.get("arms", ())}:
        if not any(map(has_begun, (folder / "pretrain" / arm).glob("*"))):
            # an arm whose first steps failed may be mended, or left out
            was["arms"].pop(arm, None)
            now["arms"].pop(arm, None)
    return list(differences(was, now)) if _begun(there, folder) else []


def _begun(recipe: Recipe, folder: Path) -> bool:
    """Whether a folder holds anything that a change of the recipe would belie: a stored location is the first."""
    path = corpus_path(recipe, folder)
    if not (path / "corpus.json").exists():
        return False
    # a whole corpus has locations; its index need not be read to know
    return CorpusInfo.read(path).complete or len(Corpus.open(path)) > 0


def fixed(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe may not change once its run has begun."""
    # tasks may change: finished cells are kept under a hash of all that they depend on, and a gauge teaches nothing
    content = recipe.model_dump(
        mode="json",
        exclude={"data", "description", "tasks", "knn_task", "claims", "replicates", "sweep"},
    )
    if content["corpus"]["source"]:
        for key in ANSWERS:
            content["corpus"]["source"].pop(key, None)
    return content
