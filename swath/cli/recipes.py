"""`swath recipes`: the recipes that come with swath, and how a recipe is written."""

from typing import Annotated

import typer
from rich.table import Table

from swath._progress import console
from swath.cli._arguments import OverridesArgument, RecipeArgument

app = typer.Typer(name="recipes", help="List, show and describe recipes.", no_args_is_help=True)


@app.command("list", epilog="Example: `swath recipes list`")
def recipes_list() -> None:
    """List the recipes that come with swath."""
    from swath import _yaml
    from swath.recipes import shipped, source_text

    table = Table("recipe", "what it asks", show_lines=False)
    for name in shipped():
        table.add_row(name, " ".join(str(_yaml.read(source_text(name)[1], name)[0].get("description", "")).split()))
    console().print(table)


@app.command("show", epilog="Example: `swath recipes show rs-byol-1 > mine.yaml`")
def recipes_show(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default and override filled in.")] = False,
) -> None:
    """Print a recipe, as a start for your own."""
    if resolved or overrides:
        from swath.config import dump, load

        typer.echo(dump(load(recipe, overrides)), nl=False)
    else:
        from swath.recipes import source_text

        typer.echo(source_text(recipe)[1], nl=False)


@app.command("schema", epilog="Example: `swath recipes schema > recipe.schema.json`")
def recipes_schema() -> None:
    """Print the JSON schema of a recipe, with which editors complete and check it."""
    import json

    from swath.config import schema

    typer.echo(json.dumps(schema(), indent=2))
