"""Small corpora with known pixels."""

import datetime as dt
from pathlib import Path

import numpy as np

from swath import sensors
from swath.corpus import Chip, Corpus, CorpusWriter, LabelLayer, Location, Part, SensorLayout

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-rtc"
PX = 16
LAYOUTS = {
    OPTICAL: SensorLayout.of(sensors.get(OPTICAL), ["B02", "B03", "B04", "B08"], gsd_m=10),
    RADAR: SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32"),
}
COVER = LabelLayer(classes={1: "water", 2: "forest"}, colours={1: "#0000ff"}, void=0)


def location(number: int, dates: int = 3) -> tuple[Location, list[Chip], np.ndarray]:
    """Everything about one location, the same whenever it is asked for; dates differ between the sensors."""
    rng = np.random.default_rng(number)
    uid = f"l{number:04d}"
    place = Location(
        uid,
        crs="EPSG:32632",
        transform=(10.0, 0.0, 5e5 + 160 * number, 0.0, -10.0, 5.6e6),
        group=f"g{number // 3}",
        scalars={"height": float(number), "kind": "odd" if number % 2 else "even"},
    )
    chips = []
    for date in range(dates):
        counts = rng.integers(1, 4000, (4, PX, PX)).astype(np.uint16)
        if number % 4 == 3 and date == 0:
            counts[:, :2] = 0  # nodata
        when = dt.datetime(2021, 1 + 3 * date, 1, 10, 30, tzinfo=dt.UTC)
        chips.append(Chip(uid, OPTICAL, counts, datetime=when, cloud=0.1 * date, source=f"{uid}-{date}.tif"))
        power = rng.normal(-12, 3, (2, PX, PX)).astype(np.float32)
        if number % 5 == 4:
            power[0, 3, 3] = np.nan
        chips.append(Chip(uid, RADAR, power, datetime=when + dt.timedelta(days=2 + number % 2), orbit="ascending"))
    return place, chips, rng.integers(0, 3, (PX, PX))


def part(numbers: range, dates: int = 3) -> Part:
    made = [location(number, dates) for number in numbers]
    return Part(
        [place for place, _, _ in made],
        [chip for _, chips, _ in made for chip in chips],
        {"cover": np.stack([codes for *_, codes in made])},
    )


def writer(path: Path) -> CorpusWriter:
    return CorpusWriter(path, LAYOUTS, PX, {"cover": COVER}, provenance={"made": "by a test"}, licences=["CC0-1.0"])


def make(path: Path, count: int = 12, step: int = 4, dates: int = 3) -> Corpus:
    """Build, or continue, in parts of `step` locations."""
    with writer(path) as w:
        for start in range(0, count, step):
            todo = range(start, min(start + step, count))
            if f"l{start:04d}" not in w.committed:
                w.append(part(todo, dates))
        return w.finish()
