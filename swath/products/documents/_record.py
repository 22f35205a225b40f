"""The record that a document keeps of a run: the numbers of its tables, rounded, as JSON beside the document."""

import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from swath.errors import SwathError
from swath.products.tables import Confirmation, Run, Sweep
from swath.sensors import declare

FORMAT = 3
"""Version of the record. Format 1 did not say what a row is, format 2 had no claims."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TABLE_COLUMNS = (
    *("task", "input", "probe", "row", "role", "of_arm", "metric", "value", "low", "high", "per_seed"),
    *("n_units", "n_groups", "note"),
)
_COMPARISON_COLUMNS = (
    *("task", "input", "probe", "a", "b", "difference", "low", "high", "p", "p_conditional", "p_t", "p_wilcoxon"),
    *("p_holm", "standing", "verdict", "n_pairs", "pairing", "test", "note"),
)
_CLAIM_COLUMNS = (
    *("task", "input", "probe", "better", "than", "metric", "difference", "low", "high", "p", "p_conditional"),
    *("p_holm", "verdict", "detectable", "trainings", "folds", "groups", "advice", "note"),
)
_TASK_COLUMNS = ("task", "fold", "classes", "train", "val", "test", "train_labels", "val_labels", "label")
_LEVEL_COLUMNS = ("task", "input", "probe", "row", "role", "of_arm", "metric", "cloud", "value", "low", "high")
_GAIN_COLUMNS = ("task", "input", "probe", "a", "b", "metric", "low_cloud", "difference", "low", "high")
_EFFECT_COLUMNS = (
    *("task", "input", "probe", "metric", "axis", "level", "other_axis", "other_level"),
    *("mean", "effect", "low", "high", "p", "arms", "note"),
)
_ARM_COLUMNS = ("arm", "task", "input", "probe", "metric", "value", "low", "high", "seconds", "samples")
_TABLES = ("claims", "tasks", "table", "comparisons", "cloud_levels", "cloud_gains", "effects", "arms")
_MANIFEST_KEYS = ("name", "swath_version", "created", "updated", "recipe_hash", "machine", "packages")
_RECIPE_KEYS = ("name", "description", "seeds")
_STAGE_KEYS = ("stage", "arm", "seed", "seconds", "jobs", "status")


def numbers_of(run: Run) -> dict[str, Any]:
    """The numbers of a run's tables, rounded, and what they were made with: as plain JSON.

    Raises:
        SwathError: the run is not evaluated, or its name cannot name a file.
    """
    if not NAME.fullmatch(run.name):
        raise SwathError(f"{run.name!r} cannot name a file", where=str(run.path), remedy="give the recipe another name")
    if run.table.empty:
        raise SwathError("the run is not evaluated", where=str(run.path), remedy="`swath evaluate` first")
    kept = {key: run.manifest[key] for key in _MANIFEST_KEYS if key in run.manifest}
    corpus = run.manifest.get("corpus") or {}
    kept |= {
        "name": run.name,
        "recipe": {key: run.recipe[key] for key in _RECIPE_KEYS if key in run.recipe}
        | {"arms": dict.fromkeys(run.arms)},
        "corpus": {key: corpus[key] for key in ("hash", "locations", "chips", "definitions") if corpus.get(key)},
        "stages": [{key: stage[key] for key in _STAGE_KEYS if key in stage} for stage in run.stages],
    }
    # of a sweep the effects are wanted, not each of its arms against all
    comparisons = run.comparisons if run.sweep is None else run.comparisons.iloc[:0]
    return {
        "format": FORMAT,
        "manifest": kept,
        "classes": run.classes,
        "claims": _rows(run.claims, _CLAIM_COLUMNS),
        "tasks": _rows(run.tasks, _TASK_COLUMNS + (("unit",) if any(map(run.unit, run.tasks["task"])) else ())),
        "table": _rows(run.table, _TABLE_COLUMNS),
        "comparisons": _rows(comparisons, _COMPARISON_COLUMNS),
        "cloud_levels": _rows(run.cloud_levels, _LEVEL_COLUMNS) if len(run.cloud_levels) else [],
        "cloud_gains": _rows(run.cloud_gains, _GAIN_COLUMNS) if len(run.cloud_gains) else [],
        **({} if run.sweep is None else _of_sweep(run.sweep)),
    }


def _of_sweep(sweep: Sweep) -> dict[str, Any]:
    found = sweep.confirmation
    return {
        "effects": _rows(sweep.effects, _EFFECT_COLUMNS),
        "arms": _rows(sweep.arms, _ARM_COLUMNS),
        "confirmation": None if found is None else {key: _plain(value) for key, value in asdict(found).items()},
    }


def _plain(value: Any) -> Any:
    return _rounded(value) if isinstance(value, float) else value


def _rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[list[Any]]:
    """The columns' names, then the rows."""
    values = frame[list(columns)].to_numpy(dtype=object)
    return [list(columns), *([_rounded(value) for value in row] for row in values)]


def dumped(content: dict[str, Any]) -> str:
    """JSON with one row of a table a line, so that a change of one number is a change of one line."""
    tables = {key: content[key] for key in _TABLES if content.get(key)}
    rest = json.dumps({k: v for k, v in content.items() if k not in tables}, indent=1, ensure_ascii=False)
    lines = [
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(r, ensure_ascii=False, allow_nan=False) for r in rows) + "\n ]"
        for key, rows in tables.items()
    ]
    return rest.removesuffix("\n}") + ",\n" + ",\n".join(lines) + "\n}\n"


def _rounded(value: Any) -> Any:
    """Six significant digits, far more than is shown; None for what is not a number."""
    if isinstance(value, tuple | list):
        return [_rounded(v) for v in value]
    if isinstance(value, str):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def restored(content: dict[str, Any]) -> Run:
    """The run as far as the record goes; its own sensors are declared, since tables name their bands."""
    declare(content["manifest"].get("corpus", {}).get("definitions") or {}, "the recorded run")
    table = _frame(content["table"])
    table["per_seed"] = [tuple(math.nan if v is None else v for v in values) for values in table["per_seed"]]
    return Run(
        path=Path(),
        manifest=content["manifest"],
        recipe_text="",
        logs={},
        table=table,
        comparisons=_with_roles(_frame(content["comparisons"]), table),
        cloud_levels=_frame(content["cloud_levels"]) if content.get("cloud_levels") else pd.DataFrame(),
        cloud_gains=_frame(content["cloud_gains"]) if content.get("cloud_gains") else pd.DataFrame(),
        classes=content["classes"],
        claims=_frame(content["claims"]),
        tasks=_frame(content["tasks"]),
        sweep=_sweep(content),
    )


def _sweep(content: dict[str, Any]) -> Sweep | None:
    if not content.get("effects"):
        return None
    found: dict[str, Any] | None = content["confirmation"]
    again = None if found is None else Confirmation(**{key: _known(value) for key, value in found.items()})
    return Sweep(_frame(content["effects"]), _frame(content["arms"]), again)


def _known(value: Any) -> Any:
    return math.nan if value is None else value


def _with_roles(comparisons: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Comparisons completed by the roles of both rows, which a record keeps in its table only."""
    roles: dict[str, list[str]] = {}
    for column in ("role", "of_arm"):
        known = dict(zip(table["row"], table[column], strict=True))
        roles |= {f"{column}_{side}": [known.get(row, "") for row in comparisons[side]] for side in ("a", "b")}
    return comparisons.assign(n_pairs=comparisons["n_pairs"].astype(int), **roles)


def _frame(rows: list[list[Any]]) -> pd.DataFrame:
    columns, *records = rows
    values = [[_known(value) for value in record] for record in records]
    return pd.DataFrame(values, columns=columns, dtype=object)
