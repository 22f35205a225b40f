"""The page in a real browser: looking, finding, labelling, refitting, exporting, by mouse and keyboard, on a phone."""

import base64
import os
import signal
import subprocess
import sys
import threading

import geopandas as gpd
import numpy as np
import pytest

from benchmarks._chromium import BINARY, Page
from swath.products.embeddings import build_index
from swath.products.explore import Explorer, Server
from tests.products.indices import make_squares, saved

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="Chromium is not there")]

EVIL = "<img src=x onerror=window.harmed=1>"
PLACE = "map.toScreen(map.xy[2 * ROW], map.xy[2 * ROW + 1])"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Twelve squares, their encoder, and their embeddings."""
    folder = tmp_path_factory.mktemp("page")
    make_squares(folder / "corpus")
    saved(folder / "encoder")
    return build_index(folder / "encoder", folder / "corpus", folder / "x.parquet").path


@pytest.fixture
def shown(index, tmp_path):
    """An explorer, and its page on a desk."""
    with Explorer.open(index, tmp_path / "labels.jsonl") as explorer, Server(explorer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Page(1200, 800) as page:
            loaded(page, server.address)
            yield explorer, page
        server.shutdown()


def loaded(page, address):
    page.open(address)
    page.until("document.getElementById('status')?.textContent === 'Ready'")
    page.value("import('./app.js').then((one) => { Object.assign(window, one) })")
    page.until("Boolean(map.boxes)")


def where(page, row):
    """A row's place in the window."""
    x, y = page.value(PLACE.replace("ROW", str(row)))
    left, top = page.value("(({left, top}) => [left, top])(map.element.getBoundingClientRect())")
    return left + x, top + y


def fill(page, field, text, button):
    page.value(f"document.getElementById('{field}').value = {text!r}")
    page.value(f"document.querySelector('{button}').click()")


def choose(page, row):
    page.click(*where(page, row))
    page.until(f"page.row === {row} && page.similar !== null && map.marked.length > 0")


def text(page, part):
    return page.value(f"document.getElementById('{part}').textContent")


def test_a_session(shown):
    explorer, page = shown
    rows = len(explorer.index)
    assert f"{rows} embeddings" in text(page, "name")
    # the page holds what the index does
    assert page.value("Array.from(map.xy)") == explorer.layout.xy.astype(np.float32).ravel().tolist()
    # a click chooses: all dates, neighbours, similarity
    choose(page, 4)
    uid = explorer.index.table["uid"].iloc[4]
    assert text(page, "location").startswith(uid)
    near = explorer.near(4)
    assert page.value("page.near.map((one) => one.row)") == near.rows.tolist()
    vectors = explorer.index.stored.decode(slice(None)).astype(float)
    cosines = (vectors @ vectors[4]) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[4])
    np.testing.assert_allclose(page.value("Array.from(page.similar)"), cosines, atol=1e-5)
    page.until("document.querySelectorAll('#chips img').length === 2")
    page.until("[...document.querySelectorAll('#chips img')].every((one) => one.complete && one.naturalWidth === 8)")
    # classes, with HTML in a name that stays text
    fill(page, "class", "water", "#declare button")
    page.until("page.classes.length === 1")
    fill(page, "class", EVIL, "#declare button")
    page.until("page.classes.length === 2")
    assert page.value("[...document.querySelectorAll('#classes .name')].map((one) => one.textContent)") == [
        "water",
        EVIL,
    ]
    assert not page.value("document.querySelectorAll('#classes img').length || window.harmed")
    # by click, by key, and what is found by its id
    page.value("document.querySelector('#classes button').click()")
    page.until("page.labels[4] === 0")
    fill(page, "text", explorer.index.table["uid"].iloc[9], "#find button")
    page.until("page.row === 9 && document.activeElement === map.element")
    page.press("2")
    page.until("page.predicted !== null && page.queue.length > 0")
    assert explorer.labels.given.tolist() == [{4: 0, 9: 1}.get(row, -1) for row in range(rows)]
    predicted = explorer.predict()
    assert page.value("Array.from(page.predicted.classes)") == predicted.classes.tolist()
    assert page.value("page.queue.map((one) => one.row)") == explorer.suggestions().tolist()
    page.press("n")
    first = explorer.suggestions()[0]
    page.until(f"page.row === {first}")
    # a polygon by click around one location, in the middle of the map; then taken back
    page.press("Home")
    page.value("new Promise(requestAnimationFrame)")
    x, y = where(page, 6)
    side = abs(where(page, 7)[0] - x) / 2 or abs(where(page, 7)[1] - y) / 2
    page.press("p")
    for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        page.click(x + 0.8 * side * dx, y + 0.8 * side * dy)
    page.until("map.corners.length === 4")
    before = explorer.labels.given.copy()
    page.press("1")
    page.until("!map.drawing")
    changed = np.flatnonzero(explorer.labels.given != before)
    assert changed.tolist() == [6]
    assert len(explorer.labels.polygons) == 1
    page.press("u")
    page.until("page.labels[6] === 255")
    assert (explorer.labels.given == before).all()
    # every way to colour the map, and what is exported
    for mode in ("similar", "predicted", "entropy", "labels"):
        page.value(f"document.getElementById('mode').value = '{mode}'")
        page.value("document.getElementById('mode').dispatchEvent(new Event('change'))")
        assert page.value("new Set(map.colours).size") > 1, mode
    page.until("page.predicted !== null")
    sizes = (
        "Promise.all([...document.querySelectorAll('[download]')].filter((one) => !one.href.includes('polygons'))"
        ".map(async (one) => (await (await fetch(one.href)).blob()).size))"
    )
    assert min(page.value(sizes)) > 1000
    assert page.errors == []


def test_the_keyboard_alone_and_a_phone(shown):
    explorer, page = shown
    page.resize(390, 844)
    page.until("map.width > 0 && map.width <= 390")
    assert page.value("document.documentElement.scrollWidth") <= 390
    smallest = (
        "Math.min(...[...document.querySelectorAll('button, input, select')]"
        ".map((one) => one.getBoundingClientRect().height))"
    )
    assert page.value(smallest) >= 24
    page.press("/")
    assert page.value("document.activeElement.id") == "text"
    fill(page, "class", "water", "#declare button")
    page.until("page.classes.length === 1")
    page.value("map.element.focus()")
    before = page.value("[...map.centre, map.scale]")
    for key in ("ArrowRight", "ArrowUp", "+"):
        page.press(key)
    now = page.value("[...map.centre, map.scale]")
    assert all(after > was for after, was in zip(now, before, strict=True))
    page.press("Home")
    assert page.value("map.centre") == pytest.approx(before[:2])
    page.press("Enter")
    page.until("page.row >= 0 && page.similar !== null")
    row = page.value("page.row")
    middle = np.array(page.value("map.centre"))
    apart = np.hypot(*((explorer.layout.xy - middle) * [page.value("map.narrow"), 1]).T)
    assert apart[row] == pytest.approx(apart.min(), abs=1e-6)
    page.press("1")
    page.until(f"page.labels[{row}] === 0")
    page.press("0")
    page.until(f"page.labels[{row}] === 255")
    page.press("u")
    page.until(f"page.labels[{row}] === 0")
    page.press("2")  # no such class
    page.press("p")
    page.press("Enter")
    page.press("1")
    page.until("document.getElementById('status').classList.contains('wrong')")
    assert "three corners" in text(page, "status")
    page.press("Escape")
    assert explorer.labels.counts == [1]


def test_nothing_is_lost_when_the_process_is_killed(index, tmp_path):
    labels = tmp_path / "labels.jsonl"
    command = [sys.executable, "-m", "swath", "explore", str(index), "--labels", str(labels), "--classes", "a,b"]
    for round_ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = process.stdout.readline().strip()
            with Page(1200, 800, dark=True) as page:
                loaded(page, address)
                if round_ == 0:
                    for row, key in ((2, "1"), (8, "2"), (10, "2")):
                        choose(page, row)
                        page.press(key)
                        page.until(f"page.labels[{row}] === {int(key) - 1}")
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    page.press("1")
                    page.until("document.getElementById('status').textContent.includes('does not answer')")
                given = page.value("Array.from(page.labels)")
                assert [(row, label) for row, label in enumerate(given) if label != 255] == [(2, 0), (8, 1), (10, 1)]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    with Explorer.open(index, labels) as explorer:
        table = gpd.read_file(explorer.write_labels(tmp_path / "labels.gpkg"))
    assert table["class"].tolist() == ["a", "b", "b"]


SEND = """(() => {
  const held = new DataTransfer()
  held.items.add(new File([Uint8Array.from(atob("BYTES"), (c) => c.charCodeAt(0))], "NAME"))
  document.getElementById("file").files = held.files
  document.querySelector("#open button").click()
})()"""


def test_a_file_of_labels_is_opened_from_the_page(shown, tmp_path):
    explorer, page = shown
    shapes = gpd.GeoDataFrame(
        {"class": ["wet", EVIL]}, geometry=explorer.index.table.geometry.iloc[[2, 5]].to_list(), crs=4326
    )
    shapes.to_file(tmp_path / "fields.gpkg")
    sent = base64.b64encode((tmp_path / "fields.gpkg").read_bytes()).decode()
    page.value(SEND.replace("BYTES", base64.b64encode(b"nothing").decode()).replace("NAME", "bad.gpkg"))
    page.until("document.getElementById('status').textContent.includes('it is no GPKG file')")
    assert page.value("document.getElementById('status').classList.contains('wrong')")
    page.value(SEND.replace("BYTES", sent).replace("NAME", "fields.gpkg"))
    page.until("document.getElementById('status').textContent === '2 locations have labels of fields.gpkg'")
    assert page.value("page.labels[2] !== 255 && page.labels[5] !== 255 && page.predicted !== null")
    assert page.value("page.classes.map((one) => one.name)") == sorted([EVIL, "wet"])
    assert page.value("window.harmed === undefined")
    assert sorted(np.flatnonzero(explorer.labels.given >= 0)) == [2, 5]
    page.value("page.mostBytes = 5")
    page.value(SEND.replace("BYTES", sent).replace("NAME", "fields.gpkg"))
    page.until("document.getElementById('status').textContent.includes('the page takes 0')")
    (refused,) = page.errors  # the browser's own note of the first file
    assert "status of 400" in refused


def test_another_sites_page_sees_nothing(shown):
    """A page of another origin can neither read nor change anything."""
    explorer, page = shown
    explorer.declare_missing(["a"])
    address = page.value("location.href")
    page.open("about:blank")
    script = f"fetch({address + 'state'!r}).then(() => 'read', () => 'refused')"
    assert page.value(script) == "refused"
    post = f"fetch({address + 'undo'!r}, {{method: 'POST', mode: 'no-cors', body: '{{}}'}}).then(() => 1, () => 1)"
    page.value(post)
    assert explorer.labels.acts == 1
    page.errors.clear()
