"""`swath adopt`: published weights as an encoder of swath's."""

from pathlib import Path
from typing import Annotated

import typer

from swath.errors import SwathError

app = typer.Typer()


@app.command(
    epilog="Example: `swath adopt moco.pth --model resnet50 --card ssl4eo-l-oli-sr --to encoders/moco`; a card that "
    "does not exist lists those that do"
)
def adopt(
    weights: Annotated[Path, typer.Argument(help="File of tensors: .safetensors, or torch's; no code in it is run.")],
    model: Annotated[
        str,
        typer.Option(
            help="The network, as timm calls it, such as `vit_small_patch16_224`; of DOFA's as torchgeo does: "
            "`dofa_base_patch16_224`."
        ),
    ],
    card: Annotated[
        str, typer.Option(help="What it was trained on: a card of swath's, or the path of one of your own.")
    ],
    to: Annotated[Path, typer.Option(help="Encoder to write, without suffix.")],
    prefix: Annotated[
        str | None, typer.Option(help="What stands before the names of the network's tensors, where swath cannot know.")
    ] = None,
    at_least: Annotated[
        float,
        typer.Option(min=0.001, max=1, help="Share of the network that the file must hold; the rest stays random."),
    ] = 1.0,
    first_release: Annotated[
        bool, typer.Option("--first-release", help="The weights are of DOFA's first release, of another code.")
    ] = False,
) -> None:
    """Turn published weights into an encoder that `swath evaluate`, `embed` and recipes take, and say what was used."""
    from swath import encoders
    from swath.encoders import any_sensor, timm

    if model in any_sensor.PUBLISHED:
        if at_least < 1:
            raise SwathError("of DOFA's networks a file holds all or is refused", remedy="leave --at-least out")
        config = any_sensor.published(model, weights, prefix, first=first_release)
        used = encoders.adopt(config, to, card)
    elif first_release:
        raise SwathError(f"{model} is none of DOFA's networks", remedy="leave --first-release out")
    else:
        used = encoders.adopt(
            timm.Config(model=model, weights=weights, card=card, prefix=prefix, at_least=at_least), to
        )
    typer.echo(str(used), err=True)
    typer.echo(to.with_name(f"{to.name}.safetensors"))
