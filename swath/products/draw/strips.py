"""One row's dot, interval and single trainings as a strip that fits in a table cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from swath.products.draw.style import markup
from swath.tasks.schema import RowValue

STRIP, PAD = 220, 14
"""Width of a strip and of the margins at its ends, in CSS pixels."""
STRIP_SPAN = 0.4
"""Range of a strip below its table's best value: differences at the top are what is asked about."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The common axis of a table's strips."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_share: bool = True
    """Whether ticks are written in percent."""

    @staticmethod
    def of(scores: Sequence[RowValue], *, is_share: bool = True) -> "Scale":
        """An axis with round ticks; of shares, what is far below the best value lies off it."""
        values = np.array([v for s in scores for v in (s.value, s.low, s.high, *s.per_seed)])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        low = max(low, high - STRIP_SPAN) if is_share else low
        ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high if high > low else low + 0.01)
        return Scale(float(ticks[0]), float(ticks[-1]), tuple(float(t) for t in ticks), is_share)

    def x(self, value: float) -> float:
        """Position in a strip's view box, 0..STRIP; what is off the axis stands at its end."""
        share = (value - self.low) / (self.high - self.low)
        return round(PAD + (STRIP - 2 * PAD) * float(np.clip(share, 0, 1)), 2)


def strip(score: RowValue, scale: Scale, shade: str, mark: float | None, alt: str) -> Markup:
    """One row's dot, interval and trainings as a strip that fits in a table cell; an arrow says that more is off it.

    Args:
        shade: CSS class that colours it.
        mark: where the best floor stands, as a dashed line; None for no line.
    """
    parts = [f'<path class="tick" d="M{scale.x(t)} 0V26"/>' for t in scale.ticks]
    if mark is not None and mark >= scale.low:
        parts.append(f'<path class="floorline" d="M{scale.x(mark)} 0V26"/>')
    parts += _marks(score, scale)
    head = f'<svg class="strip {shade}" role="img" aria-label="{escape(alt)}" viewBox="0 0 {STRIP} 26">'
    return markup(f"{head}{''.join(parts)}</svg>")


def _marks(score: RowValue, scale: Scale) -> list[str]:
    parts = []
    if np.isfinite([score.low, score.high]).all() and score.high > scale.low:
        parts.append(f'<path class="whisker" d="M{scale.x(score.low)} 13H{scale.x(score.high)}"/>')
    seeds = [value for value in score.per_seed if np.isfinite(value)] if len(score.per_seed) > 1 else []
    parts += [f'<circle class="seed" cx="{scale.x(v)}" cy="13" r="2.8"/>' for v in seeds if v >= scale.low]
    if score.value >= scale.low:
        parts.append(f'<circle class="dot" cx="{scale.x(score.value)}" cy="13" r="4.4"/>')
    # the axis ends above what is lowest, never below what is highest
    if min(v for v in (score.value, score.low, *seeds) if np.isfinite(v)) < scale.low:
        parts.append('<path class="dot" d="M4 13l8 -5v10z"/>')
    return parts


def strip_axis(scale: Scale) -> Markup:
    """The ticks' labels above the strips."""
    times = 100 if scale.is_share else 1
    labels = [f'<text x="{scale.x(t)}" y="12" text-anchor="middle">{times * t:.3g}</text>' for t in scale.ticks]
    return markup(f'<svg class="strip axis" aria-hidden="true" viewBox="0 0 {STRIP} 16">{"".join(labels)}</svg>')
