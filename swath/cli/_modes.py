"""Options that a command takes no in what it is asked to do: refused, and never ignored in silence."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperArgument, TyperOption

from swath.errors import SwathError

if TYPE_CHECKING:
    from typer import Context
else:
    # what Typer hands over is of the class that its own is made from
    Context = typer.Context.__base__


def refuse(context: Context, what: str, names: Collection[str], *, where: Path | None = None, remedy: str = "") -> None:
    """Raise SwathError where one of these parameters was given, which what is asked for does not use.

    Args:
        context: of the command that was called.
        what: is asked for, in words that a message begins with, such as "a map of places (--location)".
        names: of parameters of the command's function.
        where: the path that decided what is asked for, if it is one.
        remedy: what to do; to leave the option out if not given.
    """
    given = [one for name, one in _parameters(context).items() if name in names and _is_given(context, one)]
    if given:
        raise SwathError(
            f"{what} takes no {', '.join(map(_shown, given))}",
            where=None if where is None else str(where),
            remedy=remedy or "leave it out",
        )


def take_only(
    context: Context, what: str, names: Collection[str], *, where: Path | None = None, remedy: str = ""
) -> None:
    """Raise SwathError where any other parameter than these was given; see `refuse`."""
    refuse(context, what, _parameters(context).keys() - set(names), where=where, remedy=remedy)


def refuse_alone(context: Context, needs: Mapping[str, str]) -> None:
    """Raise SwathError where a parameter was given, and not the one without which it has no effect.

    Args:
        context: of the command that was called.
        needs: by name of a parameter, the name of the one that it needs.
    """
    parameters = _parameters(context)
    for name, needed in needs.items():
        if not _is_given(context, parameters[needed]):
            refuse(context, f"swath {context.command.name} without {_shown(parameters[needed])}", {name})


def _is_given(context: Context, parameter: TyperArgument | TyperOption) -> bool:
    source = context.get_parameter_source(str(parameter.name))
    return source is not None and source.name == "COMMANDLINE"


def _shown(parameter: TyperArgument | TyperOption) -> str:
    """An option as it is written, or an argument as the help calls it."""
    if isinstance(parameter, TyperOption):
        return max(parameter.opts, key=len)
    return str(parameter.metavar or parameter.name).strip("[]")


def _parameters(context: Context) -> "dict[str, TyperArgument | TyperOption]":
    """What the command takes, by the names in its function."""
    return {str(one.name): one for one in context.command.params if isinstance(one, TyperArgument | TyperOption)}
