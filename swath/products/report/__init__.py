"""One HTML file per run that says what was done and what came out, computed from the run's files alone."""

from pathlib import Path

from markupsafe import Markup

from swath._files import write_whole
from swath.corpus import Corpus
from swath.errors import SwathError
from swath.products.pages import environment, template
from swath.products.report._verdicts import SYMBOLS
from swath.products.report.sections import Material, Section, all_sections
from swath.products.tables import Run, headline_panel, load, panels_of

__all__ = ["SYMBOLS", "Material", "Section", "all_sections", "render", "report", "require_run"]


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
    material = _material(run)
    # all contents first: the notes tell what any other section could not read
    contents = [(name, section, section.content(material)) for name, section in all_sections(material.problems).items()]
    parts = [
        (name, section, Markup(template(section.template).render(content)))  # noqa: S704 — the template escapes
        for name, section, content in contents
        if content is not None
    ]
    return environment().get_template("report.html.j2").render(run=run, parts=parts)


def _material(run: Run) -> Material:
    problems = list(run.problems)
    corpus, panels = _open_corpus(run, problems), panels_of(run)
    return Material(run, panels, headline_panel(panels), corpus, problems)


def _open_corpus(run: Run, problems: list[str]) -> Corpus | None:
    if run.corpus_path is None:
        return None
    try:
        return Corpus.open(run.corpus_path)
    except SwathError as error:
        problems.append(f"The corpus cannot be opened: {error.what}")
        return None
