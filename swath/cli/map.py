"""`swath map`: maps of whole scenes, of a run's test locations, or of what a location encoder says of all places."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._arguments import input_
from swath.cli._modes import Context, take_only
from swath.errors import SwathError

app = typer.Typer()
VECTORS = {".gpkg", ".geojson", ".json", ".parquet"}
"""Endings of maps of a corpus's single locations."""
OF_LOCATION = {"location", "to", "area", "step", "corpus", "column", "unit"}
OF_TEST = {"run", "task", "row", "input", "probe", "to"}
OF_PLACES = {"run", "data", "task", "row", "input", "probe", "seed", "to"}
OF_WINDOWS = {"run", "data", "to", "clip", "date", "source", "cell", "window", "overlap", "jobs", "scheduler", "device"}
OF_RUN = OF_PLACES | OF_WINDOWS | {"entropy"}
OF_ENCODER = OF_WINDOWS | {"bands"}
"""Parameters of `map_` that each of its maps depends on."""


@app.command(
    "map",
    epilog="Example: `swath map runs/landsat-zion scene.tif --row moco-v2 --to landcover.tif`. "
    "Test locations: `swath map runs/s4-belgium --task crops --input optical --row s4 --to maps`",
)
def map_(
    context: Context,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN|ENCODER]", help="Folder of a run, such as runs/s4-belgium; or a saved encoder."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[INPUT]",
            help="What to map: a raster, a folder of them, a cube, a corpus, or a YAML file of where and when in a "
            "catalogue. Without: test locations.",
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="A task of the run.")] = None,
    row: Annotated[str | None, typer.Option(help="An arm, floor or reference of its table.")] = None,
    input: Annotated[str | None, typer.Option(help="One of the task's inputs.")] = None,  # noqa: A002 — the tables' word
    probe: Annotated[str | None, typer.Option(help="As the table calls it; of test locations fine-tune.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of INPUT: of the training; by default the first one's.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Of INPUT a GeoTIFF (map.tif), or of a corpus a .gpkg, .geojson or .parquet of its locations; else a "
            "folder (maps) to write to."
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of INPUT: polygons outside of which there is nothing.")
    ] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Of INPUT: the only day to use.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Of INPUT: a recipe, or what its corpus.source says of images and quality; by default the run's own.",
        ),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="A,B", help="Of ENCODER and INPUT: band keys, where it takes any.")
    ] = None,
    cell: Annotated[
        int | None, typer.Option(help="Where chips are classified or embedded: the map's pixels, in pixels of INPUT.")
    ] = None,
    entropy: Annotated[bool, typer.Option("--entropy", help="Also write how uncertain the classes are.")] = False,
    window: Annotated[int | None, typer.Option(help="Side in pixels of what a network sees at once.")] = None,
    overlap: Annotated[int | None, typer.Option(help="Pixels that windows share, in which they are blended.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers share this file system.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU where there is one.")] = None,
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
    """Write a map of a whole scene, or maps of a run's test locations.

    With INPUT: what a run trained for a task maps it window by window, overlaps blended; it needs no more memory than a
    window, and continues where it was stopped. Beside the map lie the probabilities, a legend and a STAC item. An
    encoder alone gives a map of its embedding. Of a corpus, --to NAME.gpkg makes a row of each location instead, with
    what is said of it.

    Without INPUT: a GeoTIFF of each test location that the run has kept, those that are most and least right, and a
    picture beside images and labels. With --location: maps of what an encoder says of all places, its embedding as
    colours, and the prediction of a corpus's column with its uncertainty.
    """
    if location is not None:
        take_only(context, "a map of what an encoder says of all places (--location)", OF_LOCATION)
        from swath.products.location_maps import Area, location_maps

        where = Area(*_numbers(area), step)
        for path in location_maps(location, to or Path("maps"), area=where, corpus=corpus, column=column, unit=unit):
            typer.echo(path)
        return
    if run is None:
        raise SwathError(
            "a map is of a run's task, row and input, or of a location encoder",
            remedy="give RUN and INPUT; or RUN, --task, --row and --input; or --location ENCODER",
        )
    if data is not None:
        target = to or Path("map.tif")
        _check_input(context, run, target)
        from swath import pipeline
        from swath.products.scene_maps import How

        meant = pipeline.Result(task, row, input, probe, seed)
        if target.suffix.lower() in VECTORS:
            typer.echo(pipeline.map_locations(run, data, target, result=meant))
            return
        given, how = input_(data, source, date), How(window, overlap, jobs, scheduler, device)
        if run.is_dir():
            options = {"result": meant, "cell": cell, "entropy": entropy, "clip": clip, "how": how}
            written = pipeline.map_run(run, given, target, **options)
        else:
            named = None if bands is None else tuple(bands.split(","))
            written = pipeline.map_encoder(run, given, target, bands=named, cell=cell, clip=clip, how=how)
        for path in written:
            typer.echo(path)
        return
    take_only(context, "a map of a run's test locations (without INPUT)", OF_TEST)
    if task is None or row is None or input is None:
        raise SwathError(
            "maps of test locations are of a task, a row and an input",
            remedy="give --task, --row and --input; INPUT, a scene to map; or --location ENCODER",
        )
    from swath.products.maps import maps

    for path in maps(run, to or Path("maps"), task=task, input=input, row=row, probe=probe or "fine-tune"):
        typer.echo(path)


def _check_input(context: Context, run: Path, target: Path) -> None:
    """Raise SwathError where something is said that a map of INPUT does not use."""
    if target.suffix.lower() in VECTORS:
        remedy = "leave it out, or give --to map.tif"
        take_only(context, "a vector file of locations", OF_PLACES, where=target, remedy=remedy)
    elif run.is_dir():
        take_only(context, "a map by what a run trained", OF_RUN, where=run)
    else:
        remedy = "give the folder of a run, or leave it out"
        take_only(context, "a map of an encoder's embedding", OF_ENCODER, where=run, remedy=remedy)


def _numbers(area: str) -> tuple[float, float, float, float]:
    """West, south, east and north; SwathError where it is not four numbers."""
    try:
        west, south, east, north = map(float, area.split(","))
    except ValueError:
        raise SwathError(
            f"{area!r} is not four numbers", where="--area", remedy="give west,south,east,north, such as -10,35,30,60"
        ) from None
    return west, south, east, north
