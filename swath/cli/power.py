"""`swath power`: what it would take to tell a difference apart."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from swath._progress import console

app = typer.Typer()


@app.command(epilog="Example: `swath power runs/quickstart --difference 3`")
def power(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of an evaluated run, such as runs/quickstart.")
    ],
    difference: Annotated[
        float, typer.Option(min=1e-6, help="In percentage points; of a metric that is no share, in its own unit.")
    ],
) -> None:
    """Say how many trainings or groups a difference of that size takes, by the variances that a run found."""
    from swath.errors import SwathError
    from swath.products import words
    from swath.tasks import needed_for

    try:
        lines = needed_for(run_folder / "evaluate", difference)
    except FileNotFoundError:
        raise SwathError(
            "the run has no claims", where=str(run_folder), remedy="run `swath evaluate` with its recipe again"
        ) from None
    table = Table("claim", "detectable", "trainings", "needed", "groups", "needed")
    for line in lines:
        needed = ["–" if number is None else str(number) for number in (line.trainings_needed, line.groups_needed)]
        row = (
            line.claim,
            words.size(line.metric, line.detectable, line.unit),
            line.trainings,
            needed[0],
            line.groups,
            needed[1],
        )
        table.add_row(*map(str, row))
    console().print(table)
    console().print(
        f"trainings: of each fold; needed: to see a difference of {difference:g} (points of a share) with a chance of "
        "80 %, with the other number as it is; –: no number up to 64 times as many will do, or nothing is known of "
        "trainings"
    )
