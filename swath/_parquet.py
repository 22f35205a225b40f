"""How much memory a Parquet file takes, estimated before it is read: kilobytes on disk can stand for gigabytes."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

OWN_BYTES = 4 * 10**9
"""Bytes that a table written by swath may always take in memory."""
OWN_TIMES = 1000
"""A larger table may take this many times its file's size; swath's tables, which repeat little, stay far below."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
"""Bytes of one value of each of Parquet's physical types."""
_DICTIONARIES = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
"""Parquet encodings that store references to a dictionary of values."""


def measured(path: Path) -> Path:
    """Return the path of a table that claims to be swath's own, if reading it takes an acceptable amount of memory.

    Raises:
        ValueError: it would take more than 4 GB in memory, and more than a thousand times the file's size.
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
    """
    limit = max(OWN_BYTES, OWN_TIMES * path.stat().st_size)
    total, referred = _by_footer(path)
    # no text is longer than all that its column stores, and no more has to be known of most tables
    if total + sum(chunk.num_values * chunk.total_uncompressed_size for chunk, _ in referred) <= limit:
        return path
    if (size := decoded_size(path, limit)) > limit:
        raise ValueError(f"{path.name} would take {size / 1e9:,.1f} GB to read, the limit is {limit / 1e9:,.4g}")
    return path


def decoded_size(path: Path, limit: int) -> int:
    """Bytes of all columns, or any number above a limit if they take more.

    Only the footer is read, and texts that are stored once and referred to, without being repeated.

    Args:
        path: of the file.
        limit: bytes.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: its footer, or a page of texts, is damaged.
    """
    total, referred = _by_footer(path)
    for name in sorted({column.path for _, column in referred}) if total <= limit else ():
        total += _text_bytes(path, name)
    return total


def _by_footer(path: Path) -> tuple[int, list[tuple[pq.ColumnChunkMetaData, pq.ColumnSchema]]]:
    """Bytes according to the footer alone, and the column chunks whose texts it counts as references only."""
    with pq.ParquetFile(path) as file:
        footer = file.metadata
    chunks = [
        (footer.row_group(group).column(column), footer.schema.column(column))
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]
    return sum(_claimed(*one) for one in chunks), [one for one in chunks if _refers(*one) and not _uncounted(*one)]


def _claimed(chunk: pq.ColumnChunkMetaData, column: pq.ColumnSchema) -> int:
    """Bytes of a column chunk according to the footer; where texts are stored as references, of the references
    alone.
    """
    if _uncounted(chunk, column):  # each may be as long as all that is stored
        return chunk.num_values * chunk.total_uncompressed_size
    width = column.length if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(column.physical_type, 4)
    return max(chunk.num_values * width, chunk.total_uncompressed_size)


def _refers(chunk: pq.ColumnChunkMetaData, column: pq.ColumnSchema) -> bool:
    return column.physical_type == "BYTE_ARRAY" and bool(_DICTIONARIES & set(chunk.encodings))


def _uncounted(chunk: pq.ColumnChunkMetaData, column: pq.ColumnSchema) -> bool:
    """Whether texts repeat each other in a way that Arrow cannot read without repeating them."""
    in_list = column.path != column.name
    return (in_list and _refers(chunk, column)) or "DELTA_BYTE_ARRAY" in chunk.encodings


def _text_bytes(path: Path, name: str) -> int:
    """Bytes of all distinct texts of a column."""
    with pq.ParquetFile(path, read_dictionary=[name]) as file:
        column = file.read([name])[name]
    # pyarrow makes its functions when it is imported, so no type checker knows them
    length, total = pc.binary_length, pc.sum  # pyright: ignore[reportAttributeAccessIssue]
    sizes = (pc.take(length(chunk.dictionary), chunk.indices) for chunk in column.chunks)
    return sum(total(size).as_py() or 0 for size in sizes)
