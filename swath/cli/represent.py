"""`swath represent`: what a run's features are like."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console
from swath.cli._tables import say_report

app = typer.Typer()


@app.command(
    epilog="Example: `swath represent runs/quickstart`, or `swath represent runs/mine --input optical --input radar`"
)
def represent(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run whose arms are pre-trained.")],
    task: Annotated[
        str | None, typer.Option(help="Task of the recipe whose test locations are seen; default: first.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Input of the task, the first by default; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the trainings that are seen; the first by default.")] = None,
    most: Annotated[
        int, typer.Option("--locations", min=4, max=100_000, help="Largest number of locations; of more, some.")
    ] = 2000,
) -> None:
    """Measure the features of a run's encoders and their random twins, without labels and beside them.

    Spread, dimension, likeness to each other and to indices of bands, retrieval, clusters, t-SNE and nearest neighbours
    go to RUN/represent and into the report, which is written anew.
    """
    from swath import pipeline

    for line in pipeline.represent(run_folder, task=task, inputs=inputs or (), seed=seed, most=most):
        console().print(line, soft_wrap=True)
    say_report(pipeline.report(run_folder))
