"""Grids of vectors as Zarr v3 in the convention `geoemb:`, and as cloud-optimised GeoTIFF."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import tensorstore as ts
from affine import Affine
from jaxtyping import Float32, Shaped
from numpy import ndarray
from pyproj import CRS
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from swath._files import replacing, write_whole
from swath.products._writing import writing
from swath.products.embeddings._table import Header
from swath.products.windows import Span

GEOEMB = {
    "uuid": "61c12cc5-0e28-4056-999a-480cf3fb7e4c",
    "name": "geoemb:",
    "schema_url": "https://raw.githubusercontent.com/geo-embeddings/embeddings-zarr-convention/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/geo-embeddings/embeddings-zarr-convention/blob/v1/README.md",
    "description": "Geoembeddings convention for geospatial embedding arrays with model provenance",
}
CONVENTIONS = [
    GEOEMB,
    {"uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f", "name": "proj:"},
    {"uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "name": "spatial:"},
]
"""Conventions that a store follows, by the ids under which they are registered."""
CHUNK, BAND_CHUNK = 256, 64
"""Cells along a side of a chunk, and dimensions in it."""
NOTHING = -128
"""The byte of a cell without a vector."""
Pieces = Sequence[tuple[Span, Path]]
"""Where each part of a grid belongs, and the file with its vectors "d h w"."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where cells lie."""

    crs: str
    transform: Affine
    """From cell corners to native coordinates."""
    shape: tuple[int, int]
    """Rows and columns."""
    crop_px: int
    stride_px: int
    days: tuple[int, ...]
    """Days since 1970-01-01 of what was seen."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in native coordinates."""
        west, north = self.transform @ (0, 0)
        east, south = self.transform @ (self.shape[1], self.shape[0])
        return min(west, east), min(south, north), max(west, east), max(south, north)

    @property
    def stac_layout(self) -> dict[str, Any]:
        """How crops were cut, in the words of both conventions."""
        size = [self.crop_px, self.crop_px]
        return {"layout_type": "regular_grid", "chip_size": size, "stride": [self.stride_px, self.stride_px]}


def write_zarr(path: Path, grid: Grid, header: Header, pieces: Pieces, window: int) -> None:
    """Write a Zarr v3, whole or not at all: `embeddings` (time, embedding, y, x), a shard for each window.

    Args:
        path: folder of the store; one that is there is replaced.
        grid: where the cells lie.
        header: what the vectors are.
        pieces: of the grid.
        window: cells along a side of a piece.
    """
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group", "attributes": _attributes(grid, header)}
    deep = min(BAND_CHUNK, header.dims)
    shard = [1, -(-header.dims // deep) * deep, window, window]
    dims = ("time", "embedding", "y", "x")
    about = {
        "nodata": NOTHING if header.quantisation else "NaN",
        "grid_mapping": "spatial_ref",
        "coordinates": "spatial_ref",
    }
    array = _create(
        beside, "embeddings", (1, header.dims, *grid.shape), header.dtype, dims, about,
        shard=shard, chunk=[1, deep, CHUNK, CHUNK], fill=NOTHING if header.quantisation else "NaN",
    )  # fmt: skip
    for core, file in pieces:
        rows, columns = slice(core.row, core.row + core.height), slice(core.column, core.column + core.width)
        array[0, :, rows, columns].write(_stored(np.load(file, allow_pickle=False), header)).result()
    middles = [grid.transform @ (column + 0.5, 0.5) for column in range(grid.shape[1])]
    _small(beside, "x", np.array([x for x, _ in middles]), ("x",), {"standard_name": "projection_x_coordinate"})
    middles = [grid.transform @ (0.5, row + 0.5) for row in range(grid.shape[0])]
    _small(beside, "y", np.array([y for _, y in middles]), ("y",), {"standard_name": "projection_y_coordinate"})
    _small(beside, "embedding", np.arange(header.dims), ("embedding",), {})
    if grid.days:
        units = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
        _small(beside, "time", np.array(grid.days[:1], np.int64), ("time",), units)
    if header.quantisation is not None:
        _small(beside, "scales", np.array(header.quantisation.scale), ("embedding",), {})
    crs = CRS(grid.crs)
    wkt = {
        "crs_wkt": crs.to_wkt(),
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(map(repr, grid.transform.to_gdal())),
    }
    _small(beside, "spatial_ref", np.array(0), (), wkt)
    write_whole(beside / "zarr.json", json.dumps(group, indent=1))
    if path.exists():
        shutil.rmtree(path)
    beside.replace(path)


def _attributes(grid: Grid, header: Header) -> dict[str, Any]:
    encoder = header.encoder.path.removesuffix(".json").removesuffix(".safetensors")
    crs = CRS(grid.crs)
    authority = crs.to_authority()
    said: dict[str, Any] = {
        "zarr_conventions": CONVENTIONS,
        "geoemb:type": "chip",
        "geoemb:dimensions": header.dims,
        "geoemb:model": f"{Path(encoder).absolute().as_uri()}.json",
        "geoemb:source_data": [Path(header.corpus_path).absolute().as_uri()],
        "geoemb:data_type": header.dtype,
        "geoemb:gsd": header.gsd_m * grid.stride_px,
        "geoemb:chip_layout": grid.stac_layout,
        "geoemb:build_version": header.swath_version,
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": list(grid.transform)[:6],
        "spatial:shape": list(grid.shape),
        "spatial:bbox": list(grid.bounds),
        "spatial:registration": "pixel",
        **({"proj:code": ":".join(authority)} if authority else {"proj:wkt2": crs.to_wkt()}),
        "swath": header.model_dump(mode="json"),
    }
    if header.quantisation is not None:
        said["geoemb:quantization"] = {
            "method": header.quantisation.method,
            "original_dtype": "float32",
            "quantized_dtype": "int8",
            "scale": {"type": "array", "array_name": "scales"},
        }
        said["undo"] = header.emb["undo"]
    return said


def _create(
    folder: Path,
    name: str,
    shape: Sequence[int],
    dtype: str,
    dims: Sequence[str],
    attributes: dict[str, Any],
    *,
    shard: Sequence[int],
    chunk: Sequence[int],
    fill: Any,
) -> ts.TensorStore:
    little: dict[str, Any] = {"name": "bytes"}
    if np.dtype(dtype).itemsize > 1:
        little["configuration"] = {"endian": "little"}
    inner = [little, {"name": "zstd", "configuration": {"level": 3, "checksum": False}}, {"name": "crc32c"}]
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    sharding = {"chunk_shape": list(chunk), "codecs": inner, "index_codecs": index}
    metadata = {
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard)}},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "fill_value": fill,
        "dimension_names": list(dims),
        "attributes": attributes,
    }
    return ts.open({**_spec(folder, name), "metadata": metadata}, create=True).result()


def _small(
    folder: Path, name: str, values: Shaped[ndarray, "..."], dims: Sequence[str], attributes: dict[str, Any]
) -> None:
    """Write a small array as one chunk."""
    metadata = {
        "shape": list(values.shape),
        "data_type": str(values.dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(1, n) for n in values.shape]}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "fill_value": 0,
        "dimension_names": list(dims),
        "attributes": attributes,
    }
    array = ts.open({**_spec(folder, name), "metadata": metadata}, create=True).result()
    array[...].write(values).result()


def _spec(folder: Path, name: str) -> dict[str, Any]:
    store = {"driver": "file", "path": str(folder / name)}
    return {"driver": "zarr3", "kvstore": store, "store_data_equal_to_fill_value": True}


def open_vectors(path: Path) -> ts.TensorStore:
    """The array of vectors (time, embedding, y, x) of a store."""
    return ts.open(_spec(path, "embeddings"), open=True).result()


def _stored(vectors: Float32[ndarray, "d h w"], header: Header) -> Shaped[ndarray, "d h w"]:
    """What is stored of a window: bytes, or values as they are."""
    if header.quantisation is None:
        return vectors
    flat = vectors.reshape(len(vectors), -1).T
    known = np.isfinite(flat).all(axis=1)
    stored = np.full(flat.shape, NOTHING, np.int8)
    stored[known] = header.quantisation.encode(flat[known])
    return stored.T.reshape(vectors.shape)


def write_cog(path: Path, grid: Grid, header: Header, pieces: Pieces, window: int) -> None:  # noqa: ARG001 - as write_zarr
    """Write a cloud-optimised GeoTIFF, whole or not at all: a band for each dimension, with its scale where that is all
    that undoes bytes.

    Args:
        path: of the file.
        grid: where the cells lie.
        header: what the vectors are.
        pieces: of the grid.
        window: cells along a side of a piece.
    """
    height, width = grid.shape
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": height, "width": width, "count": header.dims, "dtype": header.dtype,
        "crs": grid.crs, "transform": grid.transform, "nodata": NOTHING if header.quantisation else np.nan,
        "tiled": True, "blockxsize": CHUNK, "blockysize": CHUNK, "compress": "ZSTD", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with writing(path), replacing(path) as finished:
        plain = finished.with_suffix(".tif")
        try:
            with rasterio.open(plain, "w", **profile) as file:
                file.update_tags(swath=header.model_dump_json(), emb=json.dumps(header.emb))
                file.descriptions = [f"embedding {number}" for number in range(header.dims)]
                if header.quantisation is not None and header.quantisation.method == "linear":
                    file.scales = header.quantisation.scale
                for core, piece in pieces:
                    where = Window(core.column, core.row, core.width, core.height)  # pyright: ignore[reportCallIssue]
                    file.write(_stored(np.load(piece, allow_pickle=False), header), window=where)
            copy_raster(plain, finished, driver="COG", compress="ZSTD", blocksize=CHUNK, overview_resampling="nearest")
        finally:
            plain.unlink(missing_ok=True)
