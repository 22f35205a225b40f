"""`swath corpus preview`: pictures of some locations of a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._arguments import CorpusArgument

app = typer.Typer()


@app.command("preview", epilog="Example: `swath corpus preview runs/quickstart/corpus --to sheet.png`")
def corpus_preview(
    path: CorpusArgument,
    to: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("preview.png"),
    locations: Annotated[int, typer.Option(min=1, max=64, help="How many locations to show.")] = 8,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
) -> None:
    """Draw a contact sheet of some locations: every sensor, several dates, labels."""
    from swath.corpus import Corpus
    from swath.products.contact_sheet import preview

    typer.echo(preview(Corpus.open(path), to, locations=locations, seed=seed))
