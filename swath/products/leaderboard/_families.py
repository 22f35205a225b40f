"""Tasks of a run that differ in nothing but how many labels they learn from, so that values lie on one curve."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from swath.products.leaderboard._join import Entry
from swath.products.tables import Panel, band_of, panels_of
from swath.settings import Counts
from swath.tasks import TaskConfig

_ASKED = {name for name, one in TaskConfig.model_fields.items() if Counts.NEVER not in one.metadata} - {
    "label_fraction",
    "labels_per_class",
}
"""Settings that say what is asked of the rows, other than how many labels there are."""


@dataclass(frozen=True, eq=False)
class Family:
    """Panels of one input and probe, by the number of labels."""

    task: str
    """As the recipe calls the first of the tasks."""
    panels: tuple[Panel, ...]
    """With ascending numbers of labels, each another."""
    note: str
    """What else differs between them; empty if nothing does."""

    @property
    def title(self) -> str:
        """Task, input and probe in one line."""
        return f"{self.task} · {self.panels[0].input} · {self.panels[0].probe}"


def families(entry: Entry) -> Iterator[Family]:
    """The families of a run, in the order of its table; single bands are left to the report."""
    found: dict[str, list[Panel]] = {}
    for panel in panels_of(entry.run):
        if panel.ranked and band_of(panel.input) is None:
            key = json.dumps([_asked(entry, panel.task), panel.input, panel.probe, panel.metric], sort_keys=True)
            found.setdefault(key, []).append(panel)
    for panels in found.values():
        by_labels = {entry.labels(panel.task): panel for panel in reversed(panels)}
        ordered = [by_labels[labels] for labels in sorted(by_labels)]
        yield Family(entry.run.recipe_task(ordered[0].task), tuple(ordered), _note(entry, ordered))


def _asked(entry: Entry, task: str) -> dict[str, Any] | str:
    settings = entry.settings(task)
    return {name: settings.get(name) for name in sorted(_ASKED)} if settings else task


def _note(entry: Entry, panels: list[Panel]) -> str:
    """How the rows' own settings differ between numbers of labels."""
    differ = [
        name
        for name in ("scratch", "floors")
        if len({json.dumps(entry.settings(panel.task).get(name), sort_keys=True) for panel in panels}) > 1
    ]
    return f"with other numbers of labels the recipe sets {' and '.join(differ)} differently" if differ else ""
