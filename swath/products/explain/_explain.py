"""Explaining what was trained for one result of a run, at some locations."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from swath._files import file_name
from swath._progress import console, track
from swath.corpus import Corpus
from swath.errors import ContractError, CorpusError, RecipeError, nearest
from swath.products.explain import _files, attributions
from swath.products.explain._checks import rank_correlation, removals
from swath.products.explain._explained import Explained, Images, Target, seen
from swath.products.explain._types import Answer, Explanation
from swath.sensors import LOCATION
from swath.settings import PluginSettings
from swath.tasks import Judged, Task
from swath.tasks.data import Composer, device_of

if TYPE_CHECKING:
    from swath.products.draw.pictures import ChipPicture

COUNT = 6
"""Number of locations where none are named."""
CLOSE = 5
"""Number of ids that a message offers in place of one that is not there."""
PARTS = ("train", "val", "test")
SEED = 0
"""Of the shuffled weights, and of orders that know nothing."""


def explain(
    judged: Judged,
    to: Path,
    *,
    beside: Sequence[Judged] = (),
    locations: Sequence[str] = (),
    count: int = COUNT,
    methods: Sequence[PluginSettings] | None = None,
    of_class: str | None = None,
) -> list[Path]:
    """Explain what was trained for a result, and check each explanation.

    Args:
        judged: what was trained, as `Evaluation.trained` gives it.
        to: folder to write to: `attributions.csv`, `checks.csv`, `curves.csv`, `attributions.parquet` with the maps,
            and for each location a picture `UID.png` and, where it has coordinates, a GeoTIFF `UID.tif` with a band a
            method.
        beside: further results, which are explained at the same locations; each, and the first, then has a folder by
            the name of its row, and `METHOD.png` shows all side by side.
        locations: ids of locations of the corpus; without, some of the test part.
        count: how many of these.
        methods: settings of methods of attribution; all that can explain it if not given.
        of_class: name of the class that is explained; of each location what is said of it if not given. Without
            locations, those that are labelled so are taken.

    Returns:
        The files, the tables first.

    Raises:
        CorpusError: no such location, or one without images or without any valid pixel.
        RecipeError: no such class, or the input says where locations lie.
        ContractError: a method that was asked for cannot explain it.
    """
    first, unit = _explanations(judged, locations, count, methods, of_class)
    pictures = _pictures(judged.task.corpus, first)
    if not beside:
        return _written(first, judged, unit, pictures, to)
    same = [one.uid for one in first]
    others = [(one, *_explanations(one, same, count, methods, of_class)) for one in beside]
    written, by_row = [], {}
    _files.forget_side_by_side(to)
    for one, found, of_row in ((judged, first, unit), *others):
        written += _written(found, one, of_row, pictures, to / file_name(one.row))
        by_row[one.row] = found
    return [*written, *_side_by_side(by_row, pictures, to)]


def _explanations(
    judged: Judged,
    locations: Sequence[str],
    count: int,
    methods: Sequence[PluginSettings] | None,
    of_class: str | None,
) -> tuple[list[Explanation], str]:
    """Explanations of some locations, and the unit of what is explained."""
    task, trained = judged.task, judged.trained
    if any(key.startswith(f"{LOCATION}/") for key in trained.bands):
        raise RecipeError(
            "the input says where a location lies, which has no pixels to be explained", remedy="take an input of bands"
        )
    number = None if of_class is None else _class(task, of_class)
    rows = _named(task, locations) if locations else _some(task, count, number)
    single = not task.regression and not task.parts["test"].multi_label
    explained = Explained.of(trained, exclusive=single, regression=task.regression, unit=task.unit)
    found, refused = [], _Refused(must=methods is not None)
    asked = attributions.settings(attributions.names()) if methods is None else list(methods)
    for row, images in _all_read(judged, rows, must=bool(locations)):
        target = _target(task, explained, images, number)
        found.append(_explanation(judged, explained, row, images, target, asked, refused))
    if not any(one.answers for one in found):
        raise ContractError("no method of attribution can explain it", remedy="; ".join(refused.lines(len(found))))
    for line in (*refused.lines(len(found)), *_remarks(explained, found)):
        console().print(line, soft_wrap=True)
    return found, explained.unit


def _pictures(corpus: Corpus, found: Sequence[Explanation]) -> "Mapping[str, Sequence[ChipPicture]]":
    from swath.products.draw.pictures import Pictures  # Matplotlib, which methods alone do not need

    return Pictures(corpus).of([one.uid for one in found])


def _side_by_side(
    found: Mapping[str, Sequence[Explanation]], pictures: "Mapping[str, Sequence[ChipPicture]]", to: Path
) -> list[Path]:
    from swath.products.explain._pictures import side_by_side

    names = dict.fromkeys(answer.method for all_of in found.values() for one in all_of for answer in one.answers)
    return [side_by_side(found, name, pictures, to / f"{name}.png") for name in names]


def _written(
    found: Sequence[Explanation],
    judged: Judged,
    unit: str,
    pictures: "Mapping[str, Sequence[ChipPicture]]",
    to: Path,
) -> list[Path]:
    from swath.products.explain._pictures import draw

    corpus = judged.task.corpus
    to.mkdir(parents=True, exist_ok=True)
    _files.forget(to)
    written = [*_files.tables(found, unit, to), _files.maps(found, judged, unit, to)]
    for one in found:
        stem = file_name(one.uid)
        location = corpus.locations.iloc[one.row]
        written.append(draw(one, pictures.get(one.uid, []), unit, to / f"{stem}.png"))
        if isinstance(location["crs"], str):
            written.append(_files.geotiff(one, location, unit, to / f"{stem}.tif"))
    if missing := sum(not isinstance(crs, str) for crs in corpus.locations["crs"].iloc[[one.row for one in found]]):
        console().print(f"{missing} of {len(found)} locations have no georeference, and no GeoTIFF", soft_wrap=True)
    return written


# -- which locations, which class ----------------------------------------------------------------------------------


def _class(task: Task, name: str) -> int:
    if task.regression:
        raise RecipeError("the task estimates numbers and has no classes", where=task.name, remedy="leave --class out")
    if name not in task.classes:
        raise RecipeError(f"no class {name!r}", where=f"task {task.name}", remedy=nearest(name, task.classes))
    number = task.classes.index(name)
    if not task.parts["train"].counts(len(task.classes))[number]:
        raise RecipeError(
            f"no training label is of {name}, so the network knows nothing of it",
            where=f"task {task.name}",
            remedy="explain another class",
        )
    return number


def _named(task: Task, uids: Sequence[str]) -> Int[ndarray, " n"]:
    known = {str(uid): row for row, uid in enumerate(task.corpus.locations["uid"])}
    for uid in uids:
        if uid not in known:
            close = difflib.get_close_matches(uid, known, n=CLOSE, cutoff=0.0)
            raise CorpusError(f"no location {uid!r}", where=str(task.corpus.path), remedy=nearest(uid, close))
    rows = np.array([known[uid] for uid in dict.fromkeys(uids)])
    complete = set(task.reader.complete(rows).tolist())
    for row in rows.tolist():
        if row not in complete:
            raise CorpusError(
                f"the location {task.corpus.locations['uid'][row]} has no image that the task reads of every sensor",
                where=str(task.corpus.path),
                remedy="name another one",
            )
    return rows


def _some(task: Task, count: int, number: int | None) -> Int[ndarray, " n"]:
    """Test locations from all over the part, those of a class if one is meant."""
    test = task.parts["test"]
    rows = test.locations if number is None else test.locations[test.has(len(task.classes))[:, number]]
    if not len(rows):
        raise CorpusError(
            f"no test location is labelled {task.classes[number or 0]}",
            where=f"task {task.name}",
            remedy="name locations by --locations",
        )
    return rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))]


def _target(task: Task, explained: Explained, images: Images, number: int | None) -> Target:
    """The class that is said of a location, or of most of its pixels, or the one that is asked for."""
    with torch.no_grad():
        said = explained.predict(images)
    if said.ndim == 2:
        return Target(said.argmax(dim=1) if number is None else torch.full((1,), number, device=said.device))
    of_pixels, there = said.argmax(dim=1), seen(images)
    if number is None:
        number = int(torch.bincount(of_pixels[there], minlength=len(task.classes)).argmax())
    own = there & (of_pixels == number)
    return Target(torch.full((1,), number, device=said.device), own if bool(own.any()) else there)


# -- explaining ----------------------------------------------------------------------------------------------------


def _all_read(judged: Judged, rows: Int[ndarray, " n"], *, must: bool) -> Iterator[tuple[int, Images]]:
    """Rows and their images; of locations that nobody named, those without a valid pixel are left out and counted.

    Raises:
        CorpusError: a location that was named has no valid pixel, or none has any.
    """
    blind: list[CorpusError] = []
    for row in track(rows.tolist(), len(rows), "explaining"):
        try:
            images = _read(judged, row)
        except CorpusError as error:
            blind.append(error)
            if must or len(blind) == len(rows):
                raise
        else:
            yield row, images
    if blind:
        console().print(f"{len(blind)} of {len(rows)} locations are left out: no valid pixel", soft_wrap=True)


def _read(judged: Judged, row: int) -> Images:
    """The images of a location that the task reads, in the bands that were trained on."""
    task = judged.task
    images = task.reader.read(np.array([row]), device_of(judged.trained.network))
    own = {
        sensor: images[sensor].channels([task.reader.reads[sensor].index(name) for name in names])
        for sensor, names in Composer(judged.trained.bands).reads.items()
    }
    if not bool(seen(own).any()):
        raise CorpusError(
            f"the location {task.corpus.locations['uid'][row]} has no valid pixel, so there is nothing to explain",
            where=str(task.corpus.path),
            remedy="name another one",
        )
    return own


class _Refused:
    """Keeps why methods could not explain what, unless they must."""

    def __init__(self, *, must: bool):
        self.must = must
        self.why: dict[str, list[str]] = {}
        """What was said by each method, a sentence for each location."""

    def note(self, method: str, error: ContractError) -> None:
        """Keep the reason, or raise it."""
        if self.must:
            raise error
        self.why.setdefault(method, []).append(error.what)

    def lines(self, locations: int) -> Iterator[str]:
        """A sentence for each method, and at how many locations it failed."""
        for method, said in self.why.items():
            where = "" if len(said) == locations else f" at {len(said)} of {locations} locations"
            yield f"without {method}{where}: {said[0]}"


def _explanation(
    judged: Judged,
    explained: Explained,
    row: int,
    images: Images,
    target: Target,
    methods: Sequence[PluginSettings],
    refused: _Refused,
) -> Explanation:
    task, answers = judged.task, []
    shuffled = None if explained.logits is None else explained.randomised(SEED)
    for one in methods:
        try:
            answers.append(_answer(one, explained, shuffled, images, target))
        except ContractError as error:
            refused.note(one.name, error)
    with torch.no_grad():
        score, probability = (float(f(images, target)[0]) for f in (explained.score, explained.probability))
    return Explanation(
        uid=str(task.corpus.locations["uid"][row]),
        row=row,
        part=next((part for part in PARTS if row in task.parts[part].locations), ""),
        said=task.name if task.regression else task.classes[int(target.output[0])],
        score=score,
        probability=probability,
        images=images,
        answers=tuple(answers),
    )


def _answer(
    config: PluginSettings, explained: Explained, shuffled: Explained | None, images: Images, target: Target
) -> Answer:
    found = attributions.attribute(config, explained, images, target)
    blind = float("nan")
    if shuffled is not None:
        with suppress(ContractError):  # no layer with places matters any more, say
            blind = rank_correlation(found, attributions.attribute(config, shuffled, images, target), images)
    return Answer(config.name, found, tuple(removals(explained, images, target, found, SEED)), blind)


def _remarks(explained: Explained, found: Sequence[Explanation]) -> Iterator[str]:
    """What a reader must know, and what the checks say of each method."""
    if explained.logits is None:
        yield "what is explained has no gradient: occlusion alone, of probabilities, and no check by shuffled weights"
    for method in dict.fromkeys(answer.method for one in found for answer in one.answers):
        answers = [answer for one in found for answer in one.answers if answer.method == method]
        yield f"{method}: {'; '.join(_checked(answers)) or 'nothing to check it by'}"


def _checked(answers: Sequence[Answer]) -> Iterator[str]:
    for units in ("pixels", "dates", "bands"):
        own = [removal for answer in answers for removal in answer.removals if removal.units == units]
        if own:
            faster = sum(one.deletion < one.random_deletion.mean() for one in own)
            deletion = np.mean([one.deletion for one in own])
            luck = np.mean([one.random_deletion.mean() for one in own])
            yield (
                f"with {units} removed in its order {deletion:.3g} is said on average, in one that knows nothing "
                f"{luck:.3g} (less at {faster} of {len(own)} locations)"
            )
    blind = [answer.randomised for answer in answers if np.isfinite(answer.randomised)]
    if blind:
        yield f"rank correlation with shuffled weights {np.mean(blind):.2f}"
