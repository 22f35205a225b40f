"""Opening the index of a corpus of 5 million chips, and choosing a batch's chips; the peer is the limit."""

import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from benchmarks import Result, on_one_core, versions
from swath import sensors
from swath.corpus import Corpus, CorpusInfo, Sampler, Selection, SensorLayout
from swath.corpus.store import index as files

SENSOR, CHIPS, DATES, BATCH = "landsat-oli-sr", 5_000_000, 20, 256
LIMIT_S, BATCH_LIMIT_S = 2.0, 0.010


def run(quick: bool = False) -> Result:
    on_one_core()
    chips = 100_000 if quick else CHIPS
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder), chips)
        opened = min(_seconds(lambda: Corpus.open(folder)) for _ in range(3))
        corpus = Corpus.open(folder)
        indexed = _seconds(lambda: Sampler(corpus, (SENSOR,), Selection(dates=2)))
        sampler = Sampler(corpus, (SENSOR,), Selection(dates=2))
        rows = np.random.default_rng(0).integers(0, len(corpus), BATCH)
        batch = min(_seconds(lambda seed=seed: sampler.choose(rows, seed=seed)) for seed in range(20))
    return Result(
        ours=opened,
        peer=LIMIT_S,
        ratio=opened / LIMIT_S,
        unit="s to open",
        setting={
            "chips": chips,
            "locations": chips // DATES,
            "s to index a sensor for sampling": indexed,
            f"ms to choose the chips of {BATCH} locations": 1000 * batch,
            "ms at most": 1000 * BATCH_LIMIT_S,
            "clock": "processor time",
            "ratio at most": 1.0,
        },
        versions=versions("pyarrow", "pandas", "geopandas"),
    )


def _seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _make(folder: Path, chips: int) -> None:
    """The index alone, without pixels: every location has the same dates."""
    layout = SensorLayout.of(sensors.get(SENSOR))
    count = chips // DATES
    uid = np.char.mod("%07d", np.arange(count))
    lon = np.linspace(-180, 179.9, count)
    locations = gpd.GeoDataFrame(
        {"uid": uid, "crs": "EPSG:32632", "transform": [[30.0, 0.0, 5e5, 0.0, -30.0, 5e6]] * count, "group": uid,
         "split": None, "lon": lon, "lat": 0.0, "digest": "0" * 32},
        geometry=np.array([shapely.box(x, 0.0, x + 0.07, 0.07) for x in lon]), crs="EPSG:4326",
    )  # fmt: skip
    locations.to_parquet(folder / files.FILES[0], index=False)
    row = np.arange(chips)
    moments = (1_600_000_000 + np.tile(np.arange(DATES), count) * 10 * 86_400) * 1_000_000
    columns = {
        "uid": uid[row // DATES],
        "location": row // DATES,
        "sensor": pa.DictionaryArray.from_arrays(np.zeros(chips, np.int32), [SENSOR]).cast(pa.string()),
        "row": row,
        "datetime": pa.array(moments, pa.timestamp("us", "UTC")),
        "tag": pa.DictionaryArray.from_arrays(np.zeros(chips, np.int32), ["03-20"]).cast(pa.string()),
        "cloud": np.zeros(chips),
        "valid": np.ones(chips),
        "source": np.char.mod("LC08_L2SP_193027_%08d", row),
        "orbit": pa.nulls(chips, pa.string()),
        "digest": np.char.mod("%032x", row),
    }
    pq.write_table(pa.table(columns, schema=files.CHIP_SCHEMA), folder / files.FILES[1])
    CorpusInfo(
        complete=True,
        chip_px=264,
        sensors={SENSOR: layout},
        locations=count,
        chips=chips,
        index=files.checksums(folder),
        content_hash="synthetic",
    ).write(folder)
