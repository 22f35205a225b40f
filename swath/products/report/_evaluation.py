"""The evaluation's part of the report: tables, bands, confusion matrix, samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from swath.corpus.labels.target import VOID
from swath.products import words
from swath.products.draw import charts
from swath.products.draw.pictures import Pictures, Shot, class_map
from swath.products.report._data_card import class_name
from swath.products.tables.panels import Cell, Pair, Score, band_of, is_radar
from swath.products.tables.run import Run, base
from swath.sensors import Band
from swath.tasks import class_iou, confusion_by_class, unpacked

SAMPLES = 8
"""Pictures of right and of wrong predictions, each."""
MAX_CLASSES_AS_TABLE = 16
KINDS = {"pretrained": "pre-trained", "floor": "floor", "reference": "reference"}
SYMBOLS = {"better": "▲", "worse": "▼", "tie": "≈", "untested": "·"}


@dataclass(frozen=True)
class Judgement:
    """A verdict against one other row, ready to show."""

    verdict: str
    """`better`, `worse`, `tie` or `untested`."""
    symbol: str
    word: str
    points: str
    """Signed difference in percentage points."""
    title: str
    """The evidence, in words."""


@dataclass(frozen=True)
class Row:
    """One line of a comparison table."""

    name: str
    shade: str
    """CSS class of its colour."""
    kind: str
    about: str
    """Kind and number of seeds, in words."""
    values: list[tuple[str, str]]
    """Value and interval per metric."""
    strip: Markup
    judgements: list[Judgement | None]
    """Against random twin, scratch and best floor; None where that makes no sense."""


@dataclass(frozen=True)
class Table:
    """A cell's comparison table."""

    title: str
    metrics: list[str]
    rows: list[Row]
    axis: Markup
    pairs: list[dict[str, str]]
    left_out: list[tuple[str, str]]
    size: str
    outcome: str
    """The table in words."""
    remark: str
    """What a reader must know of the task before believing its intervals; empty if nothing."""


def title(cell: Cell) -> str:
    """What a cell is, in one line."""
    return f"{cell.task} · {cell.input} · {cell.probe} probe"


def table(cell: Cell, run: Run) -> Table:
    """The comparison table of a cell."""
    arms = run.arms
    scale, floor = charts.Scale.of(cell.ranked), cell.best_floor()
    return Table(
        title=title(cell),
        metrics=[words.metric(name) for name in cell.metrics],
        rows=[_row(cell, score, arms, scale, floor) for score in _grouped(cell)],
        axis=charts.strip_axis(scale),
        pairs=[_pair(pair) for pair in cell.pairs],
        left_out=[(score.row, score.note or "no reason recorded") for score in cell.left_out],
        size=_size(cell),
        outcome=" ".join(words.outcome(cell)),
        remark=_remark(run, cell.task),
    )


def _remark(run: Run, task: str) -> str:
    """Of several folds each remark once."""
    own = run.tasks.loc[run.tasks["task"] == task, "note"] if len(run.tasks) else []
    return "; ".join(dict.fromkeys(note for note in own if note))


def _grouped(cell: Cell) -> list[Score]:
    """Pre-trained encoders, then references, then floors; best first in each."""
    order = list(KINDS)
    rank = {"pretrained": 0, "reference": 1, "floor": 2}
    return sorted(cell.ranked, key=lambda s: rank.get(s.kind, len(order)))


def _row(cell: Cell, score: Score, arms: Sequence[str], scale: charts.Scale, floor: Score | None) -> Row:
    values = [cell.score(score.row, metric) for metric in cell.metrics]
    text = f"{words.percent(score.value)}, 95 % interval {words.interval(score.low, score.high)}"
    shade = f"s{arms.index(score.row) % len(charts.SERIES)}" if score.row in arms else "s-floor"
    mark = floor.value if floor else None
    others = (cell.twin(score.row), cell.scratch(score.row), floor) if score.kind == "pretrained" else (None,) * 3
    return Row(
        name=score.row,
        shade=shade,
        kind=score.kind,
        about=" · ".join([KINDS.get(score.kind, score.kind), words.plural(len(score.per_seed) or 1, "seed")]),
        values=[(words.percent(s.value), words.interval(s.low, s.high)) if s else (words.DASH, "") for s in values],
        strip=charts.strip(score, scale, shade, mark, f"{score.row}: {text}"),
        judgements=[_judgement(cell, score, other) for other in others],
    )


def _judgement(cell: Cell, score: Score, other: Score | None) -> Judgement | None:
    if other is None:
        return None
    pair = cell.pair(score.row, other.row)
    verdict = pair.verdict if pair else "untested"
    evidence = f"against {other.row}: {words.evidence(pair)}" if pair else f"against {other.row}: no test in the tables"
    return Judgement(
        verdict=verdict,
        symbol=SYMBOLS[verdict],
        word=words.VERDICTS[verdict],
        points=words.points(pair.difference if pair else score.value - other.value),
        title=evidence,
    )


def tiles(cell: Cell) -> list[tuple[str, str, Judgement | None]]:
    """The best encoder against twin, scratch and best floor: what, its name, and the verdict."""
    best = cell.pretrained[0]
    others = (
        ("frozen random twin", cell.twin(best.row)),
        ("training from scratch", cell.scratch(best.row)),
        ("best floor", cell.best_floor()),
    )
    return [(what, other.row if other else "not run", _judgement(cell, best, other)) for what, other in others]


def _pair(pair: Pair) -> dict[str, str]:
    return {
        "a": pair.a,
        "b": pair.b,
        "difference": words.points(pair.difference),
        "interval": words.difference_interval(pair.low, pair.high),
        "p": words.p_cell(pair.p),
        "p_t": words.p_cell(pair.p_t),
        "p_wilcoxon": words.p_cell(pair.p_wilcoxon),
        "p_holm": words.p_cell(pair.p_holm),
        "verdict": pair.verdict,
        "word": words.VERDICTS[pair.verdict],
        "n_pairs": words.count(pair.n_pairs),
        "pairing": " ".join(filter(None, [pair.pairing, f"({pair.test})" if pair.test else "", pair.note])),
    }


def _size(cell: Cell) -> str:
    if not cell.ranked:
        return ""
    first = cell.ranked[0]
    parts = [words.plural(first.n_units, "test sample")] if first.n_units else []
    if first.n_groups and first.n_groups != first.n_units:
        parts.append(f"in {words.plural(first.n_groups, 'group')}")
    return " ".join(parts)


@dataclass(frozen=True)
class BandRow:
    """One encoder on each band: value and interval per band, and the means over optical and radar bands."""

    name: str
    values: list[tuple[str, str]]
    optical: str
    radar: str


@dataclass(frozen=True)
class BandWise:
    """Each band alone through the same encoder, for one task and probe."""

    title: str
    plots: list[Markup]
    """One per pre-trained encoder, all with the same axis."""
    bands: list[str]
    rows: list[BandRow]


def band_wise(cells: Sequence[Cell], arms: Sequence[str]) -> list[BandWise]:
    """The band-wise probes, one block per task and probe; encoders in the order of the arms."""
    groups: dict[tuple[str, str], list[tuple[Band, Cell]]] = {}
    for cell in cells:
        band = band_of(cell.input)
        if band is not None and cell.ranked:
            groups.setdefault((cell.task, cell.probe), []).append((band, cell))
    return [_bands(i, *key, members, arms) for i, (key, members) in enumerate(groups.items())]


def _bands(i: int, task: str, probe: str, members: list[tuple[Band, Cell]], arms: Sequence[str]) -> BandWise:
    members = sorted(members, key=lambda m: (is_radar(m[0]), m[0].centre_um or 0.0, m[0].name))
    scores = [score for _, cell in members for score in cell.ranked]
    kinds = {score.row: score.kind for score in scores}
    metric = words.metric(members[0][1].metric)
    pretrained = [arm for arm in arms if kinds.get(arm) == "pretrained"]
    others = [row for row, kind in kinds.items() if kind != "pretrained"]
    return BandWise(
        title=f"{task} · {probe} probe · {metric}",
        plots=[_band_plot(f"bands{i}-{n}", row, members, _limits(scores), metric) for n, row in enumerate(pretrained)],
        bands=[band.name for band, _ in members],
        rows=[_band_row(row, members) for row in [*pretrained, *others]],
    )


def _band_row(row: str, members: list[tuple[Band, Cell]]) -> BandRow:
    scores = [cell.score(row) for _, cell in members]
    return BandRow(
        name=row,
        values=[(words.percent(s.value), words.interval(s.low, s.high)) if s else (words.DASH, "") for s in scores],
        optical=_band_mean(row, members, radar=False),
        radar=_band_mean(row, members, radar=True),
    )


def _band_mean(row: str, members: list[tuple[Band, Cell]], *, radar: bool) -> str:
    scores = [cell.score(row) for band, cell in members if is_radar(band) == radar]
    values = [score.value for score in scores if score is not None]
    # a mean over some of the bands would not be comparable with the others
    return words.percent(float(np.mean(values))) if values and len(values) == len(scores) else words.DASH


def _limits(scores: Sequence[Score]) -> tuple[float, float]:
    """A common axis from 0, for bars must begin there, in steps of 5 points."""
    values = np.array([v for s in scores for v in (s.value, s.high)])
    return 0.0, float(min(1.0, np.ceil(values[np.isfinite(values)].max() * 20 + 0.1) / 20))


def _band_plot(
    name: str, row: str, members: list[tuple[Band, Cell]], limits: tuple[float, float], metric: str
) -> Markup:
    found = [(band, cell.score(row), cell.twin(row)) for band, cell in members]
    scores = [(band, score, twin) for band, score, twin in found if score is not None]
    described = ", ".join(f"{band.name} {words.percent(score.value)}" for band, score, _ in scores)
    with charts.styled():
        figure = charts.bands(charts.shorten(row, 40), scores, limits)
        return charts.svg(figure, name, f"{metric} of {row} by band: {described}")


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of one row of a cell."""

    row: str
    names: list[str]
    counts: list[list[str]]
    shares: list[list[float]]
    """Of each true class; rows sum to 1, or are 0 where a class does not occur."""
    recalls: list[str]
    ious: list[str]
    """Intersection over union of each class, where pixels have the classes; else empty."""
    plot: Markup | None
    """Instead of the table where there are many classes."""
    seeds: int


def confusion(predictions: pd.DataFrame, row: str, classes: list[str]) -> Confusion:
    """Counts of units or pixels over all seeds, and shares of each true class."""
    n = max(len(classes), int(predictions[["y_true", "y_pred"]].to_numpy().max()) + 1)
    counts = np.zeros((n, n), int)
    entries = tuple(predictions[column].to_numpy(int) for column in ("y_true", "y_pred"))
    np.add.at(counts, entries, predictions["count"].to_numpy(int))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    names = [class_name(classes, code) for code in range(n)]
    plot = None
    if n > MAX_CLASSES_AS_TABLE:
        with charts.styled():
            plot = charts.svg(charts.heatmap(shares, names), "confusion", f"Confusion matrix of {row}")
    return Confusion(
        row=row,
        names=names,
        counts=[[words.count(int(c)) for c in line] for line in counts],
        shares=[[round(float(s), 4) for s in line] for line in shares],
        recalls=[words.percent(float(shares[i, i])) if counts[i].any() else words.DASH for i in range(n)],
        ious=[words.percent(float(v)) for v in class_iou(counts.astype(float))] if of_pixels(predictions) else [],
        plot=plot,
        seeds=len(set(predictions["replicate"])),
    )


@dataclass(frozen=True)
class ByClass:
    """How well each class is found, where locations have several."""

    row: str
    lines: dict[str, tuple[str, ...]]
    """By class: how many test locations have it, precision, recall, F1."""
    seeds: int


def by_class(predictions: pd.DataFrame, row: str, classes: list[str]) -> ByClass:
    """Decisions over all seeds, class by class."""
    truth, said = (unpacked(predictions[column].to_numpy(int), len(classes)) for column in ("y_true", "y_pred"))
    seeds = len(set(predictions["replicate"]))
    lines = {}
    for name, cm in zip(classes, confusion_by_class(truth, said), strict=True):
        hits, found, there = cm[1, 1], cm[:, 1].sum(), cm[1].sum()
        shares = [hits / n if n else float("nan") for n in (found, there, (found + there) / 2)]
        lines[name] = (words.count(int(there) // seeds), *map(words.percent, shares))
    return ByClass(row, lines, seeds)


def of_pixels(predictions: pd.DataFrame) -> bool:
    """Whether pixels have the classes, so that a unit may have several."""
    return bool(predictions.duplicated(["replicate", "uid"]).any() or (predictions["count"] != 1).any())


@dataclass(frozen=True)
class Sample:
    """One test sample, as a picture with what it is and what was said."""

    uid: str
    shots: list[Shot]
    true: str
    said: str
    confidence: str
    right: bool


def samples(
    predictions: pd.DataFrame, classes: list[str], pictures: Pictures | None
) -> tuple[list[Sample], list[Sample]]:
    """The most confident wrong and the most confident right predictions, over all seeds together."""
    joint = sorted(joint_predictions(predictions), key=lambda said: (-said.confidence, said.uid))
    wrong = [said for said in joint if said.y_pred != said.y_true][:SAMPLES]
    right = [said for said in joint if said.y_pred == said.y_true][:SAMPLES]
    shots = pictures.of([said.uid for said in [*wrong, *right]]) if pictures else {}

    def shown(part: list[Joint]) -> list[Sample]:
        return [
            Sample(
                uid=said.uid,
                shots=shots.get(said.uid, []),
                true=class_name(classes, said.y_true),
                said=class_name(classes, said.y_pred),
                confidence=words.percent(said.confidence, 0),
                right=said.y_pred == said.y_true,
            )
            for said in part
        ]

    return shown(wrong), shown(right)


@dataclass(frozen=True)
class MapSample:
    """One test sample of a segmentation: image, label and prediction."""

    uid: str
    shots: list[Shot]
    right: str
    """Share of its labelled pixels."""


def map_samples(
    maps: pd.DataFrame, shades: Sequence[str], pictures: Pictures | None
) -> tuple[list[MapSample], list[MapSample]]:
    """The units that are least and most right: image, label, prediction; the first seed's.

    Args:
        maps: as the run has them.
        shades: colour of each class, `#rrggbb`.
        pictures: of the corpus, if it is there.
    """
    shares = {str(r["uid"]): _share_right(r) for r in maps.to_dict("records")}
    order = sorted(maps.to_dict("records"), key=lambda r: (shares[str(r["uid"])], r["uid"]))
    half = min(SAMPLES, len(order) // 2 or 1)
    worst, best = order[:half], order[half:][-half:][::-1]
    images = pictures.of([str(r["uid"]) for r in [*worst, *best]]) if pictures else {}

    def shown(records: Sequence[Mapping]) -> list[MapSample]:
        found = []
        for record in records:
            uid, height = str(record["uid"]), int(record["height"])
            drawn = [
                class_map(np.reshape(record[column], (height, -1)), shades, f"{what} of {uid}")
                for column, what in (("y_true", "label"), ("y_pred", "prediction"))
            ]
            found.append(MapSample(uid, [*images.get(uid, [])[:1], *drawn], words.percent(shares[uid], 0)))
        return found

    return shown(worst), shown(best)


def _share_right(record: Mapping) -> float:
    truth, said = np.asarray(record["y_true"]), np.asarray(record["y_pred"])
    return float((truth == said)[truth != VOID].mean())


@dataclass(frozen=True, slots=True)
class Joint:
    """What all seeds together say of one sample."""

    uid: str
    y_true: int
    y_pred: int
    confidence: float
    """0..1: the winner's mean score, or its share of the votes."""


def joint_predictions(predictions: pd.DataFrame) -> list[Joint]:
    """One prediction per sample: scores averaged over the seeds, or the seeds' vote where there are no scores."""
    records = predictions.to_dict("records")
    scored = all(record.get("score") is not None for record in records)
    n = 1 + max(max(record["y_true"], record["y_pred"]) for record in records)
    votes: dict[str, list[np.ndarray]] = {}
    truth: dict[str, int] = {}
    for record in records:
        vote = np.asarray(record["score"], float) if scored else np.eye(n)[record["y_pred"]]
        votes.setdefault(str(record["uid"]), []).append(np.nan_to_num(vote))
        truth[str(record["uid"])] = int(record["y_true"])
    means = {uid: np.mean(seeds, axis=0) for uid, seeds in votes.items()}
    return [Joint(uid, truth[uid], int(mean.argmax()), float(mean.max())) for uid, mean in means.items()]


def label_curves(run: Run, cells: Sequence[Cell]) -> list[tuple[Markup, str]]:
    """The ranking metric against the number of training labels, a chart per task, input and probe with fractions."""
    if run.tasks.empty:
        return []
    # of several folds the mean
    labels = {str(task): float(np.mean(part["train_labels"].to_numpy())) for task, part in run.tasks.groupby("task")}
    kind = dict(zip(run.tasks["task"], run.tasks["label"], strict=True))
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.task in labels and cell.task != base(cell.task) and cell.ranked:
            groups.setdefault((base(cell.task), cell.input, cell.probe), []).append(cell)
    found = []
    for i, ((task, name, probe), members) in enumerate(groups.items()):
        members = sorted(members, key=lambda cell: labels[cell.task])
        lines = [_curve(row, members, labels, run.arms) for row in dict.fromkeys(s.row for s in members[-1].ranked)]
        heading = f"{task} · {name} · {probe}"
        measured = words.metric(members[0].metric)
        noun = f"{kind[members[0].task]}s with a label"
        with charts.styled():
            figure = charts.label_curve(charts.shorten(heading, 44), lines, noun, measured)
            alt = f"{measured} of {heading} against the number of labels"
            found.append((charts.svg(figure, f"labels{i}", alt), f"{measured} against {noun}, with 95 % intervals."))
    return found


def _curve(row: str, cells: Sequence[Cell], labels: Mapping[str, float], arms: Sequence[str]) -> charts.Line:
    points = [(labels[cell.task], score) for cell in cells if (score := cell.score(row))]
    shade = charts.colour(arms.index(row)) if row in arms else charts.MUTED
    y = np.array([score.value for _, score in points])
    low, high = (np.array([getattr(score, end) for _, score in points]) for end in ("low", "high"))
    # a row without an interval is a point
    low, high = np.where(np.isfinite(low), np.minimum(low, y), y), np.where(np.isfinite(high), np.maximum(high, y), y)
    return charts.Line(row, shade, np.array([x for x, _ in points]), y, low, high)
