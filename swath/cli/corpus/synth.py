"""`swath corpus synth`: the synthetic landscape."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("synth", epilog="Example: `swath corpus synth /tmp/landscape locations=1000 seed=3`")
def corpus_synth(
    target: Annotated[Path, typer.Argument(help="Folder of the new corpus.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Settings of the landscape; see the docs.")
    ] = None,
) -> None:
    """Generate the synthetic landscape: a georeferenced multi-sensor world whose truth is known."""
    from swath import pipeline
    from swath.config import resolve_source

    typer.echo(pipeline.make_corpus(resolve_source("synth", settings or []), target, None).path)
