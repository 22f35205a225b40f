"""An index in memory: its rows as a table, and its vectors in a mapped file."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int, Shaped
from numpy import ndarray

from swath._parquet import measured
from swath.errors import SwathError, nearest
from swath.products.embeddings import Header, Stored, mapped

MANY, CLOSE = 20, 5
"""Locations up to which a message lists all of them, and how many it lists of more."""
BLOCK = 2048
"""Rows whose vectors are looked at together: about what a core's cache holds as float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The embeddings of a file, to search in. Use `Index.open`."""

    path: Path
    header: Header
    table: gpd.GeoDataFrame
    """All columns but the vectors, in WGS 84; geometry null where unknown."""
    stored: Stored
    norms: Float32[ndarray, " n"]
    """Length of each vector."""
    uids: pd.Index
    """The column `uid`, made to be looked up in."""

    @classmethod
    def open(cls, path: Path | str) -> "Index":
        """Open what `swath embed` wrote.

        Raises:
            SwathError: it is no index, of another version, empty, holds values that are not finite, bytes without
                scales, rows without an id, or a location and date twice.
        """
        path = Path(path)
        header = Header.read(path)
        try:
            table = _table(measured(path))
        except (ValueError, KeyError, OSError, pa.ArrowException) as error:
            raise SwathError(
                f"cannot read the index: {str(error).splitlines()[0]}", where=str(path), remedy="see swath embed check"
            ) from None
        if table.empty:
            raise SwathError("the index is empty", where=str(path), remedy="embed something")
        if nameless := int(np.count_nonzero(table["uid"].isna())):
            raise SwathError(f"{nameless} rows have no uid", where=str(path), remedy="see swath embed check")
        if (twice := table.duplicated(["uid", "date"])).any():
            first = table["uid"].iloc[int(np.argmax(twice))]
            raise SwathError(
                f"{int(twice.sum())} rows repeat the uid and date of another; the first is {first}",
                where=str(path),
                remedy="embed again; see swath embed check",
            )
        stored = mapped(path, header)
        norms = np.concatenate(
            [
                np.linalg.norm(stored.decode(slice(start, start + BLOCK)), axis=1)
                for start in range(0, len(table), BLOCK)
            ]
        ).astype(np.float32)
        if lost := int((~np.isfinite(norms)).sum()):
            raise SwathError(
                f"{lost} of {len(norms)} vectors are not finite", where=str(path), remedy="see swath embed check"
            )
        return cls(path, header, table, stored, norms, pd.Index(table["uid"].to_numpy(object), dtype=object))

    def __len__(self) -> int:
        return len(self.table)

    def rows_of(self, name: str) -> Int[ndarray, " m"]:
        """The rows of a location (`UID`), or its row of one date (`UID@2020-05-31`; of several that day, with the time:
        `UID@2020-05-31T10:30:00`).

        Raises:
            SwathError: there is no such location or date.
        """
        rows = self._positions(name)
        if not len(rows) and "@" in name:
            uid, _, when = name.rpartition("@")
            own = self._positions(uid)
            known = self.table["date"].iloc[own]
            days, times = (known.dt.strftime(form).to_numpy(object) for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"))
            rows = own[(days == when) | (times == when)]
            if len(own) and not len(rows):
                raise SwathError(
                    f"{uid} has no date {when}", where=str(self.path), remedy=f"its dates: {', '.join(map(str, days))}"
                )
        if not len(rows):
            some = [str(uid) for uid in self.uids[:1000].unique()]
            close = some if len(some) <= MANY else difflib.get_close_matches(name, some, n=CLOSE, cutoff=0.0)
            raise SwathError(f"the index has no location {name!r}", where=str(self.path), remedy=nearest(name, close))
        return rows

    def _positions(self, uid: str) -> Int[ndarray, " m"]:
        return self.uids.get_indexer_for([uid]) if uid in self.uids else np.empty(0, np.int64)

    def unit(self, rows: Int[ndarray, " m"]) -> Shaped[ndarray, "m d"]:
        """Vectors of length 1, float64; of a vector that is 0 itself."""
        vectors = self.stored.decode(rows).astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)


def _table(path: Path) -> gpd.GeoDataFrame:
    names = [name for name in pq.read_schema(path).names if name not in {"embedding", "bbox"}]
    if "geometry" in names:
        return gpd.read_parquet(path, columns=names, page_checksum_verification=True).to_crs("EPSG:4326")
    table = pd.read_parquet(path, columns=names, page_checksum_verification=True)
    return gpd.GeoDataFrame(table, geometry=np.full(len(table), None), crs="EPSG:4326")
