"""`swath corpus build`: a corpus from catalogues of satellite images."""

from typing import Annotated

import typer

from swath.cli._arguments import OutOption, OverridesArgument, RecipeArgument

app = typer.Typer()


@app.command("build", epilog="Example: `swath corpus build build-s1-s2-series --out runs/mine --workers 8`")
def corpus_build(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; two a core if not said.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use instead.")] = None,
) -> None:
    """Make a corpus from the catalogues that the recipe's `corpus.source` names; continues where it stopped."""
    from swath import pipeline
    from swath.config import load
    from swath.corpus.cluster import cluster as dask_cluster

    resolved = load(recipe, overrides)
    with dask_cluster(workers, cluster):
        typer.echo(pipeline.build_corpus(resolved, out).path)
