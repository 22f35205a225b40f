"""`swath explore`: a local page on an index of embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console
from swath.cli._modes import Context, refuse, refuse_alone
from swath.errors import UNPRINTABLE

app = typer.Typer()


@app.command(epilog="Example: `swath explore embeddings.parquet --classes water,forest,crop`")
def explore(
    context: Context,
    index: Annotated[
        Path, typer.Argument(metavar="RUN|INDEX", help="GeoParquet file of swath embed, or the folder of a run.")
    ],
    classes: Annotated[
        str | None, typer.Option(metavar="A,B", help="Declare classes that are not there yet, as the page does.")
    ] = None,
    open_: Annotated[
        Path | None,
        typer.Option("--open", metavar="FILE", help="Vector file of points or polygons whose classes become labels."),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Of --open: the column of classes; `class`, or the only one of texts, by default."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where labels are kept; beside the index by default.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="The corpus of the index, for pictures; where the index says by default.")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Of a run: the arm whose encoder embeds its corpus.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; a free one by default.")] = 0,
) -> None:
    """Look at embeddings in a browser: a map, what is like a location, labels, and what a classifier makes of them.

    The page is there for this machine alone, at an address that is printed, and needs no network. Labels are saved as
    they are given, and are there again the next time. Ctrl-C ends it. Of a run, the corpus is embedded at first.
    """
    refuse_alone(context, {"column": "open_"})
    if not index.is_dir():
        refuse(context, "an index", {"arm"}, where=index, remedy="leave it out, or give the folder of a run")
    from swath.pipeline import run_index
    from swath.products.explore import Explorer, serve

    if index.is_dir():
        index = run_index(index, arm)
    with Explorer.open(index, labels, corpus) as explorer:
        notes = list(explorer.notes)
        explorer.declare_missing([name.strip() for name in (classes or "").split(",") if name.strip()])
        if open_ is not None:
            notes += explorer.read_labels(open_, column)
        for note in notes:
            console().print(UNPRINTABLE.sub("?", note), soft_wrap=True, markup=False)
        serve(explorer, port, _say)


def _say(address: str) -> None:
    typer.echo(address)
    console().print("open this address in a browser on this machine; Ctrl-C ends it", soft_wrap=True)
