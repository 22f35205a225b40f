"""Tables of explanations, and their maps as a table and as GeoTIFFs."""

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from affine import Affine
from jaxtyping import Float32
from numpy import ndarray

from swath._files import file_name, replacing
from swath.batch import NO_DAY
from swath.products.explain._explained import seen
from swath.products.explain._types import Answer, Explanation
from swath.tasks import Judged, origin_of

EPOCH = dt.date(1970, 1, 1)


def forget(to: Path) -> None:
    """Remove what earlier calls have drawn into a folder: its tables are written anew, and nothing would say any more
    which class or network those pictures are of.
    """
    for file in to.glob("attributions.parquet"):
        for uid in pd.read_parquet(file, columns=["uid"])["uid"].unique():
            for ending in ("png", "tif"):
                (to / f"{file_name(uid)}.{ending}").unlink(missing_ok=True)


def forget_side_by_side(to: Path) -> None:
    """The same of what shows several rows, which have a folder each."""
    for file in to.glob("*/attributions.parquet"):
        for method in pd.read_parquet(file, columns=["method"])["method"].unique():
            (to / f"{method}.png").unlink(missing_ok=True)


def tables(found: Sequence[Explanation], unit: str, to: Path) -> list[Path]:
    """Write `attributions.csv` (a line for each location, method, band and date), `checks.csv` (one for each location,
    method and kind of what is removed) and `curves.csv` (one for each step of removal).
    """
    lines = {
        "attributions": [line for one in found for line in _parts(one, unit)],
        "checks": [line for one in found for line in _checks(one, unit)],
        "curves": [line for one in found for line in _curves(one)],
    }
    return [_csv(rows, to / f"{name}.csv") for name, rows in lines.items()]


def _csv(rows: list[dict[str, Any]], path: Path) -> Path:
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return path


def _parts(one: Explanation, unit: str) -> Iterator[dict[str, Any]]:
    about = {"uid": one.uid, "part": one.part, "explained": one.said}
    said = {"score": one.score, "unit": unit, "probability": one.probability}
    for answer in one.answers:
        found = answer.attribution
        for part in found.parts:
            when = "" if part.date is None else date_of(one, part.sensor, part.date)
            bands = {"sensor": part.sensor, "bands": " ".join(part.bands), "group": part.name, "date": when}
            yield about | said | {"method": answer.method} | bands | {"attribution": float(part.value[0])}
        if found.elsewhere is not None:
            nowhere = {"sensor": "", "bands": "", "group": "no pixel", "date": ""}
            yield about | said | {"method": answer.method} | nowhere | {"attribution": float(found.elsewhere[0])}


def maps(found: Sequence[Explanation], judged: Judged, unit: str, to: Path) -> Path:
    """Write `attributions.parquet`: what was explained, and the map of each method at each location, row by row."""
    name, probe = judged.panel.key
    key = {"task": judged.task.name, "input": name, "probe": probe, "row": judged.row, "seed": judged.seed}
    key |= {"origin": origin_of(judged.task, name)}
    lines = [
        key
        | {"uid": one.uid, "explained": one.said, "score": one.score, "unit": unit, "probability": one.probability}
        | {"method": answer.method, "height": values.shape[0], "map": values.ravel()}
        for one in found
        for answer in one.answers
        for values in (shown(one, answer),)
    ]
    with replacing(to / "attributions.parquet") as temporary:
        pd.DataFrame(lines).to_parquet(temporary, index=False)
    return to / "attributions.parquet"


def shown(one: Explanation, answer: Answer) -> Float32[ndarray, "h w"]:
    """An attribution's map, NaN where no date is valid."""
    there = seen(one.images)[0].cpu().numpy()
    return np.where(there, answer.attribution.map[0].detach().float().cpu().numpy(), np.nan).astype(np.float32)


def date_of(one: Explanation, sensor: str, t: int) -> str:
    """The date at a position of a location's series; empty where it is padding or unknown."""
    day = int(one.images[sensor].days[0, t])
    return "" if day == NO_DAY else (EPOCH + dt.timedelta(days=day)).isoformat()


def _checks(one: Explanation, unit: str) -> Iterator[dict[str, Any]]:
    about = {"uid": one.uid, "explained": one.said, "score": one.score, "unit": unit, "probability": one.probability}
    for answer in one.answers:
        own = about | {"method": answer.method, "gap": _gap(answer), "shuffled_weights": answer.randomised}
        for removal in answer.removals:
            yield own | {
                "removed": removal.units,
                "count": removal.count,
                "deletion": removal.deletion,
                "random_deletion": float(removal.random_deletion.mean()),
                "insertion": removal.insertion,
                "random_insertion": float(removal.random_insertion.mean()),
            }
        if not answer.removals:
            yield own


def _gap(answer: Answer) -> float:
    gap = answer.attribution.gap
    return float("nan") if gap is None else float(gap[0])


def _curves(one: Explanation) -> Iterator[dict[str, Any]]:
    for answer in one.answers:
        for removal in answer.removals:
            for share, deleted, inserted in zip(removal.share, removal.deleted, removal.inserted, strict=True):
                about = {"uid": one.uid, "method": answer.method, "removed": removal.units}
                yield about | {"share": share, "deleted": deleted, "inserted": inserted}


def geotiff(one: Explanation, location: pd.Series, unit: str, path: Path) -> Path:
    """Write a band a method, NaN where no date is valid, on the location's own grid."""
    maps = np.stack([shown(one, answer) for answer in one.answers])
    height, width = maps.shape[1:]
    grid = {"height": height, "width": width, "crs": location["crs"], "transform": Affine(*location["transform"])}
    with (
        replacing(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", count=len(maps), dtype="float32", nodata=np.nan, compress="deflate", **grid
        ) as file,
    ):
        file.write(maps)
        file.descriptions = tuple(answer.method for answer in one.answers)
        file.update_tags(explained=one.said, score=str(one.score), unit=unit, uid=one.uid)
    return path
