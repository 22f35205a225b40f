"""Progress for anything longer than two seconds: a bar on a terminal, and a line now and then in a log."""

import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

EVERY_S = 25.0
"""Seconds between two lines where there is no terminal, so that a log shows twice a minute that work goes on."""


def console() -> Console:
    """The console for messages to the user: standard error, so that standard output stays data.

    Brackets and colons stay what they are: names of the user's are no markup.
    """
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


class _Bar(Progress):
    """A progress display that further tasks can join, since a terminal has room for one at a time."""

    running: ClassVar[list["_Bar"]] = []
    silent: ClassVar[bool] = False

    def __init__(self, *columns: Any, **options: Any):
        super().__init__(*columns, **options)
        self.ended = threading.Event()
        self.begun: dict[TaskID, float] = {}
        """Steps of each task that were done before it began here, such as before a training was continued."""

    def add_task(self, *arguments: Any, **options: Any) -> TaskID:
        task = super().add_task(*arguments, **options)
        self.begun[task] = float(options.get("completed", 0))
        return task

    def start(self) -> None:
        super().start()
        self.running.append(self)
        if self.disable and not self.silent:
            threading.Thread(target=self._say, daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        if self in self.running:
            self.running.remove(self)
        super().stop()

    def _say(self) -> None:
        """Print a line at regular intervals, however long a single step takes."""
        while not self.ended.wait(EVERY_S):
            if lines := [said(task, self.begun[task.id]) for task in self.tasks if not task.finished]:
                console().print("; ".join(lines), soft_wrap=True)


def said(task: Task, begun: float) -> str:
    """How far a task is, in words, of which `begun` steps were done before it started here."""
    elapsed = task.elapsed or 0.0
    spent = timedelta(seconds=round(elapsed))
    if task.total is None:
        return f"{task.description}: {task.completed:,.0f} in {spent}"
    done = task.completed - begun
    left = timedelta(seconds=round(elapsed * (task.total - task.completed) / done)) if done else "an unknown time"
    return f"{task.description}: {task.completed:,.0f}/{task.total:,.0f} in {spent}, {left} left"


def silence() -> None:
    """Switch off progress in this process, one of several that share a terminal."""
    _Bar.silent = True


def bar() -> _Bar:
    """The progress display: a bar, or plain lines where standard error is no terminal, as in the log of a batch job."""
    hidden = _Bar.silent or not sys.stderr.isatty()
    return _Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(),
        disable=hidden,
        auto_refresh=not hidden,  # without a display, rich counts only if it is not to refresh by itself
        transient=True,
    )


def track(items: Iterable[T], total: int | None, description: str) -> Iterator[T]:
    """Yield the items while a bar shows how many are done; where a display is running it becomes a line of that one."""
    if _Bar.running:
        progress = _Bar.running[-1]
        line = progress.add_task(description, total=total)
        yield from progress.track(items, total=total, task_id=line)
        progress.remove_task(line)
        return
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)
