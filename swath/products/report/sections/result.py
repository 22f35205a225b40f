"""The result in words, and the best encoder against what it must beat."""

from typing import Any

from swath.products import words
from swath.products.report._verdicts import Judgement, judgement
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Panel, headline


def content(material: Material) -> dict[str, Any]:
    """A headline, and tiles if anything was evaluated."""
    first = material.headline
    return {
        "headline": headline(material.run, first, panels_in_all=len(material.panels)),
        "best": first.pretrained[0] if first else None,
        "best_value": words.score(first.metric, first.pretrained[0].value) if first else "",
        "metric": words.metric(first.metric) if first else "",
        "tiles": tiles(first) if first else [],
    }


def tiles(panel: Panel) -> list[tuple[str, str, Judgement | None]]:
    """The best encoder against twin, scratch and best floor: the opponent's kind, its name, and the verdict."""
    best = panel.pretrained[0]
    others = (
        ("frozen random twin", panel.twin(best.row)),
        ("training from scratch", panel.scratch(best.row)),
        ("best floor", panel.best_floor()),
    )
    return [(role, other.row if other else "not run", judgement(panel, best, other)) for role, other in others]


SECTION = Section("Result in words", 10, content, beside(__file__), link="Result")
