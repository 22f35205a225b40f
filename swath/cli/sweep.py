"""`swath sweep`: many arms from few axes, and what each axis does."""

from typing import Annotated

import typer

from swath.cli._arguments import DevicesOption, JobsOption, OutOption, OverridesArgument, RecipeArgument, SensorsOption
from swath.cli._tables import say_report

app = typer.Typer()


@app.command(
    epilog="Example: `swath sweep quickstart --axis method='[simclr, byol]' --axis training.batch_size='[64, 128]'`"
)
def sweep(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=[VALUE, ...]",
            help="An axis: a key of an arm and its values. May be given several times; without any, the recipe's own.",
        ),
    ] = None,
    out: OutOption = None,
    jobs: JobsOption = 1,
    devices: DevicesOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Train the combinations of some settings, and tell what each setting does; the best is trained once more."""
    from swath import pipeline
    from swath.config import load_sweep

    say_report(
        pipeline.run(load_sweep(recipe, axis or [], overrides, sensors), out, jobs=jobs, devices=devices or "auto")
    )
