"""What becomes of a run's rows when their test images change, or when their locations are split otherwise."""

from pathlib import Path

from swath import tasks
from swath.config import Recipe
from swath.corpus import Corpus
from swath.errors import RecipeError
from swath.pipeline._evaluate import evaluation_of, untrained
from swath.pipeline._folder import arm_folder, opened
from swath.pipeline._inputs import folds
from swath.products.draw import robustness

LOCATIONS = 2000
EVERYTHING = tasks.robustness.Asked()


def stress(
    run: Path | str,
    *,
    wanted: tasks.Wanted | None = None,
    asked: tasks.robustness.Asked | None = EVERYTHING,
    splits: tasks.Splits | None = None,
    most: int | None = None,
) -> list[str]:
    """Ask the rows of a finished run about changed test images, and judge them where locations are split otherwise.

    For the first nothing is learnt anew: what was trained is taken from the run, or trained by the same steps once more
    and checked against what the run has kept. For the second the probes and floors are, and the encoders are not.
    Writes `conditions.csv`, `splits.csv` and figures into `RUN/stress`, which the report shows, and finished
    predictions beside them.

    Args:
        run: folder of a run that is evaluated.
        wanted: of which task, inputs, probe, rows and trainings; the first task, all its inputs and the first probe if
            not said.
        asked: which bands, dates and shifts; all that there can be if not said. None: no changed images.
        splits: also compare a random split with one by blocks and one by regions.
        most: largest number of test locations whose images are changed, 2,000 if not given; more are drawn at random,
            the same for all rows.

    Returns:
        What a reader must know, in sentences: of what could not be done, and of rows that were left out.

    Raises:
        RecipeError: no run, or no such task, input, probe, band or shift; or a number of locations whose images do not
            change.
        CorpusError: the run's corpus is not there, or no two of the splits can be made.
    """
    if asked is None and most is not None:
        raise RecipeError("splits alone look at all locations", where="most", remedy="leave it out")
    folder, said = Path(run), []
    recipe, corpus = opened(folder)
    out, own = folder / "stress", wanted or tasks.Wanted()
    if asked is not None:
        said += tasks.stress(evaluation_of(recipe, folder, corpus, {}, most or LOCATIONS), own, asked, out)
    if splits is not None:
        out.mkdir(parents=True, exist_ok=True)
        said += tasks.compare_splits(recipe.tasks, corpus, _encoders(recipe, folder, corpus), own, splits, out)
    robustness.write(out)
    return said


def _encoders(recipe: Recipe, folder: Path, corpus: Corpus) -> tasks.Encoders:
    """The encoders of a run, for each round over the folds those of its first seed."""
    seeds = recipe.seeds[:: len(folds(recipe, corpus))]
    paths = {
        (arm, number): arm_folder(folder, arm, seed) / "encoder"
        for arm in recipe.arms
        for number, seed in enumerate(seeds)
    }
    return tasks.Encoders(paths, lambda arm, number: untrained(recipe, corpus, {}, arm, seeds[number]), len(seeds))
