"""`swath export model`: an encoder, or what a run trained for a task, as a graph that runs without swath."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from swath.cli._modes import Context, take_only

if TYPE_CHECKING:
    from swath.products.model_export import Format as FormatName

app = typer.Typer()
OF_ANY = {"encoder", "format", "to", "counts", "check_on"}
OF_RUN = OF_ANY | {"task", "row", "input", "probe", "seed"}
OF_ENCODER = OF_ANY | {"bands", "dense"}
"""Parameters of `model` that each kind of graph depends on."""


class Format(StrEnum):
    """Kinds of files."""

    pt2 = "pt2"
    onnx = "onnx"


@app.command(
    epilog="Example: `swath export model runs/mine/pretrain/byol/seed-0/encoder --format onnx --to out/byol`. "
    "With its head: `swath export model runs/mine --row byol --probe linear --format onnx --to out/landcover`"
)
def model(
    context: Context,
    encoder: Annotated[
        Path,
        typer.Argument(
            metavar="ENCODER|RUN",
            help="A saved encoder: the path of its files, with or without suffix; or the folder of a run.",
        ),
    ],
    format: Annotated[Format, typer.Option(help="For torch.export.load, or for ONNX's runtimes.")],  # noqa: A002
    to: Annotated[Path, typer.Option(help="Files to write, without suffix; the encoder's own are copied there.")],
    bands: Annotated[
        str | None,
        typer.Option(metavar="KEY,KEY", help="What the channels hold, where the encoder takes several inputs."),
    ] = None,
    dense: Annotated[bool, typer.Option("--dense", help="Give maps of features as well.")] = False,
    counts: Annotated[
        bool, typer.Option("--counts", help="Take counts as stored, instead of physical values.")
    ] = False,
    check_on: Annotated[Path | None, typer.Option(metavar="CORPUS", help="Check on chips of a corpus as well.")] = None,
    task: Annotated[str | None, typer.Option(help="Of RUN: one of its tasks.")] = None,
    row: Annotated[str | None, typer.Option(help="Of RUN: an arm, floor or reference of its table.")] = None,
    input: Annotated[str | None, typer.Option(help="Of RUN: one of the task's inputs.")] = None,  # noqa: A002 — the tables' word
    probe: Annotated[str | None, typer.Option(help="Of RUN: as the table calls it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of RUN: of the training; by default the first one's.")] = None,
) -> None:
    """Write a saved encoder as a graph (torch.export or ONNX) that takes pixels as they are, and runs without swath.

    Units, statistics and invalid pixels are dealt with inside; batch, size and dates may have any length. It is run
    before it is let be, and has to give what the encoder gives. Beside it: a STAC item (MLM), and the encoder.

    Of a run it is the encoder with the head that was fitted for a task, or the whole network: probabilities of classes,
    or a number, come out.
    """
    kind = cast("FormatName", format.value)
    if (encoder / "recipe.yaml").exists():
        take_only(context, "a graph of what a run trained", OF_RUN, where=encoder)
        from swath import pipeline

        result = pipeline.Result(task, row, input, probe, seed)
        made = pipeline.export_run(encoder, to, format=kind, result=result, counts=counts, corpus=check_on)
    else:
        remedy = "give the folder of a run, or leave it out"
        take_only(context, "a graph of an encoder", OF_ENCODER, where=encoder, remedy=remedy)
        from swath.products.model_export import export_model

        keys = None if bands is None else bands.split(",")
        made = export_model(encoder, to, format=kind, bands=keys, dense=dense, counts=counts, corpus=check_on)
    for name, difference in made.differences.items():
        typer.echo(f"{name}: at most {difference:.1e} of its largest value from swath's")
    typer.echo(f"checked on {made.checked_on}")
    typer.echo(made.graph)
    typer.echo(made.item)
