"""Each band alone through the same encoder, and what radar bands gain more than optical ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swath.products import words
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.style import INK, OPTICAL, RADAR, blank, metric_axis, shorten, styled
from swath.products.report._verdicts import pair_table
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Panel, band_of, contrasts, is_radar
from swath.sensors import Band
from swath.tasks.schema import RowValue


def content(material: Material) -> dict[str, Any] | None:
    """Charts and tables; None where the recipe asked for no band-wise probe."""
    shown = {
        "band_wise": band_wise(material.panels, material.run.arms),
        "contrasts": [pair_table(panel) for panel in contrasts(material.run)],
    }
    return shown if any(shown.values()) else None


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
    plots: list[Drawn]
    """One chart per pre-trained encoder, all with the same axis."""
    bands: list[str]
    rows: list[BandRow]


def band_wise(panels: Sequence[Panel], arms: Sequence[str]) -> list[BandWise]:
    """The band-wise probes by task and probe; encoders in the order of the arms."""
    groups: dict[tuple[str, str], list[tuple[Band, Panel]]] = {}
    for panel in panels:
        band = band_of(panel.input)
        if band is not None and panel.ranked:
            groups.setdefault((panel.task, panel.probe), []).append((band, panel))
    return [_bands(i, *key, members, arms) for i, (key, members) in enumerate(groups.items())]


def _bands(i: int, task: str, probe: str, members: list[tuple[Band, Panel]], arms: Sequence[str]) -> BandWise:
    members = sorted(members, key=lambda m: (is_radar(m[0]), m[0].centre_um or 0.0, m[0].name))
    scores = [score for _, panel in members for score in panel.ranked]
    roles = {score.row: score.role for score in scores}
    metric = words.metric(members[0][1].metric)
    pretrained = [arm for arm in arms if roles.get(arm) == "pretrained"]
    others = [row for row, role in roles.items() if role != "pretrained"]
    return BandWise(
        title=f"{task} · {probe} probe · {metric}",
        plots=[_band_plot(f"bands{i}-{n}", row, members, _limits(scores), metric) for n, row in enumerate(pretrained)],
        bands=[band.name for band, _ in members],
        rows=[_band_row(row, members) for row in [*pretrained, *others]],
    )


def _band_row(row: str, members: list[tuple[Band, Panel]]) -> BandRow:
    scores = [panel.score(row) for _, panel in members]
    return BandRow(
        name=row,
        values=[
            (words.score(s.metric, s.value), words.score_interval(s.metric, s.low, s.high)) if s else (words.DASH, "")
            for s in scores
        ],
        optical=_band_mean(row, members, radar=False),
        radar=_band_mean(row, members, radar=True),
    )


def _band_mean(row: str, members: list[tuple[Band, Panel]], *, radar: bool) -> str:
    scores = [panel.score(row) for band, panel in members if is_radar(band) == radar]
    known = [score for score in scores if score is not None]
    # a mean over some of the bands would not be comparable with the others
    if not known or len(known) < len(scores):
        return words.DASH
    return words.score(known[0].metric, float(np.mean([score.value for score in known])))


def _limits(scores: Sequence[RowValue]) -> tuple[float, float]:
    """Limits of a common axis. It begins at 0, as bars must; that of shares ends at a multiple of 5 points."""
    values = np.array([v for s in scores for v in (s.value, s.high)])
    highest = float(values[np.isfinite(values)].max())
    return 0.0, min(1.0, float(np.ceil(highest * 20 + 0.1)) / 20) if words.is_share(
        scores[0].metric
    ) else 1.05 * highest


def _band_plot(
    name: str, row: str, members: list[tuple[Band, Panel]], limits: tuple[float, float], metric: str
) -> Drawn:
    rows = [(band, panel.score(row), panel.twin(row)) for band, panel in members]
    scores = [(band, score, twin) for band, score, twin in rows if score is not None]
    described = ", ".join(f"{band.name} {words.score(score.metric, score.value)}" for band, score, _ in scores)
    with styled():
        figure = band_chart(shorten(row, 40), scores, limits)
        return drawn(figure, name, f"{metric} of {row} by band: {described}", _table(row, scores))


def _table(row: str, scores: Sequence[tuple[Band, RowValue, RowValue | None]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"row": row, "band": band.name, "value": score.value, "low": score.low, "high": score.high}
            | {"random_twin": twin.value if twin else None}
            for band, score, twin in scores
        ]
    )


def band_chart(
    title: str, scores: Sequence[tuple[Band, RowValue, RowValue | None]], limits: tuple[float, float]
) -> Figure:
    """One arm's result on each band alone: bar, 95 % interval, and a tick for its frozen random twin."""
    figure, axes = blank(height=0.7 + 0.24 * len(scores))
    for y, (band, score, twin) in enumerate(scores):
        shade = RADAR if is_radar(band) else OPTICAL
        axes.barh(y, score.value - limits[0], left=limits[0], height=0.66, color=shade, linewidth=0, alpha=0.85)
        if np.isfinite([score.low, score.high]).all():
            axes.plot([score.low, score.high], [y, y], color=INK, linewidth=1.1)
        if twin is not None:
            axes.plot([twin.value] * 2, [y - 0.42, y + 0.42], color=INK, linewidth=1.6)
    axes.set_yticks(range(len(scores)), [band.name for band, _, _ in scores])
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.grid(visible=False, axis="y")
    if scores:
        metric_axis(axes.xaxis, scores[0][1].metric)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(title)
    return figure


SECTION = Section("Band by band", 40, content, beside(__file__), link="Bands")
