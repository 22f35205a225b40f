"""The server answers this machine's page alone, and what it answers is what the explorer says."""

import http.client
import json
import re
import socket
import threading
from importlib.resources import files

import geopandas as gpd
import numpy as np
import pytest
import shapely

from swath.errors import SwathError
from swath.products.explore import Server
from tests.products.explore.made import NORTH, ROWS, SIDE, WEST, box, made

PAGE = files("swath.products.explore") / "page"


@pytest.fixture
def server(tmp_path):
    with made(tmp_path) as explorer, Server(explorer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, body=None, token=None, method=None, **headers):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} if data is not None else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/{server.token if token is None else token}/{path}"
    connection.request(method or ("GET" if data is None else "POST"), path, data, given)
    answer = connection.getresponse()
    said = answer.status, answer.headers, answer.read()
    connection.close()
    return said


def test_who_is_answered(server):
    host = f"127.0.0.1:{server.server_port}"
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://{host}/{server.token}/"
    assert len(server.token) >= 32
    assert ask(server, "state")[0] == 200
    assert ask(server, "state", Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0] == 200
    refused = [
        ask(server, "state", token="a"),
        ask(server, "state", token=""),
        ask(server, "state", token="%C3%A9"),
        ask(server, "state", Host="localhost.attacker.example"),
        ask(server, "state", Host=f"evil.example:{server.server_port}"),
        ask(server, "state", Origin="http://evil.example"),
        ask(server, "state", Origin="null"),
        ask(server, "state", Origin=f"http://localhost:{server.server_port}"),
        ask(server, "", Sec_Fetch_Site="cross-site"),
        ask(server, "undo", {}, Origin="http://evil.example"),
    ]
    assert [status for status, *_ in refused] == [403] * len(refused)
    assert not any(server.token.encode() in body for *_, body in refused)
    assert ask(server, "undo", method="OPTIONS")[0] == 501


def test_the_page_may_load_nothing_from_elsewhere(server):
    status, headers, body = ask(server, "")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    linked = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
    for name in [*linked, "map.js", "land.json"]:
        assert ask(server, name)[0] == (400 if name.startswith(("predictions.", "polygons.")) else 200), name
    for text in ((PAGE / name).read_text() for name in ("index.html", "app.js", "map.js", "style.css")):
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)


@pytest.mark.parametrize("path", ["../__init__.py", "%2e%2e/__init__.py", "land.LICENSE.txt", "x", "//etc/passwd"])
def test_nothing_else_is_there(server, path):
    assert ask(server, path)[0] == 404


def test_what_the_page_is_told(server):
    explorer = server.explorer
    state = json.loads(ask(server, "state")[2])
    assert [one["name"] for one in state["classes"]] == ["water", "forest", "<b>crop</b>"]
    assert (state["rows"], state["layout"], state["acts"]) == (ROWS, "ground", 3)
    points = np.frombuffer(ask(server, "points")[2], np.float32).reshape(-1, 2)
    np.testing.assert_allclose(points[:, 0], WEST + SIDE * (np.arange(ROWS) + 0.5), rtol=1e-6)
    boxes = np.frombuffer(ask(server, "boxes")[2], np.float32).reshape(-1, 4)
    np.testing.assert_allclose(boxes[2], [WEST + 2 * SIDE, NORTH - SIDE, WEST + 3 * SIDE, NORTH], rtol=1e-6)
    similar = np.frombuffer(ask(server, "similar?row=9")[2], np.float32)
    np.testing.assert_array_equal(similar, explorer.similarity(9))
    near = json.loads(ask(server, "near?row=9&count=4")[2])
    assert [one["row"] for one in near] == explorer.near(9, 4).rows.tolist()
    assert near[0]["score"] == explorer.near(9, 4).table["score"].iloc[0]
    assert json.loads(ask(server, "find?text=s033")[2]) == {"row": 33}
    location = json.loads(ask(server, "location?row=33")[2])
    assert (location["uid"], location["chips"], location["date"]) == ("s033", [], "")


def test_labels_are_given_taken_back_and_learnt_from(server):
    explorer = server.explorer
    square = [[WEST, NORTH], [WEST + 3 * SIDE, NORTH], [WEST + 3 * SIDE, NORTH - SIDE], [WEST, NORTH - SIDE]]
    assert ask(server, "label", {"class": "water", "polygon": square})[0] == 200
    assert ask(server, "predictions")[0] == 400
    state = json.loads(ask(server, "label", {"class": "<b>crop</b>", "rows": [50]})[2])
    assert [one["count"] for one in state["classes"]] == [3, 0, 1]
    given = np.frombuffer(ask(server, "labels")[2], np.uint8)
    assert np.flatnonzero(given != 255).tolist() == [0, 1, 2, 50]
    assert given[50] == 2
    said = np.frombuffer(ask(server, "predictions")[2], np.uint8).reshape(3, ROWS)
    predicted = explorer.predict()
    np.testing.assert_array_equal(said[0], predicted.classes)
    np.testing.assert_allclose(said[1] / 255, predicted.entropy, atol=0.003)
    np.testing.assert_allclose(said[2] / 255, predicted.probability, atol=0.003)
    suggested = [one["row"] for one in json.loads(ask(server, "suggestions")[2])]
    assert suggested == explorer.suggestions().tolist()
    for name, start in (
        ("labels.gpkg", b"SQLite format 3"),
        ("predictions.parquet", b"PAR1"),
        ("predictions.geojson", b"{"),
    ):
        status, headers, body = ask(server, name)
        assert status == 200
        assert body.startswith(start)
        assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert json.loads(ask(server, "undo", {})[2])["classes"][2]["count"] == 0
    assert (explorer.labels.given == 2).sum() == 0


def send(server, path, body, **headers):
    """Status and answer to a file that is sent as the page sends it."""
    status, _, said = ask(server, path, body, **({"Content_Type": "application/octet-stream"} | headers))
    return status, json.loads(said)


def test_a_file_of_labels_is_taken_from_the_page(server, tmp_path):
    shapes = gpd.GeoDataFrame(
        {"kind": ["water", "forest", "water", "forest"], "crop": ["a", "b", "c", "d"]},
        geometry=[box(0, 3), box(3, 5), shapely.Point(WEST + 9.5 * SIDE, NORTH - SIDE / 2), shapely.Polygon()],
        crs=4326,
    )
    shapes.to_file(tmp_path / "fields.gpkg")
    sent = (tmp_path / "fields.gpkg").read_bytes()
    status, said = send(server, "open?name=fields.gpkg&column=", sent)
    assert (status, said["error"]) == (400, "nobody says which column holds the classes")
    assert "there are kind, crop" in said["remedy"]
    status, said = send(server, "open?name=..%2F..%2F%3Cb%3Efields.gpkg&column=kind", sent)
    assert (status, [one["count"] for one in said["classes"]]) == (200, [4, 2, 0])
    assert said["said"][0] == "1 shapes are left out that are empty: number 4"
    given = server.explorer.labels.given
    assert {row: int(label) for row, label in enumerate(given) if label >= 0} == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 9: 0}
    assert "was opened before" in send(server, "open?name=again.gpkg&column=kind", sent)[1]["said"][0]
    assert json.loads(ask(server, "undo", {})[2])["acts"] == 3
    assert (server.explorer.labels.given == -1).all()


def test_files_that_are_none_change_nothing(server, monkeypatch):
    before = server.explorer.labels.path.read_bytes()
    for name, body, said in (
        ("a.gpkg", b"no such thing", "it is no GPKG file"),
        ("a.gpkg", b"", "it is no GPKG file"),
        ("a.shp", b"x", "a Shapefile is several files, and the page sends one"),
        ("a.zip", b"PK", "shapes are not read from .zip files"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": []}', "it has 1 tables|cannot read|holds no shape"),
    ):
        status, answer = send(server, f"open?name={name}&column=", body)
        assert status == 400
        assert re.search(said, answer["error"]), answer
    form = {"Content_Type": "multipart/form-data"}
    assert send(server, "open?name=a.gpkg", b"x", **form) == (400, {"error": "the request is not understood"})
    assert send(server, "open?name=a.gpkg", b"x", Origin="http://evil.example")[0] == 403
    assert ask(server, "open?name=a.gpkg", b"x", token="a", Content_Type="application/octet-stream")[0] == 403
    monkeypatch.setattr("swath.products.explore._server.MOST_FILE_BYTES", 1)
    status, answer = send(server, "open?name=a.gpkg", b"xy")
    assert (status, answer["error"]) == (400, "the file has 0 MB, and the page takes 0")
    assert server.explorer.labels.path.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("label", {"class": "meadow", "rows": [1]}, "the class 'meadow' is not declared"),
        ("label", {"class": "water", "rows": []}, "no location is there"),
        ("label", {"class": "water", "rows": [ROWS]}, f"there is no row {ROWS}"),
        ("label", {"class": "water", "rows": [-1]}, "there is no row"),
        ("label", {"class": "water", "rows": "all"}, "not understood"),
        ("label", {"class": "water", "polygon": [[0, 0]]}, "three corners"),
        ("label", {"class": "water", "polygon": [[0, "x"], [1, 1], [1, 0]]}, "not understood"),
        ("label", {"class": "water", "polygon": [[0, 0], [float("nan"), 1], [1, 0]]}, "corners are not all numbers"),
        ("label", {"class": "water"}, "not understood"),
        ("class", {"name": ""}, "no name of a class"),
        ("class", {"name": "a", "colour": "url(//x)"}, "is no colour"),
        ("label", {"class": "water", "rows": [10**30]}, "not understood"),
        ("class", {"name": "a", "colour": 7}, "is no colour"),
        ("class", [], "not understood"),
        ("class", b"{", "not understood"),
        ("class", b"[" * 100_000, "not understood"),
    ],
)
def test_what_is_not_understood_changes_nothing(server, path, body, message):
    before = server.explorer.labels.path.read_bytes()
    status, _, said = ask(server, path, body)
    assert status == 400
    assert message in json.loads(said)["error"]
    assert server.explorer.labels.path.read_bytes() == before


def test_bodies_that_another_sites_form_could_send_are_not_taken(server):
    for headers in ({"Content_Type": "text/plain"}, {"Content_Length": str(2**30)}, {"Content_Length": "x"}):
        assert ask(server, "undo", b"{}", **headers)[0] == 400
    assert server.explorer.labels.acts == 3


def test_a_bug_is_said_and_the_server_goes_on(server, monkeypatch):
    monkeypatch.setattr(server, "handle_error", lambda *_: None)
    monkeypatch.setattr(type(server.explorer), "near", lambda *_: [][0])
    status, _, said = ask(server, "near?row=1")
    assert (status, json.loads(said)["error"]) == (500, "this is a bug of swath's: IndexError: list index out of range")
    assert ask(server, "state")[0] == 200


@pytest.mark.parametrize(("error", "said"), [(BrokenPipeError(), False), (TimeoutError(), False), (KeyError(), True)])
def test_a_browser_that_leaves_is_no_error(server, capsys, error, said):
    def leaves():
        raise error

    try:
        leaves()
    except Exception:
        server.handle_error(None, ("127.0.0.1", 1))
    assert ("Traceback" in capsys.readouterr().err) == said


def test_a_full_disk_is_said(server, monkeypatch):
    def full(line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server.explorer.labels, "_append", full)
    status, _, said = ask(server, "label", {"class": "water", "rows": [1]})
    assert (status, json.loads(said)["error"]) == (507, "nothing was saved: No space left on device")
    assert server.explorer.labels.counts == [0, 0, 0]


def test_a_port_that_is_taken_is_said_with_one_that_is_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, made(tmp_path) as explorer:
        port = taken.getsockname()[1]
        with pytest.raises(SwathError, match=f"port {port} cannot be used: Address already in use") as caught:
            Server(explorer, port)
        other = int(re.search(r"take --port (\d+)", str(caught.value))[1])
        assert other != port
        with pytest.raises(SwathError, match="port 70000 cannot be used"):
            Server(explorer, 70000)
