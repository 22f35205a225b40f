"""The command line. Every command is a short call that Python users can make as well.

A command is one file here, or in the folder of its group (`corpus/`). It makes `app = typer.Typer()`, gives its
function `@app.command(epilog="Example: ...")`, and is named in `COMMANDS` where `swath --help` shall list it.
torch takes seconds to import, so each command imports what it needs when it is called, and `swath --help` answers at
once.
"""

import io
import sys
from typing import Annotated

import typer

from swath import __version__, _signals
from swath._endings import ending
from swath._progress import console
from swath.cli._groups import add_commands
from swath.errors import UNPRINTABLE

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = (
    "run",
    "quickstart",
    "pretrain",
    "evaluate",
    "sweep",
    "embed",
    "search",
    "explore",
    "compare",
    "power",
    "represent",
    "stress",
    "map",
    "explain",
    "report",
    "adopt",
    "export",
    "plugins",
    "corpus",
    "recipes",
)
"""The modules of commands and of groups of commands, in the order in which `swath --help` lists them."""

app = typer.Typer(
    name="swath",
    help="Self-supervised learning on Earth observation: corpus, encoder, honest comparison, report.",
    epilog="First time here? `swath quickstart` does the whole job on a built-in synthetic landscape.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
add_commands(app, __name__, COMMANDS)


def main() -> None:
    """Entry point: whatever happens ends with a message and an exit code (README), never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths that are no UTF-8 are printed as they are
            stream.reconfigure(errors="surrogateescape")
    try:
        with _signals.answered():
            app()
    except _signals.Stopped as stop:
        console().print("\nstopped; the same command continues where it was")
        sys.exit(stop.code)
    except Exception as error:
        _fail(*ending(error))


def _fail(message: str, code: int) -> None:
    printer = console()
    printer.print("error:", style="bold red", end=" ")
    # a terminal would obey what is in a stranger's names
    printer.print(UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], message), soft_wrap=True)
    sys.exit(code)


def _version(show: bool | None) -> None:
    if show:
        typer.echo(f"swath {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    pass
