"""`swath explain`: why a row of a run says what it says, by pixel, band and date."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._modes import Context, refuse
from swath.cli._tables import say_report

app = typer.Typer()
GRAD_CAM = "grad-cam"
"""The method that has a layer."""


@app.command(
    epilog="Example: `swath explain runs/s4-canada --task crops --row s4 --input optical --class maize --to why`. "
    "Certain locations: `--locations AT-1 --locations AT-2`; several rows side by side: `--row s4 --row scratch`"
)
def explain(
    context: Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, such as runs/quickstart.")],
    task: Annotated[str | None, typer.Option(help="A task of the run.")] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="An arm, floor or reference of its table; may be repeated, for several side by side."),
    ] = None,
    input: Annotated[str | None, typer.Option(help="One of the task's inputs.")] = None,  # noqa: A002 — the tables' word
    probe: Annotated[str | None, typer.Option(help="As the table calls it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the training; by default the first one's.")] = None,
    locations: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="A location; may be repeated. Without: of the test part.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many test locations, where none is named.")] = 6,
    class_: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Explain this class, and not what is said.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="fullgrad, grad-cam, integrated-gradients or occlusion; may be repeated. Without: all."),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Of --method grad-cam: the layer, as the network calls it.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder to write to. Without: into RUN/explained, and the report anew.")
    ] = None,
) -> None:
    """Show which pixels, bands and dates a result rests on, and whether that is so.

    Writes a picture and a GeoTIFF of each location, and tables: what is due to each band and date (attributions.csv),
    whether what is said falls faster when that is removed first than in an order that knows nothing, and whether the
    map changes with shuffled weights (checks.csv).
    """
    if locations:
        refuse(context, "an explanation of named locations", {"count"})
    if GRAD_CAM not in (method or ()):
        remedy = f"add --method {GRAD_CAM}, or leave it out"
        refuse(context, f"an explanation without --method {GRAD_CAM}", {"layer"}, remedy=remedy)
    from swath import pipeline
    from swath.products.explain import attributions
    from swath.products.explain.attributions import grad_cam

    methods = attributions.settings(method) if method else None
    if methods is not None and layer is not None:
        methods = [grad_cam.Config(layer=layer) if one.name == GRAD_CAM else one for one in methods]
    rows = row or []
    written = pipeline.explain_run(
        run,
        to,
        result=pipeline.Result(task, rows[0] if rows else None, input, probe, seed),
        beside=rows[1:],
        locations=locations or (),
        count=count,
        methods=methods,
        of_class=class_,
    )
    for path in written:
        typer.echo(path)
    if to is None:
        say_report(pipeline.report(run))
