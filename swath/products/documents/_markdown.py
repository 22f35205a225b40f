"""A run as Markdown, from the record that a document keeps of it and nothing else."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from swath.products import words
from swath.products.documents._cells import escape, markdown_table
from swath.products.documents._sweep import sweep_parts
from swath.products.tables import (
    ROLES,
    VERDICTS,
    ClaimInWords,
    Panel,
    Run,
    band_of,
    claims_in_short,
    claims_of,
    contrasts,
    headline_panel,
    judged,
    left_out,
    level_curves,
    level_gains,
    notes_by_text,
    panels_of,
    seconds_in_all,
)
from swath.tasks.schema import Comparison, RowValue


def render(run: Run, image: str | None = None, cloud_image: str | None = None) -> str:
    """A run's claims with their verdicts, then the tables of values.

    Args:
        run: as far as a document keeps it.
        image: address of a picture of the headline's comparison, as the document links it.
        cloud_image: the same of the first chart of painted clouds.
    """
    all_panels = panels_of(run)
    if run.sweep is not None:
        return "\n\n".join([*sweep_parts(run, run.sweep, image), _provenance(run, all_panels)]) + "\n"
    first = headline_panel(all_panels)
    parts = [escape(" ".join([*judged(run, first, panels_in_all=len(all_panels)), *claims_in_short(claims_of(run))]))]
    parts += _claims(claims_of(run))
    parts += _tasks(run, all_panels)
    if image and first is not None:
        parts.append(f"![{escape(first.title)}]({image})")
    shown = sorted((c for c in all_panels if c.ranked and band_of(c.input) is None), key=lambda panel: panel != first)
    parts += [_panel_table(panel) for panel in shown]
    parts += _cloud_parts(run, shown, cloud_image)
    parts += _band_tables(all_panels, run.arms)
    parts += [_exploratory(panel) for panel in [*shown, *contrasts(run)] if _beside_claims(panel)]
    parts += _left_out(all_panels)
    parts.append(_provenance(run, all_panels))
    return "\n\n".join(parts) + "\n"


def _claims(claims: Sequence[ClaimInWords]) -> list[str]:
    """The table of claims, and below it their notes and what would help."""
    if not claims:
        return []
    header = ["claimed to be better", "than", "on", "verdict", "difference", "95 % interval", "p", "p, Holm"]
    header += ["smallest that would have been seen", "design"]
    rows = [
        [
            *map(escape, (claim.better, claim.than, claim.where, claim.word, claim.difference, claim.interval)),
            *map(escape, (claim.p, claim.p_holm, claim.detectable, claim.design)),
        ]
        for claim in claims
    ]
    notes = [f"- {escape(_whose(about, claims))}: {escape(note)}" for note, about in notes_by_text(claims).items()]
    # a list, as a sentence in the last column of a wide table makes its rows as high as a page
    advice = [f"- {escape(_whose([claim], claims))}: {escape(claim.advice)}" for claim in claims if claim.advice]
    lists = ["What would help:", "\n".join(advice)] if advice else []
    return [
        f"**Claims**\n\n{markdown_table(header, rows, numeric_from=4)}",
        *(["\n".join(notes)] if notes else []),
        *lists,
    ]


def _whose(about: Sequence[ClaimInWords], claims: Sequence[ClaimInWords]) -> str:
    """Which claims a note is about."""
    if len(about) == len(claims):
        return "all claims"
    return "; ".join(f"{claim.better} than {claim.than}, {claim.where}" for claim in about)


def _tasks(run: Run, panels: Sequence[Panel]) -> list[str]:
    """What each task learns from and is tested on; with several folds, the mean of the training parts."""
    if run.tasks.empty:
        return []
    header = ["task", "labels to learn from", "to choose by", "tested locations", "in groups", "trainings of each row"]
    rows = []
    for task, part in run.tasks.groupby("task", sort=False):
        own = [panel for panel in panels if panel.task == task]
        noun = f"{part['label'].iloc[0]}s"
        of = {name: part[name].to_numpy(float) for name in ("train_labels", "val_labels", "test")}
        groups = next((score.n_groups for panel in own for score in panel.ranked), None)
        trained = words.trainings(max((panel.trainings for panel in own), default=0), run.folds(str(task)))
        labels = [f"{of[name].mean():,.0f} {noun}" for name in ("train_labels", "val_labels")]
        rows.append([*map(escape, (str(task), *labels, f"{of['test'].sum():,.0f}", words.count(groups), trained))])
    return [f"**Labels**\n\n{markdown_table(header, rows)}"]


def _panel_table(panel: Panel) -> str:
    header = ["encoder", "role", *(escape(panel.called(m)) for m in panel.metrics)]
    header += [f"{panel.unit or 'difference'} against random twin", "against scratch", "against best floor"]
    rows = [_panel_row(panel, score) for score in panel.ranked]
    return f"**{escape(panel.title)}**\n\n{markdown_table(header, rows, numeric_from=2)}"


def _panel_row(panel: Panel, score: RowValue) -> list[str]:
    scores = [panel.score(score.row, metric) for metric in panel.metrics]
    others = (panel.twin(score.row), panel.scratch(score.row), panel.best_floor())
    gains = [_gain(panel, score, other) if score.role == "pretrained" else "" for other in others]
    return [escape(score.row), ROLES[score.role], *map(_value, scores), *gains]


def _gain(panel: Panel, score: RowValue, other: RowValue | None) -> str:
    """The difference from another row, with a verdict if it is claimed."""
    if other is None:
        return words.DASH
    pair = panel.pair(score.row, other.row)
    gain = words.gain(panel.metric, pair.difference if pair else score.value - other.value)
    return gain if pair is None or pair.verdict == "untested" else f"{gain}, {VERDICTS[pair.verdict]}"


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
            *map(_value, _points(curves[s.row])),
        ]
        for s in panel.ranked
        if s.row in curves
    ]
    lines += [
        [
            escape(name),
            *(
                f"{words.gain(panel.metric, p.difference)} ({words.gain_interval(panel.metric, p.low, p.high)})"
                for p in _points(part)
            ),
        ]
        for name, part in level_gains(run, panel)
    ]
    return markdown_table(["row", *(f"{100 * level:g} % cloud" for level in levels)], lines)


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
    return f"{title}\n\n{markdown_table(['band', *map(escape, rows)], lines)}"


def _value(score: Any | None) -> str:
    """A value with its interval: of a `RowValue`, or of a line of a table that has the same names."""
    if score is None:
        return words.DASH
    interval = words.score_interval(score.metric, score.low, score.high)
    return f"{words.score(score.metric, score.value)} ({interval})"


def _beside_claims(panel: Panel) -> list[Comparison]:
    """Comparisons of pre-trained encoders that nobody claimed; all of them where nothing is scored (a contrast)."""
    arms = {score.row for score in panel.pretrained}
    return [
        pair
        for pair in panel.pairs
        if pair.standing == "exploratory" and (not panel.scores or {pair.a, pair.b} <= arms)
    ]


def _exploratory(panel: Panel) -> str:
    header = ["first", "second", "paired by", panel.unit or "difference", "95 % interval", "p, not corrected"]
    header += ["p, these networks alone", "p, t-test", "p, Wilcoxon", "pairs"]
    rows = [
        [
            *(escape(text) for text in (pair.a, pair.b, pair.pairing)),
            words.gain(panel.metric, pair.difference),
            words.gain_interval(panel.metric, pair.low, pair.high),
            *(words.p_cell(p) for p in (pair.p, pair.p_conditional, pair.p_t, pair.p_wilcoxon)),
            words.count(pair.n_pairs),
        ]
        for pair in _beside_claims(panel)
    ]
    title = f"{panel.title}: encoders against each other, exploratory, without a verdict"
    return f"**{escape(title)}**\n\n{markdown_table(header, rows, numeric_from=3)}"


def _left_out(panels: Sequence[Panel]) -> list[str]:
    """Rows without a result, one line for each reason."""
    lines = [f"- {escape(line)}" for line in left_out(panels)]
    return ["**Left out**\n\n" + "\n".join(lines)] if lines else []


def _provenance(run: Run, panels: Sequence[Panel]) -> str:
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
    return escape(f"{'; '.join(said)}. {_what_values_are(panels)}")


def _what_values_are(panels: Sequence[Panel]) -> str:
    """A sentence on how many trainings a value is the mean of, if it is one."""
    longest = max(panels, key=lambda panel: panel.trainings)
    made = words.trainings(longest.trainings, longest.folds)
    if longest.trainings > 1:
        return f"Values are means over the trainings ({made} at most), with 95 % intervals."
    return f"Values are of {made}, with 95 % intervals."
