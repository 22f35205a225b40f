"""Numbers in words. Plain text: whoever writes it into a document escapes it."""

import math
from collections.abc import Sequence

from swath.errors import RecipeError
from swath.tasks import metrics

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def significant(value: float) -> str:
    """A number with three significant digits; an en dash where there is none."""
    return f"{value:.3g}".replace("-", MINUS) if math.isfinite(value) else DASH


def word(name: str) -> str:
    """A name of letters, digits, hyphens and underscores alone, as STAC wants those of classes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name) or "_"


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


def score(metric_name: str, value: float) -> str:
    """A metric's value as its record says: a share in percent, `81.2 %`, any other number as it is, `0.153`."""
    return percent(value) if is_share(metric_name) else significant(value)


def score_interval(metric_name: str, low: float, high: float) -> str:
    """The interval of a metric's value, likewise: `78.0–84.1`, or `0.141–0.167`."""
    if is_share(metric_name) or not (math.isfinite(low) and math.isfinite(high)):
        return interval(low, high)
    return f"{significant(low)}{DASH}{significant(high)}"


def gain(metric_name: str, value: float) -> str:
    """A signed difference of a metric: in percentage points of a share, `+12.3`; of any other number as it is."""
    return points(value) if is_share(metric_name) else _signed(value)


def gain_interval(metric_name: str, low: float, high: float) -> str:
    """The interval of a difference of a metric, likewise: `−1.2 to +3.3`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{gain(metric_name, low)} to {gain(metric_name, high)}"


def gain_with_unit(metric_name: str, value: float, target_unit: str = "") -> str:
    """A signed difference of a metric with its unit: `+12.3 points`, `-0.3 K`, or `+0.012`.

    Args:
        metric_name: as in recipes.
        value: of the difference.
        target_unit: of the numbers of a regression.
    """
    text = gain(metric_name, value)
    return text if text == DASH else f"{text} {unit(metric_name, target_unit)}".strip()


def size(metric_name: str, value: float, target_unit: str = "") -> str:
    """How large a difference of a metric is, with its unit: `3.1 points`, `0.3 K`, or `0.031`; args likewise."""
    return gain_with_unit(metric_name, value, target_unit).removeprefix("+")


def unit(metric_name: str, target_unit: str = "") -> str:
    """What differences of a metric are in: points of a share, a regression's own unit, or nothing; args likewise."""
    if is_share(metric_name):
        return "points"
    known = _metric(metric_name)
    return target_unit if known and known.unit == "target" else ""


def _signed(value: float) -> str:
    return f"+{significant(value)}" if value > 0 else significant(value)


def p_value(p: float) -> str:
    """A p-value with its letter: `p = 0.012`, or `p < 0.001`."""
    if not math.isfinite(p):
        return f"p{NO_BREAK}{DASH}"
    return f"p{NO_BREAK}<{NO_BREAK}0.001" if p < 0.001 else f"p{NO_BREAK}={NO_BREAK}{p:.3f}"


def p_cell(p: float) -> str:
    """The p-value as a table has it, without the letter: `0.012`, `< 0.001`."""
    return p_value(p).removeprefix(f"p{NO_BREAK}").removeprefix(f"={NO_BREAK}")


def count(value: int | None) -> str:
    """An integer with thousands separated: `12,345`."""
    return DASH if value is None else f"{value:,}"


def duration(seconds: float | int | None) -> str:
    """A time in words: `8 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    rounded = round(seconds)
    if rounded < 60:
        return f"{seconds:.1f}{NO_BREAK}s" if seconds < 10 else f"{rounded}{NO_BREAK}s"
    if rounded < 3600:
        return f"{rounded // 60}{NO_BREAK}min {rounded % 60:02d}{NO_BREAK}s"
    return f"{rounded // 3600}{NO_BREAK}h {rounded % 3600 // 60:02d}{NO_BREAK}min"


def metric(name: str) -> str:
    """How a metric is called in a sentence: by its own label, or by its name where it is not known here."""
    known = _metric(name)
    return known.label if known else name.replace("_", " ")


def metric_in_unit(name: str, target_unit: str) -> str:
    """How a metric is called over a column or beside an axis: `RMSE (K)`, `accuracy`."""
    own = "" if is_share(name) else unit(name, target_unit)
    return f"{metric(name)} ({own})" if own else metric(name)


def is_share(name: str) -> bool:
    """Whether a metric is a share of 1, which is shown in percent; one that is not known here counts as such."""
    known = _metric(name)
    return known is None or known.unit == "share"


def lower_is_better(name: str) -> bool:
    """Whether small values of a metric are good, which they are of none that is not known here."""
    known = _metric(name)
    return known is not None and known.better == "lower"


def _metric(name: str) -> metrics.Metric | None:
    try:
        return metrics.find(name)
    except RecipeError:  # a table may be of a run with a metric that is not installed here
        return None


def listing(names: Sequence[str]) -> str:
    """Names as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def trainings(number: int, folds: int) -> str:
    """How many trainings stand behind a value: `3 trainings`, or `1 training in each of 5 folds`."""
    return plural(number, "training") + (f" in each of {folds} folds" if folds > 1 else "")


def plural(n: int, noun: str) -> str:
    """A number and its noun: `1 group`, `3 groups`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}es" if noun.endswith("s") else f"{n:,} {noun}s"


def class_name(names: Sequence[str], code: int) -> str:
    """The class's name, or its number where it has none."""
    return names[code] if 0 <= code < len(names) else f"class {code}"
