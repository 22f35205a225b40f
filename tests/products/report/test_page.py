"""The report in a real browser: accessible, sorted by mouse and keyboard, figures enlarged and saved, on a phone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks._chromium import BINARY, Page
from swath.corpus import Corpus, examine
from swath.corpus.checks import Finding, Gallery, Histogram, Lines, Offsets, Section
from swath.corpus.sources import synth
from swath.products import leaderboard
from swath.products.check_page import check_page
from swath.products.report import report
from tests.products.leaderboard.test_leaderboard import make

AXE = Path(__file__).parents[3] / "build" / "axe-core" / "axe.min.js"
EVIL = "<img src=x onerror=window.harmed=1><script>window.harmed=1</script>"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="Chromium is not there: make setup-browser")]


@pytest.fixture(scope="module")
def written(finished_run, tmp_path_factory):
    """The report of a run whose classes and rows have HTML in their names."""
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("page") / "fields")
    (run / "evaluate" / "classes.json").write_text(json.dumps({"land-cover": [f"{EVIL}{i}" for i in range(5)]}))
    for name in ("table.csv", "comparisons.csv", "claims.csv"):
        path = run / "evaluate" / name
        table = pd.read_csv(path)
        table.replace("moco-v2", EVIL).to_csv(path, index=False)
    return report(run)


def opened(page, path):
    page.open(path.as_uri())
    page.until("document.readyState === 'complete' && Boolean(document.querySelector('dialog'))")
    return page


@pytest.fixture(scope="module")
def browser():
    with Page(1280, 900) as page:
        yield page


@pytest.fixture
def shown(browser, written):
    browser.resize(1280, 900)
    return opened(browser, written)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: make setup-browser")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_passes_an_automated_accessibility_check(browser, written, width, scheme):
    browser.resize(width, 900)
    seen(browser, scheme)
    page = opened(browser, written)
    for part, passes in (("document", 20), ("document.querySelector('dialog')", 5)):
        assert audited(page, part) >= passes
        page.value("document.querySelector('figure .tools button').click()")
    seen(browser, "light")
    assert page.errors == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: make setup-browser")
def test_a_leaderboard_passes_it_too(browser, tmp_path):
    runs = [make(tmp_path / "a", seeds=(0, 1, 2)), make(tmp_path / "b", seeds=(3, 4, 5))]
    path = leaderboard.write(leaderboard.compare(runs), tmp_path / "page.html")
    browser.resize(1280, 900)
    page = opened(browser, path)
    audited(page)
    assert page.value("document.querySelectorAll('button.sort').length") > 10
    assert page.errors == []


def audited(page, part="document"):
    """Have axe-core, which must find nothing, look at a part of an unfolded page; how many rules that passes."""
    page.value("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.value(f"{AXE.read_text(encoding='utf-8')}; 1")
    violations, passes = page.value(f"axe.run({part}).then((found) => [found.violations, found.passes.length])")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []
    return passes


def seen(page, scheme, media=""):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", media=media, features=features)


def test_names_stay_text_and_no_other_script_runs(shown):
    assert shown.value("document.body.textContent").count(EVIL) > 5
    assert not shown.value("Boolean(window.harmed) || document.querySelectorAll('img[src=x]').length > 0")
    # what no template does: even a script that got into the page is refused
    shown.value(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.harmed = 1'}))"
    )
    assert not shown.value("Boolean(window.harmed)")
    assert len(shown.errors) == 1
    assert "Content Security Policy" in shown.errors[0]
    shown.errors.clear()


def column(page, table, i):
    cells = f"[...document.querySelector('{table}').tBodies[0].rows].map((row) => row.cells[{i}])"
    return page.value(f"{cells}.map((cell) => (cell.querySelector('b') ?? cell.firstChild ?? cell).textContent)")


def number(text):
    return float(re.sub(r"[^\d.<−-]", "", text).replace("−", "-").replace("<", "-") or "nan")


def test_tables_are_sorted_by_mouse_and_keyboard(shown):
    table = "#comparison table.compare"
    heads = shown.value(f"[...document.querySelector('{table}').tHead.rows[0].cells].map((one) => one.textContent)")
    value = next(i for i, head in enumerate(heads) if head.startswith("accuracy"))
    state = f"document.querySelector('{table}').tHead.rows[0].cells[{value}].getAttribute('aria-sort')"
    as_written = column(shown, table, value)
    assert shown.value(state) is None
    focus = f"document.querySelector('{table}').tHead.rows[0].cells[{value}].querySelector('button').focus()"
    shown.value(focus)
    for direction in ("descending", "ascending"):
        shown.press("Enter")
        assert shown.value(state) == direction
        expected = sorted(as_written, key=number, reverse=direction == "descending")
        assert column(shown, table, value) == expected
        assert expected != as_written or direction == "ascending"
    shown.press("Enter")
    assert shown.value(state) is None
    assert column(shown, table, value) == as_written
    # by name, with the mouse; only one column has an order
    shown.value(f"document.querySelector('{table} th button').click()")
    names = shown.value(
        f"[...document.querySelector('{table}').tBodies[0].rows].map((row) => row.cells[0].textContent)"
    )
    assert names == sorted(names, key=str.casefold)
    assert shown.value(f"document.querySelectorAll('{table} [aria-sort]').length") == 1


def test_numbers_are_ordered_as_numbers(shown):
    """Minus signs, thousands, `< 0.001`, times, and dashes last both ways."""
    texts = ["0.12", "< 0.001", "–", "0.002", "−1.5", "1,234", "+2.2 points"]
    script = (
        "(() => {const t = document.createElement('table'); t.innerHTML = '<tbody></tbody>';"
        f"for (const text of {json.dumps(texts)}) t.tBodies[0].insertRow().insertCell().textContent = text;"
        "return [false, true].map((down) => ordered([...t.tBodies[0].rows], 0, down).map((row) => row.textContent))})()"
    )
    up, down = shown.value(script)
    assert up == ["−1.5", "< 0.001", "0.002", "0.12", "+2.2 points", "1,234", "–"]
    assert down == [*up[-2::-1], "–"]
    times = ["8 s", "1 h 05 min", "3 min 20 s", "59\N{NO-BREAK SPACE}s"]
    assert shown.value(f"{json.dumps(times)}.map((one) => asNumber(one.replace(/\\u00a0/g, ' ')))") == [
        8,
        3900,
        200,
        59,
    ]


def test_figures_are_enlarged_and_saved(shown):
    shown.value("document.querySelector('#pretraining figure .tools button').focus()")
    shown.press("Enter")
    assert shown.value("document.querySelector('dialog').open")
    assert shown.value("document.querySelector('dialog h2').textContent").startswith("Loss over the steps")
    before = shown.value("document.querySelector('.view svg').getBoundingClientRect().width")
    shown.press("+")
    assert shown.value("document.querySelector('.view svg').getBoundingClientRect().width") == pytest.approx(
        1.5 * before, rel=1e-3
    )
    shown.press("Escape")
    shown.until("!document.querySelector('dialog').open")
    assert shown.value("document.activeElement.textContent") == "Enlarge"
    # an SVG that stands alone: no variable of the page, and whole XML
    text = shown.value("saved(document.querySelector('#pretraining svg.plot')).text()")
    assert "var(" not in text
    assert "#0072b2" in text
    parsed = f"new DOMParser().parseFromString({json.dumps(text)}, 'image/svg+xml')"
    assert shown.value(f"{parsed}.documentElement.tagName") == "svg"
    assert shown.value(f"{parsed}.querySelectorAll('parsererror').length") == 0


def test_on_a_phone_the_list_sorts_and_nothing_overflows(browser, written):
    browser.resize(390, 844)
    page = opened(browser, written)
    wide = "[...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, nav, pre, .sr'))"
    wide += ".filter((one) => one.getBoundingClientRect().right > 391).map((one) => one.outerHTML.slice(0, 200))"
    assert page.value(wide) == []
    assert page.value("document.documentElement.scrollWidth") <= 390
    list_ = "document.querySelector('#comparison .sortby select')"
    page.value(f"{list_}.value = '1 ascending'; {list_}.dispatchEvent(new Event('change'))")
    values = column(page, "#comparison table.compare", 1)
    assert values == sorted(values, key=number)
    smallest = (
        "Math.min(...[...document.querySelectorAll('button, select')]"
        ".filter((one) => one.tabIndex === 0 && one.checkVisibility())"
        ".map((one) => one.getBoundingClientRect().height))"
    )
    assert page.value(smallest) >= 24
    assert page.errors == []


def test_a_page_of_two_hundred_rows_is_sorted_and_filtered(finished_run, tmp_path, browser):
    run = shutil.copytree(finished_run, tmp_path / "fields")
    shutil.rmtree(run / "corpus")
    table = pd.read_csv(run / "evaluate" / "table.csv")
    table = table[(table["input"] == "all bands") & (table["probe"] == "linear")]
    own = table[table["row"] == "byol"]
    many = [
        own.assign(row=f"network {i:03d}", value=own["value"] - 0.7 * (i * 37 % 200) / 200, role="reference")
        for i in range(200 - table.dropna(subset=["value"])["row"].nunique())
    ]
    pd.concat([table, *many]).to_csv(run / "evaluate" / "table.csv", index=False)
    path = report(run)
    assert path.stat().st_size < 10_000_000
    page = opened(browser, path)
    rows = "[...document.querySelector('#comparison table.compare').tBodies[0].rows]"
    assert page.value(f"{rows}.length") == 200
    page.value("document.querySelector('#comparison th.num button').click()")
    values = column(page, "#comparison table.compare", 1)
    assert values == sorted(values, key=number, reverse=True)
    field = "document.querySelector('#comparison input[type=search]')"
    page.value(f"{field}.value = 'network 03'; {field}.dispatchEvent(new Event('input'))")
    shown = page.value(
        f"{rows}.filter((row) => !row.hidden).map((row) => row.cells[0].firstChild.nextSibling.textContent)"
    )
    assert sorted(shown) == [f"network {i:03d}" for i in range(30, 40)]
    assert page.value("document.querySelector('#comparison [role=status]').textContent") == "10 of 200 rows"
    # the head stays in sight, and the table's own box is what scrolls
    box = "document.querySelector('#comparison .scroll').getBoundingClientRect().height"
    page.value(f"{field}.value = ''; {field}.dispatchEvent(new Event('input'))")
    assert page.value(box) <= 0.86 * 900


def test_paper_has_everything_unfolded_and_no_buttons(shown):
    folded = shown.value("document.querySelectorAll('details:not([open])').length")
    assert folded > 0
    shown.value("dispatchEvent(new Event('beforeprint'))")
    assert shown.value("document.querySelectorAll('details:not([open])').length") == 0
    shown.value("dispatchEvent(new Event('afterprint'))")
    assert shown.value("document.querySelectorAll('details:not([open])').length") == folded
    seen(shown, "dark", "print")
    assert shown.value("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert shown.value("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()") == "#1b1f23"
    seen(shown, "light")


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The page of a corpus check: findings, all kinds of charts, pictures, and a table of 200 rows."""
    folder = tmp_path_factory.mktemp("checked")
    synth.build(synth.Config(locations=9, chip_px=32, extent_km=10, dates_optical=2, dates_radar=2), folder / "corpus")
    corpus, rng = Corpus.open(folder / "corpus"), np.random.default_rng(0)
    charts = [
        Histogram("Days apart", "days", {"a": rng.random(40), "b": rng.random(40)}),
        Lines("Spectra", "µm", "reflectance", {"a": (np.arange(3.0), np.arange(3.0))}),
        Offsets("Shifts", "pixels", rng.normal(size=(30, 2)), (0.5, -0.25), 0.75),
        Gallery("Pictures", [("first", np.zeros((16, 16, 3), np.uint8))]),
    ]
    findings = [Finding(level, f"{EVIL} {level}", "location a", "mend it") for level in ("error", "warning")]
    many = [{"location": f"place {i:03d}", "shift": float(i * 37 % 200), "note": None} for i in range(200)]
    sections = [*examine(corpus), Section("Many", "what two hundred rows look like", findings, many, charts)]
    return check_page(corpus, sections, folder / "page.html", len(corpus))


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: make setup-browser")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_corpus_check_passes_it_too(browser, checked, width, scheme):
    browser.resize(width, 900)
    seen(browser, scheme)
    page = opened(browser, checked)
    assert audited(page) >= 20
    assert page.value("document.documentElement.scrollWidth") <= width
    assert not page.value("Boolean(window.harmed)")
    seen(browser, "light")
    assert page.errors == []


def test_two_hundred_rows_of_a_corpus_check_are_sorted_and_filtered_by_keyboard(browser, checked):
    browser.resize(390, 844)
    page = opened(browser, checked)
    section = "[...document.querySelectorAll('section')].find((one) => one.querySelector('h2').textContent === 'Many')"
    page.value(f"{section}.id = 'many'; 1")
    assert page.value("document.querySelector('#many details').open") is False
    page.value("document.querySelector('#many summary').focus()")
    page.press("Enter")
    assert page.value("document.querySelector('#many details').open")
    # Tab leads from the fold to what is in it, and everything that it reaches can be seen to have the focus
    page.press("Tab")
    assert page.value("Boolean(document.activeElement.closest('#many details'))")
    browser.resize(1280, 900)
    page.value("document.querySelector('#many th.num button').focus()")
    page.press("Enter")
    values = column(page, "#many table", 1)
    assert [float(value) for value in values] == sorted((float(i) for i in range(200)), reverse=True)
    field = "document.querySelector('#many input[type=search]')"
    page.value(f"{field}.value = 'place 03'; {field}.dispatchEvent(new Event('input'))")
    assert page.value("document.querySelector('#many [role=status]').textContent") == "10 of 200 rows"
    assert page.errors == []
