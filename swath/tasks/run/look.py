"""What several encoders make of a task's test locations, and what is measured of it: files of a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
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
from swath.tasks.run.provenance import origin_of
from swath.tasks.run.seen import checked
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
    """On any device."""
    path: Path | None = None
    """Where it is saved, with the list of what it was pre-trained on; None of one that was not."""


@dataclass(frozen=True, eq=False)
class _Sample:
    """The locations that are looked at, and what is known of them without an encoder."""

    uid: list[str]
    group: list[str]
    y: Int[ndarray, " n"] | None
    """Class of each location; None where locations have no single class."""
    classes: list[str]
    days: Int32[ndarray, " n"]
    """Middle day of the dates that are read; NO_DAY where none is known."""
    indices: Mapping[str, Float64[ndarray, " n"]]
    """Indices of bands by name, of each location's mean over valid pixels and dates."""


@dataclass(frozen=True, eq=False)
class _Look:
    """One encoder on one input."""

    seen: Seen
    input: str
    sensor: str
    """Sensors of the input, joined by "+"."""
    request: Request


Found = Sequence[tuple[_Look, Float[ndarray, "n _"]]]
"""Features of the same locations, by encoder and input."""


def represent(task: Task, inputs: Sequence[str], seen: Sequence[Seen], seed: int, out: Path, most: int) -> list[str]:
    """Measure the features of test locations by several encoders on some inputs, and write the tables.

    Args:
        task: whose test part is looked at.
        inputs: names of some of its inputs.
        seen: encoders, the same locations for all.
        seed: of the training; also of the subsample, t-SNE and k-means.
        out: folder for `properties.csv`, `likeness.csv`, `plane.csv` and `closest.csv`.
        most: largest number of locations; more are drawn at random.

    Returns:
        What must be said: of encoders that cannot take an input, and of locations that were left out.

    Raises:
        RecipeError: no such input, an encoder was pre-trained on what is tested, fewer than four locations, or more
            than 100,000 are asked for.
        SwathError: features are not finite.
    """
    if lacking := [name for name in inputs if name not in task.inputs]:
        remedy = f"take some of {', '.join(task.inputs)}"
        raise RecipeError(f"no input {lacking[0]!r}", where=f"task {task.name}", remedy=remedy)
    rows, said = _chosen(task, most)
    remarks = {one.row: checked(task, one.row, one.path) for one in seen if one.path is not None}
    said += [f"{row}: {remark}" for row, remark in remarks.items() if remark]
    looks, lost = _looks(task, inputs, seen)
    if not looks:
        raise RecipeError("no encoder can take the input", where=", ".join(inputs), remedy="; ".join(lost))
    sample = _sample(task, rows)
    requests = [look.request for look in looks]
    plain = extract_all(requests, task.reader, rows, description="embedding")
    for look, features in zip(looks, plain, strict=True):
        representation.require_finite(features, look.seen.row)
    found, about = list(zip(looks, plain, strict=True)), {"task": task.name, "seed": seed}
    turned = _mirrored(task, requests, rows)
    lines = [
        Properties(
            **about,
            input=look.input,
            row=look.seen.row,
            role=look.seen.role,
            of_arm=look.seen.of_arm,
            **_properties(features, other, sample, seed),
            origin=origin_of(task, look.input),
        )
        for (look, features), other in zip(found, turned, strict=True)
    ]
    others = (
        (LIKENESS, _likeness(found, sample.indices, about)),
        (PLANE, _planes(found, sample, about)),
        (CLOSEST, _closest(found, sample, about)),
    )
    out.mkdir(parents=True, exist_ok=True)
    # where the properties are, everything is, and of the same call
    (out / PROPERTIES.file).unlink(missing_ok=True)
    for table, own in others:
        table.write(out, table.frame(own))
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


def _looks(task: Task, inputs: Sequence[str], seen: Sequence[Seen]) -> tuple[list[_Look], list[str]]:
    """What is asked of each encoder on each input, and why some cannot take it."""
    found, lost = [], []
    for name, one in product(inputs, seen):
        bands = task.inputs[name].bands
        sensor = "+".join(dict.fromkeys(key.partition("/")[0] for key in bands))
        try:
            request = Request(with_corpus_statistics(one.encoder, task.corpus, bands), bands)
            found.append(_Look(one, name, sensor, request))
        except SwathError as error:
            lost.append(f"{one.row} is left out on {name}: {error.what}")
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
    features: Float[ndarray, "n d"], mirrored: Float[ndarray, "n d"] | None, sample: _Sample, seed: int
) -> dict[str, Any]:
    y = sample.y
    by_class = {"retrieval_map": np.nan, "nmi": np.nan, "ari": np.nan}
    if y is not None:
        by_class = {
            "retrieval_map": representation.retrieval(features, y),
            **representation.clusters(features, y, seed),
        }
    return {
        "locations": len(features),
        "dims": features.shape[1],
        "alignment": np.nan if mirrored is None else representation.alignment(features, mirrored),
        "uniformity": representation.uniformity(features),
        "rankme": representation.rankme(features),
        "effective_rank": representation.effective_rank(representation.centred(representation.unit(features))),
        "intrinsic_dimension": representation.intrinsic_dimension(features),
        **by_class,
        "group_map": representation.retrieval(features, np.unique(sample.group, return_inverse=True)[1]),
    }


def _likeness(found: Found, indices: Mapping[str, ndarray], about: dict[str, Any]) -> list[Likeness]:
    pairs = [(one, a, other.seen.row, other.input, b) for (one, a), (other, b) in combinations(found, 2)]
    pairs += [(one, a, index, "", values[:, None]) for one, a in found for index, values in indices.items()]
    return [
        Likeness(**about, input=one.input, row=one.seen.row, other=other, other_input=name, cka=_of_known(a, b))
        for one, a, other, name, b in pairs
    ]


def _of_known(a: Float[ndarray, "n d"], b: Float[ndarray, "n e"]) -> float:
    """CKA of the samples for which an index is known."""
    known = np.isfinite(b).all(axis=1)
    return representation.cka(a[known], b[known])


def _planes(found: Found, sample: _Sample, about: dict[str, Any]) -> list[Placed]:
    """t-SNE of each encoder; inputs on which it has as many dimensions share a plane."""
    shared: dict[tuple[str, int], list[tuple[_Look, ndarray]]] = {}
    for look, own in found:
        shared.setdefault((look.seen.row, own.shape[1]), []).append((look, own))
    lines = []
    for members in shared.values():
        plane = ", ".join(look.input for look, _ in members)
        places = representation.embedded_in_plane(np.concatenate([own for _, own in members]), about["seed"])
        for (look, _), part in zip(members, np.split(places, len(members)), strict=True):
            lines += _placed(look, part, sample, about | {"plane": plane})
    return lines


def _placed(look: _Look, places: Float[ndarray, "n 2"], sample: _Sample, about: dict[str, Any]) -> list[Placed]:
    about = about | {"input": look.input, "row": look.seen.row, "sensor": look.sensor}
    labels = [""] * len(places) if sample.y is None else [sample.classes[int(y)] for y in sample.y]
    return [
        Placed(**about, uid=uid, group=group, label=label, date=_iso(int(day)), x=float(x), y=float(y))
        for uid, group, label, day, (x, y) in zip(sample.uid, sample.group, labels, sample.days, places, strict=True)
    ]


def _iso(day: int) -> str:
    return "" if day == NO_DAY else str(np.datetime64(day, "D"))


def _closest(found: Found, sample: _Sample, about: dict[str, Any]) -> list[Closest]:
    """Neighbours of a few locations, one of each class in turn; the same locations for all rows."""
    order = np.random.default_rng(0).permutation(len(sample.uid))
    if sample.y is not None:
        rank = pd.Series(sample.y[order]).groupby(sample.y[order]).cumcount().to_numpy()
        order = order[np.argsort(rank, kind="stable")]
    queries = order[:QUERIES]
    return [
        Closest(
            **about,
            input=look.input,
            row=look.seen.row,
            query=sample.uid[query],
            rank=rank,
            uid=sample.uid[other],
        )
        for look, own in found
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
