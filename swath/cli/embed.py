"""`swath embed`: embeddings by a saved encoder."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


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
