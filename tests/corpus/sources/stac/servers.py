"""A STAC API on localhost (rustac), and a file server with range requests that fails when it is told to.

Both are processes of their own: rasterio keeps Python's lock while GDAL opens a file, so a server in a thread of the
same process could not answer.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class FileServer(ThreadingHTTPServer):
    """Serves a folder; what is under /signed only with the newest signature."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.faults: dict[str, list[str]] = {}
        self.always: dict[str, str] = {}
        self.seen: Counter[str] = Counter()
        self.tokens = 0

    def fault(self, path: str) -> str | None:
        with self.lock:
            self.seen[path] += 1
            for text, kind in self.always.items():
                if text in path:
                    return kind
            for text, waiting in self.faults.items():
                if text in path and waiting:
                    return waiting.pop(0)
        return None

    def handle_error(self, request, client_address) -> None:
        pass  # clients that hang up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.reset()
        self.server.faults, self.server.always = told["faults"], told["always"]
        self._send(200, b"{}")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/seen":
            self._send(200, json.dumps({"seen": self.server.seen, "tokens": self.server.tokens}).encode())
            return
        if url.path.startswith("/token/"):
            self.server.tokens += 1
            expiry = datetime.now(UTC) + timedelta(hours=1)
            answer = {"token": f"sig={self.server.tokens}", "msft:expiry": expiry.isoformat()}
            self._send(200, json.dumps(answer).encode())
            return
        fault = self.server.fault(url.path)
        if fault == "timeout":
            time.sleep(2.5)
        if fault == "expire":
            self.server.tokens += 1
        if fault in {"500", "503", "429", "403"}:
            self._send(int(fault), b"no")
            return
        if url.path.startswith("/signed/") and parse_qs(url.query).get("sig", [""])[0] != str(self.server.tokens):
            self._send(403, b"signature expired")
            return
        path = self.server.folder / url.path.removeprefix("/signed").lstrip("/")
        if not path.is_file():
            self._send(404, b"not here")
            return
        self._serve(path.read_bytes(), truncated=fault == "truncate")

    def _serve(self, content: bytes, truncated: bool) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)) if wanted else (0, 0)
        if wanted and start >= len(content):
            self._send(416, b"there is no such byte")
            return
        body = content[start : end + 1] if wanted else content
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{zlib.crc32(content):x}"')  # as S3 does
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if truncated else body)
        if truncated:
            self.close_connection = True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Files:
    """A file server that runs elsewhere."""

    def __init__(self, base: str):
        self.base = base

    def fail(self, faults: dict[str, list[str]] | None = None, always: dict[str, str] | None = None) -> None:
        """What goes wrong from now on with addresses that contain a text: the next requests, one entry each, or all.

        500, 503, 429, 403 (status codes), timeout, truncate, or expire (the signature). Counters start anew.
        """
        told = json.dumps({"faults": faults or {}, "always": always or {}}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.base}/", told, method="POST"), timeout=5):
            pass

    def _state(self) -> dict:
        with urllib.request.urlopen(f"{self.base}/seen", timeout=5) as answer:
            return json.load(answer)

    @property
    def seen(self) -> dict[str, int]:
        """Requests by path."""
        return self._state()["seen"]

    @property
    def tokens(self) -> int:
        """Signatures that were given out."""
        return self._state()["tokens"]


@contextmanager
def files(folder: Path) -> Iterator[Files]:
    """A running file server."""
    process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        yield Files(process.stdout.readline().strip())
    finally:
        _end(process, process.stdout)


@contextmanager
def stac(items: Path) -> Iterator[str]:
    """Address of a running STAC API that serves these items from memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(Path(sys.executable).with_name("rustac")), "serve", str(items), "--create-collections"]
    process = subprocess.Popen(
        [*command, "--addr", address], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _until_it_answers(process, f"http://{address}")
        yield f"http://{address}"
    finally:
        _end(process, process.stderr)


def _end(process: subprocess.Popen, pipe) -> None:
    process.kill()
    process.wait()
    pipe.close()


def _until_it_answers(process: subprocess.Popen, address: str) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"the STAC server stopped: {process.stderr.read()}")
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the STAC server does not answer")


if __name__ == "__main__":
    server = FileServer(Path(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever(poll_interval=0.05)
