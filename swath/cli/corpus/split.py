"""`swath corpus split`: how a split parts a corpus."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from swath._progress import console
from swath.cli._arguments import CorpusArgument

app = typer.Typer()


@app.command("split", epilog="Example: `swath corpus split my-corpus by=block block_km=20 --to map.png`")
def corpus_split(
    path: CorpusArgument,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE | key=value ...]", help="A recipe's split, or settings.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Map to write, PNG or SVG.")] = None,
) -> None:
    """Say how a split parts a corpus and what it lets through: neighbours, shared groups, copies; draw its map."""
    from swath.config import load, resolve_split
    from swath.corpus import Corpus, leakage, split
    from swath.corpus.splits import independent, thin_parts, thin_test
    from swath.products.split_map import audit_rows, split_map

    settings = settings or []
    named = [one for one in settings if "=" not in one]
    overrides = [one for one in settings if "=" in one]
    config = load(named[0], [f"split.{one}" for one in overrides]).split if named else resolve_split(overrides)
    corpus = Corpus.open(path)
    rows = split(corpus, config)
    table = Table(title=f"split by {config.by}", title_justify="left", show_header=False)
    for name, value in audit_rows(leakage(corpus, rows)):
        table.add_row(name, value)
    console().print(table)
    groups = independent(corpus, config)
    by_part = {part: groups[index] for part, index in rows.items()}
    for remark in [*thin_parts(by_part, config), *thin_test(by_part["test"])]:
        console().print(remark, soft_wrap=True)
    if to:
        typer.echo(split_map(corpus, rows, to))
