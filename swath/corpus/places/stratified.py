"""Equal numbers for every class of a raster, such as a land-cover map: rare classes are seen as often as others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from jaxtyping import Float, Integer
from numpy import ndarray
from pydantic import Field
from pyproj import Transformer
from rasterio.errors import RasterioError

from swath.corpus.ground.utm import Footprint
from swath.corpus.places._types import Candidates, PlacesConfig, block_size
from swath.errors import CorpusError

MOST_PIXELS = 2_000_000_000


class Config(PlacesConfig):
    """Equal numbers of locations for every class of a raster, such as a land-cover map."""

    name: Literal["stratified"] = "stratified"
    count: int = Field(default=1000, gt=0)
    """Number of locations wanted, all classes together."""
    raster: Path
    """Raster whose first channel holds class codes, in any reference system."""
    classes: tuple[int, ...] | None = None
    """Codes to draw from; by default all except the file's nodata."""


def candidates(
    config: Config,
    footprint: Footprint,  # noqa: ARG001
    rng: np.random.Generator,
) -> Iterator[Candidates]:
    """Points in turn from every class, uniform over the ground that the class covers, without end."""
    codes, transform, nodata, to_degrees, geographic = _open(config)
    # ground area of a pixel: constant in metres, shrinking with the cosine of latitude in degrees
    height = len(codes)
    rows = np.arange(height)
    area = np.cos(np.radians(transform.f + transform.e * (rows + 0.5))).clip(0) if geographic else np.ones(height)
    wanted = config.classes or [code for code in np.unique(codes).tolist() if code != nodata]
    counts = {code: (codes == code).sum(axis=1) * area for code in wanted}
    for code, count in counts.items():
        if not count.sum():
            raise CorpusError(
                f"no pixel has the class {code}", where=f"{config.raster}, for classes", remedy="leave it out"
            )
    size = -(-block_size(config) // len(counts))
    while True:
        drawn = [_draw(codes, code, count, size, rng) for code, count in counts.items()]
        column, row = (np.stack([one[axis] for one in drawn], axis=1).ravel() for axis in (0, 1))
        x = transform.a * column + transform.b * row + transform.c
        y = transform.d * column + transform.e * row + transform.f
        lon, lat = to_degrees.transform(x, y)
        yield Candidates(lon, lat, {"stratum": np.tile(np.array(list(counts), np.int64), size)})


def _open(config: Config):
    try:
        with rasterio.open(config.raster) as file:
            if file.crs is None or file.width * file.height > MOST_PIXELS:
                what = (
                    "it says no reference system" if file.crs is None else f"{file.width} x {file.height} are too many"
                )
                raise CorpusError(what, where=f"{config.raster}, for raster", remedy="give a coarser or mended raster")
            to_degrees = Transformer.from_crs(file.crs, 4326, always_xy=True)
            return file.read(1), file.transform, file.nodata, to_degrees, file.crs.is_geographic
    except RasterioError as error:
        raise CorpusError(
            f"cannot read the raster: {error}", where=f"{config.raster}, for raster", remedy="give a file GDAL opens"
        ) from None


def _draw(
    codes: Integer[ndarray, "y x"], code: int, weight: Float[ndarray, " y"], size: int, rng: np.random.Generator
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Column and row of points in pixels of a class; anywhere in the pixel."""
    rows = rng.choice(len(weight), size, p=weight / weight.sum())
    columns = np.empty(size)
    for row in np.unique(rows):
        here = np.flatnonzero(rows == row)
        columns[here] = rng.choice(np.flatnonzero(codes[row] == code), len(here))
    return columns + rng.random(size), rows + rng.random(size)
