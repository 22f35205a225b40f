"""`swath map`: predicted maps of a run's test locations."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("map", epilog="Example: `swath map runs/s4-belgium --task crops --input optical --row s4 --to maps`")
def map_(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, such as runs/s4-belgium.")],
    task: Annotated[str, typer.Option(help="A segmentation task of the run.")],
    row: Annotated[str, typer.Option(help="An arm, floor or reference of its table.")],
    input: Annotated[str, typer.Option(help="One of the task's inputs.")],  # noqa: A002 — the tables' word
    probe: Annotated[str, typer.Option(help="As the table calls it.")] = "fine-tune",
    to: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("maps"),
) -> None:
    """Write predicted maps of test locations: a GeoTIFF of each, and a picture beside images and labels.

    A run keeps the maps of those that are most and least right; they are in the label layer's own codes and colours.
    """
    from swath.products.maps import maps

    for path in maps(run_folder, to, task=task, input=input, row=row, probe=probe):
        typer.echo(path)
