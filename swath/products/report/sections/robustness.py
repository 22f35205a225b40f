"""What becomes of the rows when their test images change: bands, dates, and shifts."""

from pathlib import Path
from typing import Any

from swath.products import words
from swath.products.draw import figures
from swath.products.draw.robustness import charts_in, drawn
from swath.products.draw.style import styled
from swath.products.report._rows import or_noted
from swath.products.report.sections import Material, Section, beside
from swath.tasks.schema import CONDITIONS, SPLIT_VALUES


def content(material: Material) -> dict[str, Any] | None:
    """Figures of `stress/`; None where it is not there."""
    folder = material.run.path / "stress"
    if not any((folder / table.file).is_file() for table in (CONDITIONS, SPLIT_VALUES)):
        return None
    return or_noted(material.problems, "What changed images cost", lambda: _content(folder))


def _content(folder: Path) -> dict[str, Any] | None:
    plots: dict[bool, list[figures.Drawn]] = {False: [], True: []}
    for i, chart in enumerate(charts_in(folder)):
        with styled():
            alt = f"{words.metric(chart.lines['metric'].iloc[0])} of {chart.title}: {chart.name.partition(' ')[0]}"
            plots["split" in chart.lines].append(figures.drawn(drawn(chart), f"robustness{i}", alt, chart.lines))
    if not any(plots.values()):
        return None
    table = CONDITIONS.read(folder) if (folder / CONDITIONS.file).is_file() else CONDITIONS.frame()
    known = table.loc[table["relative"].notna()]
    worst = known.loc[known.groupby(["task", "input", "probe", "row"], sort=False)["relative"].idxmax()]
    return {
        "units": ", ".join(dict.fromkeys(words.count(int(n)) for n in table["n_units"])),
        "plots": plots[False],
        "splits": plots[True],
        "worst": [_worst(line) for line in worst.to_dict("records")],
        "csv": figures.as_csv(table),
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
