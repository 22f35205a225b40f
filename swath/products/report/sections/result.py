"""The result in words, and the best encoder against what it must beat."""

from typing import Any

from swath.products import words
from swath.products.report._verdicts import Judgement, judgement
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Panel, claims_in_short, claims_of, failures, judged, outcome


def content(material: Material) -> dict[str, Any]:
    """What was judged, what came of the claims, how the best encoder did, and tiles if anything was evaluated."""
    first, run = material.headline, material.run
    claimed, *decided = claims_in_short(claims_of(run)) if first else [""]
    compared, *others = judged(run, first, panels_in_all=len(material.panels))
    return {
        "said": [sentence for sentence in (compared, claimed) if sentence],
        "decided": decided,
        "outcome": [*(outcome(first) if first else ()), *others, *failures(run)],
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
