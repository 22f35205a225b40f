"""`swath plugins`: what recipes can name."""

from typing import Annotated

import typer
from rich.table import Table

from swath._progress import console
from swath.errors import RecipeError, nearest

app = typer.Typer()


@app.command("plugins", epilog="Example: `swath plugins methods`")
def plugins_(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="Only this kind, such as methods.")] = None,
) -> None:
    """List what recipes can name: swath's own, and what installed packages add, with the package and its version."""
    from swath import plugins

    if kind is not None and kind not in plugins.PACKAGES:
        raise RecipeError(f"unknown kind of plug-in {kind!r}", remedy=nearest(kind, plugins.PACKAGES))
    table = Table("kind", "name", "from")
    for one in plugins.PACKAGES if kind is None else [kind]:
        for name, origin in plugins.origins(plugins.PACKAGES[one]).items():
            table.add_row(one, name, origin)
    console().print(table)
