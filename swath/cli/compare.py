"""`swath compare`: many runs and data sets in one leaderboard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from swath._progress import console
from swath.errors import RecipeError

if TYPE_CHECKING:
    from swath.products.leaderboard import Leaderboard

app = typer.Typer()


@app.command(
    epilog="Example: `swath compare runs/a runs/b --to page.html --to table.csv`. "
    "`swath compare --to docs/leaderboard.md --check` says whether the document holds what was written."
)
def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of evaluated runs, such as runs/a.")
    ] = None,
    to: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write .html, .md, .csv or .parquet; may be repeated."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="With --to of Markdown: write nothing; say whether the document was changed by hand, and, where "
            "runs are given, whether they say something else now.",
        ),
    ] = False,
) -> None:
    """Put runs side by side: values, claims, rows of different runs against each other, ranks, and labels saved.

    Runs on one corpus must test the same units, and learn from the same labels; those on different ones are ranked.
    """
    from swath.products import leaderboard

    if check:
        _check(runs or [], to or [])
        return
    if not runs:
        raise RecipeError(
            "no run is given", where="swath compare", remedy="give the folders of some, such as runs/a runs/b"
        )
    board = leaderboard.compare(runs)
    for path in to or ():
        typer.echo(leaderboard.write(board, path))
    if not to:
        _show(board)


def _check(runs: list[Path], documents: list[Path]) -> None:
    """Say what is not as it was written, and end with 1 if something is not."""
    from swath.products import leaderboard

    if not documents:
        raise RecipeError("--check is about a document", where="swath compare", remedy="name it: --to DOCUMENT")
    board = leaderboard.compare(runs) if runs else None
    wrong = {document: said for document in documents if (said := leaderboard.verify(document, board))}
    for document, said in wrong.items():
        typer.echo(f"{document}: {said}", err=True)
    if wrong:
        raise typer.Exit(1)


def _show(board: "Leaderboard") -> None:
    """What a terminal has room for: values, plain answers, and comparisons of different runs."""
    from swath.products import leaderboard

    printer = console()
    for part in board.parts:
        printer.print(part.data_set.name, style="bold", markup=False)
        _say(leaderboard.joined(part))
        for remark in part.remarks:
            _say(f"note: {remark}")
        for panel in part.panels:
            table = Table("row", "role", "run", panel.metric, title=panel.title, title_justify="left")
            for line, _ in panel.rows:
                table.add_row(line.row, line.role, line.run, leaderboard.value(line))
            printer.print(table)
        for answer in part.answers:
            _say(f"Does pre-training help? {answer.run}, {answer.where}: {answer.short}")
        for pair in part.comparisons:
            _say(leaderboard.sentence(pair))
    for said in (*leaderboard.summary(board), leaderboard.ranks(board)):
        _say(said)


def _say(text: str) -> None:
    console().print(text, soft_wrap=True, markup=False)
