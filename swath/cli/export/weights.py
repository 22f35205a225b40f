"""`swath export weights`: a network for timm, torchgeo or terratorch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

app = typer.Typer()


class Library(StrEnum):
    """Who shall load the weights."""

    timm = "timm"
    torchgeo = "torchgeo"
    terratorch = "terratorch"


@app.command(epilog="Example: `swath export weights runs/mine/pretrain/byol/seed-0/encoder --for timm --to out/byol`")
def weights(
    encoder: Annotated[Path, typer.Argument(help="A saved encoder: the path of its files, with or without suffix.")],
    library: Annotated[Library, typer.Option("--for", help="Who shall load the weights.")],
    to: Annotated[
        Path, typer.Option(help="Files to write, without suffix: the weights, and a card of what they are fed.")
    ],
    fold: Annotated[
        bool, typer.Option("--fold", help="Put the standardisation of pixels into the first convolution, where exact.")
    ] = False,
    px: Annotated[
        int | None, typer.Option(min=1, help="Of a vit: width of the pictures that its positions are written out for.")
    ] = None,
) -> None:
    """Write a saved encoder's weights as another library loads them, with a card (JSON) of what it must be fed."""
    from swath import encoders

    for path in encoders.export(encoder, to, cast("encoders.Library", library.value), fold=fold, px=px):
        typer.echo(path)
