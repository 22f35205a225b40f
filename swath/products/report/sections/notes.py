"""Everything that a reader must know before believing a table: failures, what was left out, what cannot be read."""

from collections.abc import Mapping
from typing import Any

from swath.products.report.sections import Material, Section, beside
from swath.products.tables import left_out, remarks, stage_name


def content(material: Material) -> dict[str, Any]:
    """Notes from the run's tables, and the problems that all sections append to."""
    run = material.run
    failed = [stage for stage in run.stages if stage.get("status") == "failed"]
    notes = [f"Failed: {stage_name(stage)}. {_reason(stage)}".strip() for stage in failed]
    if run.recipe.get("rotate"):
        notes.append("Each seed was pre-trained and tested on another fold; a round over all folds is one result.")
    if len(run.tasks):
        notes += [
            f"Task {task}: {note}." for task, note in zip(run.tasks["task"], run.tasks["note"], strict=True) if note
        ]
    notes += [f"Left out: {line}" for line in left_out(material.panels)]
    notes += remarks(material.panels)
    return {"notes": list(dict.fromkeys(notes)), "problems": material.problems}


def _reason(stage: Mapping[str, Any]) -> str:
    stated = stage.get("figures") or {}
    return str(stated.get("error") or stated.get("reason") or "")


SECTION = Section("Notes and limits", 90, content, beside(__file__), link="Notes")
