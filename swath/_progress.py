"""Progress for anything longer than two seconds: a bar on a terminal, silence elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import ClassVar, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def console() -> Console:
    """Where messages for the user go: standard error, so that standard output stays data.

    Brackets and colons stay what they are: names of the user's are no markup.
    """
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


class _Bar(Progress):
    """A display that others can add their lines to: a terminal has room for one at a time."""

    running: ClassVar[list["_Bar"]] = []
    silent: ClassVar[bool] = False

    def start(self) -> None:
        super().start()
        self.running.append(self)

    def stop(self) -> None:
        if self in self.running:
            self.running.remove(self)
        super().stop()


def silence() -> None:
    """No bars from this process: it is one of several that share a terminal."""
    _Bar.silent = True


def bar() -> Progress:
    """A progress display, disabled where standard error is no terminal."""
    return _Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(),
        disable=_Bar.silent or not sys.stderr.isatty(),
        transient=True,
    )


def track(items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
    """Yield the items while a bar shows how far along they are: a line of the display that is running, if any is."""
    if _Bar.running:
        progress = _Bar.running[-1]
        line = progress.add_task(description, total=total)
        yield from progress.track(items, total=total, task_id=line)
        progress.remove_task(line)
        return
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)
