"""What becomes of the rows when their test images change: bands, dates, and shifts."""

from pathlib import Path
from typing import Any

import pandas as pd

from swath.products import words
from swath.products.draw import figures
from swath.products.draw.robustness import charts_of, charts_of_splits, drawn
from swath.products.draw.style import styled
from swath.products.report._rows import of_now, or_noted
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import of_lines
from swath.tasks.schema import CONDITIONS, SPLIT_VALUES, Table

WHOSE = "What changed images cost", "swath stress"


def content(material: Material) -> dict[str, Any] | None:
    """Figures of `stress/`; None where it is not there."""
    folder = material.run.path / "stress"
    if not any((folder / table.file).is_file() for table in (CONDITIONS, SPLIT_VALUES)):
        return None
    return or_noted(material.problems, "What changed images cost", lambda: _content(material, folder))


def _content(material: Material, folder: Path) -> dict[str, Any] | None:
    table, splits = (
        of_now(material.run, _table(one, folder), material.problems, *WHOSE, parted=parted)
        for one, parted in ((CONDITIONS, True), (SPLIT_VALUES, False))
    )
    plots: dict[bool, list[figures.Drawn]] = {False: [], True: []}
    for i, chart in enumerate([*charts_of(table), *charts_of_splits(splits)]):
        with styled():
            alt = f"{words.metric(chart.lines['metric'].iloc[0])} of {chart.title}: {chart.name.partition(' ')[0]}"
            plots["split" in chart.lines].append(figures.drawn(drawn(chart), f"robustness{i}", alt, chart.lines))
    if not any(plots.values()):
        return None
    known = table.loc[table["relative"].notna()]
    worst = known.loc[known.groupby(["task", "input", "probe", "row"], sort=False)["relative"].idxmax()]
    return {
        "units": ", ".join(dict.fromkeys(words.count(int(n)) for n in table["n_units"])),
        "plots": plots[False],
        "splits": plots[True],
        "worst": [_worst(line) for line in worst.to_dict("records")],
        "csv": figures.as_csv(table),
        "notes": _notes(table),
        "notes_of_splits": _notes(splits),
    }


def _table(table: Table, folder: Path) -> pd.DataFrame:
    return table.read(folder) if (folder / table.file).is_file() else table.frame()


def _notes(table: pd.DataFrame) -> list[str]:
    """What must be known of each task, input and probe of a table."""
    found = []
    for _, own in table.groupby(["task", "input", "probe"], sort=False):
        where = " · ".join(own[["task", "input", "probe"]].iloc[0])
        found += [f"{where}: {note}" for note in of_lines(own)]
    return found


def _worst(line: dict[str, Any]) -> dict[str, str]:
    where = " · ".join((line["task"], line["input"], line["probe"]))
    what = " ".join(filter(None, (line["kind"].replace("-", " "), str(line["name"]))))
    return {
        "panel": where,
        "row": line["row"],
        "what": what if line["name"] else f"{what} {line['level']:g}",
        "as_it_is": words.score(line["metric"], line["as_it_is"]),
        "value": words.score(line["metric"], line["value"]),
        "drop": words.gain(line["metric"], line["drop"]),
        "interval": words.gain_interval(line["metric"], line["drop_low"], line["drop_high"]),
    }


SECTION = Section("What changed images cost", 58, content, beside(__file__), link="Robustness")
