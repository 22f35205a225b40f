"""The command line. Every command is a short call that Python users can make as well.

torch takes seconds to import, so each command imports what it needs, and `swath --help` answers at once.
"""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from swath import __version__, _signals
from swath._endings import ending
from swath._progress import console
from swath.errors import UNPRINTABLE, RecipeError, nearest

app = typer.Typer(
    name="swath",
    help="Self-supervised learning on Earth observation: corpus, encoder, honest comparison, report.",
    epilog="First time here? `swath quickstart` does the whole job on a built-in synthetic landscape.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
corpus_app = typer.Typer(help="Make, inspect and check corpora of chips.", no_args_is_help=True)
recipes_app = typer.Typer(help="List, show and describe recipes.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")
app.add_typer(recipes_app, name="recipes")

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
SensorsOption = Annotated[
    Path | None,
    typer.Option("--sensors", metavar="FILE", help="YAML file of sensors that the recipe does not declare."),
]
CorpusArgument = Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder that holds a corpus.json.")]


def main() -> None:
    """Entry point: whatever happens ends with a message and an exit code (README), never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths that are no UTF-8 are printed as they are
            stream.reconfigure(errors="surrogateescape")
    try:
        with _signals.answered():
            app()
    except _signals.Stopped as stop:
        console().print("\nstopped; the same command continues where it was")
        sys.exit(stop.code)
    except Exception as error:
        _fail(*ending(error))


def _fail(message: str, code: int) -> None:
    printer = console()
    printer.print("error:", style="bold red", end=" ")
    # a terminal would obey what is in a stranger's names
    printer.print(UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], message), soft_wrap=True)
    sys.exit(code)


def _version(show: bool | None) -> None:
    if show:
        typer.echo(f"swath {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    pass


@app.command(epilog="Example: `swath run hls-landcover data=../shared/data/hls_water seeds='[0]'`")
def run(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    jobs: JobsOption = 1,
    devices: DevicesOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Corpus (if missing), pre-training, evaluation and report; continues where it stopped."""
    from swath import pipeline
    from swath.config import load

    _say_report(pipeline.run(load(recipe, overrides, sensors), out, jobs=jobs, devices=devices or "auto"))


@app.command(epilog="Example: `swath quickstart --out /tmp/first-light`")
def quickstart(
    overrides: OverridesArgument = None, out: OutOption = None, jobs: JobsOption = 1, devices: DevicesOption = None
) -> None:
    """The whole job on the built-in synthetic landscape, in minutes on two cores."""
    run("quickstart", overrides, out, jobs, devices)


@app.command(epilog="Example: `swath pretrain quickstart --arm simclr --seed 0`")
def pretrain(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    arm: Annotated[str | None, typer.Option(help="Only this arm of the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="Only this seed of the recipe.")] = None,
    jobs: JobsOption = 1,
    devices: DevicesOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Pre-train the recipe's encoders (making the corpus if it is missing)."""
    from swath import pipeline
    from swath.config import load

    resolved = load(recipe, overrides, sensors)
    trained = pipeline.pretrain(resolved, out, arm=arm, seed=seed, jobs=jobs, devices=devices or "auto")
    for encoder in trained:
        typer.echo(encoder)


@app.command(epilog="Example: `swath evaluate quickstart`")
def evaluate(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PATH",
            help="A saved encoder to judge as well, or alone where the recipe has no arms; may be given several times.",
        ),
    ] = None,
    jobs: JobsOption = 1,
    sensors: SensorsOption = None,
) -> None:
    """Evaluate the recipe's pre-trained encoders against the floors and print the table."""
    from swath import pipeline
    from swath.config import load

    resolved = load(recipe, overrides, sensors)
    folder = pipeline.evaluate(resolved, out, encoders=_named_encoders(encoder or []), jobs=jobs)
    _print_table(folder / "table.csv")
    typer.echo(folder)


def _named_encoders(given: list[str]) -> dict[str, Path]:
    """Saved encoders by name: the one that is given, or that of the arm that it was pre-trained as."""
    from swath.encoders import load_card

    found: dict[str, Path] = {}
    for text in given:
        said, equals, path = text.rpartition("=")
        name = said if equals else str(load_card(path).provenance.get("arm") or Path(path).stem)
        if name in found:
            raise RecipeError(f"two encoders are called {name!r}", remedy="name them: --encoder NAME=PATH")
        found[name] = Path(path)
    return found


@app.command(epilog="Example: `swath embed runs/quickstart/pretrain/simclr/seed-0/encoder runs/quickstart/corpus`")
def embed(
    encoder: Annotated[Path, typer.Argument(help="A saved encoder: the path of its files, with or without suffix.")],
    data: Annotated[Path, typer.Argument(help="A corpus, or a folder of GeoTIFFs in the encoder's bands.")],
    to: Annotated[Path, typer.Option(help="Parquet file to write: uid and embedding, a row a location.")] = Path(
        "embeddings.parquet"
    ),
) -> None:
    """Embed every location of a corpus, or every image of a folder, by a saved encoder."""
    from swath.products.embeddings import embed as embed_all
    from swath.products.embeddings import write

    typer.echo(write(embed_all(encoder, data), to))


@app.command(epilog="Example: `swath power runs/quickstart --difference 3`")
def power(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of an evaluated run, such as runs/quickstart.")
    ],
    difference: Annotated[float, typer.Option(min=0.01, help="In percentage points.")],
) -> None:
    """Say how many trainings or groups a difference of that size takes, by the variances that a run found."""
    from swath.errors import SwathError
    from swath.tasks.power import needed_for

    try:
        lines = needed_for(run_folder / "evaluate", difference / 100)
    except FileNotFoundError:
        raise SwathError(
            "the run has no claims", where=str(run_folder), remedy="run `swath evaluate` with its recipe again"
        ) from None
    table = Table("claim", "detectable", "trainings", "needed", "groups", "needed")
    for line in lines:
        needed = ["–" if number is None else str(number) for number in (line.trainings_needed, line.groups_needed)]
        row = (line.claim, f"{100 * line.detectable:.1f}", line.trainings, needed[0], line.groups, needed[1])
        table.add_row(*map(str, row))
    console().print(table)
    console().print(
        f"needed: for {difference:g} points with a probability of 80 %, with the other number as it is; –: no number "
        "up to 64 times as many will do, or nothing is known of trainings"
    )


@app.command("map", epilog="Example: `swath map runs/s4-belgium --task crops --input optical --row s4 --to maps`")
def map_(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, such as runs/s4-belgium.")],
    task: Annotated[str, typer.Option(help="A segmentation task of the run.")],
    row: Annotated[str, typer.Option(help="An arm, floor or reference of its table.")],
    input: Annotated[str, typer.Option(help="One of the task's inputs.")],  # noqa: A002 — the tables' word
    probe: Annotated[str, typer.Option(help="As the table calls it.")] = "fine-tune",
    to: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("maps"),
) -> None:
    """Write predicted maps of test locations: a GeoTIFF of each, and a picture beside images and labels.

    A run keeps the maps of those that are most and least right; they are in the label layer's own codes and colours.
    """
    from swath.products.maps import maps

    for path in maps(run_folder, to, task=task, input=input, row=row, probe=probe):
        typer.echo(path)


@app.command(
    epilog="Example: `swath report runs/quickstart`, or `swath report runs/a runs/b --into docs/results.md`. "
    "`swath report --into docs/results.md --check` says what in the document is not what was written."
)
def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Folders of runs, such as runs/quickstart.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Write the runs' tables, and what they mean in words, into this Markdown document instead."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="With --into: folder for a figure of each run.")] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="With --into: write nothing; say what in the document differs, and which runs have changed.",
        ),
    ] = False,
) -> None:
    """Write the run's report anew, one HTML file that needs no network; or its tables into a document."""
    if not runs and not check:
        raise RecipeError("no run is given", where="swath report", remedy="give the folder of one, such as runs/mine")
    if into is None:
        if images is not None or check:
            option = "--check" if check else "--images"
            raise RecipeError(f"{option} is about a document", where="swath report", remedy="name it: --into DOCUMENT")
        _report_each(runs or [])
    elif check:
        _check_document(into, runs or [])
    else:
        from swath.products import documents

        typer.echo(documents.write(runs or [], into, images))


def _report_each(runs: list[Path]) -> None:
    from swath import pipeline

    for run_folder in runs:
        _say_report(pipeline.report(run_folder))


def _check_document(document: Path, runs: list[Path]) -> None:
    from swath.products import documents

    problems = documents.verify(document)
    problems += [f"{name}: the run says something else than {document}" for name in documents.stale(document, runs)]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)


@app.command("plugins", epilog="Example: `swath plugins methods`")
def plugins_(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="Only this kind, such as methods.")] = None,
) -> None:
    """List what recipes can name: swath's own, and what installed packages add, with the package and its version."""
    from swath import plugins

    if kind is not None and kind not in plugins.PACKAGES:
        raise RecipeError(f"unknown kind of plug-in {kind!r}", remedy=nearest(kind, plugins.PACKAGES))
    table = Table("kind", "name", "from")
    for one in plugins.PACKAGES if kind is None else [kind]:
        for name, origin in plugins.origins(plugins.PACKAGES[one]).items():
            table.add_row(one, name, origin)
    console().print(table)


@corpus_app.command(
    "ingest",
    epilog="Example: `swath corpus ingest my-recipe.yaml data=~/images`, or "
    "`swath corpus ingest worldcereal-pixels ~/pixels --to corpora/pixels`. `swath corpus formats` lists the formats.",
)
def corpus_ingest(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A recipe, or the name of a published format.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH] [key=value ...]",
            help="For a format: the folder to read, and the format's settings. For a recipe: values over its own.",
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the corpus; with a format.")] = None,
    out: OutOption = None,
    sensors: SensorsOption = None,
) -> None:
    """Make a corpus from a published format, or from the files that a recipe describes; continues where it stopped."""
    from swath import pipeline
    from swath.config import load
    from swath.corpus.sources import formats
    from swath.sensors import read as read_sensors

    if what in formats():
        if sensors is not None:
            read_sensors(sensors)
        typer.echo(_ingest_format(what, arguments or [], to, out))
    elif to is not None:
        raise RecipeError(f"unknown format {what!r}", where="--to", remedy=nearest(what, formats()))
    else:
        typer.echo(pipeline.build_corpus(load(what, arguments, sensors), out).path)


def _ingest_format(name: str, arguments: list[str], to: Path | None, out: Path | None) -> Path:
    from swath import pipeline
    from swath.config import resolve_source

    example = f"swath corpus ingest {name} PATH --to CORPUS"
    if to is None or out is not None:
        raise RecipeError("a format's corpus needs a folder of its own", where=f"ingest {name}", remedy=example)
    if not arguments or ("=" in arguments[0] and not Path(arguments[0]).exists()):
        raise RecipeError("the folder to read is not given", where=f"ingest {name}", remedy=example)
    data, *settings = arguments
    return pipeline.make_corpus(resolve_source(name, settings), to, Path(data).expanduser()).path


@corpus_app.command("formats", epilog="Example: `swath corpus formats`")
def corpus_formats() -> None:
    """List the published formats that `swath corpus ingest` converts, with the settings that they need."""
    from swath import plugins
    from swath.corpus.sources import formats, needed

    table = Table("format", "what it is", "settings that it needs")
    origins = plugins.origins("swath.corpus.sources")
    for name, line in formats().items():
        line += "" if origins[name] == "swath" else f" (of {origins[name]})"
        table.add_row(name, line, "\n".join(f"{key}={'|'.join(values)}" for key, values in needed(name).items()))
    console().print(table)


@corpus_app.command("plan", epilog="Example: `swath corpus plan cities count=1000 --to plan.parquet`")
def corpus_plan(
    what: Annotated[
        str,
        typer.Argument(metavar="RECIPE|STRATEGY", help="A recipe whose source is stac, or a strategy such as uniform."),
    ],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Overrides, or settings of the strategy.")
    ] = None,
    to: Annotated[Path, typer.Option(help="GeoParquet file to write; the map stands beside it as PNG.")] = Path(
        "plan.parquet"
    ),
    land: Annotated[
        Path | None, typer.Option(help="Polygons to draw on the map, such as Natural Earth's land.")
    ] = None,
    chip_px: Annotated[int, typer.Option(min=1, help="Of a strategy: width of a chip in pixels.")] = 264,
    gsd_m: Annotated[float, typer.Option(min=0.1, help="Of a strategy: size of a pixel in metres.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that the estimate counts on.")] = 8,
    request_ms: Annotated[float, typer.Option(min=0, help="Time of a request that the estimate counts on.")] = 100.0,
) -> None:
    """Draw the locations of a corpus, map them, and say what building it will cost."""
    from swath import pipeline

    count, cost = pipeline.plan_corpus(what, settings, to, land, chip_px, gsd_m, workers, request_ms / 1000)
    for line in cost.lines() if cost else [f"{count:,} locations"]:
        console().print(line)
    typer.echo(to)


@corpus_app.command("build", epilog="Example: `swath corpus build build-s1-s2-series --out runs/mine --workers 8`")
def corpus_build(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    out: OutOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; two a core if not said.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use instead.")] = None,
) -> None:
    """Make a corpus from the catalogues that the recipe's `corpus.source` names; continues where it stopped."""
    from swath import pipeline
    from swath.config import load
    from swath.corpus.cluster import cluster as dask_cluster

    resolved = load(recipe, overrides)
    with dask_cluster(workers, cluster):
        typer.echo(pipeline.build_corpus(resolved, out).path)


@corpus_app.command("synth", epilog="Example: `swath corpus synth /tmp/landscape locations=1000 seed=3`")
def corpus_synth(
    target: Annotated[Path, typer.Argument(help="Folder of the new corpus.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Settings of the landscape; see the docs.")
    ] = None,
) -> None:
    """Generate the synthetic landscape: a georeferenced multi-sensor world whose truth is known."""
    from swath import pipeline
    from swath.config import resolve_source

    typer.echo(pipeline.make_corpus(resolve_source("synth", settings or []), target, None).path)


@corpus_app.command("info", epilog="Example: `swath corpus info runs/quickstart/corpus`")
def corpus_info(path: CorpusArgument) -> None:
    """Say what a corpus holds: sensors, bands, chips, dates, labels, statistics."""
    from swath.corpus import Corpus, info

    printer = console()
    for title, rows in info(Corpus.open(path)).items():
        table = Table(title=title, title_justify="left", show_header=bool(rows) and isinstance(rows, list))
        # folded, not cut off, where the terminal is narrow: two sensors may begin alike
        if isinstance(rows, dict):
            table.add_column()
            table.add_column(overflow="fold")
            for key, value in rows.items():
                table.add_row(str(key), str(value))
        elif rows:
            for column in rows[0]:
                table.add_column(str(column), overflow="fold")
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
        printer.print(table)


@corpus_app.command("check", epilog="Example: `swath corpus check runs/quickstart/corpus --to check.html`")
def corpus_check(
    path: CorpusArgument,
    to: Annotated[Path | None, typer.Option(help="HTML page to write, with what was measured and pictures.")] = None,
    locations: Annotated[int, typer.Option(min=0, help="Locations whose pixels are looked at; 0: all.")] = 200,
    every: Annotated[
        bool, typer.Option("--all", help="Look at all of them, and compare the content hash; as --locations 0.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings make the exit code 1 as well.")] = False,
) -> None:
    """Look for what would spoil an experiment; exit code 1 if something is wrong, 0 if not.

    Index and arrays, digests of pixels and labels, nodata and ranges, copies, clouds, time between sensors, footprints,
    shifts of parts of a pixel, exchanged bands, wrong units and offsets, labels.
    """
    from swath.corpus import Corpus, examine
    from swath.corpus.checks import worst_first
    from swath.products.check_page import check_page

    corpus = Corpus.open(path)
    locations = 0 if every else locations
    sections = examine(corpus, locations or None, seed)
    findings = worst_first([finding for section in sections for finding in section.findings])
    if to:
        typer.echo(check_page(corpus, sections, to, min(locations or len(corpus), len(corpus))))
    printer = console()
    for finding in findings:
        printer.print(f"{finding.level}:", style="bold", end=" ")
        printer.print(str(finding), soft_wrap=True)
    if any(strict or finding.level == "error" for finding in findings):
        raise typer.Exit(1)
    printer.print("no errors found")


@corpus_app.command("preview", epilog="Example: `swath corpus preview runs/quickstart/corpus --to sheet.png`")
def corpus_preview(
    path: CorpusArgument,
    to: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("preview.png"),
    locations: Annotated[int, typer.Option(min=1, max=64, help="How many locations to show.")] = 8,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
) -> None:
    """Draw a contact sheet of some locations: every sensor, several dates, labels."""
    from swath.corpus import Corpus
    from swath.products.contact_sheet import preview

    typer.echo(preview(Corpus.open(path), to, locations=locations, seed=seed))


@corpus_app.command("split", epilog="Example: `swath corpus split my-corpus by=block block_km=20 --to map.png`")
def corpus_split(
    path: CorpusArgument,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE | key=value ...]", help="A recipe's split, or settings.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Map to write, PNG or SVG.")] = None,
) -> None:
    """Say how a split parts a corpus and what it lets through: neighbours, shared groups, copies; draw its map."""
    from swath.config import load, resolve_split
    from swath.corpus import Corpus, leakage, split
    from swath.corpus.splits.partition import independent, thin_parts
    from swath.products.split_map import audit_rows, split_map

    settings = settings or []
    named = [one for one in settings if "=" not in one]
    overrides = [one for one in settings if "=" in one]
    config = load(named[0], [f"split.{one}" for one in overrides]).split if named else resolve_split(overrides)
    corpus = Corpus.open(path)
    rows = split(corpus, config)
    table = Table(title=f"split by {config.by}", title_justify="left", show_header=False)
    for name, value in audit_rows(leakage(corpus, rows)):
        table.add_row(name, value)
    console().print(table)
    groups = independent(corpus, config)
    for remark in thin_parts({part: groups[index] for part, index in rows.items()}, config):
        console().print(remark, soft_wrap=True)
    if to:
        typer.echo(split_map(corpus, rows, to))


@recipes_app.command("list", epilog="Example: `swath recipes list`")
def recipes_list() -> None:
    """List the recipes that come with swath."""
    import yaml

    from swath.recipes import shipped, source_text

    table = Table("recipe", "what it asks", show_lines=False)
    for name in shipped():
        table.add_row(name, " ".join(str(yaml.safe_load(source_text(name)[1]).get("description", "")).split()))
    console().print(table)


@recipes_app.command("show", epilog="Example: `swath recipes show rs-byol-1 > mine.yaml`")
def recipes_show(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default and override filled in.")] = False,
) -> None:
    """Print a recipe, as a start for your own."""
    if resolved or overrides:
        from swath.config import dump, load

        typer.echo(dump(load(recipe, overrides)), nl=False)
    else:
        from swath.recipes import source_text

        typer.echo(source_text(recipe)[1], nl=False)


@recipes_app.command("schema", epilog="Example: `swath recipes schema > recipe.schema.json`")
def recipes_schema() -> None:
    """Print the JSON schema of a recipe, with which editors complete and check it."""
    import json

    from swath.config import schema

    typer.echo(json.dumps(schema(), indent=2))


def _say_report(path: Path) -> None:
    _print_table(path.parent / "evaluate" / "table.csv")
    console().print("open the report:", style="bold", end=" ")
    typer.echo(path)


def _print_table(path: Path) -> None:
    if not path.exists():
        return
    import pandas as pd

    from swath.tasks.schema import TABLE

    values = TABLE.read(path.parent)
    judged = values["metric"] != ""
    for _, group in pd.DataFrame(values[judged]).groupby(["task", "input", "probe", "metric"], sort=False):
        first = group.iloc[0]
        title = f"{first['task']}: {first['input']}, {first['probe']} ({first['metric']}, %)"
        table = Table(title=title, title_justify="left")
        for column in ("row", "role", "value", "95 % interval"):
            table.add_column(column, justify="right" if column in {"value", "95 % interval"} else "left")
        for cell in group.sort_values("value", ascending=False).to_dict("records"):
            interval = f"{100 * cell['low']:.1f} to {100 * cell['high']:.1f}"
            table.add_row(cell["row"], cell["role"], f"{100 * cell['value']:.1f}", interval)
        console().print(table)
    for cell in pd.DataFrame(values[~judged]).to_dict("records"):
        said = f"{cell['task']}: {cell['input']}, {cell['probe']}: no result of {cell['row']}: {cell['note']}"
        console().print(said, style="yellow", soft_wrap=True, markup=False)
