"""`swath corpus plan`: where a corpus will lie and what it will cost."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console

app = typer.Typer()


@app.command("plan", epilog="Example: `swath corpus plan cities count=1000 --to plan.parquet`")
def corpus_plan(
    what: Annotated[
        str,
        typer.Argument(metavar="RECIPE|STRATEGY", help="A recipe whose source is stac, or a strategy such as uniform."),
    ],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Overrides, or settings of the strategy.")
    ] = None,
    to: Annotated[Path, typer.Option(help="GeoParquet file to write; the map stands beside it as PNG.")] = Path(
        "plan.parquet"
    ),
    land: Annotated[
        Path | None, typer.Option(help="Polygons to draw on the map, such as Natural Earth's land.")
    ] = None,
    chip_px: Annotated[int, typer.Option(min=1, help="Of a strategy: width of a chip in pixels.")] = 264,
    gsd_m: Annotated[float, typer.Option(min=0.1, help="Of a strategy: size of a pixel in metres.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that the estimate counts on.")] = 8,
    request_ms: Annotated[float, typer.Option(min=0, help="Time of a request that the estimate counts on.")] = 100.0,
) -> None:
    """Draw the locations of a corpus, map them, and say what building it will cost."""
    from swath import pipeline

    count, cost = pipeline.plan_corpus(what, settings, to, land, chip_px, gsd_m, workers, request_ms / 1000)
    for line in cost.lines() if cost else [f"{count:,} locations"]:
        console().print(line)
    typer.echo(to)
