"""Sen1Floods11 (GeoTIFF): hand-labelled floods in Sentinel-1 and Sentinel-2 at the top of the atmosphere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from swath import sensors
from swath.corpus.sources._contents import Contents, cells, moved, window
from swath.corpus.sources._names import Key, Names, matching
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import File
from swath.corpus.sources.published import _numpy as npy
from swath.corpus.sources.published._convert import (
    CorpusSpec,
    FormatSettings,
    Omissions,
    convert,
    data_folder,
    files_by_key,
)
from swath.corpus.sources.published._images import chip_of, declared, image, outlines
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout

OPTICAL, RADAR = "sentinel-2-l1c", "sentinel-1-grd"
PX = 512
WATER = LabelLayer(classes={0: "no water", 1: "water"}, colours={0: "#e8e4d8", 1: "#1f6fd6"}, void=-1)
HAND = ("v1.1/data/flood_events/HandLabeled", "data/flood_events/HandLabeled", "HandLabeled", ".")
METADATA = "Sen1Floods11_Metadata.geojson"
LISTS = {"train": "flood_train_data.csv", "val": "flood_valid_data.csv", "test": "flood_test_data.csv"}
"""Lists of chips by part of the split; Bolivia's chips (`flood_bolivia_data.csv`) are on none of them and have
no part."""


class Config(FormatSettings):
    """Sen1Floods11 (Bonafilia et al. 2020): how the hand-labelled chips are cut."""

    name: Literal["sen1floods11"] = "sen1floods11"
    chip_px: int = Field(256, ge=1, le=PX)
    """Side in pixels of the chips that the images of 512 px are cut into."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: files are missing, damaged, or of another type or size.
    """
    root = data_folder(data)
    omissions = Omissions(config, root)
    hand = next(root / folder for folder in HAND if (root / folder).is_dir())
    kinds = {kind: Names(f"{kind}/{{event}}_{{chip}}_{kind}.tif") for kind in ("S1Hand", "S2Hand", "LabelHand")}
    if not (hand / "S1Hand").is_dir():
        kinds = {kind: Names(names.template.partition("/")[2]) for kind, names in kinds.items()}
    files = files_by_key(hand, kinds, omissions, unused=(METADATA,))
    optical = SensorLayout.of(sensors.get(OPTICAL), gsd_m=10, dtype="int16").model_copy(update={"nodata": None})
    radar = SensorLayout.of(sensors.get(RADAR), ("VV", "VH"), 10)
    spec = CorpusSpec(config.chip_px, {OPTICAL: optical, RADAR: radar}, {"water": WATER})
    events, parts = _events(root), _parts(root)

    def uids(key: Key) -> list[str]:
        return [uid for uid, _, _ in cells("_".join(key), (PX, PX), config.chip_px)]

    def read(key: Key) -> Contents:
        return _read(files[key], key, spec, events.get(key[0].lower(), {}), parts.get("_".join(key)))

    known = outlines((one["S1Hand"] for one in files.values()), config.chip_px)
    convert(target, spec, omissions, list(files), uids, read, known)


def _events(root: Path) -> dict[str, dict[str, Any]]:
    """By country, what the metadata state about its flood, if the metadata are present."""
    path = next(iter(matching(root, f"**/{METADATA}")), None)
    features = npy.document(path)["features"] if path else []
    return {str(one["properties"]["location"]).lower(): one["properties"] for one in features}


def _parts(root: Path) -> dict[str, str]:
    """Part of the split of each chip, if the lists are present."""
    parts = {}
    for part, name in LISTS.items():
        for path in matching(root, f"**/{name}"):
            for line in path.read_text().split():
                parts[line.partition(",")[0].removesuffix("_S1Hand.tif")] = part
    return parts


def _read(files: dict[str, Path], key: Key, spec: CorpusSpec, event: dict[str, Any], split: str | None) -> Contents:
    radar, optical, hand = (File(files[kind], files[kind].name) for kind in ("S1Hand", "S2Hand", "LabelHand"))
    power, head = image(radar, 2, "float32", PX)
    counts, other = image(optical, 13, "int16", PX)
    check_same_place(optical, other, radar, head)
    (codes,), labelled = image(hand, 1, "int16", PX, WATER.void)
    check_same_place(hand, labelled, radar, head)
    water = declared(codes, WATER, hand)
    contents = Contents()
    px = spec.chip_px
    for uid, row, column in cells("_".join(key), (PX, PX), px):
        here = window(row, column, px)
        chips = [
            chip_of(
                uid, OPTICAL, np.ascontiguousarray(counts[:, *here]), optical.name, datetime=_date(event, "s2_date")
            ),
            Chip(
                uid,
                RADAR,
                np.ascontiguousarray(power[:, *here]),
                datetime=_date(event, "s1_date"),
                source=files["S1Hand"].name,
                orbit=str(event["orbit"]).lower() if "orbit" in event else None,
            ),
        ]
        transform = None if head.transform is None or head.crs is None else moved(head.transform, row, column, px)
        location = Location(
            uid, crs=head.crs, transform=transform, group="_".join(key), split=split, scalars={"event": key[0]}
        )
        contents.add(location, chips, {"water": water[here]}, spec.sensors)
    return contents


def _date(event: dict[str, Any], name: str) -> datetime | None:
    return datetime.strptime(event[name], "%Y/%m/%d").replace(tzinfo=UTC) if event.get(name) else None
