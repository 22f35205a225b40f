"""Notes on rows, one line a reason: which rows were left out where, and what must be known of the others."""

from collections.abc import Iterable, Sequence

import pandas as pd

from swath.products.tables.panels import Panel
from swath.products.words import listing, plural

NAMED = 3
"""Number of tasks, inputs or probes up to which they are named; more are counted."""


def left_out(panels: Sequence[Panel]) -> list[str]:
    """Rows without a result, a line for each reason: `scratch (crops · 12 inputs · knn probe): no labels`."""
    return _by_note((score.row, panel, score.note) for panel in panels for score in panel.left_out)


def remarks(panels: Sequence[Panel]) -> list[str]:
    """Notes on rows that have a result, a line for each note."""
    return _by_note((score.row, panel, score.note) for panel in panels for score in panel.scores if score.note)


def of_lines(table: pd.DataFrame) -> list[str]:
    """What the notes of a table's lines say, each remark once, with the rows that it is of where it is not of all."""
    noted: dict[str, dict[str, None]] = {}
    for row, note in table[["row", "note"]].itertuples(index=False):
        for remark in filter(None, str(note).split("; ")):
            noted.setdefault(remark, {})[str(row)] = None
    every = table["row"].nunique()
    return [remark if len(rows) == every else f"{_names(list(rows))}: {remark}" for remark, rows in noted.items()]


def rows_by_reason(panel: Panel) -> list[tuple[str, str]]:
    """The rows that a panel leaves out, in words, and why; reasons that several rows share stand there once."""
    reasons: dict[str, list[str]] = {}
    for score in panel.left_out:
        reasons.setdefault(score.note or "no reason recorded", []).append(score.row)
    return [(_names(rows), reason) for reason, rows in reasons.items()]


def _by_note(noted: Iterable[tuple[str, Panel, str]]) -> list[str]:
    """Lines of notes, each naming the rows that have it, together where they have it in the same panels."""
    panels_of: dict[str, dict[str, dict[str, Panel]]] = {}
    for row, panel, note in noted:
        panels_of.setdefault(note or "no reason recorded", {}).setdefault(row, {})[panel.title] = panel
    return [f"{_who(rows)}: {note}" for note, rows in panels_of.items()]


def _who(rows: dict[str, dict[str, Panel]]) -> str:
    together: dict[tuple[str, ...], list[str]] = {}
    for row, panels in rows.items():
        together.setdefault(tuple(panels), []).append(row)
    return "; ".join(f"{_names(names)} ({_scope(rows[names[0]].values())})" for names in together.values())


def _names(rows: Sequence[str]) -> str:
    """Rows' names as a list; a name with a comma in it is quoted, as nobody could tell where it ends."""
    return listing([f"“{row}”" if "," in row else row for row in rows])


def _scope(panels: Iterable[Panel]) -> str:
    """Where a note applies, in words: as a panel's title, with several tasks, inputs and probes named or counted."""
    tasks, inputs, probes = (list(dict.fromkeys(names)) for names in zip(*(panel.key for panel in panels), strict=True))
    probe = f"{listing(probes)} {'probe' if len(probes) == 1 else 'probes'}"
    return f"{_named(tasks, 'task')} · {_named(inputs, 'input')} · {probe}"


def _named(names: list[str], noun: str) -> str:
    return listing(names) if len(names) <= NAMED else plural(len(names), noun)
