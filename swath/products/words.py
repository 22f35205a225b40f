"""Numbers and verdicts in words. Plain text: whoever writes it into a document escapes it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swath.products.tables.panels import Cell, Pair, Score, Verdict
from swath.products.tables.run import Run

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "macro_f1": "macro F1",
    "f1_macro": "macro F1",
    "weighted_f1": "weighted F1",
    "micro_f1": "micro F1",
    "macro_ap": "mAP",
    "micro_ap": "micro mAP",
    "miou": "mIoU",
    "iou": "IoU",
    "average_accuracy": "average accuracy",
    "auc": "ROC AUC",
    "roc_auc": "ROC AUC",
    "kappa": "Cohen's κ",
}
NUMERALS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight", 9: "Nine"}
VERDICTS: dict[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "tie": "not distinguishable",
    "untested": "not tested",
}


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage: 0.8123 -> `81.2 %`; an en dash where there is none."""
    return f"{number(100 * value, digits)}{NO_BREAK}%" if math.isfinite(value) else DASH


def number(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, never `−0.0`; an en dash where there is none."""
    if not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def points(value: float) -> str:
    """A signed difference of two shares, in percentage points: 0.123 -> `+12.3`."""
    text = number(100 * value)
    return f"+{text}" if math.isfinite(value) and float(text.replace(MINUS, "-")) > 0 else text


def interval(low: float, high: float) -> str:
    """The interval of a share, in percent without the sign: `78.0–84.1`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{number(100 * low)}{DASH}{number(100 * high)}"


def difference_interval(low: float, high: float) -> str:
    """The interval of a difference, in points: `−1.2 to +3.3`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    if not math.isfinite(p):
        return f"p{NO_BREAK}{DASH}"
    return f"p{NO_BREAK}<{NO_BREAK}0.001" if p < 0.001 else f"p{NO_BREAK}={NO_BREAK}{p:.3f}"


def p_cell(p: float) -> str:
    """The p-value as a table has it, without the letter: `0.012`, `< 0.001`."""
    return p_value(p).removeprefix(f"p{NO_BREAK}").removeprefix(f"={NO_BREAK}")


def count(value: int | None) -> str:
    """An integer with thousands separated: `12,345`."""
    return DASH if value is None else f"{value:,}"


def in_all(stages: Sequence[Mapping[str, Any]]) -> float:
    """Seconds that a manifest's stages took together, those that ran side by side counted once."""
    return sum((stage.get("seconds") or 0.0) / (stage.get("jobs") or 1) for stage in stages)


def duration(seconds: float | int | None) -> str:
    """`8 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}{NO_BREAK}s" if seconds < 10 else f"{whole}{NO_BREAK}s"
    if whole < 3600:
        return f"{whole // 60}{NO_BREAK}min {whole % 60:02d}{NO_BREAK}s"
    return f"{whole // 3600}{NO_BREAK}h {whole % 3600 // 60:02d}{NO_BREAK}min"


def metric(name: str) -> str:
    """How a metric is called in a sentence."""
    return METRICS.get(name, name.replace("_", " "))


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def plural(n: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}es" if noun.endswith("s") else f"{n:,} {noun}s"


def headline(run: Run, cell: Cell | None, *, cells_in_all: int = 1) -> list[str]:
    """The run in a few sentences: what was compared, who won, by how much, and whether that means anything."""
    if cell is None:
        return [_not_evaluated(run), *_failures(run)]
    sentences = [_compared(run, cell), *outcome(cell)]
    if cells_in_all > 1:
        sentences.append(f"This is the first of {cells_in_all} combinations of task, input and probe; all are below.")
    return [*sentences, *_failures(run)]


def outcome(cell: Cell) -> list[str]:
    """Who won one cell, and whether second place, random twin, scratch and best floor are distinguishable from it."""
    if not cell.pretrained:
        return ["No pre-trained encoder has a result here."]
    best = cell.pretrained[0]
    value = f"{percent(best.value)} {metric(cell.metric)} (95{NO_BREAK}% interval {interval(best.low, best.high)})"
    first = f"{best.row} came first with {value}." if len(cell.pretrained) > 1 else f"{best.row} reaches {value}."
    sentences = [
        first,
        *_against_second(cell),
        against(cell, best, cell.twin(best.row), "the same network frozen at its random initial weights"),
        against(cell, best, cell.scratch(best.row), "the same network trained from scratch on the labels"),
    ]
    floor = cell.best_floor()
    if floor is not None and floor != cell.twin(best.row):
        sentences.append(against(cell, best, floor, f"the best floor, {floor.row}"))
    return sentences


def _compared(run: Run, cell: Cell) -> str:
    arms = [score.row for score in cell.pretrained]
    seeds = max((len(score.per_seed) for score in cell.pretrained), default=0)
    what = "One encoder" if len(arms) == 1 else f"{NUMERALS.get(len(arms), len(arms))} encoders"
    verb = "was" if len(arms) == 1 else "were"
    each = f", {plural(seeds, 'seed')} each" if seeds else ""
    return (
        f"{what} pre-trained without labels ({listing(arms)}{each}) {verb} judged on {cell.task}{_size(run, cell)},"
        f" by a {cell.probe} probe (input: {cell.input})."
    )


def _size(run: Run, cell: Cell) -> str:
    best = cell.pretrained[0]
    parts = []
    if names := run.classes.get(cell.task):
        parts.append(plural(len(names), "class"))
    if best.n_units:
        parts.append(plural(best.n_units, "test sample"))
    if best.n_groups and best.n_groups != best.n_units:
        parts.append(f"in {plural(best.n_groups, 'group')}")
    return f" ({', '.join(parts)})".replace(", in ", " in ") if parts else ""


def _against_second(cell: Cell) -> list[str]:
    if len(cell.pretrained) < 2:
        return []
    best, second = cell.pretrained[:2]
    pair = cell.pair(best.row, second.row)
    gap = f"{number(100 * (best.value - second.value))} points ahead of {second.row}, the next"
    if pair is None or pair.verdict == "untested":
        return [f"It is {gap}; that difference was not tested."]
    if pair.verdict == "tie":
        return [f"It is {gap}, but the two are not distinguishable ({evidence(pair)})."]
    return [f"It is {gap}, and the difference is distinguishable ({evidence(pair)})."]


def against(cell: Cell, best: Score, other: Score | None, what: str) -> str:
    """One sentence: the row against a floor or reference, with the evidence."""
    if other is None:
        return f"It was not compared with {what}."
    named = f"{what} ({percent(other.value)})"
    pair = cell.pair(best.row, other.row)
    if pair is None or pair.verdict == "untested":
        return f"Against {named} it has {points(best.value - other.value)} points; that difference was not tested."
    if pair.verdict == "tie":
        return f"It is not distinguishable from {named}: {points(pair.difference)} points ({evidence(pair)})."
    return f"It is {pair.verdict} than {named}: {points(pair.difference)} points ({evidence(pair)})."


def evidence(pair: Pair) -> str:
    """Interval and corrected p-value of a comparison, and what limits it."""
    limit = f"; {pair.note}" if pair.note else ""
    return f"95{NO_BREAK}% interval {difference_interval(pair.low, pair.high)}, {p_value(pair.p_holm)}{limit}"


def _not_evaluated(run: Run) -> str:
    trained = [name for name in run.arms if any(arm == name for arm, _ in run.logs)]
    if not trained:
        return "Nothing was pre-trained or evaluated in this run yet."
    return (
        f"{listing(trained)} {'was' if len(trained) == 1 else 'were'} pre-trained but not evaluated yet:"
        " nothing can be said about the worth of the features. A falling loss is no evidence."
    )


def _failures(run: Run) -> list[str]:
    failed = [stage for stage in run.stages if stage.get("status") == "failed"]
    sentences = [f"Failed: {listing([stage_name(stage) for stage in failed])}; see the notes."] if failed else []
    return [*sentences, "Files of the run cannot be read; see the notes."] if run.problems else sentences


def stage_name(stage: dict) -> str:
    """`pretrain of byol, seed 0`, or the stage alone."""
    name = str(stage.get("stage", "?"))
    if stage.get("arm") is not None:
        name += f" of {stage['arm']}"
    if stage.get("seed") is not None:
        name += f", seed {stage['seed']}"
    return name
