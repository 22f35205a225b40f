"""Answers the page: to this machine alone, and there to nobody who does not know the address with its token.

The server listens on 127.0.0.1. A random token is the first part of every path; requests that name another host or
come from another site's page are refused, and the page may load nothing but what lies beside it.
"""

import hmac
import json
import secrets
import sys
import tempfile
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
from numpy import ndarray

from swath._files import file_name, parse_json
from swath.errors import CorpusError, SwathError
from swath.products.explore._explorer import Explorer
from swath.products.explore._labels import NONE

HOST = "127.0.0.1"
MOST_BYTES = 2**22
"""Largest request: a polygon of a hundred thousand corners."""
MOST_FILE_BYTES = 2**26
"""Largest vector file that the page may send."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".bin": "application/octet-stream",
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".geojson": "application/geo+json",
}
ASSETS = ("index.html", "app.js", "map.js", "style.css", "icon.svg", "land.json")
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
Reply = tuple[str, bytes]
"""Ending of the file that it would be, and its bytes."""


class Server(ThreadingHTTPServer):
    """A web server for one explorer."""

    daemon_threads = True

    def __init__(self, explorer: Explorer, port: int = 0):
        """Listen, but answer nobody yet: `serve_forever` does.

        Args:
            explorer: that is shown.
            port: of 127.0.0.1; a free one if 0.

        Raises:
            SwathError: something else listens at that port.
        """
        self.explorer, self.token = explorer, secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise SwathError(
                f"port {port} cannot be used: {said}", where="--port", remedy=f"take --port {_free()}, or leave it out"
            ) from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong in a request, unless the browser left before it was answered."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"


def serve(explorer: Explorer, port: int = 0, ready: Callable[[str], None] = print) -> None:
    """Show an explorer in a browser until the process is stopped.

    Args:
        explorer: that is shown.
        port: of 127.0.0.1; a free one if 0.
        ready: is told the address.

    Raises:
        SwathError: something else listens at that port.
    """
    with Server(explorer, port) as server:
        ready(server.address)
        server.serve_forever()


def _free() -> int:
    """A port that is free now."""
    with ThreadingHTTPServer((HOST, 0), BaseHTTPRequestHandler) as server:
        return server.server_port


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version, sys_version = "swath", ""

    def do_GET(self) -> None:
        self._answer(_GET)

    def do_POST(self) -> None:
        self._answer(_POST)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the library's name
        pass

    def _answer(self, replies: dict[str, Callable[[Explorer, dict[str, Any]], Reply]]) -> None:
        if (why := self._refused()) is not None:
            self._send(HTTPStatus.FORBIDDEN, ".json", _json({"error": why})[1])
            return
        asked = urlsplit(self.path)
        name = asked.path.split("/", 2)[2]
        reply = replies.get(name)
        if reply is None and (replies is _POST or name not in ("", *ASSETS)):
            self._send(HTTPStatus.NOT_FOUND, ".json", _json({"error": "there is nothing here"})[1])
            return
        try:
            given = {k: v[0] for k, v in parse_qs(asked.query).items()}
            if replies is _POST:
                given = given | {"file": self._file()} if name in _FILES else self._body()
            suffix, body = reply(self._explorer, given) if reply else _asset(name)
        except SwathError as error:
            self._send(HTTPStatus.BAD_REQUEST, ".json", _json({"error": error.what, "remedy": error.remedy})[1])
        except (KeyError, ValueError, TypeError, OverflowError):
            self._send(HTTPStatus.BAD_REQUEST, ".json", _json({"error": "the request is not understood"})[1])
        except OSError as error:
            said = f"{'nothing was saved' if replies is _POST else 'this failed'}: {error.strerror or error}"
            self._send(HTTPStatus.INSUFFICIENT_STORAGE, ".json", _json({"error": said})[1])
        except Exception as error:
            said = f"this is a bug of swath's: {type(error).__name__}: {error}"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, ".json", _json({"error": said})[1])
            raise
        else:
            self._send(HTTPStatus.OK, suffix, body, name if suffix in _DOWNLOADS else None)

    @property
    def _explorer(self) -> Explorer:
        return cast(Server, self.server).explorer

    def _refused(self) -> str | None:
        """Why a request is not answered; None where it is."""
        server = cast(Server, self.server)
        host = f"{HOST}:{server.server_port}"
        token = self.path.split("/", 2)[1] if self.path.count("/") > 1 else ""
        if self.headers.get("Host") != host:
            return f"only {host} is answered"
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            return "pages of other sites are not answered"
        if self.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            return "pages of other sites are not answered"
        if not hmac.compare_digest(token.encode(), server.token.encode()):
            return "the address lacks its token: copy all of it from the terminal"
        return None

    def _body(self) -> dict[str, Any]:
        """What a request holds.

        Raises:
            ValueError: it is no JSON object, or too long.
        """
        length = int(self.headers.get("Content-Length", ""))
        if not 0 <= length <= MOST_BYTES:
            raise ValueError("too long")
        said = parse_json(self.rfile.read(length))
        # a form of another site's page cannot send this type
        if self.headers.get("Content-Type") != "application/json" or not isinstance(said, dict):
            raise ValueError("no JSON object")
        return said

    def _file(self) -> bytes:
        """The file that a request holds.

        Raises:
            SwathError: it is too large.
            ValueError: it is sent in another way than the page does.
        """
        length = int(self.headers.get("Content-Length", ""))
        # a form of another site's page cannot send this type
        if self.headers.get("Content-Type") != "application/octet-stream" or length < 0:
            raise ValueError("no file")
        if length > MOST_FILE_BYTES:
            raise SwathError(
                f"the file has {length / 1e6:,.0f} MB, and the page takes {MOST_FILE_BYTES / 1e6:.0f}",
                remedy="open it where the page is served: swath explore INDEX --open FILE",
            )
        return self.rfile.read(length)

    def _send(self, status: HTTPStatus, suffix: str, body: bytes, download: str | None = None) -> None:
        if status is not HTTPStatus.OK:
            self.close_connection = True  # a body may be left unread
        self.send_response(status)
        for name, value in SAFE.items():
            self.send_header(name, value)
        self.send_header("Content-Type", TYPES[suffix])
        self.send_header("Content-Length", str(len(body)))
        if download is not None:
            self.send_header("Content-Disposition", f'attachment; filename="{download}"')
        self.end_headers()
        self.wfile.write(body)


def _asset(name: str) -> Reply:
    name = name or "index.html"
    return Path(name).suffix, files("swath.products.explore").joinpath("page", name).read_bytes()


def _json(said: Any) -> Reply:
    return ".json", json.dumps(said, allow_nan=False).encode()


def _bin(*arrays: ndarray) -> Reply:
    return ".bin", b"".join(np.ascontiguousarray(one).tobytes() for one in arrays)


def _row(explorer: Explorer, given: dict[str, Any]) -> int:
    row = int(given["row"])
    if not 0 <= row < len(explorer.index):
        raise SwathError(f"there is no row {row}")
    return row


def _state(explorer: Explorer, _: dict[str, Any]) -> Reply:
    return _json(_about(explorer))


def _about(explorer: Explorer) -> dict[str, Any]:
    """What is labelled, and what the page has to know of the index."""
    header, labels = explorer.index.header, explorer.labels
    with explorer.lock:
        classes = [
            {"name": one.name, "colour": one.colour, "count": count}
            for one, count in zip(labels.classes, labels.counts, strict=True)
        ]
        saved = {"classes": classes, "acts": labels.acts, "labels": labels.path.name}
    about = {"name": explorer.index.path.name, "rows": len(explorer.index), "encoder": header.encoder.kind}
    shown = {"layout": explorer.layout.kind, "pictures": explorer.has_pictures, "notes": explorer.notes}
    return {**saved, **about, **shown, "dims": header.dims, "most_bytes": MOST_FILE_BYTES}


def _points(explorer: Explorer, _: dict[str, Any]) -> Reply:
    return _bin(explorer.layout.xy.astype(np.float32))


def _boxes(explorer: Explorer, _: dict[str, Any]) -> Reply:
    return _bin(explorer.layout.boxes)


def _labels(explorer: Explorer, _: dict[str, Any]) -> Reply:
    """Number of each row's class, 255 where it has none."""
    with explorer.lock:
        return _bin(np.where(explorer.labels.given == NONE, 255, explorer.labels.given).astype(np.uint8))


def _similar(explorer: Explorer, given: dict[str, Any]) -> Reply:
    return _bin(explorer.similarity(_row(explorer, given)))


def _predictions(explorer: Explorer, _: dict[str, Any]) -> Reply:
    """Number of each row's likeliest class, then its uncertainty from 0 to 255, then its probability likewise."""
    predicted = explorer.predict()
    shares = [np.rint(255 * one).astype(np.uint8) for one in (predicted.entropy, predicted.probability)]
    return _bin(predicted.classes, *shares)


def _described(explorer: Explorer, row: int) -> dict[str, Any]:
    own = explorer.index.table.iloc[row]
    where = explorer.layout.lonlat if explorer.layout.kind == "ground" else explorer.layout.xy
    x, y = (None if np.isnan(value) else float(value) for value in where[row])
    return {"row": row, "uid": str(own["uid"]), "date": _day(own["date"]), "x": x, "y": y}


def _day(when: Any) -> str:
    return "" if pd.isna(when) else f"{when:%Y-%m-%d}"


def _location(explorer: Explorer, given: dict[str, Any]) -> Reply:
    """A row, and all chips of its location; a chip that another row was made from says which."""
    row = _row(explorer, given)
    uid = str(explorer.index.table["uid"].iloc[row])
    own = explorer.index.rows_of(uid)
    rows = {}
    if "chip" in explorer.index.table:
        rows = dict(zip(explorer.index.table["chip"].iloc[own].tolist(), own.tolist(), strict=True))
    try:
        chips = [
            {"chip": chip, "sensor": sensor, "date": _day(when), "row": rows.get(chip)}
            for chip, sensor, when in explorer.pictures.chips_of(uid)
        ]
    except CorpusError:
        chips = []
    return _json({**_described(explorer, row), "chips": chips})


def _near(explorer: Explorer, given: dict[str, Any]) -> Reply:
    found = explorer.near(_row(explorer, given), int(given.get("count", 12)))
    scores = zip(found.rows.tolist(), found.table["score"], found.table["km"], strict=True)
    return _json(
        [
            {**_described(explorer, row), "score": float(score), "km": None if np.isnan(km) else float(km)}
            for row, score, km in scores
        ]
    )


def _find(explorer: Explorer, given: dict[str, Any]) -> Reply:
    return _json({"row": explorer.locate(str(given["text"]))})


def _suggested(explorer: Explorer, _: dict[str, Any]) -> Reply:
    return _json([_described(explorer, row) for row in explorer.suggestions().tolist()])


def _picture(explorer: Explorer, given: dict[str, Any]) -> Reply:
    """A chip, or the one that a row was made from."""
    pictures = explorer.pictures
    chip = int(given["chip"]) if "chip" in given else pictures.chip_of(_row(explorer, given))
    return ".png", pictures.png(chip)


def _declare(explorer: Explorer, given: dict[str, Any]) -> Reply:
    with explorer.lock:
        explorer.labels.declare(str(given["name"]), str(given["colour"]) if "colour" in given else None)
    return _state(explorer, given)


def _give(explorer: Explorer, given: dict[str, Any]) -> Reply:
    """A class, or null, for rows or for all that lies in a polygon."""
    name = None if given["class"] is None else str(given["class"])
    if "polygon" in given:
        explorer.give_inside(name, [[float(x), float(y)] for x, y in given["polygon"]])
    else:
        explorer.give(name, [int(row) for row in given["rows"]])
    return _state(explorer, given)


def _open(explorer: Explorer, given: dict[str, Any]) -> Reply:
    """Labels of a vector file that the page sent, and what is said of it."""
    name = file_name(str(given["name"]))
    if Path(name).suffix.lower() == ".shp":
        raise SwathError(
            "a Shapefile is several files, and the page sends one",
            remedy="save it as a GeoPackage, or open it where the page is served: swath explore INDEX --open FILE",
        )
    with tempfile.TemporaryDirectory(prefix="swath-") as folder:
        path = Path(folder) / name
        path.write_bytes(given["file"])
        said = explorer.read_labels(path, str(given["column"]) if given.get("column") else None)
    return _json({**_about(explorer), "said": said})


def _undo(explorer: Explorer, given: dict[str, Any]) -> Reply:
    with explorer.lock:
        if not explorer.labels.undo():
            raise SwathError("there is nothing to undo")
    return _state(explorer, given)


def _download(write: Callable[[Explorer, Path], Path], name: str) -> Callable[[Explorer, dict[str, Any]], Reply]:
    def reply(explorer: Explorer, _: dict[str, Any]) -> Reply:
        with tempfile.TemporaryDirectory(prefix="swath-") as folder:
            path = write(explorer, Path(folder) / name)
            return path.suffix, path.read_bytes()

    return reply


_DOWNLOADS = {".gpkg", ".parquet", ".geojson"}
_GET: dict[str, Callable[[Explorer, dict[str, Any]], Reply]] = {
    "state": _state,
    "points": _points,
    "boxes": _boxes,
    "labels": _labels,
    "similar": _similar,
    "predictions": _predictions,
    "location": _location,
    "near": _near,
    "find": _find,
    "suggestions": _suggested,
    "picture": _picture,
    "labels.gpkg": _download(Explorer.write_labels, "labels.gpkg"),
    "polygons.gpkg": _download(Explorer.write_polygons, "polygons.gpkg"),
    "predictions.parquet": _download(Explorer.write_predictions, "predictions.parquet"),
    "predictions.geojson": _download(Explorer.write_predictions, "predictions.geojson"),
}
_POST: dict[str, Callable[[Explorer, dict[str, Any]], Reply]] = {
    "class": _declare,
    "label": _give,
    "open": _open,
    "undo": _undo,
}
_FILES = {"open"}
"""Requests whose body is a file, with all else in their address."""
