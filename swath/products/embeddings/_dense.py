"""Embeddings of whole scenes on a grid: a vector for each crop of a raster of any size, as Zarr or GeoTIFF."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from jaxtyping import Float32, Shaped
from numpy import ndarray
from rasterio.warp import transform_bounds
from torch import Tensor

import swath
from swath._device import send
from swath._files import file_name
from swath._progress import track
from swath.batch import Image
from swath.corpus.reading import ahead_of
from swath.encoders import Encoder, SeriesEncoder, load
from swath.errors import ContractError
from swath.products.embeddings._build import mark
from swath.products.embeddings._inputs import chosen_bands
from swath.products.embeddings._parts import Parts, workplace
from swath.products.embeddings._quantise import Method, Quantisation
from swath.products.embeddings._stac import COG, ZARR, write_stac
from swath.products.embeddings._stores import Grid, write_cog, write_zarr
from swath.products.embeddings._table import GRIDS, Header
from swath.products.windows import Input, Span, Tile, Zone, open_zones, tiles
from swath.tasks.data import Bands, device_of

WINDOW = 256
"""Cells along a side of what is computed and written at a time: a shard of a Zarr."""
LEAST_BATCH, BATCH_PIXELS = 64, 2**17
"""Crops that are embedded at a time: so many, or as many as have so many pixels at all dates."""
STRIP_VALUES = 2**24
"""Values that are read at a time, unless a single row of crops has more."""
EPOCH = dt.date(1970, 1, 1)
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Crops:
    """Which parts of a raster are embedded: squares of `px` pixels, `stride` apart."""

    px: int
    stride: int

    def cells(self, zone: Zone) -> tuple[int, int]:
        """Rows and columns of whole squares that a raster holds."""
        return max(0, 1 + (zone.height - self.px) // self.stride), max(0, 1 + (zone.width - self.px) // self.stride)

    def transform(self, zone: Zone) -> Affine:
        """Cell corners to native coordinates: a cell is `stride` wide, around the middle of its square."""
        offset = (self.px - self.stride) / 2
        return zone.transform @ Affine.translation(offset, offset) @ Affine.scale(self.stride)


def build_dense(
    encoder: Path | str,
    data: Input | Path,
    to: Path,
    *,
    bands: Sequence[str] | None = None,
    crop_px: int | None = None,
    stride_px: int | None = None,
    quantise: Method | None = None,
    batch_size: int | None = None,
    trusted: bool = False,
) -> list[Path]:
    """Embed rasters of any size on a grid: a cell for each square crop, as Zarr v3 (.zarr) or GeoTIFF (.tif, a COG).

    A cell's vector is what the encoder makes of its crop; where no pixel of a crop is valid there is none (NaN, as
    bytes -128). A strip of pixels at the right and lower edge that holds no whole crop has no cell. Rasters in several
    reference systems become a file each, `NAME-EPSG-CODE.zarr`. Memory is bounded by a window of 256 x 256 cells. A
    process that was killed continues when it is called in the same way.

    Args:
        encoder: where one is saved; it goes to the GPU if there is one.
        data: a raster, a folder of them, or a cube; see `swath.products.windows.Input`.
        to: file or folder to write.
        bands: band keys of the input; the encoder's own if not given.
        crop_px: width and height of a crop; the size that the encoder was made with if not given.
        stride_px: pixels from one crop to the next; `crop_px` if not given.
        quantise: as in `Storage`.
        batch_size: crops per call of the encoder; 64, and more where they are small, if not given.
        trusted: do not look at units and pixel size; see `Encoder.embed`.

    Raises:
        ContractError: the encoder cannot take these images, or gives values that are not finite.
        CorpusError: the rasters are not what they should be, or there is none.
        SwathError: another process writes the same file, or the ending is another one.
    """
    if to.suffix.lower() not in GRIDS:
        raise ContractError(f"scenes are not embedded into {to.name}", remedy="give a name that ends in .zarr or .tif")
    network, given = load(encoder), data if isinstance(data, Input) else Input(data)
    chosen = chosen_bands(network.contract, bands, network.contract.bands)
    zones = open_zones(given, chosen, series=isinstance(network, SeriesEncoder))
    px = crop_px or network.example_px
    crops = Crops(px, stride_px or px)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    header = _header(encoder, network, chosen, given, crops)
    written = []
    for zone in zones:
        target = to if len(zones) == 1 else to.with_name(f"{to.stem}-{file_name(zone.name)}{to.suffix}")
        _embed_zone(network, zone, crops, header, target, quantise, batch_size, trusted=trusted)
        written.append(target)
    return written


def _header(encoder: Path | str, network: Encoder, bands: Bands, given: Input, crops: Crops) -> Header:
    said = json.dumps(given.as_dict(), sort_keys=True) + repr(_states(given.path))
    return Header(
        swath_version=swath.__version__,
        rows="cells",
        dates="series" if isinstance(network, SeriesEncoder) else "one",
        encoder=mark(encoder),
        bands=bands,
        dims=network.dim,
        dtype="float32",
        chip_px=crops.px,
        gsd_m=1.0,
        corpus=hashlib.sha256(said.encode()).hexdigest(),
        corpus_path=str(given.path),
    )


def _states(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the files at a path: what makes an input another one."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _embed_zone(
    network: Encoder,
    zone: Zone,
    crops: Crops,
    header: Header,
    target: Path,
    quantise: Method | None,
    batch_size: int | None,
    *,
    trusted: bool,
) -> None:
    cells = crops.cells(zone)
    if not all(cells):
        raise ContractError(
            f"a raster of {zone.height} x {zone.width} pixels holds no crop of {crops.px}",
            where=header.corpus_path,
            remedy="give a smaller one: --crop",
        )
    header = header.model_copy(update={"gsd_m": next(iter(zone.rasters.values())).gsd_m})
    target.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": zone.crs, "transform": list(zone.transform)[:6], "shape": zone.shape}
    said = header.model_dump(mode="json")
    with workplace(target, {**said, **place, "crops": [crops.px, crops.stride], "window": WINDOW}) as folder:
        squares = list(tiles(cells, WINDOW))
        parts = Parts(folder, 0)
        for tile in track(squares, len(squares), "embedding"):
            if not parts.path(tile.number).exists():
                parts.write(tile.number, _window(network, zone, crops, tile, header.bands, batch_size, trusted=trusted))
        quantisation = None if quantise is None else Quantisation.fitted(quantise, _vectors(parts, squares))
        final = header.model_copy(update={"quantisation": quantisation, "dtype": "int8" if quantisation else "float32"})
        grid = Grid(zone.crs, crops.transform(zone), cells, crops.px, crops.stride, _days(zone))
        write = write_zarr if _is_zarr(target) else write_cog
        write(target, grid, final, [(tile.core, parts.path(tile.number)) for tile in squares], WINDOW)
        _describe(target, grid, final)


def _days(zone: Zone) -> tuple[int, ...]:
    """Days since 1970-01-01 of all dates; none where a raster says none."""
    return tuple((date - EPOCH).days for date in zone.dates)


def _vectors(parts: Parts, squares: Sequence[Tile]) -> Iterator[Float32[ndarray, "n d"]]:
    """All vectors that there are, a window at a time."""
    for tile in squares:
        vectors = np.load(parts.path(tile.number), allow_pickle=False)
        flat = vectors.reshape(len(vectors), -1).T
        if len(known := flat[np.isfinite(flat).all(axis=1)]):
            yield known


def _window(
    network: Encoder, zone: Zone, crops: Crops, tile: Tile, bands: Bands, batch_size: int | None, *, trusted: bool
) -> Float32[ndarray, "d h w"]:
    """Vectors of a window of cells, some rows of cells at a time; NaN where no pixel is valid."""
    core, depth = tile.core, sum(len(frames) for frames in zone.frames.values()) * len(bands)
    width = (core.width - 1) * crops.stride + crops.px
    found = np.full((network.dim, core.height, core.width), np.nan, np.float32)
    each = max(1, STRIP_VALUES // (width * crops.stride * depth))
    strips = [slice(row, min(row + each, core.height)) for row in range(0, core.height, each)]
    spans = [
        Span((core.row + rows.start) * crops.stride, core.column * crops.stride,
             (rows.stop - rows.start - 1) * crops.stride + crops.px, width)
        for rows in strips
    ]  # fmt: skip
    device = device_of(network)
    read = ahead_of(device, (_composed(zone.read(span, device), bands) for span in spans))
    for rows, span, strip in zip(strips, spans, read, strict=True):
        found[:, rows] = _vectors_of(network, strip, crops, batch_size, trusted=trusted)
        if np.isinf(found[:, rows]).any():
            raise ContractError(
                f"the encoder gives values that are not finite around row {span.row}, column {span.column}",
                remedy="look at the pixels there, or take another encoder",
            )
    return found


def _vectors_of(
    network: Encoder, strip: Image, crops: Crops, batch_size: int | None, *, trusted: bool
) -> Float32[ndarray, "d h w"]:
    """Vectors of all crops of a strip; NaN where no pixel is valid, infinite where the encoder gives no number."""
    pixels, valid = (_squares(x[0], crops) for x in (strip.pixels, strip.valid))
    there = valid.any(dim=0).flatten(2).any(dim=2).cpu().nonzero()
    size = batch_size or max(LEAST_BATCH, BATCH_PIXELS // (len(valid) * crops.px**2))
    found = np.full((network.dim, *valid.shape[1:3]), np.nan, np.float32)
    for part in there.split(size):
        (row, column), count = part.T.numpy(), len(part)
        down, across = send(part.T.contiguous(), valid.device)
        batch = replace(
            strip,
            pixels=pixels[:, :, down, across].permute(2, 0, 1, 3, 4).contiguous(),
            valid=valid[:, down, across].transpose(0, 1).contiguous(),
            days=strip.days.expand(count, -1),
            band_ids=strip.band_ids.expand(count, -1),
        )
        vectors = network.embed(batch, trusted=trusted).cpu().numpy()
        found[:, row, column] = np.where(np.isfinite(vectors), vectors, np.inf).T
    return found


def _squares(x: Shaped[Tensor, "*n h w"], crops: Crops) -> Shaped[Tensor, "*n r c px px"]:
    """All crops of a strip, without a copy."""
    return x.unfold(-2, crops.px, crops.stride).unfold(-2, crops.px, crops.stride)


def _composed(strip: dict[str, Image], bands: Bands) -> Image:
    """The bands of one or several sensors as the channels of one image."""
    keys = {sensor: [key for key in bands if key.startswith(f"{sensor}/")] for sensor in strip}
    if len(strip) == 1:
        return next(iter(strip.values()))
    images = list(strip.values())
    if len({image.pixels.shape[1] for image in images}) > 1:
        raise ContractError("the sensors have different numbers of dates", remedy="embed one date of each")
    order = [key for own in keys.values() for key in own]
    joined = replace(
        images[0],
        pixels=torch.cat([image.pixels for image in images], dim=2),
        valid=torch.stack([image.valid for image in images]).all(dim=0),
        band_ids=torch.cat([image.band_ids for image in images], dim=1),
        common_ids=None,
    )
    return joined.channels([order.index(key) for key in bands])


def _is_zarr(target: Path) -> bool:
    return target.suffix.lower() == ".zarr"


def _describe(target: Path, grid: Grid, header: Header) -> None:
    days = [dt.datetime.fromtimestamp(day * DAY_S, dt.UTC) for day in grid.days]
    encoder = header.encoder.path.removesuffix(".json").removesuffix(".safetensors")
    write_stac(
        target,
        ZARR if _is_zarr(target) else COG,
        {**header.emb, "emb:chip_layout": grid.stac_layout},
        bbox=[float(side) for side in transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)],
        interval=(days[0], days[-1]) if days else None,
        model=f"{encoder}.json",
        source=header.corpus_path,
        licences=(),
    )
