"""`swath run`: the whole job of a recipe, from corpus to report."""

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
from swath.cli._tables import say_report

app = typer.Typer()


@app.command(epilog="Example: `swath run hls-landcover data=../shared/data/hls_water replicates.trainings=1`")
def run(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    jobs: JobsOption = 1,
    devices: DevicesOption = None,
    reuse: ReuseOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Corpus (if missing), pre-training, evaluation and report; continues where it stopped."""
    from swath import pipeline
    from swath.config import load

    resolved = load(recipe, overrides, sensors)
    say_report(pipeline.run(resolved, out, jobs=jobs, devices=devices or "auto", reuse=reuse or ()))
