"""WorldCereal's pixel tables: two long ones and three wide ones, each as its file has them."""

from pathlib import Path

import numpy as np
import pandas as pd

from swath.corpus.sources.published.worldcereal_pixels import BANDS, REGIONS

NODATA = 65535
LONG_MONTHS = {"canada": (18, 17, 20), "france": (17, 17, 17)}
"""Of each sample."""


def write(root: Path, samples: int = 3, seed: int = 0) -> dict[str, pd.DataFrame]:
    """All five files and the legend; returns the tables as written."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tables = {
        "canada": _long(rng, "canada", samples),
        "france": _long(rng, "france", samples),
        "world": _wide(rng, samples, "2018-10-26"),
        "belgium": _wide(rng, samples, "2017-10-27"),
        "africa": _wide(rng, samples, "2016-12-01"),
    }
    _label(tables)
    for region, table in tables.items():
        table.to_parquet(root / REGIONS[region])
    legend = (
        "ewoc_code;level_1;label_full;LC_label\n11-01-07-000-0;temporary_crops;unspecified_sorghum;temporary_crops\n"
    )
    (root / "crop_type_class_mappings.csv").write_text("\ufeff" + legend, encoding="utf-8")
    return tables


def _counts(rng: np.random.Generator, shape: int | tuple[int, int]) -> np.ndarray:
    return rng.integers(300, 6000, shape)


def _long(rng: np.random.Generator, region: str, samples: int) -> pd.DataFrame:
    """One row a sample and month, in no order; the Canadian months begin at midnight of summer or winter time."""
    rows = []
    for number in range(samples):
        months = LONG_MONTHS[region][number % 3]
        stamps = pd.date_range("2017-01-01", periods=months, freq="MS")
        if region == "canada":
            stamps = pd.DatetimeIndex([s - pd.Timedelta(hours=2 if 3 < s.month < 11 else 1) for s in stamps])
        table = pd.DataFrame({"sample_id": f"s{number}", "timestamp": stamps})
        for name in [*(f"S2-L2A-{band}" for band in BANDS), "S1-SIGMA0-VV", "S1-SIGMA0-VH"]:
            table[name] = _counts(rng, months)
        table.loc[3, [f"S2-L2A-{band}" for band in BANDS]] = NODATA
        table.loc[4, "S2-L2A-B08"] = NODATA  # a month that lacks one band
        table.loc[5, ["S1-SIGMA0-VV", "S1-SIGMA0-VH"]] = NODATA
        table["lon"], table["lat"] = -81.5 - number, 42.5 + number
        table["h3_l3_cell"] = f"832ab{number}fffffffff"
        table["ref_id"] = f"2017_{region}"
        rows.append(table)
    table = pd.concat(rows, ignore_index=True)
    return table.sample(frac=1, random_state=0, ignore_index=True)


def _wide(rng: np.random.Generator, samples: int, start: str) -> pd.DataFrame:
    columns = {f"OPTICAL-{band}-ts{k}-{_gsd(band)}m": _counts(rng, samples) for band in BANDS for k in range(12)}
    columns |= {f"SAR-{band}-ts{k}-20m": _counts(rng, samples) for band in ("VH", "VV") for k in range(12)}
    table = pd.DataFrame(columns).astype("uint16")
    table.loc[1, "SAR-VV-ts7-20m"] = NODATA
    table["lat"], table["lon"] = np.float32(50.9), np.float32(2.7) + np.arange(samples, dtype="float32")
    table["start_date"], table["ref_id"] = start, "2018_BE_LPIS-Flanders"
    table["end_date"] = f"{pd.Timestamp(start) + pd.Timedelta(days=364):%Y-%m-%d}"
    return table


def _gsd(band: str) -> int:
    return 10 if band in {"B02", "B03", "B04", "B08"} else 20


def _label(tables: dict[str, pd.DataFrame]) -> None:
    """The labels' columns, which differ from file to file."""
    for region in ("canada", "world"):
        tables[region]["CROPTYPE_LABEL"], tables[region]["LANDCOVER_LABEL"] = 1110, 11
    tables["world"]["sample_id"] = [f"w{k}" for k in range(len(tables["world"]))]
    tables["belgium"]["CT"], tables["belgium"]["OUTPUT"] = np.uint16(9120), np.uint16(13)
    tables["belgium"]["location_id"] = "000028066"
    tables["france"]["ewoc_code"] = tables["africa"]["ewoc_code"] = 1101070000
    tables["africa"]["sample_id"] = [f"a{k}" for k in range(len(tables["africa"]))]
    tables["africa"]["h3_l3_cell"] = "836a5efffffffff"
