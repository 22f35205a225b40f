"""`swath embed`: embeddings by a saved encoder, as files that other tools open, and what is wrong with such files."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from swath._progress import console
from swath.cli._arguments import input_
from swath.cli._modes import Context, refuse_alone, take_only
from swath.errors import SwathError

if TYPE_CHECKING:
    from swath.products import embeddings

app = typer.Typer()
CHECK = "check"
"""In place of an encoder: look at a file instead of making one."""
OF_CHECK = {"encoder", "data"}
OF_ANY = OF_CHECK | {"to", "bands", "quantise", "source"}
OF_GRID = OF_ANY | {"crop", "stride", "date"}
OF_ROWS = OF_ANY | {"prefix", "pca", "pca_from"}
OF_ZONES = OF_ROWS | {"zones"}
OF_INDEX = OF_ROWS | {"dates", "labels"}
"""Parameters of `embed` that each kind of file depends on."""


class Dates(StrEnum):
    """What a row is of an encoder of single dates."""

    one = "one"
    each = "each"


class Method(StrEnum):
    """How vectors become bytes."""

    linear = "linear"
    signed_power = "signed-power"


@app.command(
    epilog="Example: `swath embed runs/quickstart/pretrain/simclr/seed-0/encoder runs/quickstart/corpus "
    "--quantise linear`. Is a file sound? `swath embed check embeddings.parquet`"
)
def embed(
    context: Context,
    encoder: Annotated[
        Path,
        typer.Argument(help="A saved encoder: the path of its files, with or without suffix. Or the word `check`."),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            help="A corpus, a YAML file of where and when in a catalogue, or a folder of GeoTIFFs in the encoder's "
            "bands; a scene for a grid. After `check`: a file."
        ),
    ],
    to: Annotated[Path, typer.Option(help="File to write: .parquet, or .zarr or .tif for a grid over a scene.")] = Path(
        "embeddings.parquet"
    ),
    dates: Annotated[Dates, typer.Option(help="One date of each location, or each in a row of its own.")] = Dates.one,
    zones: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Vector file of polygons: a row for each, its mean.")
    ] = None,
    crop: Annotated[
        int | None, typer.Option(min=1, help="Of a grid: pixels of a crop; the size that the encoder was made with.")
    ] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Of a grid: pixels between crops; the crop's size.")] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="A,B", help="Band keys of the input, for an encoder that takes any.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="Of a scene or a folder: a recipe, or what its corpus.source says of images; of a grid also of "
            "quality or a cube.",
        ),
    ] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Of a grid: the only day to use.")] = None,
    quantise: Annotated[
        Method | None,
        typer.Option(help="Store int8 with a scale per dimension; says what it costs."),
    ] = None,
    prefix: Annotated[
        int | None, typer.Option(help="Keep the first dimensions, of an encoder trained for it (Matryoshka).")
    ] = None,
    pca: Annotated[
        int | None, typer.Option(help="Keep principal components, which are saved as NAME.pca.safetensors.")
    ] = None,
    pca_from: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Saved components, or embeddings to fit them on.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Of --quantise: layer or column whose classes are probed before and after.")
    ] = None,
) -> None:
    """Embed every location of a corpus, or every image of a folder, by a saved encoder.

    Of a raster of any size, or a folder of them, --to NAME.zarr and --to NAME.tif make a grid of vectors, one a crop.
    Else it writes GeoParquet: uid, sensor, date, share of usable pixels, vector, footprint and its box, along a Hilbert
    curve, with a STAC collection beside it. The same command continues what was killed.

    `swath embed check FILE` looks for what is wrong with such a file; exit code 1 if something is.
    """
    if str(encoder) == CHECK:
        take_only(context, "a check of a file", OF_CHECK)
        _check(data)
        return
    from swath import pipeline
    from swath.products.embeddings import GRIDS, Storage, build_dense, build_index, build_zones

    is_grid = to.suffix.lower() in GRIDS
    if is_grid:
        take_only(context, f"a grid of embeddings ({to.suffix})", OF_GRID, where=to)
    elif zones is not None:
        take_only(context, "a table of polygons (--zones)", OF_ZONES)
    else:
        remedy = "leave it out; or give --to NAME.zarr or NAME.tif for a grid"
        take_only(context, "a table of locations", OF_INDEX, where=to, remedy=remedy)
        refuse_alone(context, {"labels": "quantise"})
    method = cast("embeddings.Method | None", None if quantise is None else quantise.value)
    chosen = None if bands is None else [key.strip() for key in bands.split(",")]
    data = pipeline.input_of(data, to)
    if is_grid:
        given = input_(data, source, date)
        for path in build_dense(encoder, given, to, bands=chosen, crop_px=crop, stride_px=stride, quantise=method):
            typer.echo(path)
        return
    storage = Storage(quantise=method, prefix=prefix, pca=pca, pca_from=pca_from, labels=labels)
    images = None if source is None else _images(source)
    if zones is not None:
        written = build_zones(encoder, data, zones, to, bands=chosen, images=images, storage=storage)
    else:
        written = build_index(encoder, data, to, bands=chosen, images=images, dates=dates.value, storage=storage)
    for note in written.notes:
        console().print(note, soft_wrap=True)
    typer.echo(written.path)


def _images(source: Path) -> "Mapping[str, Any]":
    """What a YAML file says of a folder's images; SwathError where it says more than a table can use."""
    from swath.products.windows import described

    said = described(source)
    if set(said) != {"images"} or len(said["images"]) != 1:
        raise SwathError(
            "the images of a folder are embedded by one entry of images, without quality",
            where=str(source),
            remedy="make a corpus of them (docs/your-data.md), and embed that",
        )
    return said["images"][0]


def _check(path: Path) -> None:
    from swath.products.embeddings import check_embeddings

    problems = check_embeddings(path)
    for problem in problems:
        console().print("error:", style="bold", end=" ")
        console().print(problem, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    console().print("no errors found")
