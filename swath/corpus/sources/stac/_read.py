"""Windows of remote files on a chip's grid. Refused are whatever is no image, and files that would have to be
read whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import Affine
from jaxtyping import Bool, Shaped
from numpy import ndarray
from odc.geo.converters import rio_geobox
from odc.geo.geobox import GeoBox
from odc.geo.overlap import ReprojectInfo, compute_reproject_roi
from odc.loader import RioDriver, configure_rio
from rasterio.enums import Interleaving, Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject
from rasterio.windows import Window as Rectangle

from swath.corpus.sources._raster import contradict, header_of
from swath.corpus.sources.stac._cost import HEADER_BYTES
from swath.corpus.sources.stac._hosts import Patience
from swath.corpus.sources.stac._scenes import File
from swath.corpus.sources.stac._signing import Signer
from swath.errors import CorpusError

Slices: TypeAlias = tuple[slice, slice]
"""Slices of rows and columns."""
DRIVER = RioDriver()
"""Holds GDAL's settings and the cloud store's session of a thread."""
FORMATS = {".jp2": "JP2OpenJPEG"}
"""GDAL's driver by the end of a file's name, and GTiff for all others. No other is tried, whatever the bytes are: many
of GDAL's formats (VRT, WMS, and others) are documents that have further files read, of this machine as well."""


def configure(timeout_s: float) -> None:
    """Set GDAL up for remote files: no look at sibling files, and no memory of failures, so that retries are real."""
    configure_rio(
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED="NO",
        GDAL_HTTP_TIMEOUT=str(timeout_s),
        GDAL_HTTP_CONNECTTIMEOUT=str(min(timeout_s, 15.0)),
        GDAL_HTTP_MAX_RETRY="0",
        GDAL_HTTP_MERGE_CONSECUTIVE_RANGES="YES",
        GDAL_INGESTED_BYTES_AT_OPEN=str(HEADER_BYTES),
        CPL_VSIL_CURL_USE_HEAD="NO",
        CPL_VSIL_CURL_NON_CACHED="/vsicurl/:/vsis3/:/vsiaz/:/vsigs/",
    )


@dataclass(frozen=True, slots=True)
class LocationGrid:
    """The pixel grid of a location."""

    crs: str
    transform: tuple[float, ...]
    px: int

    @property
    def geobox(self) -> GeoBox:
        """The grid as odc-geo describes it."""
        return GeoBox((self.px, self.px), Affine(*self.transform), self.crs)

    def factor(self, pixel_m: float | None, file_crs: str | None) -> int:
        """Number of the grid's pixels along a side of a coarser file's pixel, where both share their edges; else 1."""
        a, _, west, _, _, north = self.transform[:6]
        if pixel_m is None or file_crs != self.crs or pixel_m <= a or pixel_m % a or west % pixel_m or north % pixel_m:
            return 1
        factor = round(pixel_m / a)
        return factor if self.px % factor == 0 else 1


@dataclass(frozen=True, slots=True)
class Access:
    """How remote files are opened: signatures, limits and patience."""

    signer: Signer
    patience: Patience

    def read(
        self, file: File, crs: str | None, grid: LocationGrid, dtype: str, nodata: float | None, resampling: str
    ) -> Shaped[ndarray, "y x"]:
        """A file's first channel on the grid; `nodata` (0 if there is none) where it has no pixel.

        Pixels of a coarser file that share their edges with the grid's are repeated, which is what nearest-neighbour
        resampling does, without a warp.

        Raises:
            TransientError: the host failed in spite of all retries.
            GoneError: there is no such file.
            CorpusError: the file holds other values, says another scaling than the catalogue, or so much would have to
                be decoded that the limits forbid it.
        """
        factor = grid.factor(file.pixel_m, crs) if resampling == "nearest" else 1
        target = grid.geobox if factor == 1 else grid.geobox.zoom_out(factor)
        name = PurePosixPath(urlsplit(file.href).path).name
        limit = self.patience.limits.read_mb * 2**20

        def request() -> Shaped[ndarray, "y x"]:
            address, driver = self.signer.sign(file.href), FORMATS.get(PurePosixPath(name).suffix.lower(), "GTiff")
            with rasterio.open(address, driver=driver, sharing=False) as source:
                if source.crs is None:
                    raise CorpusError(f"{name} has no georeference")
                _require_scaling(source, file, name)
                there = compute_reproject_roi(rio_geobox(source), target, ttol=0.9 if resampling == "nearest" else 0.05)
                _affordable(source, _slices(there.roi_src), limit, name)
                pixels, absent = _window(source, there, target, nodata, resampling)
            return np.where(absent, np.array(nodata or 0, dtype), _as(pixels, absent, dtype, name))

        with _context(target):
            pixels = self.patience.call(file.href, request, refused=self.signer.renew)
        return pixels if factor == 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _require_scaling(source: DatasetReader, file: File, name: str) -> None:
    """Refuse counts of which the file's own tags say another scaling than the catalogue: who is right, nobody knows."""
    scale, offset = source.scales[0], source.offsets[0]
    if not file.overruled and contradict((scale, offset), file.scaling):
        raise CorpusError(
            f"{name} says scale {scale:g} and offset {offset:g}, the catalogue {file.scaling.scale:g} and "
            f"{file.scaling.offset:g}"
        )


def _affordable(source: DatasetReader, window: Slices, most: int, name: str) -> None:
    """Refuse to decode more than `most` bytes, by what the header says of the blocks that a window touches."""
    height, width = source.block_shapes[0]
    rows, columns = (
        -(-part.stop // size) - part.start // size if part.stop > part.start else 0
        for part, size in zip(window, (height, width), strict=True)
    )
    channels = 1 if source.interleaving is Interleaving.band else source.count
    size = rows * columns * height * width * channels * np.dtype(source.dtypes[0]).itemsize
    if size > most:
        raise CorpusError(
            f"{name}: {size / 2**20:,.0f} MB would have to be decoded, in blocks of {width} x {height} pixels; "
            f"corpus.source.limits.read_mb allows {most >> 20}"
        )


def _window(
    source: DatasetReader, there: ReprojectInfo, target: GeoBox, nodata: float | None, resampling: str
) -> tuple[Shaped[ndarray, "y x"], Bool[ndarray, "y x"]]:
    """The first channel on the target's grid in the file's own type, and where there is none."""
    missing = source.nodata if source.nodata is not None else nodata
    pixels = np.zeros(target.shape, source.dtypes[0])
    absent = np.ones(target.shape, bool)
    here, window = _slices(there.roi_dst), _slices(there.roi_src)
    inside = pixels[here]
    if not inside.size or any(part.stop <= part.start for part in window):
        return pixels, absent
    part = Rectangle.from_slices(*window)
    hidden = _hidden(source, part)
    if there.paste_ok and there.read_shrink == 1:
        source.read(1, out=inside, window=part)
    else:
        missing = missing if missing is not None and _holds(pixels.dtype, missing) else 0
        inside[:] = missing
        reproject(
            rasterio.band(source, 1) if hidden is None else np.where(hidden, missing, source.read(1, window=part)),
            inside,
            **({} if hidden is None else {"src_crs": source.crs, "src_transform": source.window_transform(part)}),
            src_nodata=missing,
            dst_crs=str(target.crs),
            dst_transform=target[here].transform,
            dst_nodata=missing,
            resampling=Resampling[resampling],
        )
        hidden = None
    absent[here] = False if missing is None else (inside == missing) | (inside != inside)
    if hidden is not None:
        absent[here] |= hidden
    return pixels, absent


def _hidden(source: DatasetReader, window: Rectangle) -> Bool[ndarray, "y x"] | None:
    """Where a mask in the file, or a channel of opacity, says that pixels of the first channel are not there.

    None where the file has neither. Masks in files beside it (`.msk`) are not looked for: see `configure`.
    """
    head = header_of(source)
    masks = [source.read_masks(1, window=window)] if head.masked[0] else []
    masks += [source.read(number, window=window) for number in head.alpha]
    return np.any([mask == 0 for mask in masks], axis=0) if masks else None


def _slices(window: Any) -> Slices:
    """A window of odc-geo's, as NumPy takes it."""
    rows, columns = window
    return rows, columns


def _holds(dtype: np.dtype, value: float) -> bool:
    if dtype.kind == "f":
        return True
    return dtype.kind in "iu" and value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _as(pixels: Shaped[ndarray, "y x"], absent: Bool[ndarray, "y x"], dtype: str, name: str) -> Shaped[ndarray, "y x"]:
    """Pixels converted to the sensor's type, which must hold every value; decimals may be rounded."""
    wanted = np.dtype(dtype)
    if pixels.dtype == wanted:
        return pixels
    problem = f"{name} holds {pixels.dtype.name}, where {wanted.name} is expected"
    if pixels.dtype.kind not in "iuf" or (pixels.dtype.kind == "f" and wanted.kind != "f"):
        raise CorpusError(problem)
    with np.errstate(all="ignore"):
        cast = pixels.astype(wanted)
        lost = np.isfinite(pixels) & ~np.isfinite(cast) if wanted.kind == "f" else cast != pixels
    if (lost & ~absent).any():
        raise CorpusError(f"{problem}, and {pixels[lost & ~absent][0]:g}, which that cannot hold")
    return cast


@contextmanager
def _context(target: GeoBox) -> Iterator[None]:
    state = DRIVER.new_load(target)
    with DRIVER.restore_env(DRIVER.capture_env(), state):
        yield
