"""A sweep as Markdown: what each choice does, which arms came first, and the best one once more."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from swath.products import words
from swath.products.documents._cells import escape, markdown_table
from swath.products.tables import ROLES, Confirmation, Run, Sweep
from swath.sweep import PANEL, ranked

SHOWN = 10
"""Largest number of arms in the table; the record beside the document has all."""


def sweep_parts(run: Run, sweep: Sweep, image: str | None) -> Iterator[str]:
    """The parts of a sweep's block.

    Args:
        run: of which the floors are shown.
        sweep: its tables.
        image: address of a picture of the effects, as the document links it.
    """
    yield escape(" ".join([_made(sweep), _confirmed(sweep.confirmation), *_reservations(sweep)]))
    if image:
        yield f"![What each choice does]({image})"
    for panel, effects in sweep.effects.groupby(list(PANEL), sort=False):
        yield from _effects(panel, effects)
    yield _arms(run, sweep)


def _made(sweep: Sweep) -> str:
    axes = sweep.effects.loc[sweep.effects["other_axis"] == "", "axis"].unique()
    return f"{sweep.arms['arm'].nunique()} combinations of {words.listing([str(axis) for axis in axes])} were trained."


def _confirmed(found: Confirmation | None) -> str:
    if found is None:
        return "The best one has not been trained again yet."
    places = "on places that had no part in the choice" if found.other_places else "on the same places"
    return (
        f"First came {found.arm} with {words.score(found.metric, found.in_sweep)}; trained again with "
        f"{words.plural(found.trainings, 'fresh seed')} and judged {places} it has "
        f"{words.score(found.metric, found.fresh)} ({words.score_interval(found.metric, found.low, found.high)})."
    )


def _reservations(sweep: Sweep) -> Iterator[str]:
    """What limits the effects, a sentence each."""
    if sweep.samples_differ:
        yield f"The trainings did not see equally much: {sweep.samples_differ} locations each."
    for panel in sweep.panels_without_effects:
        yield f"{panel}: no effects are known, as not every arm has a result of the same trainings."


def _effects(panel: Any, effects: pd.DataFrame) -> Iterator[str]:
    """A table of the levels of each axis, and one of the expected values of each pair of axes."""
    task, name, probe, metric = panel
    title = f"{task} · {name} · {probe} probe · {words.metric(metric)}"
    alone, pairs = effects.loc[effects["other_axis"] == ""], effects.loc[effects["other_axis"] != ""]
    header = ["axis", "level", "expected", "from the mean of the axis", "95 % interval", "p, not corrected", "arms"]
    rows = [[escape(str(line["axis"])), escape(str(line["level"])), *_numbers(line)] for line in _lines(alone)]
    yield f"**{escape(title)}: what each choice does**\n\n{markdown_table(header, rows, numeric_from=2)}"
    if note := str(effects["note"].iloc[0]):
        yield escape(f"Intervals are not to be relied on: {note}.")
    for (first, second), part in pairs.groupby(["axis", "other_axis"], sort=False):
        yield f"**{escape(f'{title}: expected with both {first} and {second}')}**\n\n{_both(part)}"


def _lines(table: pd.DataFrame) -> list[dict[Any, Any]]:
    return table.to_dict("records")


def _numbers(line: dict[Any, Any]) -> list[str]:
    return [
        words.score(line["metric"], line["mean"]),
        words.gain(line["metric"], line["effect"]),
        words.gain_interval(line["metric"], line["low"], line["high"]),
        words.p_cell(line["p"]),
        words.count(int(line["arms"])),
    ]


def _both(pairs: pd.DataFrame) -> str:
    """Expected values: a row for each level of the first axis, a column for each of the second."""
    columns = list(pairs["other_level"].unique())
    rows = []
    for level, own in pairs.groupby("level", sort=False):
        means = {line["other_level"]: words.score(line["metric"], line["mean"]) for line in _lines(own)}
        rows.append([escape(str(level)), *(means.get(column, words.DASH) for column in columns)])
    return markdown_table(["", *(escape(str(column)) for column in columns)], rows)


def _arms(run: Run, sweep: Sweep) -> str:
    """The best arms of the first panel, and what they have to beat."""
    best = ranked(sweep.arms)
    first = best[list(PANEL)].iloc[0]
    own = run.table.loc[(run.table[list(PANEL)] == first).all(axis=1) & (run.table["role"] != "pretrained")]
    own = own.loc[own["value"].notna()].sort_values("value", ascending=False, kind="stable")
    rows = [[escape(line["arm"]), ROLES["pretrained"], *_value(line), _time(line)] for line in _lines(best.head(SHOWN))]
    rows += [[escape(_shorter(line["row"])), ROLES[line["role"]], *_value(line), ""] for line in _lines(own)]
    rest = max(0, len(best) - SHOWN)
    title = f"The best {min(SHOWN, len(best))} of {len(best)} arms, and what has to be beaten"
    table = markdown_table(["arm", "role", "value", "95 % interval", "time a training"], rows, numeric_from=2)
    return f"**{title if rest else 'The arms, and what has to be beaten'}**\n\n{table}"


def _shorter(row: str) -> str:
    """The name of a twin of many arms, with the first of them and how many more there are."""
    first, *more = row.split(", ")
    return row if len(more) < 2 else f"{first}, {more[0]} and {words.count(len(more) - 1)} more"


def _value(line: dict[Any, Any]) -> list[str]:
    return [
        words.score(line["metric"], line["value"]),
        words.score_interval(line["metric"], line["low"], line["high"]),
    ]


def _time(line: dict[Any, Any]) -> str:
    return words.duration(line["seconds"]) if line["seconds"] == line["seconds"] else words.DASH
