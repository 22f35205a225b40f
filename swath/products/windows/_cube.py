"""Cubes: NetCDF files and Zarr stores of variables over time, y and x, read a window of one date at a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from jaxtyping import Bool, Shaped
from numpy import ndarray
from pydantic import Field, ValidationError
from rasterio.crs import CRS
from rasterio.errors import CRSError

from swath import sensors
from swath.corpus import SensorLayout
from swath.corpus.ground import utm
from swath.corpus.sources.folder import Pixels
from swath.errors import CorpusError
from swath.settings import Settings

CUBES = {".nc", ".nc4", ".zarr"}
"""Endings of cubes."""
AXES = {"y": ("y", "lat", "latitude"), "x": ("x", "lon", "longitude"), "t": ("t", "time")}
EVEN = 1e-3
"""Accepted unevenness of coordinates, in pixels."""


class CubeSettings(Settings):
    """What of a cube is not as its sensors have it."""

    bands: dict[str, str] = Field(default_factory=dict)
    """Name of the variable by band key; where it is not said, the band's own name."""
    dtype: str | None = None
    """NumPy type that the counts mean, such as uint16 where signed numbers are stored; the sensor's own if not said."""
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    """Count of missing pixels, as it is stored or as it is meant; the variable's own `_FillValue` and `missing_value`,
    or the sensor's, if not said."""
    crs: str | None = None
    """Reference system, of a cube that says none."""


@dataclass(frozen=True, slots=True)
class CubeDate:
    """One date of a cube, of one sensor."""

    path: Path
    name: str
    sensor: str
    bands: tuple[str, ...]
    variables: tuple[str, ...]
    cloud: str | None
    """Name of the variable that the sensor's cloud rule reads."""
    position: int | None
    """Position in time; None where the cube has no time."""
    date: datetime | None
    crs: str
    transform: Affine
    height: int
    width: int
    gsd_m: float
    layout: SensorLayout
    missing: tuple[tuple[float, ...], ...]
    """Counts that mark missing pixels, for each variable."""
    upside_down: bool

    @property
    def masks_clouds(self) -> bool:
        """Whether a quality layer hides clouds."""
        return self.cloud is not None

    def read(self, row: int, column: int, height: int, width: int) -> Pixels:
        """A window as it is stored."""
        where = (row, column, height, width)
        counts = np.stack([_meant(self._window(name, *where), self.layout.dtype) for name in self.variables])
        valid = np.ones((height, width), bool)
        for band, missing in zip(counts, self.missing, strict=True):
            for count in missing:
                valid &= band != count
        return Pixels(counts, valid & ~self._cloudy(where))

    def _cloudy(self, where: tuple[int, int, int, int]) -> Bool[ndarray, "y x"]:
        rule = sensors.get(self.sensor).cloud
        if self.cloud is None or rule is None:
            return np.zeros(where[2:], bool)
        codes = self._window(self.cloud, *where)
        hidden = ~np.isfinite(codes)
        return rule.unusable(np.where(hidden, 0, codes)) | hidden

    def _window(self, name: str, row: int, column: int, height: int, width: int) -> Shaped[ndarray, "y x"]:
        data = _opened(self.path)[name]
        rows = slice(self.height - row - height, self.height - row) if self.upside_down else slice(row, row + height)
        when = () if self.position is None else (self.position,)
        values = data[(*when, rows, slice(column, column + width))].values
        return values[::-1] if self.upside_down else values


def _meant(values: Shaped[ndarray, "*n"], dtype: str) -> Shaped[ndarray, "*n"]:
    """Signed counts that mean unsigned ones, as such."""
    return values.view(dtype) if values.dtype.kind == "i" and dtype == f"u{values.dtype.name}" else values


def cube(path: Path, bands: Mapping[str, tuple[str, ...]], said: Mapping[str, Any]) -> list[CubeDate]:
    """The dates of a cube, of each sensor.

    Args:
        path: a NetCDF file or a Zarr store.
        bands: names of the bands of each sensor.
        said: as `CubeSettings`.

    Raises:
        CorpusError: it cannot be read; it lacks bands, a type or a scaling that is the sensor's; or it does not say
            where it lies, on an even grid.
    """
    try:
        settings = CubeSettings.model_validate(dict(said))
    except ValidationError as error:
        first = error.errors()[0]
        raise CorpusError(f"cube.{'.'.join(map(str, first['loc']))}: {first['msg']}", where=str(path)) from None
    grid = _grid(path, settings)
    dates = _dates(path)
    return [one for sensor, names in bands.items() for one in _of_sensor(path, settings, grid, dates, sensor, names)]


@dataclass(frozen=True, slots=True)
class _Grid:
    crs: str
    transform: Affine
    height: int
    width: int
    upside_down: bool
    gsd_m: float


def _of_sensor(
    path: Path,
    settings: CubeSettings,
    grid: _Grid,
    dates: list[datetime] | None,
    sensor: str,
    names: tuple[str, ...],
) -> list[CubeDate]:
    variables = tuple(settings.bands.get(f"{sensor}/{name}", name) for name in names)
    data = _opened(path)
    if missing := [name for name in variables if name not in data.data_vars]:
        raise CorpusError(
            f"the cube has no {', '.join(missing)}; it has {', '.join(map(str, data.data_vars))}",
            where=str(path),
            remedy=f"say the variables' names: cube: {{bands: {{{sensor}/{names[0]}: ...}}}}",
        )
    layout = _layout(path, settings, sensor, names, variables, grid.gsd_m)
    rule = sensors.get(sensor).cloud
    cloud = rule.layer if rule is not None and rule.layer in data.data_vars else None
    missing = tuple(_missing(path, settings, sensor, name) for name in variables)
    timed = _time(data[variables[0]].dims) is not None
    whens: list[tuple[int | None, datetime | None]] = list(enumerate(dates)) if timed and dates else [(None, None)]
    return [
        CubeDate(
            path=path,
            name=path.name if when is None else f"{path.name} of {when:%Y-%m-%d}",
            sensor=sensor,
            bands=names,
            variables=variables,
            cloud=cloud,
            position=position,
            date=when,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            gsd_m=grid.gsd_m,
            layout=layout,
            missing=missing,
            upside_down=grid.upside_down,
        )
        for position, when in whens
    ]


def _layout(
    path: Path, settings: CubeSettings, sensor: str, names: tuple[str, ...], variables: tuple[str, ...], gsd_m: float
) -> SensorLayout:
    own = SensorLayout.of(sensors.get(sensor), names, gsd_m)
    dtype = settings.dtype or own.dtype
    for name, variable in zip(names, variables, strict=True):
        data, scaling = _opened(path)[variable], sensors.get(sensor).scaling_of(name)
        _check_dims(path, variable, data.dims)
        if _meant(np.empty(0, data.dtype), dtype).dtype != dtype:
            raise CorpusError(
                f"{variable} holds {data.dtype}, {sensor} is {own.dtype}",
                where=str(path),
                remedy=f"say what is meant: cube: {{dtype: {data.dtype}, scale: ..., offset: ...}}",
            )
        tags = float(data.attrs.get("scale_factor", 1.0)), float(data.attrs.get("add_offset", 0.0))
        given = settings.scale or scaling.scale, scaling.offset if settings.offset is None else settings.offset
        if tags != (1.0, 0.0) and not all(map(math.isclose, tags, given)):
            raise CorpusError(
                f"{variable} says scale {tags[0]:g} and offset {tags[1]:g}, wanted are {given[0]:g} and {given[1]:g}",
                where=str(path),
                remedy=f"say what holds: cube: {{scale: {tags[0]:g}, offset: {tags[1]:g}}}",
            )
    return own.model_copy(
        update={
            "dtype": dtype,
            "scale": own.scale if settings.scale is None else (settings.scale,) * len(names),
            "offset": own.offset if settings.offset is None else (settings.offset,) * len(names),
        }
    )


def _missing(path: Path, settings: CubeSettings, sensor: str, variable: str) -> tuple[float, ...]:
    """Counts of missing pixels: what is said, else the variable's own by either name of the CF conventions, else the
    sensor's.

    Raises:
        CorpusError: the variable's own is no number.
    """
    data, own = _opened(path)[variable], sensors.get(sensor)
    tags = [data.attrs[name] for name in ("_FillValue", "missing_value") if name in data.attrs]
    said = tags if settings.nodata is None else [settings.nodata]
    try:
        counts = [float(count) for one in said for count in np.atleast_1d(one)]
    except (ValueError, TypeError):
        raise CorpusError(
            f"{variable} marks missing pixels by {', '.join(map(str, said))}, which is no number",
            where=str(path),
            remedy="say it: cube: {nodata: ...}",
        ) from None
    if not counts and own.nodata is not None:
        counts = [own.nodata]
    meant = np.dtype(settings.dtype or own.dtype)
    # signed, as the counts are stored
    below = 2.0 ** (8 * meant.itemsize) if (data.dtype.kind, meant.kind) == ("i", "u") else 0.0
    return tuple(count + below if count < 0 else count for count in counts)


def _time(dims: tuple[Any, ...]) -> str | None:
    return next((str(name) for name in dims if name in AXES["t"]), None)


def _check_dims(path: Path, variable: str, dims: tuple[Any, ...]) -> None:
    kinds = "".join(next((kind for kind, names in AXES.items() if name in names), "?") for name in dims)
    if kinds not in {"yx", "tyx"}:
        raise CorpusError(
            f"{variable} is over {', '.join(map(str, dims))}, not over time, y and x",
            where=str(path),
            remedy="bring its dimensions into that order: ds.transpose('time', 'y', 'x')",
        )


def _axis(path: Path, kind: str) -> np.ndarray:
    data = _opened(path)
    name = next((name for name in AXES[kind] if name in data.variables), None)
    values = np.asarray([] if name is None else data[name].values, np.float64)
    steps = np.diff(values)
    if len(values) < 2 or not np.allclose(steps, steps.mean(), rtol=0, atol=EVEN * abs(steps.mean())):
        raise CorpusError(
            f"it says no evenly spaced coordinates {kind}, so nobody knows where it lies",
            where=str(path),
            remedy="store the centres of the pixels as coordinates x and y",
        )
    return values


def _grid(path: Path, settings: CubeSettings) -> _Grid:
    x, y = _axis(path, "x"), _axis(path, "y")
    upside_down = bool(y[0] < y[-1])
    y = y[::-1] if upside_down else y
    dx, dy = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    crs = _crs(path, settings)
    metres = abs(dx) if crs.is_projected else abs(dx) * utm.METRES_PER_DEGREE
    transform = Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2)
    return _Grid(crs.to_string(), transform, len(y), len(x), upside_down, float(f"{metres:.6g}"))


def _crs(path: Path, settings: CubeSettings) -> CRS:
    data = _opened(path)
    stated = [data[name].attrs for name in ("spatial_ref", "crs") if name in data.variables]
    stated += [data.attrs]
    texts = (attrs.get(key) for attrs in stated for key in ("crs_wkt", "spatial_ref", "crs"))
    text = settings.crs or next((str(text) for text in texts if text), None)
    if text is None:
        raise CorpusError("it says no reference system", where=str(path), remedy="say it: cube: {crs: EPSG:32631}")
    try:
        return CRS.from_user_input(text)
    except CRSError:
        raise CorpusError(f"{text[:60]!r} is no reference system", where=str(path), remedy="mend it") from None


def _dates(path: Path) -> list[datetime] | None:
    data = _opened(path)
    name = next((name for name in AXES["t"] if name in data.variables), None)
    if name is None:
        return None
    if data[name].dtype.kind != "M":
        raise CorpusError(f"its {name} holds no dates", where=str(path), remedy="store them as CF times")
    return [stamp.to_pydatetime() for stamp in pd.DatetimeIndex(np.atleast_1d(data[name].values)).tz_localize(UTC)]


@lru_cache(8)
def _opened(path: Path) -> Any:
    """The open cube, of which nothing but coordinates is in memory."""
    try:
        import xarray
    except ImportError as error:
        raise CorpusError("xarray is not installed", where=str(path), remedy='pip install "swath[netcdf]"') from error
    try:
        if path.is_dir():
            return xarray.open_zarr(path, mask_and_scale=False, chunks=None, consolidated=False)
        import h5py

        how: dict[str, Any] = {"engine": "h5netcdf", "phony_dims": "access"} if h5py.is_hdf5(path) else {}
        return xarray.open_dataset(path, mask_and_scale=False, decode_coords=False, **how)
    except ImportError as error:
        raise CorpusError(
            f"{error.name} is not installed", where=str(path), remedy='pip install "swath[netcdf,zarr]"'
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(f"it cannot be read: {reason}", where=str(path), remedy="give a cube") from error
