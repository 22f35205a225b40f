"""`swath corpus formats`: which published formats can be converted."""

import typer
from rich.table import Table

from swath._progress import console

app = typer.Typer()


@app.command("formats", epilog="Example: `swath corpus formats`")
def corpus_formats() -> None:
    """List the published formats that `swath corpus ingest` converts, with the settings that they need."""
    from swath import plugins
    from swath.corpus.sources import formats, needed

    table = Table("format", "what it is", "settings that it needs")
    origins = plugins.origins("swath.corpus.sources")
    for name, line in formats().items():
        line += "" if origins[name] == "swath" else f" (of {origins[name]})"
        table.add_row(name, line, "\n".join(f"{key}={'|'.join(values)}" for key, values in needed(name).items()))
    console().print(table)
