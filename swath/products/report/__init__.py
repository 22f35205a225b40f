"""One HTML file per run that says what was done and what came out, computed from the run's files alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from swath._files import write_whole
from swath.corpus import Corpus
from swath.corpus.labels.colours import class_colours
from swath.errors import SwathError
from swath.products import words
from swath.products.draw import charts
from swath.products.draw.pictures import Pictures
from swath.products.report import _evaluation, clouds
from swath.products.report._data_card import Card, card
from swath.products.tables.panels import Cell, band_of, cells, contrasts, headline_cell
from swath.products.tables.run import Run, load
from swath.training.config import Collapse

GAUGES = (
    ("loss", "Loss", "What the method minimises. Losses of different methods cannot be compared."),
    ("lr", "Learning rate", "As scheduled."),
    ("feature_std", "Feature std × √d", "Spread of the features on the unit sphere: 0 is collapsed, 0.3 to 1 healthy."),
    ("effective_rank", "Effective rank", "Over how many directions the features are spread."),
    ("knn", "k-NN accuracy", "Nearest neighbours on a small labelled set that is never learnt from."),
)


def report(run: Path) -> Path:
    """Write `report.html` into a run's folder.

    Stages that have not been executed yet are named as missing, those that failed with their reason.

    Returns:
        Path of the report.

    Raises:
        SwathError: there is no run at that path, or its manifest cannot be read.
    """
    target = Path(run) / "report.html"
    write_whole(target, render(load(Path(run))))
    return target


def require_run(folder: Path) -> None:
    """Raise SwathError unless a folder holds a run whose manifest can be read."""
    load(folder)


def render(run: Run) -> str:
    """The report as HTML; the same text for the same files."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("swath.products"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(_context(run))


def _context(run: Run) -> dict[str, Any]:
    problems = list(run.problems)
    corpus = _open_corpus(run, problems)
    all_cells = cells(run)
    first = headline_cell(all_cells)
    return {
        "run": run,
        "colours": len(charts.SERIES),
        "headline": words.headline(run, first, cells_in_all=len(all_cells)),
        "tiles": _evaluation.tiles(first) if first else [],
        "best": first.pretrained[0] if first else None,
        "best_value": words.percent(first.pretrained[0].value) if first else "",
        "metric": words.metric(first.metric) if first else "",
        "arms": run.arms,
        **_evaluated(run, all_cells, first, corpus, problems),
        **_pretraining(run),
        "card": _card(run, corpus, first, problems),
        "executed": _executed(run),
        "facts": _run_facts(run),
        "notes": _notes(run, all_cells, problems),
    }


def _open_corpus(run: Run, problems: list[str]) -> Corpus | None:
    if run.corpus_path is None:
        return None
    try:
        return Corpus.open(run.corpus_path)
    except SwathError as error:
        problems.append(f"The corpus cannot be opened: {error.what}")
        return None


def _card(run: Run, corpus: Corpus | None, first: Cell | None, problems: list[str]) -> Card | None:
    if corpus is None:
        return None
    try:
        return card(run, corpus, first.task if first else next(iter(run.recipe.get("tasks") or {}), None))
    except SwathError as error:
        problems.append(f"The corpus cannot be read: {error.what}")
        return None


def _evaluated(
    run: Run, all_cells: list[Cell], first: Cell | None, corpus: Corpus | None, problems: list[str]
) -> dict[str, Any]:
    shown = [cell for cell in all_cells if band_of(cell.input) is None and cell.ranked]
    shown.sort(key=lambda cell: cell != first)
    tables = [_evaluation.table(cell, run) for cell in shown]
    evaluated: dict[str, Any] = {
        "tables": tables,
        "band_wise": _evaluation.band_wise(all_cells, run.arms),
        "label_curves": _evaluation.label_curves(run, all_cells),
        "cloud_curves": clouds.cloud_curves(run, all_cells),
        "cloud_gains": clouds.cloud_gains(run, first),
        "contrasts": [_evaluation.table(cell, run) for cell in contrasts(run)],
    }
    return evaluated | _best_in_detail(run, first, corpus, problems)


def _best_in_detail(run: Run, first: Cell | None, corpus: Corpus | None, problems: list[str]) -> dict[str, Any]:
    """Confusion matrix and samples of the best encoder."""
    nothing: dict[str, Any] = dict.fromkeys(("wrong", "right", "worst_maps", "best_maps", "map_classes"), ())
    nothing |= {"confusion": None, "by_class": None}
    if first is None:
        return nothing
    best, classes = first.pretrained[0].row, run.classes.get(first.task, [])
    pictures = Pictures(corpus) if corpus else None
    try:
        predictions = run.predictions(*first.key, best)
        if predictions.empty:
            return nothing
        if run.target(first.task).get("rule") == "multi-label":
            return nothing | {"by_class": _evaluation.by_class(predictions, best, classes)}
        shown: dict[str, Any] = {"confusion": _evaluation.confusion(predictions, best, classes)}
        if not _evaluation.of_pixels(predictions):
            shown["wrong"], shown["right"] = _evaluation.samples(predictions, classes, pictures)
        elif len(maps := run.maps(*first.key, best)):
            shades = _shades(run, first.task, classes, corpus)
            shown["worst_maps"], shown["best_maps"] = _evaluation.map_samples(maps, shades, pictures)
            shown["map_classes"] = list(zip(shades, classes, strict=True))
    except (SwathError, OSError, ValueError, KeyError) as error:
        problems.append(f"The predictions cannot be shown: {error}")
        return nothing
    return nothing | shown


def _shades(run: Run, task: str, classes: Sequence[str], corpus: Corpus | None) -> list[str]:
    """Colour of each class: as the label layer's maps and previews have it."""
    layer = corpus.label_layers.get(str(run.target(task).get("layer"))) if corpus else None
    own = {layer.classes[code]: colour for code, colour in class_colours(layer).items()} if layer else {}
    return [own.get(name, charts.colour(i)) for i, name in enumerate(classes)]


def _pretraining(run: Run) -> dict[str, Any]:
    panels = [_panel(run, *gauge) for gauge in GAUGES]
    return {
        "panels": [panel for panel in panels if panel is not None],
        "trained": [_trained(run, arm) for arm in run.arms if any(a == arm for a, _ in run.logs)],
    }


def _panel(run: Run, column: str, title: str, meaning: str) -> tuple[Markup, str] | None:
    measured = {key: log for key, log in run.logs.items() if math.isfinite(_last(log, column))}
    if not measured:
        return None
    lines = [
        charts.Curve(run.arms.index(arm), log["step"].to_numpy(float), log[column].to_numpy(float))
        for (arm, _), log in measured.items()
    ]
    floor = _collapse_floor(run, column)
    with charts.styled():
        figure = charts.curves(title, lines, zone=(floor, "collapsed") if floor else None, share=column == "knn")
        return charts.svg(figure, f"curve-{column}", f"{title} over the steps. {_ends(measured, column)}"), meaning


def _collapse_floor(run: Run, column: str) -> float:
    """Below this a run is stopped as collapsed: the strictest of the arms' floors; 0 for gauges without one."""
    floors = [getattr(Collapse(), column, 0.0)]
    for arm in (run.recipe.get("arms") or {}).values():
        rule = ((arm or {}).get("training") or {}).get("collapse") or {}
        floors += [rule[column]] if column in rule else []
    return max(floors[1:] or floors)


def _ends(measured: Mapping[tuple[str, int], pd.DataFrame], column: str) -> str:
    ends = {}
    for (arm, _), log in measured.items():
        ends.setdefault(arm, []).append(_last(log, column))
    return "; ".join(f"{arm} ends at {sum(values) / len(values):.3g}" for arm, values in ends.items())


def _last(log: pd.DataFrame, column: str) -> float:
    values = log[column].to_numpy(float) if column in log else np.empty(0)
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else math.nan


def _trained(run: Run, arm: str) -> dict[str, str]:
    logs = [log for (name, _), log in run.logs.items() if name == arm]
    last = {
        name: _mean([_last(log, name) for log in logs]) for name in ("loss", "feature_std", "effective_rank", "knn")
    }
    seconds = [s.get("seconds") or 0.0 for s in run.stages if (s.get("stage"), s.get("arm")) == ("pretrain", arm)]
    return {
        "arm": arm,
        "shade": f"s{run.arms.index(arm) % len(charts.SERIES)}",
        "seeds": str(len(logs)),
        "steps": words.count(max(int(_or_zero(_last(log, "step"))) for log in logs)),
        "loss": _significant(last["loss"]),
        "feature_std": words.number(last["feature_std"], 2),
        "effective_rank": words.number(last["effective_rank"], 1),
        "knn": words.percent(last["knn"]),
        "seconds": words.duration(sum(seconds) if seconds else None),
    }


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _significant(value: float) -> str:
    return f"{value:.3g}".replace("-", words.MINUS) if math.isfinite(value) else words.DASH


def _executed(run: Run) -> list[dict[str, str]]:
    return [
        {
            "name": words.stage_name(stage),
            "seconds": words.duration(stage.get("seconds")),
            "status": str(stage.get("status", "?")),
            "figures": _figures_of(stage),
        }
        for stage in run.stages
    ]


def _figures_of(stage: Mapping[str, Any]) -> str:
    """The stage's scalar figures; tables and lists are in the manifest."""
    scalars = {k: v for k, v in (stage.get("figures") or {}).items() if isinstance(v, str | int | float)}
    return ", ".join(f"{k.replace('_', ' ')} {_scalar(v)}" for k, v in scalars.items())


def _scalar(value: str | float | int) -> str:
    if isinstance(value, str | bool):
        return str(value)
    return words.count(value) if isinstance(value, int) else _significant(value)


def _run_facts(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    facts = {
        "Recipe": f"{run.recipe.get('name', run.name)} ({manifest.get('recipe_hash', 'no hash')})",
        "Seeds": ", ".join(str(seed) for seed in run.recipe.get("seeds") or []),
        "Started": str(manifest.get("created", "")),
        "Last change": str(manifest.get("updated", "")),
        "Time in all": words.duration(words.in_all(run.stages)) if run.stages else "",
        "Machine": ", ".join(f"{k} {v}" for k, v in (manifest.get("machine") or {}).items()),
        "Corpus": str((manifest.get("corpus") or {}).get("hash") or ""),
        "swath": str(manifest.get("swath_version", "")),
        "Libraries": ", ".join(f"{k} {v}" for k, v in (manifest.get("packages") or {}).items()),
    }
    return [(name, value) for name, value in facts.items() if value]


def _notes(run: Run, all_cells: list[Cell], problems: list[str]) -> list[str]:
    """Everything that a reader must know before believing a table."""
    failed = [stage for stage in run.stages if stage.get("status") == "failed"]
    notes = [f"Failed: {words.stage_name(stage)}. {_reason(stage)}".strip() for stage in failed]
    if run.recipe.get("rotate"):
        notes.append("Each seed was pre-trained and tested on another fold; a round over all folds is one result.")
    if len(run.tasks):
        said = zip(run.tasks["task"], run.tasks["note"], strict=True)
        notes += [f"Task {task}: {note}." for task, note in said if note]
    for cell in all_cells:
        notes += [
            f"Left out: {s.row} on {_evaluation.title(cell)}: {s.note or 'no reason recorded'}" for s in cell.left_out
        ]
        noted = {s.row: s.note for s in cell.scores if s.note}
        notes += [f"{row} on {_evaluation.title(cell)}: {note}" for row, note in noted.items()]
    return [*dict.fromkeys(notes), *problems]


def _reason(stage: Mapping[str, Any]) -> str:
    stated = stage.get("figures") or {}
    return str(stated.get("error") or stated.get("reason") or "")
