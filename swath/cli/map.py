"""`swath map`: predicted maps of a run's test locations, or of what a location encoder says of all places."""

from pathlib import Path
from typing import Annotated

import typer

from swath.errors import SwathError

app = typer.Typer()


@app.command("map", epilog="Example: `swath map runs/s4-belgium --task crops --input optical --row s4 --to maps`")
def map_(
    run_folder: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Folder of a run, such as runs/s4-belgium.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="A segmentation task of the run.")] = None,
    row: Annotated[str | None, typer.Option(help="An arm, floor or reference of its table.")] = None,
    input: Annotated[str | None, typer.Option(help="One of the task's inputs.")] = None,  # noqa: A002 — the tables' word
    probe: Annotated[str, typer.Option(help="As the table calls it.")] = "fine-tune",
    to: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("maps"),
    location: Annotated[
        Path | None, typer.Option(metavar="ENCODER", help="Instead of a run: a checkpoint that embeds locations.")
    ] = None,
    area: Annotated[
        str, typer.Option(metavar="W,S,E,N", help="Of --location: west, south, east and north in degrees.")
    ] = "-180,-90,180,90",
    step: Annotated[float, typer.Option(help="Of --location: width of a pixel in degrees.")] = 0.5,
    corpus: Annotated[
        Path | None, typer.Option(help="Of --location: a corpus whose locations have the column to predict.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Of --location: a scalar column of the corpus to predict.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of --location: unit of the column's numbers, where the corpus names none.")
    ] = None,
) -> None:
    """Write predicted maps of test locations: a GeoTIFF of each, and a picture beside images and labels.

    A run keeps the maps of those that are most and least right; they are in the label layer's own codes and colours.
    With --location, maps of what an encoder says of all places: its embedding as colours, and the prediction of a
    corpus's column with its uncertainty.
    """
    if location is not None:
        from swath.products.location_maps import Area, location_maps

        where = Area(*_numbers(area), step)
        for path in location_maps(location, to, area=where, corpus=corpus, column=column, unit=unit):
            typer.echo(path)
        return
    if run_folder is None or task is None or row is None or input is None:
        raise SwathError(
            "a map is of a run's task, row and input, or of a location encoder",
            remedy="give RUN, --task, --row and --input; or --location ENCODER",
        )
    from swath.products.maps import maps

    for path in maps(run_folder, to, task=task, input=input, row=row, probe=probe):
        typer.echo(path)


def _numbers(area: str) -> tuple[float, float, float, float]:
    """West, south, east and north; SwathError where it is not four numbers."""
    try:
        west, south, east, north = map(float, area.split(","))
    except ValueError:
        raise SwathError(
            f"{area!r} is not four numbers", where="--area", remedy="give west,south,east,north, such as -10,35,30,60"
        ) from None
    return west, south, east, north
