"""WorldCereal pixel series (Parquet): monthly Sentinel-1 and Sentinel-2 of single pixels, with crop labels.

Files come in two shapes: *long*, one row a sample and month, and *wide*, one row a sample and a column a band and
month. Each sample becomes a location of 1 x 1 px. Months without one valid value are no chips.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Integer, Shaped
from numpy import ndarray
from pydantic import Field

from swath.corpus._part import Chip, Location
from swath.corpus.sources import _worldcereal as legend
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._pieces import Piece
from swath.corpus.sources._published import SKIP, Form, FormatSettings, Report, convert, data_folder
from swath.corpus.sources._raster import BadFileError
from swath.errors import CorpusError

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
POLARISATIONS = ("VV", "VH")
REGIONS = {
    "canada": "test_long_parquet_2017_CAN_AAFC-ACIGTD.parquet",
    "france": "2022_FRA_LPIS_POLY_110_month.geoparquet",
    "world": "worldcereal_testdf_upd.parquet",
    "belgium": "worldcereal_testdf_2018_BE.parquet",
    "africa": "test_public_extractions.parquet",
}
"""File of each region."""
LEGEND = "crop_type_class_mappings.csv"
MONTHS = 12
"""Of a wide file."""


class Config(FormatSettings):
    """Settings of the source."""

    name: Literal["worldcereal-pixels"] = "worldcereal-pixels"
    regions: tuple[Literal["canada", "france", "world", "belgium", "africa"], ...] = ()
    """Which files; by default all that are there."""
    brightest: float | None = Field(default=None, gt=0)
    """Months whose blue reflectance (B02) is above this are taken for cloud or snow: stored, but not valid. The files
    have no cloud mask, and in winter most months of the Canadian ones are white. No threshold if not given."""


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """All samples of a file."""

    locations: list[Location]
    dates: list[list[datetime]]
    """Of each sample, in the order of time: the first of each month."""
    optical: Integer[ndarray, "s t 9"]
    """Counts; samples with fewer months than others are filled with nodata."""
    radar: Integer[ndarray, "s t 2"]


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, lack columns, or hold other types.
    """
    root = data_folder(data)
    report = Report(config)
    form = Form(1, {legend.OPTICAL: legend.optical_layout(BANDS, 10.0), legend.RADAR: legend.radar_layout(10.0)})
    names = _names(root)
    series = {}
    for region in _regions(root, config):
        try:
            series[region] = _series(root / REGIONS[region], region, names)
        except BadFileError as error:
            report.reject(error, region)

    def uids(region: str) -> Iterator[str]:
        return (location.uid for location in series[region].locations)

    convert(target, form, report, list(series), uids, lambda region: _piece(series[region], region, config.brightest))


# -- files -------------------------------------------------------------------------------------------------------------


def _regions(root: Path, config: Config) -> tuple[str, ...]:
    """Regions that were asked for, or whose file is there."""
    there = tuple(region for region, name in REGIONS.items() if (root / name).is_file())
    if not there:
        remedy = what_is_there(root, REGIONS["canada"])
        raise CorpusError(f"no file is named as one of {', '.join(REGIONS.values())}", where=str(root), remedy=remedy)
    return config.regions or there


def _names(root: Path) -> dict[int, tuple[str, str]]:
    """Names of crop and land cover by the codes of the second legend, if its table is there."""
    path = root / LEGEND
    if not path.is_file():
        return {}
    table = pd.read_csv(path, sep=";", encoding="utf-8-sig", dtype=str)
    if missing := {"ewoc_code", "label_full", "LC_label"} - set(table.columns):
        raise CorpusError(f"the legend has no column {min(missing)}", where=str(path), remedy="get the file again")
    rows = zip(table["ewoc_code"], table["label_full"], table["LC_label"], strict=True)
    return {int(code.replace("-", "")): (crop, cover) for code, crop, cover in rows}


def _series(path: Path, region: str, names: dict[int, tuple[str, str]]) -> _Series:
    try:
        table = pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise BadFileError(f"{path.name} is missing", where=str(path), remedy=SKIP) from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadFileError(f"{path.name} cannot be read: {reason}", where=str(path), remedy=SKIP) from error
    return _long(table, path, region, names) if "timestamp" in table else _wide(table, path, region, names)


# -- the two shapes ----------------------------------------------------------------------------------------------------


def _long(table: pd.DataFrame, path: Path, region: str, names: dict[int, tuple[str, str]]) -> _Series:
    _check(table, ["sample_id", "timestamp", "lon", "lat"], [], path)
    table = table.sort_values(["sample_id", "timestamp"], kind="stable")
    optical = _counts(table, [f"S2-L2A-{band}" for band in BANDS], path)
    radar = _counts(table, [f"S1-SIGMA0-{band}" for band in POLARISATIONS], path)
    sample, first = np.unique(table["sample_id"].to_numpy(str), return_index=True)
    lengths = np.diff([*first, len(table)])
    row = np.repeat(np.arange(len(sample)), lengths)
    month = np.arange(len(table)) - np.repeat(first, lengths)
    # months begin at midnight of a place's own time, so some say 22:00 or 23:00 of the day before
    days = (pd.to_datetime(table["timestamp"]) + pd.Timedelta(hours=12)).dt.floor("D").dt.tz_localize(UTC)
    dates = [list(chunk) for chunk in np.split(days.dt.to_pydatetime(), first[1:])]
    shape = (len(sample), int(lengths.max()))
    filled = [np.full((*shape, counts.shape[1]), legend.NODATA, counts.dtype) for counts in (optical, radar)]
    filled[0][row, month], filled[1][row, month] = optical, radar
    return _Series(_locations(table.iloc[first], sample, region, names), dates, *filled)


def _wide(table: pd.DataFrame, path: Path, region: str, names: dict[int, tuple[str, str]]) -> _Series:
    ids = "sample_id" if "sample_id" in table else "location_id"
    _check(table, ["start_date", "lon", "lat", ids], [], path)
    optical = [_counts(table, _columns(table, f"OPTICAL-{band}"), path) for band in BANDS]
    radar = [_counts(table, _columns(table, f"SAR-{band}"), path) for band in POLARISATIONS]
    starts = pd.to_datetime(table["start_date"]).dt.to_period("M")
    dates = [
        [(start + k).to_timestamp().to_pydatetime().replace(tzinfo=UTC) for k in range(MONTHS)] for start in starts
    ]
    # one file numbers no samples: those of one site share its id
    numbered = table[ids] if ids == "sample_id" else table[ids].astype(str) + "-" + table.index.astype(str)
    locations = _locations(table, numbered.to_numpy(str), region, names)
    return _Series(locations, dates, np.stack(optical, axis=-1), np.stack(radar, axis=-1))


def _columns(table: pd.DataFrame, band: str) -> list[str]:
    """`OPTICAL-B02-ts0-10m` to `ts11`, whatever the resolution at the end."""
    steps = {int(match[1]): name for name in table if (match := re.fullmatch(rf"{band}-ts(\d+)-\d+m", str(name)))}
    return [steps.get(step, f"{band}-ts{step}-10m") for step in range(MONTHS)]


def _counts(table: pd.DataFrame, columns: list[str], path: Path) -> Integer[ndarray, "n c"]:
    _check(table, columns, columns, path)
    counts = table[columns].to_numpy()
    if counts.size and not 0 <= counts.min() <= counts.max() <= legend.NODATA:
        raise BadFileError(f"{path.name} holds counts beyond 16 bits in {columns[0]}", where=str(path), remedy=SKIP)
    return counts.astype(np.uint16)


def _check(table: pd.DataFrame, columns: list[str], whole: list[str], path: Path) -> None:
    if missing := [name for name in columns if name not in table]:
        raise BadFileError(f"{path.name} has no column {missing[0]}", where=str(path), remedy=SKIP)
    for name in whole:
        if not pd.api.types.is_integer_dtype(table[name]):
            what = f"{path.name} holds {table[name].dtype} in {name}, counts are whole numbers"
            raise BadFileError(what, where=str(path), remedy=SKIP)


# -- locations and chips -----------------------------------------------------------------------------------------------


def _locations(
    rows: pd.DataFrame, samples: Shaped[ndarray, " s"], region: str, names: dict[int, tuple[str, str]]
) -> list[Location]:
    return [
        Location(
            uid=f"{region}-{sample}",
            lonlat=(float(row["lon"]), float(row["lat"])),
            group=row.get("h3_l3_cell") or _cell(row["lon"], row["lat"]),
            scalars={"region": region, **_labels(row, names), "ref_id": row.get("ref_id")},
        )
        for sample, row in zip(samples.tolist(), rows.to_dict("records"), strict=True)
    ]


def _cell(lon: float, lat: float) -> str:
    """Cell of one degree, for files without H3 cells of level 3, whose mean area of 12,393 km2 is about as large."""
    return f"lon{int(np.floor(lon)):+04d}lat{int(np.floor(lat)):+03d}"


def _labels(row: dict[Any, Any], names: dict[int, tuple[str, str]]) -> dict[str, Any]:
    """Names and codes; the files follow two legends, of 4 and of 10 digits."""
    if "ewoc_code" in row:
        code = int(row["ewoc_code"])
        crop, cover = names.get(code, (str(code), None))
        return {"crop": crop, "croptype_label": None, "ewoc_code": code, "landcover": cover}
    code = int(row.get("CROPTYPE_LABEL", row.get("CT", 0)))
    cover = int(row.get("LANDCOVER_LABEL", row.get("OUTPUT", 0)))
    crop = legend.CROPS.get(code, str(code))
    return {
        "crop": crop,
        "croptype_label": code,
        "ewoc_code": None,
        "landcover": legend.LAND_COVER.get(cover, str(cover)),
    }


def _piece(series: _Series, region: str, brightest: float | None) -> Piece:
    source = REGIONS[region]
    radar = legend.decibels(series.radar)
    by_sensor = {
        legend.OPTICAL: (series.optical, (series.optical != legend.NODATA).all(axis=-1)),
        legend.RADAR: (radar, np.isfinite(radar).all(axis=-1)),
    }
    white = np.zeros(series.optical.shape[:2], bool)
    if brightest is not None:
        white = series.optical[..., 0] * legend.optical_layout(BANDS, 10.0).scale[0] > brightest
    piece = Piece()
    for k, (location, dates) in enumerate(zip(series.locations, series.dates, strict=True)):
        chips = [
            _chip(location.uid, sensor, counts[k, t], date, source, white=bool(white[k, t]))
            for sensor, (counts, good) in by_sensor.items()
            for t, date in enumerate(dates)
            if good[k, t]
        ]
        if chips:
            piece.locations.append(location)
            piece.chips += chips
            piece.labels.append({})
    for sensor, (_, good) in by_sensor.items():
        if empty := sum(len(dates) for dates in series.dates) - int(good.sum()):
            what = f"{empty} months of {sensor} hold no data"
            piece.left_out.append({"event": "no valid pixel", "id": region, "what": what, "where": source})
    return piece


def _chip(uid: str, sensor: str, counts: Shaped[ndarray, " c"], date: datetime, source: str, *, white: bool) -> Chip:
    pixels = counts[:, None, None]
    if sensor != legend.OPTICAL:
        return Chip(uid, sensor, pixels, datetime=date, source=source)
    return Chip(uid, sensor, pixels, np.array([[not white]]), datetime=date, cloud=float(white), source=source)
