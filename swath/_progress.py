"""Progress for anything longer than two seconds: a bar on a terminal, silence elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def console() -> Console:
    """Where messages for the user go: standard error, so that standard output stays data."""
    return Console(stderr=True, highlight=False)


def bar() -> Progress:
    """A progress display, disabled where standard error is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def track(items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
    """Yield the items while a bar shows how far along they are."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)
