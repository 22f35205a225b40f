"""Small corpora with known pixels."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np

from swath import sensors
from swath.corpus import Chip, Corpus, CorpusWriter, LabelLayer, Location, Part, SensorLayout
from swath.corpus.store import arrays as _arrays
from swath.corpus.store import index as _index
from swath.corpus.store.digests import label_digest, pixel_digest
from swath.corpus.store.format import pixel_path

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


def resealed(path: Path) -> Corpus:
    """A corpus whose arrays or layouts were changed, with the index of a build that had stored them so."""
    corpus = Corpus.open(path)
    chips, locations = corpus.chips.copy(), corpus.locations.copy()
    for sensor, layout in corpus.info.sensors.items():
        array, valid = corpus.pixel_array(sensor), corpus.valid_array(sensor)
        own = (chips["sensor"] == sensor).to_numpy()
        rows = chips["row"].to_numpy()[own]
        counts = _arrays.read(array, rows)
        good = np.ones(counts[:, 0].shape, bool) if valid is None else _arrays.read(valid, rows)
        chips.loc[own, "digest"] = [pixel_digest(*one) for one in zip(counts, good, strict=True)]
        described = pixel_path(path, sensor) / "pixels" / "zarr.json"
        content = json.loads(described.read_text())
        content["attributes"] |= layout.model_dump(mode="json", exclude={"dtype"})
        described.write_text(json.dumps(content))
    if corpus.label_layers:
        codes = {name: corpus.stored_labels(name, range(len(corpus))) for name in corpus.label_layers}
        locations["digest"] = [label_digest({n: maps[i] for n, maps in codes.items()}) for i in range(len(corpus))]
    seal = {
        "index": _index.compact(path, locations, chips),
        "content_hash": _index.content_hash(corpus.info_header(), locations, chips),
    }
    corpus.info.model_copy(update=seal).write(path)
    return Corpus.open(path)


def as_format_1(path: Path) -> Path:
    """The corpus as the first version of the format has it, written by zarr-python: without any checksum."""
    import zarr

    for described in sorted(path.rglob("*.zarr/*/zarr.json")):
        name, group = described.parent.name, described.parent.parent
        old: Any = zarr.open_group(group, mode="r")[name]
        kept = {"shape": old.shape, "dtype": old.dtype, "chunks": old.chunks, "shards": old.shards}
        kept |= {"fill_value": old.fill_value, "dimension_names": old.metadata.dimension_names}
        values, attributes = old[:], dict(old.attrs)
        new = zarr.open_group(group, mode="w").create_array(name, compressors=None, attributes=attributes, **kept)
        new[:] = values
    content = json.loads((path / "corpus.json").read_text())
    del content["index"], content["digest"]
    (path / "corpus.json").write_text(json.dumps({**content, "format": 1}))
    return path
