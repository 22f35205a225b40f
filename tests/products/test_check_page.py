import re
from html.parser import HTMLParser

import numpy as np
import pytest
from typer.testing import CliRunner

from swath.cli import app
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, examine
from swath.corpus.checks import Chart, Finding, Gallery, Histogram, Lines, Offsets, Section
from swath.corpus.sources.synth import Config, build
from swath.errors import CorpusError
from swath.products.check_page import check_page, draw, render
from swath.products.draw import style
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX, make


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "corpus"
    build(Config(locations=9, chip_px=32, extent_km=10, dates_optical=2, dates_radar=2), path)
    return Corpus.open(path)


@pytest.fixture(scope="module")
def html(corpus):
    return render(corpus, examine(corpus), len(corpus))


class Checker(HTMLParser):
    """Every opened element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.images = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "img", "path", "use", "circle", "br"}:
            self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag):
        if tag not in {"path", "use", "circle"}:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass


def test_is_self_contained_and_well_formed(html):
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert checker.images
    assert all(image["src"].startswith("data:") and image["alt"] for image in checker.images)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    ids = re.findall(r"\bid=\"([^\"]+)\"", html)
    assert len(ids) == len(set(ids))


def test_every_kind_has_a_section(corpus, html):
    for section in examine(corpus):
        assert f">{section.title}</h2>" in html
    assert "Nothing was found." in html
    assert render(corpus, examine(corpus), len(corpus)) == html


def test_a_check_that_did_not_apply_says_so_and_praises_nothing(corpus, tmp_path):
    sections = [Section("Kind", "what", idle="No chip has a date."), Section("Other", "what")]
    page = render(corpus, sections, 9)
    kind, _, other = page.partition(">Other</h2>")
    assert "No chip has a date." in kind.partition(">Kind</h2>")[2]
    assert "Nothing was found." not in kind.partition(">Kind</h2>")[2]
    assert "Nothing was found." in other
    # one sensor, no labels, no clouds: every kind that compares says why it did not
    with CorpusWriter(tmp_path / "c", {OPTICAL: LAYOUTS[OPTICAL]}, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", OPTICAL, np.full((4, PX, PX), 900, np.uint16))]))
        idle = {section.title: section.idle for section in examine(writer.finish())}
    for title in ("Alignment", "Footprints", "Time between sensors", "Labels", "Clouds"):
        assert idle[title], title
    assert not idle["Copies"]


def test_findings_and_names_are_escaped(corpus):
    evil = Finding("error", "<script>alert(1)</script>", "a & b", "mend")
    page = render(corpus, [Section("Kind", "what", [evil], [{"x": "<i>", "y": None}])], 9)
    assert page.count("<script>") == 1  # our own
    assert "&lt;script&gt;" in page
    assert "1 error: do not train" in page
    assert "–" in page


@pytest.mark.parametrize(
    "chart",
    [
        Histogram("h", "days", {"a": np.arange(9.0), "b": np.zeros(3)}),
        Lines("l", "µm", "reflectance", {"a": (np.arange(3.0), np.arange(3.0))}),
        Offsets("o", "pixels", np.zeros((0, 2)), (0.5, -0.25), 0.75),
    ],
)
def test_charts_say_what_they_show(chart: Chart):
    with style.styled():
        figure, alt, series = draw(chart)
        assert chart.title in alt
        assert style.png(figure).startswith(b"\x89PNG")
    assert series in (["a", "b"], ["a"], [])


def test_an_unknown_chart_is_a_mistake():
    with pytest.raises(TypeError):
        draw(Gallery("g", []))


def test_command_line(tmp_path):
    make(tmp_path / "c")
    done = CliRunner().invoke(app, ["corpus", "check", str(tmp_path / "c"), "--to", str(tmp_path / "new" / "p.html")])
    assert done.exit_code == 0, done.output
    assert "corpus check" in (tmp_path / "new" / "p.html").read_text()
    for number, folder in enumerate((tmp_path / "c" / "labels").iterdir()):
        folder.rename(tmp_path / f"gone{number}")
    failed = CliRunner().invoke(app, ["corpus", "check", str(tmp_path / "c"), "--to", str(tmp_path / "p.html")])
    assert failed.exit_code == 1
    assert "the array of labels is missing" in (tmp_path / "p.html").read_text()


def test_strict_counts_warnings(tmp_path):
    corpus = make(tmp_path / "c")
    corpus.info.model_copy(update={"complete": False, "content_hash": None}).write(corpus.path)
    (tmp_path / "c" / "index").mkdir(exist_ok=True)
    relaxed, strict = (
        CliRunner().invoke(app, ["corpus", "check", str(tmp_path / "c"), *flag]).exit_code
        for flag in ([], ["--strict"])
    )
    assert (relaxed, strict) == (0, 1)


def test_a_page_that_cannot_be_written(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot write the page"):
        check_page(corpus, [], tmp_path / "file" / "page.html", 9)
