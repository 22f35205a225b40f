"""`swath evaluate`: encoders against the floors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swath.cli._arguments import JobsOption, OutOption, OverridesArgument, SensorsOption
from swath.cli._modes import Context, refuse
from swath.cli._tables import print_table
from swath.errors import RecipeError

if TYPE_CHECKING:
    from swath.sensors import SensorDefinition

app = typer.Typer()


@app.command(epilog="Example: `swath evaluate quickstart`")
def evaluate(
    context: Context,
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE]", help="Name of a shipped recipe, or path of a YAML file; none with --on."),
    ] = None,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH",
            help="A saved encoder to judge as well, or alone where the recipe has no arms; may be given several times.",
        ),
    ] = None,
    on: Annotated[
        Path | None, typer.Option(metavar="CORPUS", help="Judge the given encoders on this corpus, without a recipe.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=RULE]",
            help="With --on: a label layer or column of the corpus (rules: dominant, pixels, scalar, value); may be "
            "given several times.",
        ),
    ] = None,
    jobs: JobsOption = 1,
    sensors: SensorsOption = None,
) -> None:
    """Evaluate the recipe's pre-trained encoders against the floors and print the table.

    With --on CORPUS and --task NAME the encoders that are given are judged on any corpus, each on its own bands, by a
    recipe that is made for them and lies in the run's folder.
    """
    if on is not None:
        remedy = "leave it out: encoders and corpus say their sensors themselves"
        refuse(context, "an evaluation of encoders on a corpus (--on)", {"sensors"}, remedy=remedy)
    elif recipe is not None:
        remedy = "its tasks are in the recipe; or give --on CORPUS with --encoder PATH"
        refuse(context, "an evaluation by a recipe", {"task"}, where=Path(recipe), remedy=remedy)
    from swath import pipeline
    from swath.config import load

    encoders, own_sensors = _named_encoders(encoder or [])
    if on is not None:
        # what would be the recipe is the first override
        said = [*([recipe] if recipe else []), *(overrides or [])]
        folder = pipeline.evaluate_on(encoders, on, task or [], out=out, overrides=said, jobs=jobs)
    elif recipe is None:
        raise RecipeError(
            "an evaluation is by a recipe, or on a corpus",
            remedy="give RECIPE; or --on CORPUS with --encoder PATH and --task NAME",
        )
    else:
        folder = pipeline.evaluate(load(recipe, overrides, sensors, own_sensors), out, encoders=encoders, jobs=jobs)
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
