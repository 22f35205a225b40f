"""Sections of the report, one a module: what it needs of a run, its figure, and its template.

A module of this package, or one that an installed package offers by an entry point in the group `swath.sections`,
defines `SECTION`; its name is the section's anchor in the page. Sections stand in the order that they state: result 10,
claims 15, comparison 20, labels 30, bands 40, roc 45, mistakes 50, explained 52, calibration 55, robustness 58,
pretraining 60, representation 65, models 68, data 70, run 80, notes 90.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath import plugins
from swath.corpus import Corpus
from swath.errors import RecipeError
from swath.products.tables import Panel, Run

__all__ = ["Material", "Section", "all_sections", "beside"]


@dataclass(frozen=True)
class Material:
    """The parts of a run that a section may use."""

    run: Run
    panels: Sequence[Panel]
    """The evaluation's table by task, input and probe."""
    headline: Panel | None
    """The panel that the result in words speaks of; None where no pre-trained encoder was evaluated."""
    corpus: Corpus | None
    """The corpus; None where it is missing or cannot be opened."""
    problems: list[str]
    """What could not be read, in words. A section appends to it, and the notes show it."""


@dataclass(frozen=True)
class Section:
    """One part of the report: `SECTION` of a module in this package."""

    title: str
    order: int
    """Position: sections are shown in ascending order."""
    content: Callable[[Material], Mapping[str, Any] | None]
    """A function of the material that returns what the template shows, or None to leave the section out. What it holds
    by the name `files`, texts by names of files, is also written into the folder `cards` beside the page."""
    template: str
    """Jinja2 template without the section's heading; everything is escaped, and `macros` holds what sections share."""
    link: str = ""
    """Name in the page's navigation; the title if empty."""


def beside(module: str) -> str:
    """The template beside a section's module, `NAME.html.j2`; call it with `__file__`."""
    return Path(module).with_suffix(".html.j2").read_text(encoding="utf-8")


def all_sections(problems: list[str]) -> dict[str, Section]:
    """All sections by name, in their order: swath's own, and those of installed packages (group `swath.sections`).

    Args:
        problems: gets a line for each section that an installed package offers and that cannot be used.
    """
    known: dict[str, Section] = {}
    for name in plugins.names(__name__):
        try:
            known[name] = _section(name)
        except RecipeError as error:
            problems.append(f"The section {name} cannot be shown: {error.what}")
    return dict(sorted(known.items(), key=lambda item: (item[1].order, item[0])))


def _section(name: str) -> Section:
    section = vars(plugins.find(__name__, name)).get("SECTION")
    if not isinstance(section, Section):
        raise RecipeError(f"the module of {plugins.origins(__name__)[name]} defines no SECTION = Section(...)")
    return section
