"""What several encoders make of a task's test locations, and what is measured of it: files of a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64, Int, Int32
from numpy import ndarray

from swath._progress import track
from swath.batch import NO_DAY, Image
from swath.encoders import Encoder
from swath.errors import RecipeError, SwathError
from swath.sensors import band
from swath.tasks import representation
from swath.tasks.data import BandReader, Request, extract_all, with_corpus_statistics
from swath.tasks.schema import CLOSEST, LIKENESS, PLANE, PROPERTIES, Closest, Likeness, Placed, Properties, Role
from swath.tasks.task import Task

BATCH = 128
QUERIES, NEIGHBOURS = 6, 10
"""Locations whose nearest others are listed, and how many of them."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One encoder that looks at a task's locations."""

    row: str
    role: Role
    of_arm: str
    encoder: Encoder


@dataclass(frozen=True, eq=False)
class _Sample:
    """The locations that are looked at, and what is known of them without an encoder."""

    uid: list[str]
    group: list[str]
    y: Int[ndarray, " n"] | None
    """Class of each location; None where locations have no single class."""
    classes: Sequence[str]
    days: Int32[ndarray, " n"]
    """Middle day of the dates that are read; NO_DAY where none is known."""
    indices: Mapping[str, Float64[ndarray, " n"]]
    """Indices of bands by name, of each location's mean over valid pixels and dates."""


def represent(task: Task, name: str, seen: Sequence[Seen], seed: int, out: Path, most: int) -> list[str]:
    """Measure the features of test locations by several encoders on one input, and write the tables.

    Args:
        task: whose test part is looked at.
        name: of one of its inputs.
        seen: encoders, the same locations for all.
        seed: of the training; also of the subsample, t-SNE and k-means.
        out: folder for `properties.csv`, `likeness.csv`, `plane.csv` and `closest.csv`.
        most: largest number of locations; more are drawn at random.

    Returns:
        What must be said: of encoders that cannot take the input, and of locations that were left out.

    Raises:
        RecipeError: no such input, fewer than four locations, or more than 100,000 are asked for.
        SwathError: features are not finite.
    """
    if name not in task.inputs:
        raise RecipeError(
            f"no input {name!r}", where=f"task {task.name}", remedy=f"take one of {', '.join(task.inputs)}"
        )
    rows, said = _chosen(task, most)
    requests, lost = _requests(task, name, seen)
    if not requests:
        raise RecipeError("no encoder can take the input", where=name, remedy="; ".join(lost))
    sample = _sample(task, rows)
    asked = [request for _, request in requests]
    plain = extract_all(asked, task.reader, rows, description="embedding")
    turned = _mirrored(task, asked, rows)
    features = {}
    for (one, _), found in zip(requests, plain, strict=True):
        representation.require_finite(found, one.row)
        features[one.row] = found
    about = {"task": task.name, "input": name, "seed": seed}
    lines = [
        Properties(**about, row=one.row, role=one.role, of_arm=one.of_arm, **_properties(found, other, sample.y, seed))
        for (one, _), found, other in zip(requests, plain, turned, strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    LIKENESS.write(out, LIKENESS.frame(_likeness(features, sample.indices, about)))
    PLANE.write(out, PLANE.frame(_plane(features, sample, about)))
    CLOSEST.write(out, CLOSEST.frame(_closest(features, sample, about)))
    # the properties last: where they are, everything is
    PROPERTIES.write(out, PROPERTIES.frame(lines))
    return [*said, *lost]


def _chosen(task: Task, most: int) -> tuple[Int[ndarray, " n"], list[str]]:
    rows = task.parts["test"].locations
    if not 4 <= most <= representation.MOST:
        raise RecipeError(f"{most} locations", remedy=f"look at 4 to {representation.MOST:,} of them")
    if len(rows) < 4:
        raise RecipeError(f"{len(rows)} test locations say nothing", where=f"task {task.name}", remedy="test more")
    at = representation.subsample(len(rows), most)
    said = [f"{len(at)} of {len(rows)} test locations are looked at, drawn at random"] if len(at) < len(rows) else []
    return rows[at], said


def _requests(task: Task, name: str, seen: Sequence[Seen]) -> tuple[list[tuple[Seen, Request]], list[str]]:
    """What is asked of each encoder, and why some cannot take the input."""
    bands, found, lost = task.inputs[name].bands, [], []
    for one in seen:
        try:
            found.append((one, Request(with_corpus_statistics(one.encoder, task.corpus, bands), bands)))
        except SwathError as error:
            lost.append(f"{one.row} is left out: {error.what}")
    return found, lost


class _Mirrored(BandReader):
    """Reads the same chips, east and west exchanged."""

    def read(self, locations: Int[ndarray, " b"], device: torch.device | str = "cpu") -> dict[str, Image]:
        images = super().read(locations, device)
        return {
            sensor: replace(image, pixels=image.pixels.flip(-1), valid=image.valid.flip(-1))
            for sensor, image in images.items()
        }


def _mirrored(
    task: Task, requests: Sequence[Request], rows: Int[ndarray, " n"]
) -> list[Float[ndarray, "n d"]] | list[None]:
    """Features of the mirrored chips; None where chips are one pixel, whose mirror image is the pixel."""
    if task.corpus.info.chip_px < 2:
        return [None] * len(requests)
    return extract_all(requests, _Mirrored(task.corpus, task.bands, task.reader.select), rows, description="mirrored")


def _properties(
    features: Float[ndarray, "n d"], mirrored: Float[ndarray, "n d"] | None, y: Int[ndarray, " n"] | None, seed: int
) -> dict[str, Any]:
    found = {"nmi": np.nan, "ari": np.nan} if y is None else representation.clusters(features, y, seed)
    return {
        "locations": len(features),
        "dims": features.shape[1],
        "alignment": np.nan if mirrored is None else representation.alignment(features, mirrored),
        "uniformity": representation.uniformity(features),
        "rankme": representation.effective_rank(features),
        "effective_rank": representation.effective_rank(representation.centred(representation.unit(features))),
        "intrinsic_dimension": representation.intrinsic_dimension(features),
        "retrieval_map": np.nan if y is None else representation.retrieval(features, y),
        "nmi": found["nmi"],
        "ari": found["ari"],
    }


def _likeness(features: Mapping[str, ndarray], indices: Mapping[str, ndarray], about: dict[str, Any]) -> list[Likeness]:
    lines = [(a, b, features[a], features[b]) for a, b in combinations(features, 2)]
    lines += [(row, index, own, values[:, None]) for row, own in features.items() for index, values in indices.items()]
    return [Likeness(**about, row=a, other=b, cka=_of_known(own, other)) for a, b, own, other in lines]


def _of_known(a: Float[ndarray, "n d"], b: Float[ndarray, "n e"]) -> float:
    """CKA of the samples for which an index is known."""
    known = np.isfinite(b).all(axis=1)
    return representation.cka(a[known], b[known])


def _plane(features: Mapping[str, ndarray], sample: _Sample, about: dict[str, Any]) -> list[Placed]:
    lines = []
    for row, own in features.items():
        places = representation.embedded_in_plane(own, about["seed"])
        for i, (x, y) in enumerate(places.astype(float).tolist()):
            named = "" if sample.y is None else sample.classes[sample.y[i]]
            at = {"row": row, "uid": sample.uid[i], "group": sample.group[i], "label": named, "x": x, "y": y}
            lines.append(Placed(**about, **at, date=_iso(int(sample.days[i]))))
    return lines


def _iso(day: int) -> str:
    return "" if day == NO_DAY else str(np.datetime64(day, "D"))


def _closest(features: Mapping[str, ndarray], sample: _Sample, about: dict[str, Any]) -> list[Closest]:
    """Neighbours of a few locations, one of each class in turn; the same locations for all rows."""
    order = np.random.default_rng(0).permutation(len(sample.uid))
    if sample.y is not None:
        rank = pd.Series(sample.y[order]).groupby(sample.y[order]).cumcount().to_numpy()
        order = order[np.argsort(rank, kind="stable")]
    queries = order[:QUERIES]
    return [
        Closest(**about, row=row, query=sample.uid[query], rank=rank, uid=sample.uid[other])
        for row, own in features.items()
        for query, others in zip(queries, representation.nearest(own, queries, NEIGHBOURS), strict=True)
        for rank, other in enumerate(others, 1)
    ]


def _sample(task: Task, rows: Int[ndarray, " n"]) -> _Sample:
    part = task.parts["test"]
    single = part.y.ndim == 1 and not part.regression
    starts = range(0, len(rows), BATCH)
    read = [_means(task.reader, rows[start : start + BATCH]) for start in track(starts, len(starts), "reading")]
    means = {key: np.concatenate([one[0][key] for one in read]) for key in read[0][0]}
    return _Sample(
        [str(uid) for uid in task.corpus.locations["uid"].to_numpy(dtype=object)[rows]],
        [str(group) for group in task.groups[rows]],
        part.y[np.searchsorted(part.locations, rows)] if single else None,
        task.classes,
        np.concatenate([one[1] for one in read]),
        indices_of(means),
    )


def _means(reader: BandReader, rows: Int[ndarray, " b"]) -> tuple[dict[str, ndarray], Int32[ndarray, " b"]]:
    """Mean of each band over valid pixels and dates, by key, NaN without any; and the middle day."""
    images, means = reader.read(rows), {}
    for sensor, image in images.items():
        valid = image.valid[:, :, None].double()
        count = valid.sum(dim=(1, 3, 4))
        total = (image.pixels.double() * valid).sum(dim=(1, 3, 4))
        mean = torch.where(count > 0, total / count.clamp_min(1), torch.nan).numpy()
        means |= {f"{sensor}/{name}": mean[:, k] for k, name in enumerate(reader.reads[sensor])}
    return means, np.array([_middle(days) for days in next(iter(images.values())).days.numpy()], np.int32)


def _middle(days: Int32[ndarray, " t"]) -> int:
    known = np.sort(days[days != NO_DAY])
    return int(known[(len(known) - 1) // 2]) if len(known) else NO_DAY


def indices_of(means: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """NDVI, NDWI and VV / VH of every sensor that has the bands, named after it where several have them.

    Args:
        means: mean of each band by its key; reflectances and decibels.
    """
    sensors: dict[str, dict[str, ndarray]] = {}
    for key, values in means.items():
        one = band(key)
        named = {"nir08": "nir"}.get(one.common_name or "", one.common_name) if one.unit == "reflectance" else one.name
        sensors.setdefault(one.sensor, {}).setdefault(named or one.name, values)
    found = {}
    for sensor, own in sensors.items():
        for index, (a, b) in _NORMALISED.items():
            if a in own and b in own:
                with np.errstate(divide="ignore", invalid="ignore"):
                    found[f"{index} ({sensor})"] = (own[a] - own[b]) / (own[a] + own[b])
        if "VV" in own and "VH" in own:
            found[f"VV/VH ({sensor})"] = own["VV"] - own["VH"]  # a ratio of powers is a difference of decibels
    return found


_NORMALISED = {"NDVI": ("nir", "red"), "NDWI": ("green", "nir")}
"""Normalised differences of bands by common name: (a - b) / (a + b)."""
