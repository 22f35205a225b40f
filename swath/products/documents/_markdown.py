"""A run as Markdown, from what a document keeps of it and nothing else."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from swath.products import words
from swath.products.tables import (
    ROLES,
    VERDICTS,
    Pair,
    Panel,
    Run,
    Score,
    band_of,
    contrasts,
    headline,
    headline_panel,
    left_out,
    level_curves,
    level_gains,
    outcome,
    panels_of,
    seconds_in_all,
)


def render(run: Run, image: str | None = None, cloud_image: str | None = None) -> str:
    """A run's tables, and what they mean in words.

    Args:
        run: as far as a document keeps it.
        image: address of a picture of the headline's comparison, as the document links it.
        cloud_image: the same of the first chart of painted clouds.
    """
    all_panels = panels_of(run)
    first = headline_panel(all_panels)
    parts = [escape(" ".join(headline(run, first, panels_in_all=len(all_panels))))]
    if image and first is not None:
        parts.append(f"![{escape(first.title)}]({image})")
    shown = sorted((c for c in all_panels if c.ranked and band_of(c.input) is None), key=lambda panel: panel != first)
    for panel in shown:
        parts += [_panel_table(panel), *([] if panel == first else [escape(" ".join(outcome(panel)))])]
    parts += _cloud_parts(run, shown, cloud_image)
    parts += _band_tables(all_panels, run.arms)
    parts += [_arm_pairs(panel) for panel in [*shown, *contrasts(run)] if _between_arms(panel)]
    parts += _left_out(all_panels)
    parts.append(_provenance(run))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text as Markdown shows it letter by letter, in a table cell too."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|{}])", r"\\\1", text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> str:
    rule = ["---" if i < numeric_from else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _panel_table(panel: Panel) -> str:
    header = ["encoder", "role", *(escape(words.metric(m)) for m in panel.metrics)]
    header += ["points against random twin", "against scratch", "against best floor"]
    rows = [_panel_row(panel, score) for score in panel.ranked]
    return f"**{escape(panel.title)}**\n\n{_table(header, rows, numeric_from=2)}"


def _panel_row(panel: Panel, score: Score) -> list[str]:
    scores = [panel.score(score.row, metric) for metric in panel.metrics]
    values = [f"{words.percent(s.value)} ({words.interval(s.low, s.high)})" if s else words.DASH for s in scores]
    others = (panel.twin(score.row), panel.scratch(score.row), panel.best_floor())
    verdicts = [_verdict(panel, score, other) if score.role == "pretrained" else "" for other in others]
    return [escape(score.row), ROLES[score.role], *values, *verdicts]


def _verdict(panel: Panel, score: Score, other: Score | None) -> str:
    if other is None:
        return words.DASH
    pair = panel.pair(score.row, other.row)
    if pair is None:
        return f"{words.points(score.value - other.value)}, not tested"
    return f"{words.points(pair.difference)}, {VERDICTS[pair.verdict]}"


def _cloud_parts(run: Run, shown: Sequence[Panel], image: str | None) -> list[str]:
    """The chart of painted clouds, and a table for each input that they change."""
    parts = [f"![Under painted clouds]({image})"] if image else []
    for panel in shown:
        curves = level_curves(run, panel)
        title = f"{panel.title}: {words.metric(panel.metric)} under painted clouds"
        if curves and all(part["value"].nunique() == 1 for part in curves.values()):
            parts.append(f"{escape(title)}: as above at every level, since no band of it sees clouds.")
        elif curves:
            parts.append(f"**{escape(title)}**\n\n{_cloud_table(run, panel, curves)}")
    return parts


def _cloud_table(run: Run, panel: Panel, curves: dict[str, pd.DataFrame]) -> str:
    levels = next(iter(curves.values()))["cloud"]
    lines = [
        [
            escape(s.row),
            *(f"{words.percent(p.value)} ({words.interval(p.low, p.high)})" for p in _points(curves[s.row])),
        ]
        for s in panel.ranked
        if s.row in curves
    ]
    lines += [
        [
            escape(name),
            *(f"{words.points(p.difference)} ({words.difference_interval(p.low, p.high)})" for p in _points(part)),
        ]
        for name, part in level_gains(run, panel)
    ]
    return _table(["row", *(f"{100 * level:g} % cloud" for level in levels)], lines)


def _points(part: pd.DataFrame) -> list[Any]:
    return list(part.itertuples(index=False))


def _band_tables(all_panels: Sequence[Panel], arms: Sequence[str]) -> list[str]:
    """Rows are bands, columns encoders; one table per task and probe."""
    groups: dict[tuple[str, str], list[Panel]] = {}
    for panel in all_panels:
        if panel.ranked and band_of(panel.input) is not None:
            groups.setdefault((panel.task, panel.probe), []).append(panel)
    return [_band_table(*key, members, arms) for key, members in groups.items()]


def _band_table(task: str, probe: str, members: Sequence[Panel], arms: Sequence[str]) -> str:
    present = list(dict.fromkeys(score.row for panel in members for score in panel.ranked))
    rows = [*(arm for arm in arms if arm in present), *(row for row in present if row not in arms)]
    lines = [[escape(panel.input), *(_value(panel.score(row)) for row in rows)] for panel in members]
    metric = words.metric(members[0].metric)
    title = f"**{escape(f'{task} · each band alone · {probe} probe · {metric}')}**"
    return f"{title}\n\n{_table(['band', *map(escape, rows)], lines)}"


def _value(score: Score | None) -> str:
    return f"{words.percent(score.value)} ({words.interval(score.low, score.high)})" if score else words.DASH


def _between_arms(panel: Panel) -> list[Pair]:
    """Comparisons of pre-trained encoders with each other; all of them where nothing is scored (a contrast)."""
    arms = {score.row for score in panel.pretrained}
    return [pair for pair in panel.pairs if not panel.scores or {pair.a, pair.b} <= arms]


def _arm_pairs(panel: Panel) -> str:
    header = ["first", "second", "verdict on the first", "paired by", "points", "95 % interval"]
    header += ["p, Holm", "p, t-test", "p, Wilcoxon", "pairs"]
    rows = [
        [
            *(escape(text) for text in (pair.a, pair.b, VERDICTS[pair.verdict], pair.pairing)),
            words.points(pair.difference),
            words.difference_interval(pair.low, pair.high),
            *(words.p_cell(p) for p in (pair.p_holm, pair.p_t, pair.p_wilcoxon)),
            words.count(pair.n_pairs),
        ]
        for pair in _between_arms(panel)
    ]
    return f"**{escape(panel.title)}: encoders against each other**\n\n{_table(header, rows, numeric_from=4)}"


def _left_out(panels: Sequence[Panel]) -> list[str]:
    """Rows without a result, one line for each reason."""
    lines = [f"- {escape(line)}" for line in left_out(panels)]
    return ["**Left out**\n\n" + "\n".join(lines)] if lines else []


def _provenance(run: Run) -> str:
    manifest = run.manifest
    machine = manifest.get("machine") or {}
    corpus = manifest.get("corpus") or {}
    said = [
        f"Recipe {run.recipe.get('name', run.name)} ({manifest.get('recipe_hash', 'no hash')})",
        f"seeds {words.listing([str(seed) for seed in run.recipe.get('seeds') or []]) or 'not recorded'}",
        f"corpus {str(corpus.get('hash', 'not recorded'))[:16]}",
        f"swath {manifest.get('swath_version', '?')}, {str(manifest.get('updated', ''))[:10]}",
        f"{words.duration(seconds_in_all(run.stages))} on {machine.get('cores', '?')} cores of "
        f"{machine.get('cpu', 'an unknown machine')} ({machine.get('device', '?')})",
    ]
    return escape("; ".join(said) + ". Values are means over the seeds with 95 % bootstrap intervals over groups.")
