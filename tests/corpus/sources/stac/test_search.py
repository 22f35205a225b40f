"""A catalogue that drips, floods, pages without end or leads astray: the search ends, and says why."""

import gc
import gzip
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import shapely

from swath.corpus.sources.stac import _search as search
from swath.corpus.sources.stac._hosts import (
    GoneError,
    Limits,
    Patience,
    TooLargeError,
    TransientError,
    content,
    json_of,
)
from swath.errors import CorpusError

SQUARE = shapely.geometry.mapping(shapely.box(9, 47, 10, 48))
BOMB = gzip.compress(b" " * 2**25, 9)
YEAR = [(datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC))]


@contextmanager
def api(answer):
    """A catalogue whose search is answered by a function of the handler and the page; its root is a proper one."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def send(self, body: bytes, status: int = 200, **headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self):
            try:
                if self.path == "/":
                    self.send(json.dumps(root(self.server.base)).encode())
                else:
                    self.server.asked.append(self.path)
                    answer(self)
            except OSError:
                pass  # the client has had enough

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.base, server.asked = True, f"http://127.0.0.1:{server.server_address[1]}", []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def root(base: str) -> dict:
    core = "https://api.stacspec.org/v1.0.0/core"
    links = [{"rel": "search", "href": f"{base}/search", "type": "application/geo+json", "method": "POST"}]
    links += [{"rel": rel, "href": base, "type": "application/json"} for rel in ("self", "root")]
    return {"type": "Catalog", "id": "x", "stac_version": "1.0.0", "description": "x", "links": links,
            "conformsTo": [core, "https://api.stacspec.org/v1.0.0/item-search"]}  # fmt: skip


def page(*ids, then=None, geometry=SQUARE) -> bytes:
    items = [{"id": one, "geometry": geometry, "properties": {}, "assets": {}} for one in ids]
    links = [{"rel": "next", "href": then, "method": "GET"}] if then else []
    return json.dumps({"type": "FeatureCollection", "features": items, "links": links}).encode()


def found(server, seconds=0.5, **limits):
    patience = Patience(0, 0.01, seconds, Limits(**limits))
    return search.items(server.base, "c", shapely.box(9.1, 47.1, 9.2, 47.2), YEAR, {}, patience)


def test_items_of_all_pages_that_touch_the_place():
    def answer(handler):
        if handler.path == "/search":
            handler.send(page("a", then=f"{handler.server.base}/2"))
        else:
            handler.send(page("b", "a"))

    with api(answer) as server:
        assert [item["id"] for item in found(server)] == ["a", "b"]
    far = shapely.geometry.mapping(shapely.box(0, 0, 1, 1))
    with api(lambda handler: handler.send(page("a", geometry=far))) as server:
        assert found(server) == []


def _drip(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.05)


def _drip_headers(handler):
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
    while True:
        handler.wfile.write(b"X")
        time.sleep(0.05)


def _flood(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_drip, "no whole answer in 0.5 s"),
        (_drip_headers, "no whole answer in 0.5 s"),
        (lambda handler: time.sleep(2), "no whole answer in 0.5 s|timed out"),
        (_flood, r"holds more than 1 MB; corpus\.source\.limits\.answer_mb"),
        (lambda handler: handler.send(BOMB, Content_Encoding="gzip"), "holds more than 1 MB"),
        (lambda handler: handler.send(b"<html>"), "Expecting value"),
        (lambda handler: handler.send(b"[1, 2]"), "no JSON object"),
        (lambda handler: handler.send(b"[" * 200_000), "recursion"),
        (lambda handler: handler.send(b'{"features": {"a": 1}}'), "no list of items"),
        (lambda handler: handler.send(b"", 302, Location="file:///etc/hostname"), "is not opened: only http"),
        (lambda handler: handler.send(b"", 302, Location="/search"), "more than 5 redirects"),
        (lambda handler: handler.send(page("a", then="/etc/hostname")), "is not opened: only http"),
        (lambda handler: handler.send(b"x" * 100_000, 500), "HTTP status 500"),
    ],
)
def test_an_answer_without_an_end_or_a_sense_is_a_failure(answer, words):
    with api(answer) as server:
        begun = time.monotonic()
        with pytest.raises((TransientError, CorpusError), match=words):
            found(server, answer_mb=1)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_drip, "no whole answer"),
        (_drip_headers, "no whole answer"),
        (_flood, "holds more than 1 MB"),
        (lambda handler: handler.send(b"<html>"), "is no JSON"),
        (lambda handler: handler.send(b"[" * 200_000), "is no JSON"),
        (lambda handler: handler.send(b"[1]"), "is no JSON object"),
    ],
)
def test_so_is_one_of_a_small_file(answer, words):
    """Signatures and metadata files take another way than searches."""
    with api(answer) as server, pytest.raises((TransientError, OSError), match=words):
        json_of(f"{server.base}/token", Patience(0, 0.01, 0.5, Limits(answer_mb=1)))


def test_paging_has_an_end():
    """The same page again and again, or always new ones: by number, by size, by time."""

    def again(handler):
        number = len(handler.server.asked)
        handler.send(page(f"item-{number}", "x" * 10_000, then=f"{handler.server.base}/{number}"))

    with api(again) as server, pytest.raises(TooLargeError, match=r"more than 4 answers; corpus.source.limits.pages"):
        found(server, pages=4)
    assert len(server.asked) == 5
    with api(again) as server, pytest.raises(TooLargeError, match=r"more than 1 MB; corpus.source.limits.search_mb"):
        found(server, seconds=5.0, search_mb=1)
    assert 100 < len(server.asked) < 110


def test_a_search_takes_a_number_of_timeouts_and_no_more(monkeypatch):
    monkeypatch.setattr(search, "SEARCH_TIMEOUTS", 0.5)

    def slow(handler):
        time.sleep(0.1)
        handler.send(page(f"{len(handler.server.asked)}", then=f"{handler.server.base}/x"))

    with api(slow) as server, pytest.raises(TransientError, match=r"a search takes longer than 0\.25 s"):
        found(server)
    assert len(server.asked) < 6


def test_a_refusal_keeps_its_meaning():
    with api(lambda handler: handler.send(b"", 404)) as server, pytest.raises(GoneError):
        found(server)


def test_a_redirect_of_a_small_file_is_looked_at_as_well():
    def answer(handler):
        handler.send(b"", 302, Location="http://user:pw@127.0.0.1/" if "astray" in handler.path else "/there")

    with api(lambda handler: answer(handler) if "there" not in handler.path else handler.send(b"text")) as server:
        patience = Patience(0, 0.01, 2.0)
        assert content(f"{server.base}/moved", patience) == b"text"
        with pytest.raises(CorpusError, match="is not opened"):
            content(f"{server.base}/astray", patience)
    gc.collect()  # a connection that is left open is an error here, not in a later test
