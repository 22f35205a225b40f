"""`swath report`: the HTML page of a run, or its tables in a document."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._modes import Context, refuse
from swath.cli._tables import say_report
from swath.errors import RecipeError

app = typer.Typer()


@app.command(
    epilog="Example: `swath report runs/quickstart`, or `swath report runs/a runs/b --into docs/results.md`. "
    "`swath report --into docs/results.md --check` says what in the document is not what was written."
)
def report(
    context: Context,
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Folders of runs, such as runs/quickstart.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Write the runs' tables, and what they mean in words, into this Markdown document instead."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="With --into: folder for a figure of each run.")] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="With --into: write nothing; say what in the document differs, and which runs have changed.",
        ),
    ] = False,
) -> None:
    """Write the run's report anew, one HTML file that needs no network; or its tables into a document."""
    if not runs and not check:
        raise RecipeError("no run is given", where="swath report", remedy="give the folder of one, such as runs/mine")
    if into is None:
        refuse(context, "a run's own page", {"images", "check"}, remedy="name a document: --into DOCUMENT")
        _report_each(runs or [])
    elif check:
        refuse(context, "a check, which writes nothing,", {"images"})
        _check_document(into, runs or [])
    else:
        from swath.products import documents

        typer.echo(documents.write(runs or [], into, images))


def _report_each(runs: list[Path]) -> None:
    from swath import pipeline

    for run_folder in runs:
        say_report(pipeline.report(run_folder))


def _check_document(document: Path, runs: list[Path]) -> None:
    from swath.products import documents

    problems = documents.verify(document)
    problems += [f"{name}: the run says something else than {document}" for name in documents.stale(document, runs)]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
