"""The GeoParquet of an index: its columns, its metadata, and its vectors back in memory or in a mapped file."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from jaxtyping import Float, Shaped
from numpy import ndarray
from pydantic import TypeAdapter, ValidationError
from pyproj import CRS

import swath
from swath._files import named, replacing
from swath.errors import SwathError
from swath.products.embeddings._parts import Parts
from swath.products.embeddings._quantise import UNDONE, Quantisation
from swath.products.embeddings._reduce import Apply, Reduction
from swath.settings import Settings, plainly

GRIDS = {".tif", ".tiff", ".zarr"}
"""Endings of grids, in small letters."""
FORMAT = 1
"""Version of the metadata under the key `swath`; raised when a reader of the older one would misread it."""
GROUP_BYTES = 32 * 2**20
"""Bytes of vectors in a row group, about: what a reader that wants one place fetches at least."""
FEWEST = 1024
"""Least number of rows in a row group."""
GEOPARQUET = "1.1.0"
_BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
OWN = ("uid", "sensor", "date", "last_date", "chip", "valid", "count", "covered", "embedding", "geometry", "bbox")
"""Names of columns that mean something here; a zone's own columns have others."""


class EncoderMark(Settings):
    """Which encoder made the vectors."""

    identity: str
    """SHA-256 of its settings, input contract and weights: vectors of different identities are not compared."""
    path: str
    """Where it lay."""
    kind: str
    """Name of the encoder plug-in."""


class Header(Settings):
    """What has to be known about the vectors of an index, as JSON in the file's metadata."""

    format: Literal[1] = FORMAT
    swath_version: str = swath.__version__
    rows: Literal["chips", "zones", "cells"] = "chips"
    """What has a vector: a location at a date or with all its dates, a polygon, or a cell of a grid."""
    dates: Literal["one", "each", "series"]
    encoder: EncoderMark
    bands: tuple[str, ...]
    dims: int
    dtype: Literal["float32", "int8"]
    chip_px: int
    gsd_m: float
    corpus: str
    """Content hash of the corpus."""
    corpus_path: str
    licences: tuple[str, ...] = ()
    reduction: Reduction | None = None
    quantisation: Quantisation | None = None
    round_trip: dict[str, Any] | None = None
    """What quantisation changed, as measured when the file was written."""

    @property
    def emb(self) -> dict[str, Any]:
        """The same in the words of STAC's embedding extension v0.0.1, for readers who do not know swath."""
        said: dict[str, Any] = {
            "emb:type": "chip",
            "emb:dimensions": self.dims,
            "data_type": self.dtype,
            "gsd": self.gsd_m,
            "emb:chip_layout": {"layout_type": "variable_grid", "chip_size": [self.chip_px, self.chip_px]},
        }
        if self.quantisation is not None:
            said["emb:quantization"] = {
                "method": self.quantisation.method,
                "original_dtype": "float32",
                "quantized_dtype": "int8",
                "scale": list(self.quantisation.scale),
            }
            said["undo"] = UNDONE[self.quantisation.method]
        return said

    @classmethod
    def read(cls, path: Path) -> "Header":
        """The metadata of an index.

        Raises:
            SwathError: there is no such file, it is no Parquet, no index of swath's, of another version, or damaged.
        """
        if path.suffix.lower() in GRIDS:
            raise SwathError(
                "a grid of embeddings is no index, whose rows are places",
                where=str(path),
                remedy="make one of the same input: swath embed ENCODER INPUT --to NAME.parquet",
            )
        try:
            metadata = pq.read_schema(path).metadata or {}
            said = json.loads(metadata[b"swath"])
        except FileNotFoundError:
            raise SwathError("there is no index here", where=str(path), remedy="make one: swath embed") from None
        except KeyError:
            raise SwathError(
                "these are no embeddings that swath wrote: the metadata has no key `swath`",
                where=str(path),
                remedy="make an index: swath embed ENCODER CORPUS --to NAME.parquet",
            ) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SwathError(
                f"cannot read the index: {str(error).splitlines()[0]}", where=str(path), remedy="embed again"
            ) from None
        return header_of(said, path)


def header_of(said: Any, path: Path) -> Header:
    """The metadata under the key `swath`, understood.

    Args:
        said: as parsed from JSON.
        path: where it stands, for messages.

    Raises:
        SwathError: it is of another version, or damaged.
    """
    if isinstance(said, dict) and said.get("format") != FORMAT:
        raise SwathError(
            f"the index has format {said.get('format')!r}, this swath {swath.__version__} reads {FORMAT}",
            where=str(path),
            remedy=f"use the swath that wrote it ({said.get('swath_version', 'unknown')}), or embed again",
        )
    try:
        return TypeAdapter(Header).validate_json(json.dumps(said))
    except ValidationError as error:
        first = error.errors()[0]
        raise SwathError(
            f"the index's metadata is damaged: {'.'.join(map(str, first['loc']))}: {plainly(first)}",
            where=str(path),
            remedy="embed again",
        ) from None


def wrong_scales(header: Header) -> list[str]:
    """Why what is stored does not say which values it stands for, a sentence; empty if it does."""
    if header.dtype == "float32":
        return ["the vectors are float32, but the metadata says how bytes are undone"] if header.quantisation else []
    if header.quantisation is None:
        return ["the vectors are int8, and the scale is missing: nobody knows what a byte stands for"]
    scale = np.array(header.quantisation.scale)
    if len(scale) != header.dims:
        return [f"there are {len(scale)} scales for {header.dims} dimensions"]
    return [] if (scale > 0).all() else ["a scale is not above 0"]


def write_table(path: Path, rows: gpd.GeoDataFrame, parts: Parts, reduce: Apply, header: Header) -> None:
    """Write the GeoParquet, whole or not at all; without any geometry it is a Parquet.

    Args:
        path: of the file.
        rows: columns but for the vectors, in WGS 84.
        parts: the encoder's vectors, one a row.
        reduce: makes of them what is stored.
        header: says how.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    located = bool((~rows.geometry.isna()).any())
    schema = _schema(rows, header, located=located)
    per_group = max(FEWEST, GROUP_BYTES // (header.dims * np.dtype(header.dtype).itemsize))
    # bytes have 256 values: Parquet would store four bytes of each without a dictionary
    dictionaries = ["sensor", *(["embedding.list.element"] if header.dtype == "int8" else [])]
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            use_dictionary=dictionaries,  # pyright: ignore[reportArgumentType]
            column_encoding={"embedding.list.element": "BYTE_STREAM_SPLIT"} if header.dtype == "float32" else None,
            write_page_index=True,
            write_page_checksum=True,
        ) as writer,
    ):
        for start in range(0, len(rows), per_group):
            stop = min(start + per_group, len(rows))
            vectors = reduce(parts.read(start, stop))
            stored = vectors if header.quantisation is None else header.quantisation.encode(vectors)
            writer.write_table(_group(rows.iloc[start:stop], stored, schema), row_group_size=per_group)


def _schema(rows: gpd.GeoDataFrame, header: Header, *, located: bool) -> pa.Schema:
    plain = pa.Schema.from_pandas(rows.drop(columns="geometry"), preserve_index=False).remove_metadata()
    value = pa.int8() if header.dtype == "int8" else pa.float32()
    fields = [*plain, pa.field("embedding", pa.list_(value, header.dims), nullable=False)]
    metadata = {"swath": header.model_dump_json(), "emb": json.dumps(header.emb)}
    if located:
        fields += [pa.field("geometry", pa.binary()), pa.field("bbox", _BBOX)]
        metadata["geo"] = json.dumps(_geo(rows))
    return pa.schema(fields, metadata=metadata)


def _geo(rows: gpd.GeoDataFrame) -> dict[str, Any]:
    """Metadata of GeoParquet 1.1: WGS 84, longitude first, with the boxes of all rows in a column."""
    known = gpd.GeoSeries(rows.geometry).dropna()
    column = {
        "encoding": "WKB",
        "geometry_types": sorted(known.geom_type.unique()),
        "crs": CRS("OGC:CRS84").to_json_dict(),
        "bbox": known.total_bounds.tolist(),
        "covering": {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
    }
    return {"version": GEOPARQUET, "primary_column": "geometry", "columns": {"geometry": column}}


def _group(rows: gpd.GeoDataFrame, stored: Shaped[ndarray, "n d"], schema: pa.Schema) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(stored).ravel()), stored.shape[1])
    columns: dict[str, Any] = {"embedding": vectors}
    if "geometry" in schema.names:
        shapes = rows.geometry.to_numpy()
        absent = shapely.is_missing(shapes)
        columns["geometry"] = pa.array(shapely.to_wkb(shapes), pa.binary())
        sides = [pa.array(side) for side in shapely.bounds(shapes).T]
        columns["bbox"] = pa.StructArray.from_arrays(sides, fields=list(_BBOX), mask=pa.array(absent))
    plain = pa.Table.from_pandas(rows.drop(columns="geometry"), preserve_index=False)
    return pa.table(
        [columns.get(name, plain[name] if name in plain.column_names else None) for name in schema.names], schema
    )


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The vectors of an index as they are stored, in a file that the system maps into memory."""

    values: Shaped[ndarray, "n d"]
    """float32 or int8."""
    quantisation: Quantisation | None

    def decode(self, rows: slice | Shaped[ndarray, " m"]) -> Float[ndarray, "m d"]:
        """Some rows as float32."""
        part = self.values[rows]
        return np.asarray(part) if self.quantisation is None else self.quantisation.decode(part)


def stored_blocks(path: Path, header: Header) -> Iterator[Shaped[ndarray, "n d"]]:
    """The vectors as they are stored, a row group at a time.

    Raises:
        SwathError: the file is damaged.
    """
    # pages are read with their checksums: a changed byte inside gives other numbers, and no error
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            try:
                column = file.read_row_group(group, columns=["embedding"])["embedding"]
            except (pa.ArrowException, OSError) as error:
                raise SwathError(
                    f"the vectors are damaged: {str(error).splitlines()[0]}", where=str(path), remedy="embed again"
                ) from None
            for chunk in column.chunks:
                yield chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, header.dims)


def mapped(path: Path, header: Header) -> Stored:
    """The vectors of an index in a file without a name, mapped into memory: what is not looked at is not held.

    Raises:
        SwathError: the file has other vectors than its metadata says, or that does not say how bytes are undone.
    """
    if wrong := wrong_scales(header):
        raise SwathError(wrong[0], where=str(path), remedy="embed again; see swath embed check")
    with pq.ParquetFile(path) as file:
        count = file.metadata.num_rows
        kind = file.schema_arrow.field("embedding").type
    dtype = np.dtype(header.dtype)
    if (
        not pa.types.is_fixed_size_list(kind)
        or kind.list_size != header.dims
        or kind.value_type != pa.from_numpy_dtype(dtype)
    ):
        raise SwathError(
            f"the vectors are {kind}, the metadata says {header.dims} of {header.dtype}",
            where=str(path),
            remedy="embed again; see swath embed check",
        )
    shape = (count, header.dims)
    if not count:
        return Stored(np.empty(shape, dtype), header.quantisation)
    # written before it is mapped: on a full disk a write is an error, and a page of a map that finds no room a crash
    with named(Path(tempfile.gettempdir())), tempfile.TemporaryFile(prefix="swath-vectors-") as file:
        for block in stored_blocks(path, header):
            file.write(np.ascontiguousarray(block).data)
        file.flush()
        return Stored(np.memmap(file, dtype=dtype, mode="r", shape=shape), header.quantisation)
