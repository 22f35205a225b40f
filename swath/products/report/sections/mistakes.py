"""Where the best encoder is right and wrong: confusion matrix or scatter plot, and test samples as pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swath.corpus.labels import VOID, class_colours
from swath.errors import SwathError
from swath.products import words
from swath.products.draw.pictures import ChipPicture, Pictures, class_map, share_map
from swath.products.draw.style import colour
from swath.products.report._rows import or_noted
from swath.products.report.sections import Material, Section, beside
from swath.products.report.sections._attributions import maps_of, methods_of, picture_of
from swath.products.report.sections._confusion import by_class, confusion, of_pixels
from swath.products.report.sections._scatter import scatter
from swath.products.tables import Panel, Run

SAMPLES = 8
"""Number of pictures of right predictions, and of wrong ones."""
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("wrong", "right", "worst_maps", "best_maps", "map_classes"), ()),
    **dict.fromkeys(("confusion", "by_class", "scatter")),
}
"""Content of the template where there are no predictions."""


def content(material: Material) -> dict[str, Any]:
    """Confusion matrix and samples of the headline's best encoder, or of the first panel's best row where nothing was
    pre-trained.
    """
    panel = material.headline or next((panel for panel in material.panels if panel.ranked), None)
    if panel is None:
        return NOTHING
    try:
        return NOTHING | _best_in_detail(material, panel)
    except (SwathError, OSError, ValueError, KeyError) as error:
        material.problems.append(f"The predictions cannot be shown: {error}")
        return NOTHING


def _best_in_detail(material: Material, panel: Panel) -> dict[str, Any]:
    run, corpus = material.run, material.corpus
    best, classes = (panel.pretrained or panel.ranked)[0].row, run.classes.get(panel.task, [])
    predictions = run.predictions(*panel.key, best)
    if predictions.empty:
        return {}
    if run.target(panel.task).get("rule") == "value":
        made = words.trainings(panel.trainings, panel.folds) if panel.trainings > 1 else ""
        return {"scatter": scatter(predictions, best, panel.task, panel.target_unit, made)}
    if run.target(panel.task).get("rule") == "multi-label":
        return {"by_class": by_class(predictions, best, classes)}
    pictures = Pictures(corpus) if corpus else None
    shown: dict[str, Any] = {"confusion": confusion(predictions, best, classes)}
    why = or_noted(material.problems, "What was explained", lambda: _why(run, panel, best)) or {}
    if not of_pixels(predictions):
        shown["wrong"], shown["right"] = samples(predictions, classes, pictures, why)
    elif len(maps := run.maps(*panel.key, best)):
        shades = _shades(material, panel.task, classes)
        shown["worst_maps"], shown["best_maps"] = map_samples(maps, shades, pictures, why)
        shown["map_classes"] = list(zip(shades, classes, strict=True))
    return shown


def _why(run: Run, panel: Panel, row: str) -> dict[str, ChipPicture]:
    """The first method's map of each location that was explained for a row."""
    maps = maps_of(run)
    own = maps.loc[(maps[["task", "input", "probe", "row"]] == [*panel.key, row]).all(axis=1)]
    lines = own.loc[own["method"].isin(methods_of(own)[:1])].to_dict("records")
    return {str(line["uid"]): picture_of(line) for line in lines}


def _shades(material: Material, task: str, classes: Sequence[str]) -> list[str]:
    """Colour of each class: as the label layer's maps and contact sheets have it."""
    name = str(material.run.target(task).get("layer"))
    layer = material.corpus.label_layers.get(name) if material.corpus else None
    own = {layer.classes[code]: shade for code, shade in class_colours(layer).items()} if layer else {}
    return [own.get(name, colour(i)) for i, name in enumerate(classes)]


@dataclass(frozen=True)
class Sample:
    """One test sample: a picture, its class, and the prediction."""

    uid: str
    shots: list[ChipPicture]
    true: str
    said: str
    confidence: str
    right: bool


def samples(
    predictions: pd.DataFrame, classes: list[str], pictures: Pictures | None, why: Mapping[str, ChipPicture]
) -> tuple[list[Sample], list[Sample]]:
    """The most confident wrong and the most confident right predictions, over all trainings together.

    Args:
        predictions: of the row.
        classes: their names.
        pictures: of the corpus, if it is there.
        why: a map of attribution for each location that was explained.
    """
    agreed = sorted(consensus(predictions), key=lambda said: (-said.confidence, said.uid))
    wrong = [said for said in agreed if said.y_pred != said.y_true][:SAMPLES]
    right = [said for said in agreed if said.y_pred == said.y_true][:SAMPLES]
    shots = pictures.of([said.uid for said in [*wrong, *right]]) if pictures else {}

    def shown(said: Consensus) -> Sample:
        return Sample(
            uid=said.uid,
            shots=[*shots.get(said.uid, []), *([why[said.uid]] if said.uid in why else [])],
            true=words.class_name(classes, said.y_true),
            said=words.class_name(classes, said.y_pred),
            confidence=words.percent(said.confidence, 0),
            right=said.y_pred == said.y_true,
        )

    return [shown(said) for said in wrong], [shown(said) for said in right]


@dataclass(frozen=True)
class MapSample:
    """One test sample of a segmentation: image, label, prediction, and how uncertain that is."""

    uid: str
    shots: list[ChipPicture]
    right: str
    """Share of its labelled pixels."""
    unsure: str
    """Mean uncertainty of wrong and of right pixels, in words; empty where none was kept."""


def map_samples(
    maps: pd.DataFrame, shades: Sequence[str], pictures: Pictures | None, why: Mapping[str, ChipPicture]
) -> tuple[list[MapSample], list[MapSample]]:
    """The units that are least and most right: image, label, prediction, uncertainty, attribution; of the first
    training.

    Args:
        maps: as the run has them.
        shades: colour of each class, `#rrggbb`.
        pictures: of the corpus, if it is there.
        why: a map of attribution for each location that was explained.
    """
    shares = {str(r["uid"]): _share_right(r) for r in maps.to_dict("records")}
    order = sorted(maps.to_dict("records"), key=lambda r: (shares[str(r["uid"])], r["uid"]))
    half = min(SAMPLES, len(order) // 2 or 1)
    worst, best = order[:half], order[half:][-half:][::-1]
    images = pictures.of([str(r["uid"]) for r in [*worst, *best]]) if pictures else {}

    def shown(record: Mapping) -> MapSample:
        uid, height = str(record["uid"]), int(record["height"])
        drawn = [
            class_map(np.reshape(record[column], (height, -1)), shades, f"{name} of {uid}")
            for column, name in (("y_true", "label"), ("y_pred", "prediction"))
        ]
        unsure = _uncertainty(record)
        drawn += [] if unsure is None else [share_map(unsure.reshape(height, -1), f"uncertainty of {uid}")]
        drawn += [why[uid]] if uid in why else []
        shots = [*images.get(uid, [])[:1], *drawn]
        return MapSample(uid, shots, words.percent(shares[uid], 0), "" if unsure is None else _where(record, unsure))

    return [shown(record) for record in worst], [shown(record) for record in best]


def _uncertainty(record: Mapping) -> np.ndarray | None:
    """The uncertainty of each pixel, 0 to 1; None where none was kept."""
    kept = record.get("uncertainty")
    return None if kept is None else np.asarray(kept, float) / 255


def _where(record: Mapping, unsure: np.ndarray) -> str:
    """Mean uncertainty of the labelled pixels that are wrong, and of those that are right."""
    truth, said = np.asarray(record["y_true"]), np.asarray(record["y_pred"])
    parts = (("wrong", (truth != said) & (truth != VOID)), ("right", truth == said))
    means = [f"{words.number(float(unsure[there].mean()), 2)} where {name}" for name, there in parts if there.any()]
    return f"uncertainty {', '.join(means)}"


def _share_right(record: Mapping) -> float:
    truth, said = np.asarray(record["y_true"]), np.asarray(record["y_pred"])
    return float((truth == said)[truth != VOID].mean())


@dataclass(frozen=True, slots=True)
class Consensus:
    """The joint prediction of all trainings that tested a sample."""

    uid: str
    y_true: int
    y_pred: int
    confidence: float
    """0..1: the winner's mean score, or its share of the votes."""


def consensus(predictions: pd.DataFrame) -> list[Consensus]:
    """One prediction per sample: scores averaged over the trainings, or their vote where there are no scores."""
    records = predictions.to_dict("records")
    scored = all(record.get("score") is not None for record in records)
    n = 1 + max(max(record["y_true"], record["y_pred"]) for record in records)
    votes: dict[str, list[np.ndarray]] = {}
    truth: dict[str, int] = {}
    for record in records:
        vote = np.asarray(record["score"], float) if scored else np.eye(n)[record["y_pred"]]
        votes.setdefault(str(record["uid"]), []).append(np.nan_to_num(vote))
        truth[str(record["uid"])] = int(record["y_true"])
    means = {uid: np.mean(own, axis=0) for uid, own in votes.items()}
    return [Consensus(uid, truth[uid], int(mean.argmax()), float(mean.max())) for uid, mean in means.items()]


SECTION = Section("Where the best encoder is right and wrong", 50, content, beside(__file__), link="Mistakes")
