"""`swath pretrain`: a recipe's encoders alone."""

from typing import Annotated

import typer

from swath.cli._arguments import (
    DevicesOption,
    JobsOption,
    OutOption,
    OverridesArgument,
    RecipeArgument,
    ReuseOption,
    SensorsOption,
)

app = typer.Typer()


@app.command(epilog="Example: `swath pretrain quickstart --arm simclr --seed 0`")
def pretrain(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    arm: Annotated[str | None, typer.Option(help="Only this arm of the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed of the recipe.")] = None,
    jobs: JobsOption = 1,
    devices: DevicesOption = None,
    reuse: ReuseOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Pre-train the recipe's encoders (making the corpus if it is missing)."""
    from swath import pipeline
    from swath.config import load

    resolved = load(recipe, overrides, sensors)
    trained = pipeline.pretrain(
        resolved, out, arm=arm, seed=seed, jobs=jobs, devices=devices or "auto", reuse=reuse or ()
    )
    for encoder in trained:
        typer.echo(encoder)
