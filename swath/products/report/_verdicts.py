"""Differences and their verdicts, ready to show: what several sections of the report have in common."""

from dataclasses import dataclass

from swath.products import words
from swath.products.tables import VERDICTS, Panel, evidence
from swath.tasks.schema import Comparison, RowValue, Verdict

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


def pair_table(panel: Panel) -> PairTable:
    """All comparisons of a panel."""
    return PairTable(panel.title, panel.unit, [_pair(panel.metric, pair) for pair in panel.pairs])


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
