"""`swath evaluate`: encoders against the floors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swath.cli._arguments import JobsOption, OutOption, OverridesArgument, RecipeArgument, SensorsOption
from swath.cli._tables import print_table
from swath.errors import RecipeError

if TYPE_CHECKING:
    from swath.sensors import SensorDefinition

app = typer.Typer()


@app.command(epilog="Example: `swath evaluate quickstart`")
def evaluate(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH",
            help="A saved encoder to judge as well, or alone where the recipe has no arms; may be given several times.",
        ),
    ] = None,
    jobs: JobsOption = 1,
    sensors: SensorsOption = None,
) -> None:
    """Evaluate the recipe's pre-trained encoders against the floors and print the table."""
    from swath import pipeline
    from swath.config import load

    encoders, own_sensors = _named_encoders(encoder or [])
    resolved = load(recipe, overrides, sensors, own_sensors)
    folder = pipeline.evaluate(resolved, out, encoders=encoders, jobs=jobs)
    print_table(folder / "table.csv")
    typer.echo(folder)


def _named_encoders(given: list[str]) -> tuple[dict[str, Path], dict[str, "SensorDefinition"]]:
    """Saved encoders by name (the one that is given, or the arm that it was pre-trained as), and their own sensors."""
    from swath.encoders import load_card

    encoders: dict[str, Path] = {}
    sensors: dict[str, SensorDefinition] = {}
    for text in given:
        said, equals, path = text.rpartition("=")
        card = load_card(path)
        name = said if equals else str(card.provenance.get("arm") or Path(path).stem)
        if name in encoders:
            raise RecipeError(f"two encoders are called {name!r}", remedy="name them: --encoder NAME=PATH")
        encoders[name] = Path(path)
        sensors |= card.sensors
    return encoders, sensors
