"""Judging the encoders of a run, and others, on the tasks of its recipe."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from swath import config as recipes
from swath import tasks
from swath._processes import side_by_side
from swath.config import Recipe
from swath.corpus import Corpus
from swath.encoders import Encoder, fresh, load_card
from swath.encoders import build as build_encoder
from swath.encoders import untrained as of_random_twin
from swath.errors import RecipeError
from swath.pipeline._corpus import build_corpus
from swath.pipeline._folder import arm_folder, corpus_path, run_folder
from swath.pipeline._inputs import contract_of, folds, say_remarks
from swath.training import Manifest, seeded
from swath.training.folder import is_trained

SHARES = 4
"""Parts of an evaluation for each of its processes: enough that none waits long for the last."""


def evaluate(
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    encoders: Mapping[str, Path | str] | None = None,
    jobs: int = 1,
) -> Path:
    """Judge the recipe's encoders, and others that were saved anywhere, beside the floors, on its tasks.

    Args:
        recipe: a loaded recipe; it may have no arms.
        out: folder of the run; `runs/NAME` if None.
        encoders: saved encoders by the name of their row, for rows beside the recipe's arms; one for all seeds.
        jobs: how many parts at a time; see `run`.

    Returns:
        The folder of predictions.parquet, table.csv and comparisons.csv.

    Raises:
        RecipeError: an arm is not pre-trained yet, or an encoder has the name of an arm or was pre-trained on what is
            tested.
        CheckpointError: an encoder is missing or damaged.
    """
    given = {name: Path(path).absolute() for name, path in (encoders or {}).items()}
    for name in given:
        if name in recipe.arms or not recipes.is_name(name):
            why = "that is an arm of the recipe" if name in recipe.arms else "use letters, digits, '-' and '_'"
            raise RecipeError(f"an encoder cannot be called {name!r}: {why}", remedy="give it another name: NAME=PATH")
    folder = run_folder(recipe, out)
    corpus = build_corpus(recipe, folder)
    for path in (arm_folder(folder, arm, seed) for arm in recipe.arms for seed in recipe.seeds):
        if not is_trained(path):
            raise RecipeError(
                f"arm {path.parent.name!r} is not pre-trained for seed {path.name.removeprefix('seed-')}",
                where=str(path),
                remedy="`swath pretrain` first",
            )
    if not recipe.arms:  # else it is said before the first training
        say_remarks(tasks.planned(recipe.tasks, folds(recipe, corpus), corpus))
    with Manifest.stage(folder, "evaluate") as stage:
        if jobs > 1:
            shares = SHARES * jobs
            side_by_side(_evaluate_apart, [(folder, part, shares, given) for part in range(shares)], jobs, "evaluating")
        stage.figures = evaluation_of(recipe, folder, corpus, given).run()
        stage.figures |= {"encoders": {name: load_card(path).sha256 for name, path in given.items()}} if given else {}
    return folder / "evaluate"


def untrained(recipe: Recipe, corpus: Corpus, given: Mapping[str, Path], arm: str, seed: int) -> Encoder:
    """The network of an arm, or of another encoder by the name of its row, before its pre-training."""
    with seeded(seed):
        if arm in given:
            return fresh(given[arm])
        config = recipe.arms[arm]
        # where an arm starts from an encoder that is trained already, the floors do not
        return build_encoder(of_random_twin(config.encoder), contract_of(config, corpus))


def _evaluate_apart(folder: Path, part: int, parts: int, given: Mapping[str, Path]) -> None:
    """A share of the cells of a run that is pre-trained, in a process of its own."""
    recipe = recipes.load(folder / "recipe.yaml")
    evaluation_of(recipe, folder, Corpus.open(corpus_path(recipe, folder)), given).compute(part, parts)


def evaluation_of(
    recipe: Recipe, folder: Path, corpus: Corpus, given: Mapping[str, Path], most_tested: int | None = None
) -> tasks.Evaluation:
    """The evaluation of a run whose arms are trained, and of other encoders by the names of their rows.

    With `most_tested` it looks at so many of the test locations at most.
    """
    encoders = {(arm, seed): arm_folder(folder, arm, seed) / "encoder" for arm in recipe.arms for seed in recipe.seeds}
    encoders |= {(name, seed): path for name, path in given.items() for seed in recipe.seeds}
    judged = [*recipe.arms, *given]
    # the arms of a sweep are there for the effects of its axes; its best one is put to the test afterwards
    stated = [] if recipe.sweep and recipe.claims is None else recipe.claims
    claims = tasks.stated_claims(stated, recipe.tasks, judged, some_are_away=not recipe.arms)
    return tasks.Evaluation(
        recipe.tasks,
        folds(recipe, corpus),
        corpus,
        encoders,
        partial(untrained, recipe, corpus, given),
        recipe.seeds,
        folder / "evaluate",
        statistics=tasks.StatisticsConfig(claims=claims),
        label_draws=recipe.replicates.label_draws if recipe.replicates else None,
        first_draw=recipe.replicates.first_seed if recipe.replicates else 0,
        most_tested=most_tested,
    )
