"""`swath evaluate`: encoders against the floors."""

from pathlib import Path
from typing import Annotated

import typer

from swath.cli._arguments import JobsOption, OutOption, OverridesArgument, RecipeArgument, SensorsOption
from swath.cli._tables import print_table
from swath.errors import RecipeError

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

    resolved = load(recipe, overrides, sensors)
    folder = pipeline.evaluate(resolved, out, encoders=_named_encoders(encoder or []), jobs=jobs)
    print_table(folder / "table.csv")
    typer.echo(folder)


def _named_encoders(given: list[str]) -> dict[str, Path]:
    """Saved encoders by name: the one that is given, or that of the arm that it was pre-trained as."""
    from swath.encoders import load_card

    found: dict[str, Path] = {}
    for text in given:
        said, equals, path = text.rpartition("=")
        name = said if equals else str(load_card(path).provenance.get("arm") or Path(path).stem)
        if name in found:
            raise RecipeError(f"two encoders are called {name!r}", remedy="name them: --encoder NAME=PATH")
        found[name] = Path(path)
    return found
