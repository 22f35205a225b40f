"""`swath corpus info`: what a corpus holds."""

import typer
from rich.table import Table

from swath._progress import console
from swath.cli._arguments import CorpusArgument

app = typer.Typer()


@app.command("info", epilog="Example: `swath corpus info runs/quickstart/corpus`")
def corpus_info(path: CorpusArgument) -> None:
    """Say what a corpus holds: sensors, bands, chips, dates, labels, statistics."""
    from swath.corpus import Corpus, info

    printer = console()
    for title, rows in info(Corpus.open(path)).items():
        table = Table(title=title, title_justify="left", show_header=bool(rows) and isinstance(rows, list))
        # folded, not cut off, where the terminal is narrow: two sensors may begin alike
        if isinstance(rows, dict):
            table.add_column()
            table.add_column(overflow="fold")
            for key, value in rows.items():
                table.add_row(str(key), str(value))
        elif rows:
            for column in rows[0]:
                table.add_column(str(column), overflow="fold")
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
        printer.print(table)
