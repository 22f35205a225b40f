"""`swath corpus`: the commands that make, inspect and check corpora, a file each."""

import typer

from swath.cli._groups import add_commands

__all__ = ["COMMANDS", "app"]

COMMANDS = ("ingest", "formats", "plan", "build", "synth", "info", "check", "preview", "split")
"""The modules of the group's commands, in the order in which `swath corpus --help` lists them."""

app = typer.Typer(name="corpus", help="Make, inspect and check corpora of chips.", no_args_is_help=True)
add_commands(app, __name__, COMMANDS)
