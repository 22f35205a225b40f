"""Rasters that cannot be written, such as on a full disk, in words."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from swath.errors import SwathError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the raster library, which does not say that a disk is full, into one that names file and room."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        free = shutil.disk_usage(path.parent).free
        raise SwathError(
            f"the raster cannot be written, its disk has {free / 1e9:.3g} GB left: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="make room, and give the same command again: what is finished is kept",
        ) from error
