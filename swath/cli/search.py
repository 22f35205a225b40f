"""`swath search`: places like these, in embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from swath._progress import console
from swath.cli._modes import Context, refuse_alone
from swath.errors import UNPRINTABLE, SwathError

app = typer.Typer()


@app.command(
    epilog="Example: `swath search embeddings.parquet --at 11.78,52.09 --to places.geojson --sheet places.png`"
)
def search(
    context: Context,
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="GeoParquet file of swath embed.")],
    like: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="A location that is wanted, or UID@DATE; may be repeated.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="A location that is not wanted; may be repeated.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="LON,LAT", help="The location there, or the nearest to it, is wanted.")
    ] = None,
    within: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Vector file: locations in its polygons are wanted.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="GeoTIFF in the encoder's bands that is wanted.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Of --image: the encoder that made the index; where the index says by default.")
    ] = None,
    negatives: Annotated[
        float | None, typer.Option(min=0.0, help="Weight of --unlike against all that is wanted; 0.2 by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many places.")] = 20,
    to: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Write .geojson or .parquet; may be repeated.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the places' pictures.")] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Of --sheet: the corpus of the index; where the index says by default.")
    ] = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="By a graph beside the index, made at first; needs swath[search].")
    ] = False,
) -> None:
    """Find the places whose embeddings are nearest by cosine to locations, a point, polygons or an image.

    All that is wanted counts together: the mean of the unit vectors, minus a part of the mean of those not wanted
    (Rocchio). What was looked for is no answer. Exact, unless --approximate is given.
    """
    refuse_alone(context, {"encoder": "image", "negatives": "unlike", "corpus": "sheet"})
    from swath.products.search import Asked, Index, check_places, draw_sheet, find, write_results

    for path in to or ():
        check_places(path)
    asked = Asked(
        like=tuple(like or ()),
        unlike=tuple(unlike or ()),
        at=None if at is None else _point(at),
        within=within,
        image=image,
        encoder=encoder,
        negatives=negatives,
    )
    opened = Index.open(index)
    results = find(opened, asked, count=count, approximate=approximate)
    for note in results.notes:
        console().print(note, soft_wrap=True)
    for path in to or ():
        typer.echo(write_results(results, path))
    if sheet is not None:
        typer.echo(draw_sheet(opened, results, sheet, corpus))
    if not to and sheet is None:
        shown = results.table.drop(columns="geometry").to_dict("records")
        for row in shown:
            when = "" if row["date"] != row["date"] else f"{row['date']:%Y-%m-%d}"
            apart = "" if row["km"] != row["km"] else f"{row['km']:,.1f} km"
            uid = UNPRINTABLE.sub("?", str(row["uid"]))  # a terminal would obey what is in a stranger's names
            typer.echo(f"{row['rank']}\t{row['score']:.4f}\t{uid}\t{when}\t{apart}")


def _point(text: str) -> tuple[float, float]:
    try:
        lon, lat = map(float, text.split(","))
    except ValueError:
        raise SwathError(
            f"{text!r} is not two numbers", where="--at", remedy="give LON,LAT, such as 11.78,52.09"
        ) from None
    return lon, lat
