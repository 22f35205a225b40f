"""Many runs and data sets side by side: values, claims, rows of different runs compared, ranks, labels saved."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from swath._files import replacing, write_whole
from swath.errors import SwathError
from swath.products.leaderboard import _markdown, _page
from swath.products.leaderboard._board import Leaderboard, Line, RunComparison, compare
from swath.products.leaderboard._words import difference, joined, ranks, sentence, summary, value
from swath.products.pages import write_page

__all__ = [
    "Leaderboard",
    "Line",
    "RunComparison",
    "compare",
    "difference",
    "joined",
    "ranks",
    "sentence",
    "summary",
    "table_of",
    "value",
    "verify",
    "write",
]


def table_of(board: Leaderboard) -> pd.DataFrame:
    """The leaderboard's lines as a data frame, a row each."""
    return pd.DataFrame([asdict(line) for line in board.lines], columns=list(Line.__dataclass_fields__))


def write(board: Leaderboard, to: Path) -> Path:
    """Write a leaderboard; the ending says as what.

    Args:
        board: from `compare`.
        to: `.html` (a page), `.md` (a document: its block between `<!-- swath:leaderboard -->` and
            `<!-- /swath:leaderboard -->` is replaced; a new one is made), `.csv` or `.parquet` (a line for each row).

    Raises:
        SwathError: the ending is another one, the document has no block, or the file cannot be written.
    """
    writers: dict[str, Callable[[Leaderboard, Path], None]] = {
        ".html": lambda board, to: write_page(to, _page.render(board)),
        ".md": _write_document,
        ".csv": lambda board, to: write_whole(to, table_of(board).to_csv(index=False)),
        ".parquet": _write_parquet,
    }
    writer = writers.get(to.suffix.lower())
    if writer is None:
        raise SwathError(
            f"a leaderboard is no {to.suffix or 'file without an ending'}", where=str(to), remedy=_or(list(writers))
        )
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        writer(board, to)
    except OSError as error:
        raise SwathError(f"cannot write the leaderboard: {error.strerror}", where=str(to)) from error
    return to


def verify(document: Path, board: Leaderboard | None = None) -> str | None:
    """How a document's leaderboard is not what `write` made, in words; None where it is.

    Args:
        document: a Markdown document that holds one.
        board: what it should hold; None asks only whether it was changed since it was written.

    Raises:
        SwathError: there is no such document, or it is no Markdown.
    """
    if document.suffix.lower() != ".md":
        raise SwathError("only a Markdown document can be checked", where=str(document), remedy="give one with --to")
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise SwathError(f"cannot read the leaderboard: {error.strerror}", where=str(document)) from error
    return _markdown.differs(text, None if board is None else _markdown.render(board))


def _or(endings: list[str]) -> str:
    return f"give a name that ends in {', '.join(endings[:-1])} or {endings[-1]}"


def _write_parquet(board: Leaderboard, to: Path) -> None:
    with replacing(to) as temporary:
        table_of(board).to_parquet(temporary, index=False)


def _write_document(board: Leaderboard, to: Path) -> None:
    body = _markdown.render(board)
    text = _markdown.placed(to.read_text(encoding="utf-8"), body) if to.exists() else _markdown.whole(body)
    if text is None:
        raise SwathError(
            "the document has no place for a leaderboard",
            where=str(to),
            remedy=f"write {_markdown.BEGIN} and {_markdown.END} where it shall stand, each on a line of its own",
        )
    write_whole(to, text)
