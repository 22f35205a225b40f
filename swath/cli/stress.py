"""`swath stress`: what becomes of a run's rows when their test images change."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console
from swath.cli._tables import say_report

app = typer.Typer()


@app.command(
    epilog="Example: `swath stress runs/s4-canada --task crops@10% --row s4 --row scratch`. "
    "Some conditions: `swath stress runs/mine --bands all --bands B04,B08 --dates --shift haze`"
)
def stress(
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
        int, typer.Option("--locations", min=2, help="Largest number of test locations; of more, some at random.")
    ] = 2000,
) -> None:
    """Ask a run's rows about test images that have changed: fewer bands or dates, haze, noise, clouds, misregistration.

    Nothing is learnt anew: what the run trained is asked again, and each row's drop has an interval, paired by test
    unit. Without --bands, --dates, --shift and --splits all conditions are tried. With --splits, how much better rows
    look on a random split. Tables and figures go to RUN/stress and into the report, which is written anew.
    """
    from swath import pipeline
    from swath.tasks import Splits, Wanted
    from swath.tasks.robustness import ELSEWHERE, SHIFTS, Asked

    some = bool(bands or dates or shifts)
    named = [name for name in bands or () if name != "all"]
    asked = Asked(
        bands=bool(bands),
        groups=() if "all" in (bands or ()) else tuple(named),
        dates=dates,
        shifts=(*SHIFTS, *ELSEWHERE) if "all" in (shifts or ()) else tuple(shifts or ()),
    )
    if not some:
        asked = None if splits else Asked()
    wanted = Wanted(task, tuple(inputs or ()), probe, tuple(rows or ()), trainings)
    ways = Splits(folds, block_km, region) if splits else None
    for line in pipeline.stress(run_folder, wanted=wanted, asked=asked, splits=ways, most=most):
        console().print(line, soft_wrap=True)
    say_report(pipeline.report(run_folder))
