"""`swath export model`: an encoder as a graph that runs without swath."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from swath.products.model_export import Format as FormatName

app = typer.Typer()


class Format(StrEnum):
    """Kinds of files."""

    pt2 = "pt2"
    onnx = "onnx"


@app.command(epilog="Example: `swath export model runs/mine/pretrain/byol/seed-0/encoder --format onnx --to out/byol`")
def model(
    encoder: Annotated[Path, typer.Argument(help="A saved encoder: the path of its files, with or without suffix.")],
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
) -> None:
    """Write a saved encoder as a graph (torch.export or ONNX) that takes pixels as they are, and runs without swath.

    Units, statistics and invalid pixels are dealt with inside; batch, size and dates may have any length. It is run
    before it is let be, and has to give what the encoder gives. Beside it: a STAC item (MLM), and the encoder.
    """
    from swath.products.model_export import export_model

    made = export_model(
        encoder,
        to,
        format=cast("FormatName", format.value),
        bands=None if bands is None else bands.split(","),
        dense=dense,
        counts=counts,
        corpus=check_on,
    )
    for name, difference in made.differences.items():
        typer.echo(f"{name}: at most {difference:.1e} of its largest value from the encoder's")
    typer.echo(f"checked on {made.checked_on}")
    typer.echo(made.graph)
    typer.echo(made.item)
