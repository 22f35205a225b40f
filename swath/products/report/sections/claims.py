"""What the experiment was made to show: each claim, what came of it, and what could not have been seen."""

from collections.abc import Mapping
from typing import Any

from swath.products import words
from swath.products.report._verdicts import SYMBOLS
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import VERDICTS
from swath.tasks.schema import Verdict


def content(material: Material) -> dict[str, Any] | None:
    """A line for each claim; None where there is none."""
    lines = material.run.claims.to_dict("records")
    if not lines:
        return None
    decided = sum(line["verdict"] in ("better", "worse") for line in lines)
    return {"claims": [_claim(line) for line in lines], "decided": decided, "number": len(lines)}


def _claim(line: Mapping[str, Any]) -> dict[str, Any]:
    verdict: Verdict = line["verdict"]
    design = f"{line['groups']} groups, {words.plural(int(line['trainings']), 'training')}"
    if int(line["folds"]) > 1:
        design += f" of each of {line['folds']} folds"
    return {
        "where": f"{line['task']} · {line['input']} · {line['probe']}",
        "better": line["better"],
        "than": line["than"],
        "verdict": verdict,
        "symbol": SYMBOLS[verdict],
        "word": VERDICTS[verdict],
        "difference": words.points(line["difference"]),
        "interval": words.difference_interval(line["low"], line["high"]),
        "p": words.p_cell(line["p_holm"]),
        "conditional": words.p_cell(line["p_conditional"]),
        "detectable": words.points(line["detectable"]),
        "design": design,
        "said": "; ".join(filter(None, [line["advice"], line["note"]])),
    }


SECTION = Section("What was claimed", 15, content, beside(__file__), link="Claims")
