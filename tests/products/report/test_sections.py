"""A section of the report is one file: it is found by its name, stands in its order, and can be left out."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from swath.products import report
from swath.products.report import Material, all_sections, sections
from swath.products.tables import headline_panel, load, panels_of

WEATHER = """
from swath.products.report.sections import Section


def content(material):
    if not material.panels:
        return None
    material.problems.append("the weather of 1823 is not known")
    return {"rows": [score.row for score in material.headline.ranked]}


TEMPLATE = "{% for row in rows %}<p>{{ row }} and rain</p>{% endfor %}{{ macros.missing('no <sun>') }}"
SECTION = Section("Weather", 25, content, TEMPLATE)
"""


@pytest.fixture
def weather(tmp_path, monkeypatch):
    """A section more: one file in the package's folder."""
    folder = tmp_path / "sections"
    folder.mkdir()
    (folder / "weather.py").write_text(WEATHER)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(folder)])
    yield
    sys.modules.pop("swath.products.report.sections.weather", None)


@pytest.mark.usefixtures("weather")
def test_one_file_adds_a_section(run):
    for drawn in ("corpus", "pretrain"):  # sections that are not looked at here
        shutil.rmtree(run / drawn)
    (run / "evaluate" / "predictions.parquet").unlink()
    html = report.render(load(run))
    assert '<h2 id="h-weather">Weather</h2>' in html
    assert html.index('<section id="comparison"') < html.index('<section id="weather"') < html.index('id="bands"')
    assert '<a href="#weather">Weather</a>' in html
    assert "<p>byol and rain</p>" in html
    assert "no &lt;sun&gt;" in html
    assert "the weather of 1823 is not known" in html[html.index('<section id="notes"') :]
    shutil.rmtree(run / "evaluate")
    assert "weather" not in report.render(load(run))


def test_the_section_in_the_documents_runs(run):
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    example = text.partition("## A section of your own")[2].partition("```python\n")[2].partition("```")[0]
    names = {}
    exec(example, names)
    opened = load(run)
    material = Material(opened, panels_of(opened), headline_panel(panels_of(opened)), None, [])
    shown = names["SECTION"].content(material)
    assert ("byol", 3) in shown["rows"]
    assert "<p>byol: 3 seeds</p>" in jinja2.Template(names["SECTION"].template, autoescape=True).render(shown)
    assert names["SECTION"].content(replace(material, headline=None)) is None


@pytest.mark.parametrize("text", ["SECTION = 5", "import nowhere_to_be_found"])
def test_a_section_of_a_package_that_cannot_be_used_becomes_a_note(text, tmp_path, monkeypatch):
    (tmp_path / "their_section.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[swath.sections]\nweather = their_section\n")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "name": "mine"}))
    html = report.render(load(tmp_path))
    assert "The section weather cannot be shown" in html[html.index('<section id="notes"') :]
    assert "theirs 1.0" in html
    sys.modules.pop("their_section", None)


def test_sections_stand_in_their_order_and_no_two_share_a_place():
    problems = []
    orders = [section.order for section in all_sections(problems).values()]
    assert not problems
    assert list(all_sections(problems)) == [
        *("result", "sweep", "claims", "comparison", "labels", "bands", "roc", "mistakes", "explained"),
        *("calibration", "robustness", "pretraining", "representation", "models", "data", "run", "notes"),
    ]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize("name", all_sections([]))
def test_every_section_is_shown_or_left_out_of_a_run_that_has_nothing_yet(name, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "name": "mine"}))
    html = report.render(load(tmp_path))
    shown = f'<section id="{name}"' in html
    empty = {"sweep", "claims", "labels", "bands", "roc", "explained", "calibration"}
    assert shown == (name not in empty | {"robustness", "representation", "models"})
    assert (f'href="#{name}"' in html) == shown
