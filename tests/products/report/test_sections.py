"""A section of the report is one file: it is found by its name, stands in its order, and can be left out."""

import json
import shutil
import sys

import pytest

from swath.products import report
from swath.products.report import all_sections, sections
from swath.products.tables import load

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
    shutil.rmtree(run / "corpus")
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


def test_sections_stand_in_their_order_and_no_two_share_a_place():
    orders = [section.order for section in all_sections().values()]
    assert list(all_sections()) == [
        *("result", "comparison", "labels", "bands", "mistakes", "pretraining", "data", "run", "notes")
    ]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize("name", all_sections())
def test_every_section_is_shown_or_left_out_of_a_run_that_has_nothing_yet(name, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "name": "mine"}))
    html = report.render(load(tmp_path))
    shown = f'<section id="{name}"' in html
    assert shown == (name not in {"labels", "bands"})
    assert (f'href="#{name}"' in html) == shown
