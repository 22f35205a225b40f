"""Arguments and options that several commands share, and what becomes of them."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swath.errors import SwathError

if TYPE_CHECKING:
    from swath.products.windows import Input

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe, or path of a YAML file.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[a.b=1 ...]", help="Values to put over the recipe's, such as `data=PATH`."),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the run; `runs/NAME` if not given.")]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        min=1,
        help="How many pre-trainings, then parts of the evaluation, run at a time, each in a process of its own with "
        "its share of the cores. Small networks gain most.",
    ),
]
DevicesOption = Annotated[
    int | None,
    typer.Option(
        "--devices",
        min=1,
        help="How many devices of this machine train an encoder together; all GPUs, or the CPU, if not said.",
    ),
]
ReuseOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--reuse",
        metavar="RUN",
        help="Folder of another run, whose pre-trainings with the same settings, seed, locations and version of swath "
        "are copied instead of being made anew; may be given several times.",
    ),
]
SensorsOption = Annotated[
    Path | None,
    typer.Option("--sensors", metavar="FILE", help="YAML file of sensors that the recipe does not declare."),
]
CorpusArgument = Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder that holds a corpus.json.")]


def input_(data: Path, source: Path | None, date: str | None) -> "Input":
    """What is mapped or embedded; SwathError where the date or the description of its files is none."""
    from swath.products.windows import Input, described

    try:
        day = None if date is None else dt.date.fromisoformat(date)
    except ValueError:
        raise SwathError(f"{date!r} is no date", where="--date", remedy="write it as 2020-06-01") from None
    return Input(data, {} if source is None else described(source), day)
