"""A run, a panel and a comparison in sentences. Plain text: whoever writes it into a document escapes it."""

import math

from swath.products import words
from swath.products.tables.panels import Panel
from swath.products.tables.run import Run, stage_name
from swath.products.words import NO_BREAK, listing, metric, p_value, plural
from swath.tasks.schema import Comparison, Role, RowValue

NUMERALS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight", 9: "Nine"}
ROLES: dict[Role, str] = {
    "pretrained": "pre-trained",
    "reference": "reference",
    "random-twin": "random twin",
    "scratch": "from scratch",
    "floor": "floor",
}
"""Words for a row's role where people read it."""


def judged(run: Run, panel: Panel | None, *, panels_in_all: int = 1) -> list[str]:
    """A sentence on what was compared on what, which says if there is more than this one panel."""
    if panel is None:
        return [_not_evaluated(run)]
    said = [_compared(run, panel)]
    if panels_in_all > 1:
        said.append(f"This is the first of {panels_in_all} combinations of task, input and probe; all are below.")
    return said


def outcome(panel: Panel) -> list[str]:
    """Who won one panel, and whether second place, random twin, scratch and best floor are distinguishable from it."""
    if not panel.pretrained:
        return ["No pre-trained encoder has a result here."]
    best = panel.pretrained[0]
    interval = words.score_interval(panel.metric, best.low, best.high)
    value = f"{_score(panel, best.value)} {metric(panel.metric)} (95{NO_BREAK}% interval {interval})"
    first = f"{best.row} came first with {value}." if len(panel.pretrained) > 1 else f"{best.row} reaches {value}."
    sentences = [
        first,
        *_against_second(panel),
        against(panel, best, panel.twin(best.row), "the same network frozen at its random initial weights"),
        against(panel, best, panel.scratch(best.row), "the same network trained from scratch on the labels"),
    ]
    floor = panel.best_floor()
    if floor is not None and floor != panel.twin(best.row):
        sentences.append(against(panel, best, floor, f"the best floor, {floor.row}"))
    return sentences


def _compared(run: Run, panel: Panel) -> str:
    arms = [score.row for score in panel.pretrained]
    trainings = max((len(score.per_seed) for score in panel.pretrained), default=0)
    who = "One encoder" if len(arms) == 1 else f"{NUMERALS.get(len(arms), len(arms))} encoders"
    verb = "was" if len(arms) == 1 else "were"
    each = f"; {'each ' if len(arms) > 1 else ''}with {words.trainings(trainings, panel.folds)}" if trainings else ""
    return (
        f"{who} pre-trained without labels ({listing(arms)}{each}) {verb} judged on {panel.task}{_size(run, panel)},"
        f" by a {panel.probe} probe (input: {panel.input})."
    )


def _size(run: Run, panel: Panel) -> str:
    best = panel.pretrained[0]
    parts = []
    if names := run.classes.get(panel.task):
        parts.append(plural(len(names), "class"))
    if best.n_units:
        parts.append(plural(best.n_units, "test sample"))
    if best.n_groups and best.n_groups != best.n_units:
        parts.append(f"in {plural(best.n_groups, 'group')}")
    return f" ({', '.join(parts)})".replace(", in ", " in ") if parts else ""


def _against_second(panel: Panel) -> list[str]:
    if len(panel.pretrained) < 2:
        return []
    best, second = panel.pretrained[:2]
    pair = panel.pair(best.row, second.row)
    gap = (
        f"{words.size(panel.metric, abs(best.value - second.value), panel.target_unit)} ahead of {second.row}, the next"
    )
    if pair is None or pair.verdict == "untested":
        return [f"It is {gap}{without_verdict(panel, pair)}."]
    if pair.verdict == "tie":
        return [f"It is {gap}, but the two are not distinguishable ({evidence(panel, pair)})."]
    return [f"It is {gap}, and the difference is distinguishable ({evidence(panel, pair)})."]


def against(panel: Panel, best: RowValue, other: RowValue | None, description: str) -> str:
    """One sentence: the row against a floor or reference, with the evidence."""
    if other is None:
        return f"It was not compared with {description}."
    named = f"{description} ({_score(panel, other.value)})"
    pair = panel.pair(best.row, other.row)
    if pair is None or pair.verdict == "untested":
        gain = words.gain_with_unit(panel.metric, best.value - other.value, panel.target_unit)
        return f"Against {named} it has {gain}{without_verdict(panel, pair)}."
    gain = words.gain_with_unit(panel.metric, pair.difference, panel.target_unit)
    if pair.verdict == "tie":
        return f"It is not distinguishable from {named}: {gain} ({evidence(panel, pair)})."
    return f"It is {pair.verdict} than {named}: {gain} ({evidence(panel, pair)})."


def _score(panel: Panel, value: float) -> str:
    """A value in the panel's metric, with the unit of the numbers that are estimated if it is in that."""
    shown = words.score(panel.metric, value)
    return shown if words.is_share(panel.metric) else f"{shown} {panel.unit}".strip()


def evidence(panel: Panel, pair: Comparison) -> str:
    """Interval of a comparison, the p that belongs to it, a claim's p after correction, and what limits it."""
    limit = f"; {pair.note}" if pair.note else ""
    p = p_value(pair.p)
    if math.isfinite(pair.p_holm):
        p += f"; {p_value(pair.p_holm)} after Holm's correction"
    return f"95{NO_BREAK}% interval {words.gain_interval(panel.metric, pair.low, pair.high)}, {p}{limit}"


def without_verdict(panel: Panel, pair: Comparison | None) -> str:
    """What there is to say of a difference that gets no verdict, after its size."""
    if pair is None or not math.isfinite(pair.low):
        return "; that difference was not tested"
    return f" ({evidence(panel, pair)}); no verdict"


def _not_evaluated(run: Run) -> str:
    trained = [name for name in run.arms if any(arm == name for arm, _ in run.logs)]
    if not trained and not run.table.empty:
        return "Nothing was pre-trained: rows that no pre-training went into are compared with each other."
    if not trained:
        return "Nothing was pre-trained or evaluated in this run yet."
    return (
        f"{listing(trained)} {'was' if len(trained) == 1 else 'were'} pre-trained but not evaluated yet:"
        " nothing can be said about the worth of the features. A falling loss is no evidence."
    )


def failures(run: Run) -> list[str]:
    """A sentence on stages that failed, and one on files that cannot be read."""
    failed = [stage for stage in run.stages if stage.get("status") == "failed"]
    sentences = [f"Failed: {listing([stage_name(stage) for stage in failed])}; see the notes."] if failed else []
    return [*sentences, "Files of the run cannot be read; see the notes."] if run.problems else sentences
