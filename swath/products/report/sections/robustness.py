"""What becomes of the rows when their test images change: bands, dates, and shifts."""

from typing import Any

import pandas as pd

from swath.products import words
from swath.products.draw.robustness import charts_of, drawn
from swath.products.draw.style import styled, svg
from swath.products.report._rows import as_csv, or_noted
from swath.products.report.sections import Material, Section, beside
from swath.tasks.schema import CONDITIONS


def content(material: Material) -> dict[str, Any] | None:
    """Figures of `stress/`; None where it is not there."""
    folder = material.run.path / "stress"
    if not (folder / CONDITIONS.file).is_file():
        return None
    return or_noted(material.problems, "What changed images cost", lambda: _content(CONDITIONS.read(folder)))


def _content(table: pd.DataFrame) -> dict[str, Any] | None:
    if table.empty:
        return None
    plots = []
    for i, chart in enumerate(charts_of(table)):
        with styled():
            alt = f"{words.metric(chart.lines['metric'].iloc[0])} of {chart.title}: {chart.name.partition(' ')[0]}"
            plots.append((svg(drawn(chart), f"robustness{i}", alt), as_csv(chart.lines)))
    worst = table.loc[table.groupby(["task", "input", "probe", "row"], sort=False)["relative"].idxmax().dropna()]
    return {
        "units": ", ".join(dict.fromkeys(words.count(int(n)) for n in table["n_units"])),
        "plots": plots,
        "worst": [_worst(line) for line in worst.to_dict("records")],
        "csv": as_csv(table),
    }


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
