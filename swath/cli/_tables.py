"""What several commands print at their end: the tables of an evaluation, and where the report is."""

from pathlib import Path

import typer
from rich.table import Table

from swath._progress import console


def say_report(path: Path) -> None:
    print_table(path.parent / "evaluate" / "table.csv")
    say_where(path)


def say_where(path: Path) -> None:
    console().print("open the report:", style="bold", end=" ")
    typer.echo(path)


def print_table(path: Path) -> None:
    if not path.exists():
        return
    import pandas as pd

    from swath.products import words
    from swath.tasks.schema import TABLE, TASKS

    values = TABLE.read(path.parent)
    tasks = TASKS.read(path.parent) if (path.parent / TASKS.file).is_file() else pd.DataFrame({"task": [], "unit": []})
    unit_of = dict(zip(tasks["task"], tasks["unit"], strict=True))
    judged = values["metric"] != ""
    for _, group in pd.DataFrame(values[judged]).groupby(["task", "input", "probe", "metric"], sort=False):
        first = group.iloc[0]
        name = str(first["metric"])
        share = words.is_share(name)
        unit = "%" if share else words.unit(name, unit_of.get(first["task"], ""))
        title = f"{first['task']}: {first['input']}, {first['probe']} ({', '.join(filter(None, (name, unit)))})"
        table = Table(title=title, title_justify="left")
        for column in ("row", "role", "value", "95 % interval"):
            table.add_column(column, justify="right" if column in {"value", "95 % interval"} else "left")
        for cell in group.sort_values("value", ascending=words.lower_is_better(name)).to_dict("records"):
            value = words.number(100 * cell["value"]) if share else words.significant(cell["value"])
            table.add_row(cell["row"], cell["role"], value, words.score_interval(name, cell["low"], cell["high"]))
        console().print(table)
    for cell in pd.DataFrame(values[~judged]).to_dict("records"):
        said = f"{cell['task']}: {cell['input']}, {cell['probe']}: no result of {cell['row']}: {cell['note']}"
        console().print(said, style="yellow", soft_wrap=True, markup=False)
