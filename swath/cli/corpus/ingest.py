"""`swath corpus ingest`: a corpus from files that are there."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._arguments import OutOption, SensorsOption
from swath.errors import RecipeError, nearest

app = typer.Typer()


@app.command(
    "ingest",
    epilog="Example: `swath corpus ingest my-recipe.yaml data=~/images`, or "
    "`swath corpus ingest worldcereal-pixels ~/pixels --to corpora/pixels`. `swath corpus formats` lists the formats.",
)
def corpus_ingest(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A recipe, or the name of a published format.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH] [key=value ...]",
            help="For a format: the folder to read, and the format's settings. For a recipe: values over its own.",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the corpus; with a format.")] = None,
    out: OutOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Make a corpus from a published format, or from the files that a recipe describes; continues where it stopped."""
    from swath import pipeline
    from swath.config import load
    from swath.corpus.sources import formats
    from swath.sensors import read as read_sensors

    if what in formats():
        if sensors is not None:
            read_sensors(sensors)
        typer.echo(_ingest_format(what, arguments or [], to, out))
    elif to is not None:
        raise RecipeError(f"unknown format {what!r}", where="--to", remedy=nearest(what, formats()))
    else:
        typer.echo(pipeline.build_corpus(load(what, arguments, sensors), out).path)


def _ingest_format(name: str, arguments: list[str], to: Path | None, out: Path | None) -> Path:
    from swath import pipeline
    from swath.config import resolve_source

    example = f"swath corpus ingest {name} PATH --to CORPUS"
    if to is None or out is not None:
        raise RecipeError("a format's corpus needs a folder of its own", where=f"ingest {name}", remedy=example)
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        raise RecipeError("the folder to read is not given", where=f"ingest {name}", remedy=example)
    data, *settings = arguments
    return pipeline.make_corpus(resolve_source(name, settings), to, Path(data).expanduser()).path
