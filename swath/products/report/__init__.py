"""One HTML file per run that says what was done and what came out, computed from the run's files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from swath._files import write_whole
from swath.corpus import Corpus
from swath.errors import SwathError
from swath.products.pages import environment, template, write_page
from swath.products.report._verdicts import SYMBOLS
from swath.products.report.sections import Material, Section, all_sections
from swath.products.tables import Run, headline_panel, load, panels_of

__all__ = ["SYMBOLS", "Material", "Section", "all_sections", "render", "report", "require_run"]


def report(run: Path) -> Path:
    """Write `report.html` into a run's folder, and the cards of its data and encoders as JSON into `cards` beside it.

    Stages that have not been executed yet are named as missing, those that failed with their reason.

    Returns:
        Path of the report.

    Raises:
        SwathError: there is no run at that path, its manifest cannot be read, or the page would be too large.
    """
    folder = Path(run)
    opened = load(folder)
    contents = _contents(opened)
    write_page(folder / "report.html", _page(opened, contents))
    for name, text in (item for _, _, content in contents for item in content.get("files", {}).items()):
        (folder / "cards").mkdir(exist_ok=True)
        write_whole(folder / "cards" / name, text)
    return folder / "report.html"


def require_run(folder: Path) -> None:
    """Raise SwathError unless a folder holds a run whose manifest can be read."""
    load(folder)


def render(run: Run) -> str:
    """The report as HTML; the same text for the same files."""
    return _page(run, _contents(run))


def _contents(run: Run) -> list[tuple[str, Section, Mapping[str, Any]]]:
    """What the sections show. All before anything is rendered: the notes tell what any other section could not read."""
    material = _material(run)
    found = [(name, section, section.content(material)) for name, section in all_sections(material.problems).items()]
    return [(name, section, content) for name, section, content in found if content is not None]


def _page(run: Run, contents: Sequence[tuple[str, Section, Mapping[str, Any]]]) -> str:
    parts = [
        (name, section, Markup(template(section.template).render(content)))  # noqa: S704 — the template escapes
        for name, section, content in contents
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
        corpus = Corpus.open(run.corpus_path)
    except SwathError as error:
        problems.append(f"The corpus cannot be opened: {error.what}")
        return None
    if (run.manifest.get("corpus") or {}).get("hash", corpus.content_hash) != corpus.content_hash:
        problems.append(
            f"The corpus in {run.corpus_path} is another than the one that this run was made on: nothing of it is shown"
        )
        return None
    return corpus
