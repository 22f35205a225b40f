"""What becomes of a run's rows when their test images change."""

from pathlib import Path

from swath import tasks
from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.products.draw import robustness

LOCATIONS = 2000


def stress(
    run: Path | str,
    *,
    wanted: tasks.Wanted | None = None,
    asked: tasks.robustness.Asked | None = None,
    most: int = LOCATIONS,
) -> list[str]:
    """Ask the rows of a finished run about its test locations under other conditions; nothing is learnt from these.

    What was trained is taken from the run, or trained by the same steps once more and checked against what the run has
    kept. Writes `conditions.csv` into `RUN/stress`, which the report shows, and finished predictions beside it.

    Args:
        run: folder of a run that is evaluated.
        wanted: of which task, inputs, probe and trainings; the first task, all its inputs and the first probe if not
            said.
        asked: which bands, dates and shifts; all that there can be if not said.
        most: largest number of test locations; more are drawn at random, the same for all rows.

    Returns:
        What a reader must know, in sentences: of what could not be done, and of rows that could not be asked.

    Raises:
        RecipeError: no run, or no such task, input, probe, band or shift.
        CorpusError: the run's corpus is not there.
    """
    folder = Path(run)
    recipe, corpus = opened(folder)
    evaluation = evaluation_of(recipe, folder, corpus, {}, most)
    said = tasks.stress(evaluation, wanted or tasks.Wanted(), asked or tasks.robustness.Asked(), folder / "stress")
    if (folder / "stress" / tasks.schema.CONDITIONS.file).is_file():
        robustness.write(folder / "stress")
    return said
