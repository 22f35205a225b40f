"""One HTML file of what a corpus check found and measured, with pictures; it opens without a network."""

from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from swath import __version__
from swath.corpus import Corpus, Section, info
from swath.corpus.checks import Chart, Gallery, Histogram, Lines, Offsets, worst_first
from swath.errors import CorpusError
from swath.products.draw import style
from swath.products.draw.pictures import Pictures, uri
from swath.products.pages import environment, write_page
from swath.products.words import plural

SHEET = 8
"""Number of locations with pictures at the end of the page."""
BINS = 24


def check_page(corpus: Corpus, sections: Sequence[Section], to: Path, locations: int) -> Path:
    """Write what a corpus check found and measured as one HTML file.

    Args:
        corpus: what was checked.
        sections: from `corpus.examine`.
        to: HTML file.
        locations: how many locations' pixels were read.

    Raises:
        CorpusError: the file cannot be written.
    """
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_page(to, render(corpus, sections, locations))
    except OSError as error:
        raise CorpusError(f"cannot write the page: {error.strerror}", where=str(to)) from error
    return to


def render(corpus: Corpus, sections: Sequence[Section], locations: int) -> str:
    """The page as HTML; the same text for the same corpus and findings."""
    findings = worst_first([finding for section in sections for finding in section.findings])
    with style.styled():
        shown = [_shown(number, section) for number, section in enumerate(sections)]
    return (
        environment()
        .get_template("check.html.j2")
        .render(
            name=corpus.path.resolve().name,
            facts=_facts(corpus),
            verdict=_verdict(findings),
            findings=findings,
            sections=shown,
            sheet=_sheet(corpus, findings),
            locations=locations,
            total=len(corpus),
            version=__version__,
        )
    )


def _facts(corpus: Corpus) -> list[tuple[str, Any]]:
    summary = info(corpus)["corpus"]
    return [(key, value) for key, value in summary.items() if key != "path"] if isinstance(summary, dict) else []


def _verdict(findings: Sequence[Any]) -> str:
    errors = sum(finding.level == "error" for finding in findings)
    if errors:
        return f"{plural(errors, 'error')}: do not train on this corpus before they are mended."
    if findings:
        return f"No errors, {plural(len(findings), 'warning')}."
    return "Nothing was found."


def _shown(number: int, section: Section) -> dict[str, Any]:
    galleries = [chart for chart in section.charts if isinstance(chart, Gallery)]
    drawn = [chart for chart in section.charts if not isinstance(chart, Gallery)]
    return {
        "id": f"kind-{number}",
        "title": section.title,
        "meaning": section.meaning,
        "findings": section.findings,
        "nothing": section.idle or "Nothing was found.",
        "columns": list(section.table[0]) if section.table else [],
        "rows": [["–" if value is None else value for value in row.values()] for row in section.table],
        "numeric": [_is_number(value) for value in section.table[0].values()] if section.table else [],
        "plots": [_inline(chart, f"plot-{number}-{i}") for i, chart in enumerate(drawn)],
        "galleries": [(one.title, [(caption, uri(pixels)) for caption, pixels in one.pictures]) for one in galleries],
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value[:1] in "+-0123456789" and value != "")


def _inline(chart: Chart, name: str) -> tuple[Markup, list[tuple[int, str]]]:
    figure, alt, legend = draw(chart)
    return style.svg(figure, name, alt), list(enumerate(legend)) if len(legend) > 1 else []


def _sheet(corpus: Corpus, findings: Sequence[Any]) -> list[tuple[list[Any], str]]:
    """Pictures of some locations, spread over the corpus; none where arrays are missing."""
    if any(finding.level == "error" and "array" in finding.what for finding in findings) or not len(corpus):
        return []
    rows = np.unique(np.linspace(0, len(corpus) - 1, min(SHEET, len(corpus))).astype(int))
    shots = Pictures(corpus).of([corpus.locations["uid"].iloc[row] for row in rows])
    return [(pictures, uid) for uid, pictures in shots.items()]


@singledispatch
def draw(chart: Any) -> tuple[Figure, str, list[str]]:
    """Draw a chart of a section, inside `style.styled`: the figure, a description in words, and the names of
    its series.
    """
    raise TypeError(type(chart))


@draw.register
def _(chart: Histogram) -> tuple[Figure, str, list[str]]:
    figure, axes = style.blank()
    joined = np.concatenate(list(chart.values.values()))
    edges = np.histogram_bin_edges(joined, bins=BINS)
    for i, values in enumerate(chart.values.values()):
        axes.hist(values, bins=list(edges), histtype="stepfilled", color=style.colour(i), alpha=0.6)
    axes.set_title(chart.title)
    axes.set_xlabel(chart.unit)
    axes.set_ylabel("count")
    alt = f"{chart.title}: {len(joined)} values, median {np.median(joined):.3g} {chart.unit}"
    return figure, alt, list(chart.values)


@draw.register
def _(chart: Lines) -> tuple[Figure, str, list[str]]:
    figure, axes = style.blank()
    for i, (x, y) in enumerate(chart.lines.values()):
        axes.plot(x, y, color=style.colour(i), marker="o", markersize=3, linewidth=1.2)
    axes.set_title(chart.title)
    axes.set_xlabel(chart.x_unit)
    axes.set_ylabel(chart.y_unit)
    return figure, chart.title, list(chart.lines)


@draw.register
def _(chart: Offsets) -> tuple[Figure, str, list[str]]:
    figure, axes = style.blank(height=style.WIDTH)
    down, right = chart.points.T
    axes.scatter(right, down, s=8, color=style.colour(0), alpha=0.5, linewidths=0)
    axes.scatter([chart.centre[1]], [chart.centre[0]], s=60, marker="+", color=style.INK)
    axes.add_patch(Circle((0, 0), chart.limit, fill=False, edgecolor=style.MUTED, linestyle="--"))
    reach = max(2.0, *np.abs(np.r_[chart.points.ravel(), chart.centre]).tolist()) * 1.1
    axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", title=chart.title)
    axes.set_xlabel(f"right, {chart.unit}")
    axes.set_ylabel(f"down, {chart.unit}")
    alt = f"{chart.title}: all together {chart.centre[0]:+.2f} down, {chart.centre[1]:+.2f} right ({chart.unit})"
    return figure, alt, []
