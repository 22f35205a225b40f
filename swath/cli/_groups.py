"""How the files of a folder become the commands of a group."""

import importlib
from collections.abc import Sequence

import typer


def add_commands(group: typer.Typer, package: str, names: Sequence[str]) -> None:
    """Add the commands of a package's modules (each has an `app`), in the order in which help shall list them."""
    for name in names:
        group.add_typer(importlib.import_module(f"{package}.{name}").app)
