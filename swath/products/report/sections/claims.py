"""What the experiment was made to show: each claim, what came of it, and what could not have been seen."""

from typing import Any

from swath.products.report._verdicts import SYMBOLS
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import claims_of, decided


def content(material: Material) -> dict[str, Any] | None:
    """A line for each claim; None where there is none."""
    claims = claims_of(material.run)
    return {"claims": claims, "decided": len(decided(claims)), "symbols": SYMBOLS} if claims else None


SECTION = Section("What was claimed", 15, content, beside(__file__), link="Claims")
