"""What is wrong with a file of embeddings: everything that would make a reader take vectors for what they are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import rasterio
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError

from swath._files import read_json
from swath.errors import SwathError
from swath.products._checksums import changes
from swath.products.embeddings._quantise import MOST
from swath.products.embeddings._reduce import Pca
from swath.products.embeddings._stores import GEOEMB, open_vectors
from swath.products.embeddings._table import Header, header_of, wrong_scales
from swath.products.scene_maps import SETTINGS

CELLS = 256
"""Cells along a side of what is looked at together."""
SIDES = ("xmin", "ymin", "xmax", "ymax")


def check_embeddings(path: Path) -> list[str]:
    """What is wrong with an index, a sentence each; empty if nothing is.

    Whether bytes were changed, version and metadata, type and length of vectors, scales, values that are not finite,
    reference system, boxes, ids, principal components. Of a map of `map_scene` whether bytes of it, or of the files
    that belong to it, were changed.

    Args:
        path: a Parquet file, Zarr or GeoTIFF that swath wrote, or claims to be one.
    """
    # what is wrong inside says more than that bytes were changed
    return _inside(path) or (changes(path) if path.is_file() else [])


def _inside(path: Path) -> list[str]:
    if not path.exists():
        return ["there is no such file"]
    if path.is_dir():
        return _of_zarr(path)
    if path.suffix.lower() in {".tif", ".tiff"}:
        return _of_geotiff(path)
    try:
        header = Header.read(path)
    except SwathError as error:
        return [error.what]
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return _of_parquet(file, path, header)
    except (pa.ArrowException, OSError, ValueError) as error:
        return [f"the file is damaged: {str(error).splitlines()[0][:120]}"]


def _of_parquet(file: pq.ParquetFile, path: Path, header: Header) -> list[str]:
    schema = file.schema_arrow
    problems = [*_of_types(schema, header), *wrong_scales(header), *_of_components(path, header)]
    problems += _of_ids(file, schema)
    problems += _of_place(schema)
    return problems or _of_values(file, header)


def _of_types(schema: pa.Schema, header: Header) -> list[str]:
    if "embedding" not in schema.names:
        return ["there is no column `embedding`"]
    kind = schema.field("embedding").type
    wanted = pa.list_(pa.int8() if header.dtype == "int8" else pa.float32(), header.dims)
    if kind != wanted:
        return [f"the column `embedding` is {kind}, the metadata says {wanted}"]
    return []


def _of_components(path: Path, header: Header) -> list[str]:
    reduction = header.reduction
    if reduction is None or reduction.method != "pca":
        return []
    try:
        pca = Pca.load(path.parent / Path(str(reduction.file)).name, reduction.sha256)
    except SwathError as error:
        return [error.what]
    same = pca.encoder == header.encoder.identity
    return [] if same else ["the principal components are of another encoder"]


def _of_ids(file: pq.ParquetFile, schema: pa.Schema) -> list[str]:
    if lacking := [name for name in ("uid", "date") if name not in schema.names]:
        return [f"there is no column {', '.join(lacking)}"]
    table = file.read(columns=["uid", "date"]).to_pandas()
    problems = []
    if nameless := int(table["uid"].isna().sum()):
        problems.append(f"{nameless} rows have no uid")
    if (twice := table.duplicated(["uid", "date"])).any():
        first = table["uid"][twice].iloc[0]
        problems.append(f"{int(twice.sum())} rows repeat the uid and date of another; the first is {first}")
    return problems


def _of_place(schema: pa.Schema) -> list[str]:
    """Problems of the metadata `geo`; a file without a geometry has none."""
    if "geometry" not in schema.names:
        return []
    try:
        column = json.loads((schema.metadata or {})[b"geo"])["columns"]["geometry"]
    except (KeyError, TypeError, ValueError):
        return ["there is a geometry, but no metadata `geo` that says its reference system"]
    problems = [] if _is_wgs84(column) else [f"the reference system is not WGS 84: {str(column['crs'])[:60]}"]
    if set(column.get("covering", {}).get("bbox", {})) != set(SIDES) or "bbox" not in schema.names:
        problems.append("there is no covering column `bbox`: a reader of one place has to read all")
    return problems


def _is_wgs84(column: dict[str, Any]) -> bool:
    """Whether coordinates are longitude and latitude; GeoParquet's default where nothing is said."""
    if "crs" not in column:
        return True
    try:
        return column["crs"] is not None and CRS.from_user_input(column["crs"]).equals(
            "EPSG:4326", ignore_axis_order=True
        )
    except CRSError:
        return False


def _of_values(file: pq.ParquetFile, header: Header) -> list[str]:
    """Problems of vectors and boxes, a row group at a time."""
    unset, wrong, boxes = 0, 0, 0
    located = "geometry" in file.schema_arrow.names
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=["embedding", *(["geometry", "bbox"] if located else [])])
        column = table["embedding"].combine_chunks()
        unset += column.null_count
        vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, header.dims)
        wrong += int(
            (~np.isfinite(vectors)).any(axis=1).sum() if header.dtype == "float32" else (vectors < -MOST).any(1).sum()
        )
        if located:
            boxes += _boxes_elsewhere(table)
    problems = [f"{unset} rows have no vector"] if unset else []
    if wrong:
        what = "are not finite" if header.dtype == "float32" else "hold the byte -128, which stands for nothing"
        problems.append(f"{wrong} vectors {what}")
    if boxes:
        problems.append(f"{boxes} boxes are not those of their geometries")
    return problems


def _boxes_elsewhere(table: pa.Table) -> int:
    bounds = shapely.bounds(shapely.from_wkb(table["geometry"].to_numpy()))
    boxes = table["bbox"].combine_chunks()
    said = np.stack([pc.struct_field(boxes, side).to_numpy(zero_copy_only=False) for side in SIDES], axis=1)  # pyright: ignore[reportAttributeAccessIssue]
    return int((~np.isclose(bounds, said, atol=1e-9, equal_nan=True)).any(axis=1).sum())


def _of_zarr(path: Path) -> list[str]:
    """What is wrong with a store."""
    try:
        said = read_json(path / "zarr.json")["attributes"]
    except FileNotFoundError:
        return ["there is no Zarr v3 here: zarr.json is missing"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["zarr.json is damaged"]
    if GEOEMB["uuid"] not in [one.get("uuid") for one in said.get("zarr_conventions", []) if isinstance(one, dict)]:
        return ["it does not say that it follows the convention geoemb:"]
    needed = ("type", "dimensions", "model", "source_data", "data_type")
    if lacking := [f"geoemb:{name}" for name in needed if f"geoemb:{name}" not in said]:
        return [f"there is no {', '.join(lacking)}"]
    try:
        header = header_of(said.get("swath"), path)
        array = open_vectors(path)
        problems = wrong_scales(header)
        if header.quantisation is not None and not (path / "scales" / "zarr.json").exists():
            problems.append("the vectors are int8, and the array `scales` is missing")
    except SwathError as error:
        return [error.what]
    except ValueError as error:
        return [f"the array of vectors cannot be read: {str(error).splitlines()[0][:120]}"]
    stored = (array.dtype.name, array.shape[1] if array.rank == 4 else array.shape)
    if stored != (said["geoemb:data_type"], said["geoemb:dimensions"]) or stored != (header.dtype, header.dims):
        problems.append(f"the vectors are {stored[0]} of {stored[1]} dimensions, the metadata says otherwise")
    problems += _of_system(said.get("proj:code") or said.get("proj:wkt2"))
    return problems or _of_cells(array, header)


def _of_system(crs: Any) -> list[str]:
    if not crs:
        return ["there is no reference system"]
    try:
        CRS.from_user_input(crs)
    except CRSError:
        return [f"the reference system {str(crs)[:40]!r} is unknown"]
    return []


def _of_cells(array: Any, header: Header) -> list[str]:
    """Cells that are neither vectors nor nothing, a window at a time."""
    wrong = 0
    _, _, height, width = array.shape
    for row in range(0, height, CELLS):
        for column in range(0, width, CELLS):
            try:
                bottom, right = min(row + CELLS, height), min(column + CELLS, width)
                part = array[0, :, row:bottom, column:right].read().result()
            except ValueError as error:
                return [f"cells from row {row}, column {column} on are damaged: {str(error).splitlines()[0][:120]}"]
            wrong += _half_cells(part, header)
    return [f"{wrong} cells hold values that are not finite, or half a vector"] if wrong else []


def _half_cells(part: np.ndarray, header: Header) -> int:
    lost = ~np.isfinite(part) if header.dtype == "float32" else part < -MOST
    infinite = np.isinf(part).any(axis=0) if header.dtype == "float32" else np.zeros(part.shape[1:], bool)
    return int(((lost.any(axis=0) & ~lost.all(axis=0)) | infinite).sum())


def _of_geotiff(path: Path) -> list[str]:
    try:
        with rasterio.open(path) as file:
            if SETTINGS in file.tags():
                return []
            header = header_of(json.loads(file.tags().get("swath", "null")), path)
            problems = wrong_scales(header)
            if file.count != header.dims or set(file.dtypes) != {header.dtype}:
                problems.append(f"the bands are {file.count} of {file.dtypes[0]}, the metadata says otherwise")
            problems += _of_system(file.crs and file.crs.to_wkt())
            if not problems:
                wrong = sum(_half_cells(file.read(window=window), header) for _, window in file.block_windows(1))
                problems = [f"{wrong} cells hold values that are not finite, or half a vector"] if wrong else []
            return problems
    except SwathError as error:
        return [error.what]
    except (RasterioError, ValueError) as error:
        return [f"the file cannot be read: {str(error).splitlines()[0][:120]}"]
