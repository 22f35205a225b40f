"""WorldCereal pixel series (Parquet): Sentinel-1 and Sentinel-2 of pixels by month or ten days, with crop labels.

Files come in two shapes: *long*, one row a sample and step, and *wide*, one row a sample and a column a band and step.
A step is a month, or a dekad: ten days from the 1st, 11th or 21st of a month. Each sample becomes a location of 1 x 1
px. Steps without one valid value are no chips.
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

from swath import _parquet
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._raster import GIGABYTE, BadFileError, File, check_size
from swath.corpus.sources.published import _worldcereal as legend
from swath.corpus.sources.published._convert import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.store import Chip, Location
from swath.errors import CorpusError, nearest

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
POLARISATIONS = ("VV", "VH")
REGIONS = {
    "canada": "test_long_parquet_2017_CAN_AAFC-ACIGTD.parquet",
    "france": "2022_FRA_LPIS_POLY_110_month.geoparquet",
    "world": "worldcereal_testdf_upd.parquet",
    "belgium": "worldcereal_testdf_2018_BE.parquet",
    "africa": "test_public_extractions.parquet",
}
"""File of each region; any other region is named as its file without the ending."""
LEGEND = "crop_type_class_mappings.csv"
Step = Literal["month", "dekad"]
WIDE = (*(f"OPTICAL-{band}" for band in BANDS), *(f"SAR-{band}" for band in POLARISATIONS))
"""How the names of a wide file's columns begin."""
BEGINS = {"month": (1,), "dekad": (1, 11, 21)}
"""Days of the month on which a step begins."""
LABELS = ("ewoc_code", "CROPTYPE_LABEL", "CT")
"""Columns that may hold the crop."""


class Config(FormatSettings):
    """WorldCereal pixel series (Parquet): which regions to store, the length of a step, and what counts as cloud."""

    name: Literal["worldcereal-pixels"] = "worldcereal-pixels"
    regions: tuple[str, ...] = ()
    """Which files: `canada`, `france`, `world`, `belgium` and `africa` of the known names, others by their name without
    ending; by default all Parquet files of the folder."""
    step: Step | None = None
    """How long a step of a wide file is, where its first and last day do not say it: `month` or `dekad` (ten days)."""
    brightest: float | None = Field(default=None, gt=0)
    """Steps whose blue reflectance (B02) is above this are taken for cloud or snow: stored, but not valid. The files
    have no cloud mask, and in winter most months of the Canadian ones are white. No threshold if not given."""


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """All samples of a file."""

    locations: list[Location]
    dates: list[list[datetime]]
    """First day of each step of each sample, in the order of time."""
    optical: Integer[ndarray, "s t 9"]
    """Optical counts; samples with fewer steps than others are filled up with nodata."""
    radar: Integer[ndarray, "s t 2"]
    labelled: bool
    """Whether the file has a column of crops."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, lack columns, or hold other types.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    spec = CorpusSpec(1, {legend.OPTICAL: legend.optical_layout(BANDS, 10.0), legend.RADAR: legend.radar_layout(10.0)})
    names = _names(root)
    files = _files(root, config)
    series = {}
    for region, path in files.items():
        try:
            table = _table(path, config.max_image_gb)
            series[region] = _series(table, path, region, names, config.step)
        except BadFileError as error:
            omissions.reject(error, region)

    def uids(region: str) -> Iterator[str]:
        return (location.uid for location in series[region].locations)

    def read(region: str) -> Contents:
        return _piece(series[region], region, files[region].name, config.brightest)

    convert(target, spec, omissions, list(series), uids, read)


# -- files -------------------------------------------------------------------------------------------------------------


def _files(root: Path, config: Config) -> dict[str, Path]:
    """File by region: those that were asked for, or all that are there."""
    known = {name: region for region, name in REGIONS.items()}
    paths = sorted(path for path in root.iterdir() if path.suffix in {".parquet", ".geoparquet"} and path.is_file())
    there = {known.get(path.name, path.stem): path for path in paths}
    if not there:
        remedy = what_is_there(root, REGIONS["canada"])
        raise CorpusError("no file is named as *.parquet or *.geoparquet", where=str(root), remedy=remedy)
    if len(there) < len(paths):
        raise CorpusError(
            "two files have one name apart from their ending", where=str(root), remedy="rename one, or name regions"
        )
    order = {region: position for position, region in enumerate(REGIONS)}
    regions = config.regions or sorted(there, key=lambda region: (order.get(region, len(order)), region))
    if unknown := [region for region in regions if region not in there and region not in REGIONS]:
        raise CorpusError(f"no file of the region {unknown[0]!r}", where=str(root), remedy=nearest(unknown[0], there))
    return {region: there.get(region, root / REGIONS.get(region, region)) for region in regions}


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


def _series(
    table: pd.DataFrame, path: Path, region: str, names: dict[int, tuple[str, str]], step: Step | None
) -> _Series:
    return _long(table, path, region, names) if "timestamp" in table else _wide(table, path, region, names, step)


def _table(path: Path, limit_gb: float) -> pd.DataFrame:
    try:
        check_size(File(path, path.name), _parquet.decoded_size(path, int(limit_gb * GIGABYTE)), limit_gb)
        return pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise BadFileError(f"{path.name} is missing", where=str(path), remedy=SKIP) from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadFileError(f"{path.name} cannot be read: {reason}", where=str(path), remedy=SKIP) from error


# -- the two shapes ----------------------------------------------------------------------------------------------------


def _long(table: pd.DataFrame, path: Path, region: str, names: dict[int, tuple[str, str]]) -> _Series:
    _check(table, ["sample_id", "timestamp", "lon", "lat"], [], path)
    table = table.sort_values(["sample_id", "timestamp"], kind="stable")
    optical = _counts(table, [f"S2-L2A-{band}" for band in BANDS], path)
    radar = _counts(table, [f"S1-SIGMA0-{band}" for band in POLARISATIONS], path)
    sample, first = np.unique(table["sample_id"].to_numpy(str), return_index=True)
    lengths = np.diff([*first, len(table)])
    row = np.repeat(np.arange(len(sample)), lengths)
    step = np.arange(len(table)) - np.repeat(first, lengths)
    # steps begin at midnight of a place's own time, so some say 22:00 or 23:00 of the day before
    days = (pd.to_datetime(table["timestamp"]) + pd.Timedelta(hours=12)).dt.floor("D").dt.tz_localize(UTC)
    _check_begins(days, path)
    dates = [list(chunk) for chunk in np.split(days.dt.to_pydatetime(), first[1:])]
    shape = (len(sample), int(lengths.max()))
    filled = [np.full((*shape, counts.shape[1]), legend.NODATA, counts.dtype) for counts in (optical, radar)]
    filled[0][row, step], filled[1][row, step] = optical, radar
    return _Series(_locations(table.iloc[first], sample, region, names), dates, *filled, labelled=_labelled(table))


def _check_begins(days: pd.Series, path: Path) -> None:
    """Raise BadFileError unless all days are first ones of months or of dekads."""
    odd = ~days.dt.day.isin(BEGINS["dekad"])
    if odd.any():
        first = pd.Series(days[odd]).iloc[0]
        what = f"{path.name} has steps that begin neither a month nor ten days, such as {first:%Y-%m-%d}"
        raise BadFileError(what, where=str(path), remedy=SKIP)


def _wide(
    table: pd.DataFrame, path: Path, region: str, names: dict[int, tuple[str, str]], step: Step | None
) -> _Series:
    # one file numbers no samples: those of one site share its id
    own = "sample_id" if "sample_id" in table else "location_id"
    _check(table, ["start_date", "lon", "lat", own], [], path)
    columns = {name: _columns(table, name) for name in WIDE}
    count = max(max(steps, default=-1) for steps in columns.values()) + 1
    if count == 0:
        raise BadFileError(f"{path.name} has no column OPTICAL-B02-ts0-10m", where=str(path), remedy=SKIP)
    named = [[steps.get(k, f"{band}-ts{k}-10m") for k in range(count)] for band, steps in columns.items()]
    counts = [_counts(table, names, path) for names in named]
    starts = pd.to_datetime(table["start_date"])
    if starts.isna().any():
        raise BadFileError(f"{path.name} lacks a first day (start_date)", where=str(path), remedy=SKIP)
    length = step or _length(table, count, path)
    dates = [_begins(start, length, count) for start in starts.dt.to_pydatetime()]
    numbered = table[own] if own == "sample_id" else table[own].astype(str) + "-" + table.index.astype(str)
    return _Series(
        locations=_locations(table, numbered.to_numpy(str), region, names),
        dates=dates,
        optical=np.stack(counts[: len(BANDS)], axis=-1),
        radar=np.stack(counts[len(BANDS) :], axis=-1),
        labelled=_labelled(table),
    )


def _columns(table: pd.DataFrame, band: str) -> dict[int, str]:
    """Columns `OPTICAL-B02-ts0-10m`, `...-ts1-10m` and so on by their step, whatever the resolution at the end."""
    matches = ((name, re.fullmatch(rf"{band}-ts(\d+)-\d+m", str(name))) for name in table)
    return {int(match[1]): str(name) for name, match in matches if match}


def _length(table: pd.DataFrame, count: int, path: Path) -> Step:
    """How long each of a file's steps is, by its first and last day."""
    remedy = "say what its steps are: step=month or step=dekad (ten days)"
    if "end_date" not in table:
        raise BadFileError(f"{path.name} does not say its last day (end_date)", where=str(path), remedy=remedy)
    days = (pd.to_datetime(table["end_date"]) - pd.to_datetime(table["start_date"])).dt.days.to_numpy()

    def last(usual: float) -> bool:
        """Whether the last day is the one that the last step begins or ends with."""
        return bool(np.all((days > (count - 1.5) * usual) & (days < (count + 0.5) * usual)))

    if last(365.25 / 12):
        return "month"
    if last(365.25 / 36):
        return "dekad"
    what = f"{path.name} has {count} steps in {days.min()} to {days.max()} days, which are neither months nor ten days"
    raise BadFileError(what, where=str(path), remedy=remedy)


def _begins(start: datetime, length: Step, count: int) -> list[datetime]:
    """First day of each step, from the one that holds the first day of all."""
    begins = BEGINS[length]
    first = sum(start.day >= day for day in begins) - 1 + (start.year * 12 + start.month - 1) * len(begins)
    steps = [divmod(number, len(begins)) for number in range(first, first + count)]
    return [datetime(month // 12, month % 12 + 1, begins[part], tzinfo=UTC) for month, part in steps]


def _labelled(table: pd.DataFrame) -> bool:
    return any(name in table for name in LABELS)


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


def _piece(series: _Series, region: str, source: str, brightest: float | None) -> Contents:
    radar = legend.decibels(series.radar)
    by_sensor = {
        legend.OPTICAL: (series.optical, (series.optical != legend.NODATA).all(axis=-1)),
        legend.RADAR: (radar, np.isfinite(radar).all(axis=-1)),
    }
    white = np.zeros(series.optical.shape[:2], bool)
    if brightest is not None:
        white = series.optical[..., 0] * legend.optical_layout(BANDS, 10.0).scale[0] > brightest
    contents = Contents()
    if not series.labelled:
        what = f"no column {', '.join(LABELS)}: all crops are unknown"
        contents.left_out.append({"event": "no labels", "id": region, "what": what, "where": source})
    for k, (location, dates) in enumerate(zip(series.locations, series.dates, strict=True)):
        chips = [
            _chip(location.uid, sensor, counts[k, t], date, source, white=bool(white[k, t]))
            for sensor, (counts, good) in by_sensor.items()
            for t, date in enumerate(dates)
            if good[k, t]
        ]
        if chips:
            contents.locations.append(location)
            contents.chips += chips
            contents.labels.append({})
    for sensor, (_, good) in by_sensor.items():
        if empty := sum(len(dates) for dates in series.dates) - int(good.sum()):
            what = f"{empty} steps of {sensor} hold no data"
            contents.left_out.append({"event": "no valid pixel", "id": region, "what": what, "where": source})
    return contents


def _chip(uid: str, sensor: str, counts: Shaped[ndarray, " c"], date: datetime, source: str, *, white: bool) -> Chip:
    pixels = counts[:, None, None]
    if sensor != legend.OPTICAL:
        return Chip(uid, sensor, pixels, datetime=date, source=source)
    return Chip(uid, sensor, pixels, np.array([[not white]]), datetime=date, cloud=float(white), source=source)
