"""`swath stress`: what becomes of a run's rows when their test images change."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from swath._progress import console
from swath.cli._modes import Context, refuse, refuse_alone
from swath.cli._tables import say_where

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()


@app.command(
    epilog="Example: `swath stress runs/s4-canada --task crops@10% --row s4 --row scratch`. "
    "Some conditions: `swath stress runs/mine --bands all --bands B04,B08 --dates --shift haze`"
)
def stress(
    context: Context,
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that is evaluated.")],
    task: Annotated[str | None, typer.Option(help="As the table calls it; the first by default.")] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Input of the task; may be repeated. Without: all.")
    ] = None,
    probe: Annotated[str | None, typer.Option(help="As the table calls it; the first by default.")] = None,
    rows: Annotated[
        list[str] | None, typer.Option("--row", help="Row of the table; may be repeated. Without: all.")
    ] = None,
    trainings: Annotated[
        int | None, typer.Option(min=1, help="So many trainings, or rounds over the folds; all by default.")
    ] = None,
    bands: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BANDS",
            help="Leave out `all` (each band, part of the spectrum and sensor in turn), a band, or several joined by "
            "a comma; may be repeated.",
        ),
    ] = None,
    dates: Annotated[bool, typer.Option("--dates", help="Cut series short, and exchange the chips of months.")] = False,
    shifts: Annotated[
        list[str] | None,
        typer.Option(
            "--shift",
            help="haze, noise, resampling, misregistration, painted-clouds, cloud-masks, other-sensor, other-region, "
            "other-year, or `all`; may be repeated.",
        ),
    ] = None,
    splits: Annotated[
        bool,
        typer.Option(
            "--splits",
            help="Judge frozen encoders and floors again on a random split, one by blocks and one by regions.",
        ),
    ] = False,
    folds: Annotated[int, typer.Option(min=3, help="Of --splits: number of folds of each.")] = 5,
    block_km: Annotated[float, typer.Option(min=0.001, help="Of --splits: side of a block, in kilometres.")] = 5.0,
    region: Annotated[
        str | None,
        typer.Option(help="Of --splits: column whose values are the regions; the corpus's groups by default."),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option(
            "--locations", min=2, help="Largest number of test locations, 2000 by default; of more, some at random."
        ),
    ] = None,
) -> None:
    """Ask a run's rows about test images that have changed: fewer bands or dates, haze, noise, clouds, misregistration.

    Nothing is learnt anew: what the run trained is asked again, and each row's drop has an interval, paired by test
    unit. Without --bands, --dates, --shift and --splits all conditions are tried. With --splits, how much better rows
    look on a random split. Tables and figures go to RUN/stress and into the report, which is written anew.
    """
    refuse_alone(context, {"folds": "splits", "block_km": "splits", "region": "splits"})
    some = bool(bands or dates or shifts)
    if splits and not some:
        refuse(context, "a comparison of splits alone (--splits)", {"most"})
    from swath import pipeline
    from swath.tasks import Splits, Wanted
    from swath.tasks.robustness import ELSEWHERE, SHIFTS, Asked

    asked = Asked(
        bands=bool(bands),
        groups=tuple(bands or ()),
        dates=dates,
        shifts=(*SHIFTS, *ELSEWHERE) if "all" in (shifts or ()) else tuple(shifts or ()),
    )
    if not some:
        asked = None if splits else Asked()
    wanted = Wanted(task, tuple(inputs or ()), probe, tuple(rows or ()), trainings)
    ways = Splits(folds, block_km, region) if splits else None
    for line in pipeline.stress(run_folder, wanted=wanted, asked=asked, splits=ways, most=most):
        console().print(line, soft_wrap=True)
    _print_tables(run_folder / "stress")
    say_where(pipeline.report(run_folder))


def _print_tables(folder: Path) -> None:
    """What changed images cost each row, and what a random split adds."""
    from swath.products import words
    from swath.products.draw.robustness import called
    from swath.tasks.schema import CONDITIONS, SPLIT_VALUES

    def cells(line: dict[Any, Any], name: str, changed: str) -> list[str]:
        metric, gain = line["metric"], (line[f"{changed}_low"], line[f"{changed}_high"])
        return [
            str(line["row"]),
            name,
            words.score(metric, line["value"]),
            words.score_interval(metric, line["low"], line["high"]),
            words.gain(metric, line[changed]),
            words.gain_interval(metric, *gain),
        ]

    if (folder / CONDITIONS.file).is_file():
        table = CONDITIONS.read(folder)
        _print(table, "changed by", "drop", lambda line: cells(line, called(line), "drop"))
    if (folder / SPLIT_VALUES.file).is_file():
        table = SPLIT_VALUES.read(folder)
        _print(table, "split", "random adds", lambda line: cells(line, line["split"], "optimism"))


def _print(lines: "pd.DataFrame", name: str, changed: str, cells: Callable[[dict[Any, Any]], list[str]]) -> None:
    from swath.products.tables import of_lines

    for _, own in lines.groupby(["task", "input", "probe", "metric"], sort=False):
        first = own.iloc[0]
        table = Table(title="{task}: {input}, {probe} ({metric})".format(**first), title_justify="left")
        for column in ("row", name, "value", "95 % interval", changed, "95 % interval"):
            table.add_column(column, justify="left" if column in {"row", name} else "right")
        for line in own.sort_values("row", kind="stable").to_dict("records"):
            table.add_row(*cells(line))
        console().print(table)
        for remark in of_lines(own):
            console().print(remark, soft_wrap=True)
