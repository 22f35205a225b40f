"""Reading NetCDF: raw counts, dates and georeference, with every failure turned into a message that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from jaxtyping import Shaped
from numpy import ndarray

from swath.corpus.sources._raster import BadFileError, File, check_size
from swath.corpus.sources.published import _hdf5
from swath.errors import CorpusError

REMEDY = "get the file again, or leave such files out: on_bad_file=skip"


@dataclass(frozen=True, slots=True)
class FileGrid:
    """The pixel grid of a file."""

    height: int
    width: int
    transform: Affine
    """Pixel corners to native coordinates, north up."""
    crs: str

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Native coordinates: west, south, east, north."""
        west, north = self.transform.c, self.transform.f
        return (west, north + self.height * self.transform.e, west + self.width * self.transform.a, north)


class Cube:
    """An open NetCDF file."""

    def __init__(self, path: Path, data: Any):
        self.path, self._data = path, data
        self.variables: tuple[str, ...] = tuple(str(name) for name in data.data_vars)

    def bad(self, what: str) -> BadFileError:
        """The error that names this file and states what is wrong with it."""
        return BadFileError(f"{self.path.name} {what}", where=str(self.path), remedy=REMEDY)

    def counts(self, name: str, dtype: str) -> Shaped[ndarray, "*t y x"]:
        """A variable as stored, north up; signed counts that mean unsigned ones are read as such."""
        if name not in self.variables:
            raise self.bad(f"has no variable {name}")
        values = self._data[name].values
        if values.dtype.kind == "i" and dtype == f"u{values.dtype.name}":
            values = values.view(dtype)
        if values.dtype != dtype:
            raise self.bad(f"holds {values.dtype} in {name}, not {dtype}")
        return values[..., ::-1, :] if self._south_up else values

    def dates(self, name: str) -> list[datetime]:
        """Times of a coordinate, UTC."""
        if name not in self._data or self._data[name].dtype.kind != "M":
            raise self.bad(f"has no dates named {name}")
        return [
            stamp.to_pydatetime() for stamp in pd.DatetimeIndex(self._data[name].values).floor("us").tz_localize(UTC)
        ]

    @property
    def _south_up(self) -> bool:
        return bool(self._data["y"].values[0] < self._data["y"].values[-1])

    @property
    def grid(self) -> FileGrid:
        """Pixel grid, derived from the coordinates of the pixels' centres."""
        try:
            x, y = (np.asarray(self._data[name].values, np.float64) for name in ("x", "y"))
            mapping = next(self._data[name] for name in ("spatial_ref", "crs") if name in self._data)
            crs = mapping.attrs["crs_wkt"] if "crs_wkt" in mapping.attrs else mapping.attrs["spatial_ref"]
        except (KeyError, StopIteration):
            raise self.bad("says no place: it lacks x, y or the reference system") from None
        y = y[::-1] if self._south_up else y
        (dx, dy) = ((c[-1] - c[0]) / (len(c) - 1) for c in (x, y))
        return FileGrid(len(y), len(x), Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2), _short(crs))


def _short(wkt: str) -> str:
    """A reference system as `EPSG:32631` where the text states such a code; else unchanged."""
    from rasterio.crs import CRS

    return CRS.from_wkt(wkt).to_string()


@contextmanager
def opened(path: Path, limit_gb: float) -> Iterator[Cube]:
    """A NetCDF file, of version 3 or 4.

    Raises:
        CorpusError: the libraries are not installed.
        BadFileError: the file cannot be read, now or later in the block, takes values from another file, or would take
            more gigabytes than the limit.
    """
    try:
        import h5netcdf  # noqa: F401  xarray reads through it
        import h5py
        import xarray
    except ImportError as error:
        raise CorpusError(
            f"{error.name} is not installed", where=str(path), remedy='pip install "swath[netcdf]"'
        ) from error
    try:
        _check(path, limit_gb)
        # dimensions without a name get one, which the library would remark on
        how: dict[str, Any] = {"engine": "h5netcdf", "phony_dims": "access"} if h5py.is_hdf5(path) else {}
        with xarray.open_dataset(path, mask_and_scale=False, decode_coords=False, **how) as data:
            yield Cube(path, data)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise BadFileError(f"{path.name} cannot be read: {reason}", where=str(path), remedy=REMEDY) from error


def _check(path: Path, limit_gb: float) -> None:
    """Raise BadFileError if all that the file holds would take more gigabytes than the limit, or is packed wrongly."""
    import h5py

    file = File(path, path.name)
    if not h5py.is_hdf5(path):  # of version 3, which packs nothing
        check_size(file, path.stat().st_size, limit_gb)
        return
    with h5py.File(path, "r") as opened:
        datasets = _hdf5.datasets(path, opened)
        check_size(file, sum(_hdf5.decoded_size(dataset) for dataset in datasets), limit_gb)
        for dataset in datasets:
            _hdf5.check_chunks(path, dataset)
        _hdf5.check_attributes(path, (opened, *datasets), limit_gb)
