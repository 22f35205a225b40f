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
"""Between two lines where there is no terminal: whoever watches a log learns within half a minute that all is well."""


def console() -> Console:
    """Where messages for the user go: standard error, so that standard output stays data.

    Brackets and colons stay what they are: names of the user's are no markup.
    """
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


class _Bar(Progress):
    """A display that others can add their lines to: a terminal has room for one at a time."""

    running: ClassVar[list["_Bar"]] = []
    silent: ClassVar[bool] = False

    def __init__(self, *columns: Any, **options: Any):
        super().__init__(*columns, **options)
        self.ended = threading.Event()
        self.begun: dict[TaskID, float] = {}
        """What was already done when a task began, such as the steps before a training was continued."""

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
        """A line every so often, however long a step takes."""
        while not self.ended.wait(EVERY_S):
            if lines := [said(task, self.begun[task.id]) for task in self.tasks if not task.finished]:
                console().print("; ".join(lines), soft_wrap=True)


def said(task: Task, begun: float) -> str:
    """How far a task is, in words; `begun` of it were done before it was started here."""
    elapsed = task.elapsed or 0.0
    spent = timedelta(seconds=round(elapsed))
    if task.total is None:
        return f"{task.description}: {task.completed:,.0f} in {spent}"
    done = task.completed - begun
    left = timedelta(seconds=round(elapsed * (task.total - task.completed) / done)) if done else "an unknown time"
    return f"{task.description}: {task.completed:,.0f}/{task.total:,.0f} in {spent}, {left} left"


def silence() -> None:
    """No progress from this process: it is one of several that share a terminal."""
    _Bar.silent = True


def bar() -> _Bar:
    """A progress display; lines where standard error is no terminal, such as the log of a batch job."""
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
    """Yield the items while a bar shows how far along they are: a line of the display that is running, if any is."""
    if _Bar.running:
        progress = _Bar.running[-1]
        line = progress.add_task(description, total=total)
        yield from progress.track(items, total=total, task_id=line)
        progress.remove_task(line)
        return
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)
