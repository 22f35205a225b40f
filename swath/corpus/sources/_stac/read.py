"""Windows of remote files on a chip's grid, read by the loader of odc-stac."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from affine import Affine
from jaxtyping import Shaped
from numpy import ndarray
from odc.geo.geobox import GeoBox
from odc.loader import RasterLoadParams, RasterSource, RioDriver, configure_rio

from swath.corpus.sources._stac.cost import HEADER_BYTES
from swath.corpus.sources._stac.hosts import Patience, Signer
from swath.corpus.sources._stac.scenes import File

DRIVER = RioDriver()


def configure(timeout_s: float) -> None:
    """Set GDAL up for files far away: no listing of folders, and no memory of failures, so that a retry is one."""
    # failures are counted, tried again and reported here; not on standard error as well
    logging.getLogger("odc.loader._rio").setLevel(logging.CRITICAL)
    configure_rio(
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_HTTP_TIMEOUT=str(timeout_s),
        GDAL_HTTP_CONNECTTIMEOUT=str(min(timeout_s, 15.0)),
        GDAL_HTTP_MAX_RETRY="0",
        GDAL_HTTP_MERGE_CONSECUTIVE_RANGES="YES",
        GDAL_INGESTED_BYTES_AT_OPEN=str(HEADER_BYTES),
        CPL_VSIL_CURL_USE_HEAD="NO",
        CPL_VSIL_CURL_NON_CACHED="/vsicurl/:/vsis3/:/vsiaz/:/vsigs/",
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels of a location."""

    crs: str
    transform: tuple[float, ...]
    px: int

    @property
    def geobox(self) -> GeoBox:
        """The same for odc-geo."""
        return GeoBox((self.px, self.px), Affine(*self.transform), self.crs)

    def factor(self, pixel_m: float | None, file_crs: str | None) -> int:
        """How many of the grid's pixels lie along one of a coarser file's, where both share their edges; else 1."""
        a, _, west, _, _, north = self.transform[:6]
        if pixel_m is None or file_crs != self.crs or pixel_m <= a or pixel_m % a or west % pixel_m or north % pixel_m:
            return 1
        factor = round(pixel_m / a)
        return factor if self.px % factor == 0 else 1


@dataclass(frozen=True, slots=True)
class Access:
    """How files are had."""

    signer: Signer
    patience: Patience

    def read(
        self, file: File, crs: str | None, grid: Grid, dtype: str, nodata: float | None, resampling: str
    ) -> Shaped[ndarray, "y x"]:
        """A file's first channel on the grid; `nodata` where it has no pixel.

        Pixels of a coarser file that share their edges with the grid's are repeated, which is what nearest-neighbour
        resampling does, without a warp.

        Raises:
            TransientError: the host failed in spite of all retries.
            GoneError: there is no such file.
        """
        factor = grid.factor(file.pixel_m, crs) if resampling == "nearest" else 1
        target = grid.geobox if factor == 1 else grid.geobox.zoom_out(factor)
        params = RasterLoadParams(
            dtype=dtype, fill_value=nodata, src_nodata_fallback=nodata, resampling=resampling, use_overviews=False
        )
        with _context(target) as context:

            def request() -> Shaped[ndarray, "y x"]:
                source = RasterSource(self.signer.sign(file.href))
                window, pixels = DRIVER.open(source, context).read(params, target)
                result = np.full(target.shape, 0 if nodata is None else nodata, dtype)
                result[window] = pixels
                return result

            pixels = self.patience.call(file.href, request, refused=self.signer.renew)
        return pixels if factor == 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


@contextmanager
def _context(target: GeoBox) -> Iterator:
    state = DRIVER.new_load(target)
    with DRIVER.restore_env(DRIVER.capture_env(), state) as context:
        yield context
