"""SSL4EO-S12 v1.1 in its two editions: Zarr v2 in zip files, of 64 locations each or of one each in tar files."""

import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

PX, DATES = 264, 4
OPTICAL = [f"B{n:02d}" for n in range(1, 9)] + ["B8A", "B09", "B10", "B11", "B12"]
BANDS = {"S2L1C": OPTICAL, "S2L2A": [name for name in OPTICAL if name != "B10"], "S1GRD": ["vv", "vh"]}
SAMPLES = {"train": ["0080717", "0060573", "0179869"], "val": ["0012333"]}
ZONES = {"0080717": 32651, "0060573": 32751, "0179869": 32652, "0012333": 32639}
CORNER = (714_900.0, 4_728_000.0)
"""Upper left corner of the first location."""


def times(sample: str, modality: str) -> np.ndarray:
    """Four dates, of which the radar's are three days later."""
    start = np.datetime64("2020-02-16T02:30:01", "ns") + np.timedelta64(int(sample) % 50, "D")
    late = 3 if modality == "S1GRD" else 0
    return start + np.arange(DATES) * np.timedelta64(90, "D") + np.timedelta64(late, "D")


def pixels(sample: str, modality: str, added: int) -> np.ndarray:
    """Blocks of 8 x 8 equal pixels, so that files stay small; a corner without data."""
    rng = np.random.default_rng([int(sample), len(modality), len(BANDS[modality])])
    shape = (DATES, len(BANDS[modality]), PX // 8, PX // 8)
    if modality == "S1GRD":
        values = (-20 + 5 * rng.standard_normal(shape)).astype(np.float16)
        values[1, :, 0, 0] = np.nan
    else:
        values = (rng.integers(1, 9000, shape) + added).astype(np.int16)
        values[1, :, 0, 0] = 0
    return values.repeat(8, axis=2).repeat(8, axis=3)


def clouds(sample: str) -> np.ndarray:
    """The mask's seven codes; the last date is free of clouds."""
    mask = np.random.default_rng(int(sample)).integers(0, 7, (DATES, PX // 8, PX // 8)).astype(np.uint8)
    mask[3] = 0
    return mask.repeat(8, axis=1).repeat(8, axis=2)


def cover(sample: str) -> np.ndarray:
    codes = np.array([1, 2, 4, 5, 7, 8, 9, 10, 11], np.uint8)
    found = codes[np.random.default_rng(int(sample)).integers(0, 9, (1, PX // 8, PX // 8))]
    return found.repeat(8, axis=1).repeat(8, axis=2)


def place(sample: str) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the pixels."""
    x, y = CORNER[0] + int(sample) % 7 * 5000, CORNER[1]
    return x + 10 * (np.arange(PX) + 0.5), y - 10 * (np.arange(PX) + 0.5)


def of_many(samples: list[str], modality: str) -> xr.Dataset:
    """The data set of a file of the edition in chunks, as its README prints it."""
    x, y = (np.stack(values) for values in zip(*map(place, samples), strict=True))
    variables = {
        "bands": (("sample", "time", "band", "y", "x"), np.stack([pixels(s, modality, 1000) for s in samples])),
        "center_lat": ("sample", np.zeros(len(samples))),
        "center_lon": ("sample", np.zeros(len(samples))),
        "crs": ("sample", np.array([ZONES[s] for s in samples])),
        "file_id": (("sample", "time"), np.array([[f"{s}_scene_{k}" for k in range(DATES)] for s in samples])),
        "sample_id": (("sample", "time"), np.array([[f"{s}_{k}" for k in range(DATES)] for s in samples])),
        "time_": (("sample", "time"), np.stack([times(s, modality) for s in samples])),
        "x_": (("sample", "x"), x),
        "y_": (("sample", "y"), y),
    }
    if modality != "S1GRD":
        variables["cloud_mask"] = (("sample", "time", "y", "x"), np.stack([clouds(s) for s in samples]))
    steps = {"time": np.arange(DATES), "x": np.arange(PX), "y": np.arange(PX)}
    return xr.Dataset(variables, {"sample": np.array(samples), "band": np.array(BANDS[modality]), **steps})


def of_one(sample: str, modality: str) -> xr.Dataset:
    """The data set of a file of the edition in shards."""
    x, y = place(sample)
    coords = {"sample": sample, "time": times(sample, modality), "x": x, "y": y, "crs": ZONES[sample]}
    if modality == "LULC":
        maps = cover(sample).repeat(DATES, axis=0)[:, None]
        variables = {"bands": (("time", "band", "y", "x"), maps), "esri_original": (("year", "y", "x"), cover(sample))}
        return xr.Dataset(variables, coords | {"band": np.array(["lulc"])})
    variables = {
        "bands": (("time", "band", "y", "x"), pixels(sample, modality, 0)),
        "center_lat": 0.0,
        "center_lon": 0.0,
        "file_id": ("time", np.array([f"{sample}_scene_{k}" for k in range(DATES)])),
    }
    if modality != "S1GRD":
        variables["cloud_mask"] = (("time", "y", "x"), clouds(sample))
    return xr.Dataset(variables, coords | {"band": np.array(BANDS[modality])})


def zipped(data: xr.Dataset) -> bytes:
    """As Zarr v2 in a zip file whose entries are not compressed again; dates apart, as the README says."""
    store: dict = {}
    memory = zarr.storage.MemoryStore(store)
    chunks = tuple(1 if dim == "time" else size for dim, size in data["bands"].sizes.items())
    whole = {"units": "nanoseconds since 1970-01-01", "dtype": "int64"}
    encoding = {"bands": {"chunks": chunks}} | {name: whole for name in data.variables if data[name].dtype.kind == "M"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.to_zarr(memory, zarr_format=2, consolidated=True, encoding=encoding)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, value in store.items():
            archive.writestr(name, value.to_bytes())
    return stream.getvalue()


def chunks(root: Path) -> None:
    """`<part>/<modality>/ssl4eos12_<part>_seasonal_data_<n>.zarr.zip`."""
    for part, samples in SAMPLES.items():
        for modality in BANDS:
            path = root / part / modality / f"ssl4eos12_{part}_seasonal_data_000001.zarr.zip"
            path.parent.mkdir(parents=True)
            path.write_bytes(zipped(of_many(samples, modality)))


def shards(root: Path) -> None:
    """`<part>/<modality>/ssl4eos12_shard_<n>.tar`, with a key a location that all modalities share."""
    for part, samples in SAMPLES.items():
        for modality in (*BANDS, "LULC"):
            contents = {key(part, k): zipped(of_one(sample, modality)) for k, sample in enumerate(samples, 1)}
            shard(root / part / modality / "ssl4eos12_shard_000001.tar", contents)


def key(part: str, number: int) -> str:
    return f"ssl4eos12_{part}_seasonal_data_{number:07d}"


def shard(path: Path, contents: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{name}.zarr.zip")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
