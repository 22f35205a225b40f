"""`swath corpus check`: what is wrong with a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console
from swath.cli._arguments import CorpusArgument

app = typer.Typer()


@app.command("check", epilog="Example: `swath corpus check runs/quickstart/corpus --to check.html`")
def corpus_check(
    path: CorpusArgument,
    to: Annotated[Path | None, typer.Option(help="HTML page to write, with what was measured and pictures.")] = None,
    locations: Annotated[int, typer.Option(min=0, help="Locations whose pixels are looked at; 0: all.")] = 200,
    every: Annotated[
        bool, typer.Option("--all", help="Look at all of them, and compare the content hash; as --locations 0.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings make the exit code 1 as well.")] = False,
) -> None:
    """Look for what would spoil an experiment; exit code 1 if something is wrong, 0 if not.

    Index and arrays, digests of pixels and labels, nodata and ranges, copies, clouds, time between sensors, footprints,
    shifts of parts of a pixel, exchanged bands, wrong units and offsets, labels.
    """
    from swath.corpus import Corpus, examine
    from swath.corpus.checks import worst_first
    from swath.products.check_page import check_page

    corpus = Corpus.open(path)
    locations = 0 if every else locations
    sections = examine(corpus, locations or None, seed)
    findings = worst_first([finding for section in sections for finding in section.findings])
    if to:
        typer.echo(check_page(corpus, sections, to, min(locations or len(corpus), len(corpus))))
    printer = console()
    for finding in findings:
        printer.print(f"{finding.level}:", style="bold", end=" ")
        printer.print(str(finding), soft_wrap=True)
    if any(strict or finding.level == "error" for finding in findings):
        raise typer.Exit(1)
    printer.print("no errors found")
