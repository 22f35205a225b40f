"""The index: locations.parquet and chips.parquet, and the committed parts that they are joined from.

While a corpus is being built, each part is a folder `index/part-000000` with the two files; renaming the folder commits
it. Finishing joins the parts into the two files at the top.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import google_crc32c
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_object_dtype
from pyproj import CRS
from pyproj.exceptions import CRSError

from swath import _parquet
from swath._files import publish
from swath.errors import CorpusError

CHIP_SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("location", pa.int64()),
        ("sensor", pa.string()),
        ("row", pa.int64()),
        ("datetime", pa.timestamp("us", "UTC")),
        ("tag", pa.string()),
        ("cloud", pa.float64()),
        ("valid", pa.float64()),
        ("source", pa.string()),
        ("orbit", pa.string()),
        ("digest", pa.string()),
    ]
)
LOCATION_COLUMNS = {
    "uid": "str",
    "crs": "str",
    "transform": "object",
    "group": "str",
    "split": "str",
    "lon": "float64",
    "lat": "float64",
    "digest": "str",
}
"""Columns that every corpus has; any other column beside `geometry` is a scalar label."""
FILES = ("locations.parquet", "chips.parquet")


def location_frame(records: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    """A table of locations; each record has the columns above, `geometry`, and scalar labels."""
    table = pd.DataFrame(
        {name: pd.Series([r[name] for r in records], dtype=kind) for name, kind in LOCATION_COLUMNS.items()}
    )
    for name in dict.fromkeys(name for record in records for name in record):
        if name not in LOCATION_COLUMNS and name != "geometry":
            table[name] = [record.get(name) for record in records]
    return gpd.GeoDataFrame(table, geometry=[record["geometry"] for record in records], crs=_crs("EPSG:4326"))


def chip_frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of chips with the columns of the schema."""
    return pa.Table.from_pylist(records, CHIP_SCHEMA).to_pandas()


def parts(corpus: Path) -> list[Path]:
    """Folders of the committed parts, in the order in which they were committed."""
    return sorted((corpus / "index").glob("part-*"))


def commit(corpus: Path, number: int, locations: gpd.GeoDataFrame, chips: pd.DataFrame) -> None:
    """Add a part: it is there with both files, or not at all."""
    _write_folder(corpus / "index", f"part-{number:06d}", locations, chips)


def _write_folder(parent: Path, name: str, locations: gpd.GeoDataFrame, chips: pd.DataFrame) -> None:
    beside = parent / f".{name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    _write_tables(beside, locations, chips)
    publish(beside, parent / name)


def _write_tables(folder: Path, locations: gpd.GeoDataFrame, chips: pd.DataFrame) -> None:
    locations.to_parquet(folder / FILES[0], index=False, write_page_checksum=True)
    table = pa.Table.from_pandas(chips, CHIP_SCHEMA, preserve_index=False)
    pq.write_table(table, folder / FILES[1], write_page_checksum=True)


def compact(corpus: Path, locations: gpd.GeoDataFrame, chips: pd.DataFrame) -> dict[str, str]:
    """Write the joined index to the top of the corpus; returns the files' checksums."""
    beside = corpus / ".index.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    _write_tables(beside, locations, chips)
    sums = checksums(beside)
    for name in FILES:
        publish(beside / name, corpus / name)
    beside.rmdir()
    return sums


def checksums(folder: Path) -> dict[str, str]:
    """CRC-32C of the two files of an index, as hexadecimal numbers."""
    return {name: f"{google_crc32c.value((folder / name).read_bytes()):08x}" for name in FILES}


def verify(corpus: Path, said: dict[str, str]) -> None:
    """Raise CorpusError unless the files of a finished corpus's index match these checksums, if any are known."""
    with _explained(corpus):
        actual = checksums(corpus) if said else {}
    for name, checksum in said.items():
        if actual.get(name) != checksum:
            raise CorpusError(
                f"{name} is not the file that was written when the corpus was finished: its checksum is another",
                where=str(corpus / name),
                remedy="restore the file, or build the corpus again; tables of your own belong beside the corpus",
            )


def reopen(corpus: Path) -> None:
    """Make the index of a finished corpus the first part of a growing one."""
    locations, chips = read_locations(corpus, complete=True), read_chips(corpus, complete=True)
    shutil.rmtree(corpus / "index", ignore_errors=True)
    commit(corpus, 0, locations, chips)


def read_locations(corpus: Path, *, complete: bool) -> gpd.GeoDataFrame:
    """All locations, from the top of a finished corpus or from the parts of one being built."""
    with _explained(corpus):
        tables = [_read_locations(_measured(folder / FILES[0])) for folder in _folders(corpus, complete)]
    return _join(tables) if tables else location_frame([])


def _read_locations(path: Path) -> gpd.GeoDataFrame:
    """Read locations as GeoPandas does, except for the reference system, which takes PROJ longer than all the rest."""
    table = pq.read_table(path, page_checksum_verification=True)
    try:
        said = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]
        crs, encoding = json.dumps(said["crs"]), said["encoding"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name} does not say where on the ground its geometry lies") from error
    if encoding != "WKB":
        raise ValueError(f"{path.name} has geometry as {encoding}, not as WKB")
    rows = table.to_pandas()
    return gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries.from_wkb(rows["geometry"], crs=_crs(crs)))


@lru_cache(maxsize=8)
def _crs(text: str) -> CRS:
    """A reference system from its code or PROJJSON, cached because every file has the same."""
    return CRS(text)


def read_chips(corpus: Path, *, complete: bool) -> pd.DataFrame:
    """All chips, from the top of a finished corpus or from the parts of one being built."""
    with _explained(corpus):
        tables = [
            pq.read_table(_measured(folder / FILES[1]), schema=CHIP_SCHEMA, page_checksum_verification=True)
            for folder in _folders(corpus, complete)
        ]
    return pa.concat_tables(tables).to_pandas() if tables else chip_frame([])


def read_chip_index(corpus: Path) -> pd.DataFrame:
    """The columns of a finished corpus's chips that decide what is read; words that repeat are categories."""
    columns = ["location", "sensor", "row", "datetime", "tag", "valid"]
    words = [name for name in columns if CHIP_SCHEMA.field(name).type == pa.string()]
    with _explained(corpus):
        table = pq.read_table(_measured(corpus / FILES[1]), columns=columns, read_dictionary=words)
    return table.to_pandas(split_blocks=True)


def _measured(path: Path) -> Path:
    """Return the path of an index file, if it has at most as many rows as bytes: each row of an index is distinct.

    Raises:
        ValueError: it says that it has more, for which memory would be taken, or stands for far more than its size.
    """
    if (rows := pq.read_metadata(path).num_rows) > (size := path.stat().st_size):
        raise ValueError(f"{path.name} says that it has {rows:,} rows, in {size:,} bytes")
    return _parquet.measured(path)


def _folders(corpus: Path, complete: bool) -> list[Path]:
    return [corpus] if complete else parts(corpus)


@contextmanager
def _explained(corpus: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException, CRSError) as error:
        raise CorpusError(
            f"the index cannot be read: {error}",
            where=str(corpus),
            remedy="restore the file, or build the corpus again",
        ) from error


def _join(tables: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """One table, whose column types do not depend on where the parts begin and end."""
    joined = gpd.GeoDataFrame(pd.concat(tables, ignore_index=True)) if len(tables) > 1 else tables[0]
    for name, kind in joined.dtypes.items():
        if is_object_dtype(kind) and name not in LOCATION_COLUMNS:
            joined[name] = pd.Series(joined[name].tolist())
    return joined


def content_hash(header: dict[str, Any], locations: gpd.GeoDataFrame, chips: pd.DataFrame) -> str:
    """SHA-256 of the header and of both tables except `source`; of all pixels too, by their digests."""
    result = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    tables = (locations.drop(columns="geometry"), chips.drop(columns="source"))
    result.update(b"".join(wkb or b"-" for wkb in locations.geometry.to_wkb()))
    for table in tables:
        for name in sorted(table.columns):
            result.update(name.encode() + b"\0" + _column_bytes(pd.Series(table[name])))
    return result.hexdigest()


def _column_bytes(column: pd.Series) -> bytes:
    """Bytes of a column's values that do not depend on the type that missing ones gave it."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.astype("int64").to_numpy().tobytes()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan).tobytes()
    return json.dumps([_plain(value) for value in column]).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | list | tuple):
        return [float(number) for number in value]
    return None if pd.isna(value) else value
