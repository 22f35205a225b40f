"""`swath export`: what swath made, for other libraries; a file a kind."""

import typer

from swath.cli._groups import add_commands

__all__ = ["COMMANDS", "app"]

COMMANDS = ("weights", "model")
"""The modules of the group's commands, in the order in which `swath export --help` lists them."""

app = typer.Typer(name="export", help="Hand over to other libraries.", no_args_is_help=True)
add_commands(app, __name__, COMMANDS)


@app.callback()
def _group() -> None:
    # without a callback typer makes a group of one command that command itself
    pass
