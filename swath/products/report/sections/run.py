"""What was run: recipe, machine, versions, times and stages."""

from collections.abc import Mapping
from typing import Any

from swath.products import words
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Run, seconds_in_all, stage_name


def content(material: Material) -> dict[str, Any]:
    """Facts, stages, and the resolved recipe."""
    run = material.run
    return {"facts": _facts(run), "executed": _executed(run), "recipe": run.recipe_text}


def _executed(run: Run) -> list[dict[str, str]]:
    return [
        {
            "name": stage_name(stage),
            "seconds": words.duration(stage.get("seconds")),
            "status": str(stage.get("status", "?")),
            "numbers": _numbers_of(stage),
        }
        for stage in run.stages
    ]


def _numbers_of(stage: Mapping[str, Any]) -> str:
    """The single numbers and words that a stage recorded; its tables and lists are in the manifest."""
    scalars = {k: v for k, v in (stage.get("figures") or {}).items() if isinstance(v, str | int | float)}
    return ", ".join(f"{k.replace('_', ' ')} {_scalar(v)}" for k, v in scalars.items())


def _scalar(value: str | float | int) -> str:
    if isinstance(value, str | bool):
        return str(value)
    return words.count(value) if isinstance(value, int) else words.significant(value)


def _facts(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    facts = {
        "Recipe": f"{run.recipe.get('name', run.name)} ({manifest.get('recipe_hash', 'no hash')})",
        "Seeds": ", ".join(str(seed) for seed in run.recipe.get("seeds") or []),
        "Started": str(manifest.get("created", "")),
        "Last change": str(manifest.get("updated", "")),
        "Time in all": words.duration(seconds_in_all(run.stages)) if run.stages else "",
        "Machine": ", ".join(f"{k} {v}" for k, v in (manifest.get("machine") or {}).items()),
        "Corpus": str((manifest.get("corpus") or {}).get("hash") or ""),
        "swath": str(manifest.get("swath_version", "")),
        "Libraries": ", ".join(f"{k} {v}" for k, v in (manifest.get("packages") or {}).items()),
    }
    return [(name, value) for name, value in facts.items() if value]


SECTION = Section("What was run", 80, content, beside(__file__))
