"""Differences and their verdicts, ready to show: what several sections of the report have in common."""

import math
from dataclasses import dataclass

import numpy as np

from swath.products import words
from swath.products.tables import VERDICTS, Panel, evidence
from swath.tasks.schema import Comparison, RowValue, Verdict

MOST_PAIRS = 100
"""Largest number of comparisons of a panel in the page: of two hundred rows there are twenty thousand."""
SYMBOLS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "tie": "≈", "untested": "·"}


@dataclass(frozen=True)
class Judgement:
    """A verdict against one other row, ready to show."""

    verdict: Verdict
    symbol: str
    word: str
    gain: str
    """Signed difference, in percentage points of a share."""
    unit: str
    """`points`, or nothing where the metric is no share."""
    title: str
    """The evidence in words, shown on hovering."""


def judgement(panel: Panel, score: RowValue, other: RowValue | None) -> Judgement | None:
    """The verdict of a panel on one row against another; None where there is no other."""
    if other is None:
        return None
    pair = panel.pair(score.row, other.row)
    verdict: Verdict = pair.verdict if pair else "untested"
    said = evidence(panel, pair) if pair else "no test in the tables"
    return Judgement(
        verdict=verdict,
        symbol=SYMBOLS[verdict],
        word=VERDICTS[verdict],
        gain=words.gain(panel.metric, pair.difference if pair else score.value - other.value),
        unit=panel.unit,
        title=f"against {other.row}: {said}",
    )


@dataclass(frozen=True)
class PairTable:
    """Comparisons of two rows each, ready for the template's `pair_table`."""

    title: str
    unit: str
    """`points`, or nothing where the metric is no share."""
    pairs: list[dict[str, str]]
    left_out: int = 0
    """How many more there are."""


def pair_table(panel: Panel) -> PairTable:
    """The comparisons of a panel; of very many the claims, and then those of the smallest p."""
    first = sorted(panel.pairs, key=lambda pair: (not math.isfinite(pair.p_holm), np.nan_to_num(pair.p, nan=1.0)))
    shown = {(pair.a, pair.b, pair.pairing) for pair in first[:MOST_PAIRS]}
    pairs = [_pair(panel.metric, pair) for pair in panel.pairs if (pair.a, pair.b, pair.pairing) in shown]
    return PairTable(panel.title, panel.unit, pairs, len(panel.pairs) - len(pairs))


def _pair(metric: str, pair: Comparison) -> dict[str, str]:
    return {
        "a": pair.a,
        "b": pair.b,
        "difference": words.gain(metric, pair.difference),
        "interval": words.gain_interval(metric, pair.low, pair.high),
        "p": words.p_cell(pair.p),
        "p_t": words.p_cell(pair.p_t),
        "p_wilcoxon": words.p_cell(pair.p_wilcoxon),
        "p_holm": words.p_cell(pair.p_holm),
        "verdict": pair.verdict,
        "word": VERDICTS[pair.verdict],
        "n_pairs": words.count(pair.n_pairs),
        "pairing": " ".join(filter(None, [pair.pairing, f"({pair.test})" if pair.test else "", pair.note])),
    }
