"""A leaderboard as one HTML file in the report's style; it opens without a network."""

from typing import Any

import pandas as pd

from swath import __version__
from swath.products import words
from swath.products.draw import style
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.strips import Scale, strip, strip_axis
from swath.products.leaderboard import _words
from swath.products.leaderboard._answers import IN_WORDS
from swath.products.leaderboard._board import BoardPanel, Leaderboard, Part, RunComparison
from swath.products.leaderboard._efficiency import Efficiency
from swath.products.leaderboard._figures import label_curve, label_points, rank_diagram
from swath.products.pages import environment
from swath.products.report import SYMBOLS
from swath.products.tables import ROLES, VERDICTS, claims_of

OPEN = 3
"""Number of tables up to which all are unfolded."""


def render(board: Leaderboard) -> str:
    """The page; the same text for the same runs."""
    with style.styled():
        parts = [_part(number, part) for number, part in enumerate(board.parts)]
        diagram = _diagram(board)
    return (
        environment()
        .get_template("leaderboard.html.j2")
        .render(
            summary=_words.summary(board),
            runs=board.runs,
            parts=parts,
            diagram=diagram,
            ranks=_words.ranks(board),
            ranking=board.ranking,
            symbols=SYMBOLS,
            version=__version__,
        )
    )


def _part(number: int, part: Part) -> dict[str, Any]:
    return {
        "id": f"data-{number}",
        "name": part.data_set.name,
        "joined": _words.joined(part),
        "remarks": part.remarks,
        "answers": part.answers,
        "in_words": IN_WORDS,
        "panels": [_panel(panel) for panel in part.panels],
        "are_open": len(part.panels) <= OPEN,
        "comparisons": [_pair(pair) for pair in part.comparisons],
        "claims": [(entry.name, claims) for entry in part.data_set.entries if (claims := claims_of(entry.run))],
        "efficiency": [_efficiency(f"labels-{number}-{i}", one) for i, one in enumerate(part.efficiency)],
    }


def _panel(panel: BoardPanel) -> dict[str, Any]:
    scores = [score for _, score in panel.rows]
    scale = Scale.of(scores, is_share=words.is_share(panel.metric))
    arms = [line.row for line, _ in panel.rows if line.role == "pretrained"]
    rows = []
    for line, score in panel.rows:
        shade = f"s{arms.index(line.row) % len(style.SERIES)}" if line.row in arms else "s-floor"
        rows.append(
            {
                "line": line,
                "shade": shade,
                "about": f"{ROLES[line.role]} · {_words.trainings(line)}",
                "value": words.score(line.metric, line.value),
                "interval": words.score_interval(line.metric, line.low, line.high),
                "strip": strip(score, scale, shade, None, f"{line.row} of {line.run}: {_words.value(line)}"),
                "claims": _words.claims(line),
            }
        )
    first = panel.rows[0][0]
    noun = "labelled pixels" if first.label == "pixel" else "labels"
    return {
        "title": panel.title,
        "metric": words.metric_in_unit(panel.metric, panel.unit),
        "size": f"{first.labels:,.0f} {noun} to learn from; {first.units:,} test samples in {first.groups:,} groups",
        "axis": strip_axis(scale),
        "rows": rows,
    }


def _pair(pair: RunComparison) -> dict[str, Any]:
    result = pair.result
    return {
        "pair": pair,
        "word": VERDICTS[result.verdict],
        "difference": words.gain_with_unit(result.metric, result.difference, pair.unit),
        "interval": words.gain_interval(result.metric, result.low, result.high),
        "p": words.p_cell(result.p),
        "p_holm": words.p_cell(result.p_holm),
        "detectable": words.size(result.metric, result.detectable, pair.unit),
    }


def _efficiency(name: str, one: Efficiency) -> dict[str, Any]:
    arms = [score.row for score in one.family.panels[-1].pretrained]
    alt = f"{one.family.panels[0].metric} against labels: {one.title}, {one.run}"
    return {
        "title": f"{one.run}: {one.title}",
        "plot": drawn(label_curve(one, arms), name, alt, label_points(one)),
        "noun": _words.labels(one),
        "saved": [(saved, f"{saved.labels:,.0f}", _words.factor(saved)) for saved in one.saved],
        "crossings": [(crossing, _words.crossing(crossing)) for crossing in one.crossings],
        "note": one.note,
    }


def _diagram(board: Leaderboard) -> Drawn | None:
    if board.ranking is None:
        return None
    ranking = board.ranking
    data = pd.DataFrame({"row": list(ranking.rows), "average_rank": list(ranking.average)})
    return drawn(
        rank_diagram(ranking),
        "ranks",
        "average ranks with the critical difference",
        data.assign(critical_difference=ranking.critical_difference),
    )
