"""`swath quickstart`: `swath run` of the recipe that needs no data."""

import typer

from swath.cli._arguments import DevicesOption, JobsOption, OutOption, OverridesArgument
from swath.cli.run import run

app = typer.Typer()


@app.command(epilog="Example: `swath quickstart --out /tmp/first-light`")
def quickstart(
    overrides: OverridesArgument = None, out: OutOption = None, jobs: JobsOption = 1, devices: DevicesOption = None
) -> None:
    """The whole job on the built-in synthetic landscape, in minutes on two cores."""
    run("quickstart", overrides, out, jobs, devices)
