"""Patience with hosts: retries at growing intervals, shared by all threads of a process, and answers of bounded
size.
"""

import http.cookiejar
import json
import os
import re
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import tensorstore as ts
from pydantic import Field

from swath.corpus.sources.stac._addresses import checked
from swath.errors import CorpusError
from swath.settings import Settings

T = TypeVar("T")

LONGEST_PAUSE_S = 60.0
CHUNK = 16_384
"""Bytes taken at once: between two checks a compressed answer grows by at most a thousand times that."""


class TransientError(Exception):
    """A host did not answer, or not properly, despite all retries."""


class TooLargeError(TransientError):
    """An answer is larger than the recipe allows: asking again would not make it smaller."""

    def __init__(self, what: str, limit: str):
        super().__init__(f"{what}; corpus.source.limits.{limit} allows no more")


class GoneError(Exception):
    """A host answered that there is no such thing."""


class Limits(Settings):
    """How much a host may send, so that no answer fills the memory or takes forever. One MB is 2^20 bytes."""

    read_mb: int = Field(default=256, gt=0)
    """Megabytes of a file for one chip and band: the blocks that the chip touches, decoded, by the file's header. A
    file in one strip is one block, however small the chip."""
    answer_mb: int = Field(default=16, gt=0)
    """Megabytes of one answer of a catalogue, or of a metadata file, decompressed."""
    search_mb: int = Field(default=256, gt=0)
    """Megabytes of all answers to one search."""
    pages: int = Field(default=500, gt=0)
    """Number of answers to one search."""


class Hosts:
    """Pauses by host: doubled with every failure, forgotten with every success."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, int] = defaultdict(int)
        self._until: dict[str, float] = defaultdict(float)

    def wait(self, host: str) -> None:
        """Sleep until the host may be asked again."""
        while (left := self._until[host] - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))

    def failed(self, host: str, first_pause_s: float) -> None:
        """Note a failure of the host, so that it is asked again later."""
        with self._lock:
            now = time.monotonic()
            # threads that fail together count once
            if now >= self._until[host]:
                self._failures[host] += 1
                pause = first_pause_s * 2 ** (self._failures[host] - 1)
                self._until[host] = now + min(pause, LONGEST_PAUSE_S)

    def answered(self, host: str) -> None:
        """Forget earlier failures."""
        with self._lock:
            self._failures[host] = 0


HOSTS = Hosts()
"""The failures and pauses of all hosts that this process has contacted."""


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to keep trying, and how much data to accept."""

    retries: int
    backoff_s: float
    timeout_s: float
    limits: Limits = USUAL

    def call(self, address: str, request: Callable[[], T], refused: Callable[[], None] | None = None) -> T:
        """Make a request, and repeat it while the host fails.

        Args:
            address: whose host is asked; a local file has none.
            request: raises any exception where it fails.
            refused: called when the host says 401 or 403, to get a fresh signature.

        Raises:
            TransientError: the last failure, after all retries.
            GoneError: the host says 404 or 410.
            CorpusError: what came cannot be used, which asking again would not change.
        """
        host = urlsplit(address).netloc
        for attempt in range(self.retries + 1):
            HOSTS.wait(host)
            try:
                result = request()
            except (GoneError, TransientError, CorpusError):
                raise
            except Exception as error:  # GDAL, urllib and requests have no common base
                reason = _first_line(error)
                status = status_of(error)
                if status in {404, 410}:
                    raise GoneError(f"{_shown(address)}: {reason}") from None
                if status in {401, 403} and refused is not None:
                    refused()
                if attempt == self.retries:
                    raise TransientError(f"{_shown(address)}: {reason}") from None
                HOSTS.failed(host, self.backoff_s)
            else:
                HOSTS.answered(host)
                return result
        raise AssertionError


def status_of(error: BaseException) -> int | None:
    """HTTP status in an error of urllib, requests, pystac-client or GDAL; None if there is none."""
    for one in (error, error.__cause__, error.__context__):
        for name in ("code", "status_code"):
            value = getattr(one, name, None)
            if isinstance(value, int) and 400 <= value < 600:
                return value
        match = re.search(r"(?:HTTP response code|HTTP error code|response_code)\D{0,3}(\d{3})", str(one))
        if match:
            return int(match[1])
    # a local file that is not there
    return 404 if "No such file or directory" in str(error) else None


def _first_line(error: BaseException) -> str:
    if cause := re.search(r"Caused by .*\[Errno -?\d+\] ([\w ]+)", str(error)):
        return cause[1]
    if "not recognized as being in a supported file format" in str(error):
        return "the host sent something else than an image, such as a page that asks for a login"
    lines = str(error).splitlines()
    return re.sub(r"\?[^\s'\"]*", "", lines[0])[:200] if lines else type(error).__name__


def _shown(address: str) -> str:
    """An address without its query, which may contain a signature."""
    return address.partition("?")[0]


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of `work` if it comes in time: no socket timeout ends an answer that comes byte by byte.

    Raises:
        TimeoutError: it did not. It is left to itself, so it has to end by itself sooner or later.
    """
    done: list[Any] = []

    def run() -> None:
        try:
            done.append((True, work()))
        except BaseException as error:
            done.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError(f"no whole answer in {seconds:g} s")
    good, result = done[0]
    if not good:
        raise result
    return result


def bounded(chunks: Iterator[bytes], what: str, patience: Patience) -> bytes:
    """All bytes of an answer, read piece by piece so that it cannot fill the memory.

    Raises:
        TooLargeError: it holds more than `limits.answer_mb`.
        TimeoutError: it takes longer than `timeout_s`.
    """
    limit, end = patience.limits.answer_mb * 2**20, time.monotonic() + patience.timeout_s
    taken = bytearray()
    for chunk in chunks:
        taken += chunk
        if len(taken) > limit:
            raise TooLargeError(f"the answer of {_shown(what)} holds more than {limit >> 20} MB", "answer_mb")
        if time.monotonic() > end:
            raise TimeoutError(f"no whole answer in {patience.timeout_s:g} s")
    return bytes(taken)


def json_of(url: str, patience: Patience) -> dict:
    """The JSON that an address answers.

    Raises:
        HTTPError: the host refuses.
        URLError: it cannot be reached, or its answer is no JSON object.
        TooLargeError: it sends more than the limits allow.
    """
    try:
        answer = json.loads(content(url, patience))
    except (ValueError, RecursionError) as error:
        raise URLError(f"the answer of {_shown(url)} is no JSON") from error
    if not isinstance(answer, dict):
        raise URLError(f"the answer of {_shown(url)} is no JSON object")
    return answer


def content(url: str, patience: Patience) -> bytes:
    """The whole content of a small file at a web address or in an S3 bucket.

    GDAL reads the pixels; what GDAL is told in the environment holds here too: `GDAL_HTTP_COOKIEFILE` (the cookies of a
    login), `AWS_REQUEST_PAYER` and `AWS_S3_ENDPOINT`.

    Args:
        url: has been looked at by `addresses.checked`, or is the user's own.
        patience: how long, and how much.

    Raises:
        HTTPError: the host refuses.
        URLError: it cannot be reached, or that is no such address.
        TooLargeError: it sends more than the limits allow.
        TimeoutError: it takes longer.
    """
    scheme = urlsplit(url).scheme
    if scheme == "s3":
        return _object(url, patience)
    if scheme not in {"http", "https"}:
        raise URLError(f"{_shown(url)} is no address of the web")
    return within(patience.timeout_s, lambda: _page(url, patience))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses that a catalogue's items may name as well."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            target = checked(newurl, req.full_url)
        except CorpusError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, target)


def _page(url: str, patience: Patience) -> bytes:
    cookies = http.cookiejar.MozillaCookieJar()
    if name := os.environ.get("GDAL_HTTP_COOKIEFILE"):
        cookies.load(name, ignore_discard=True, ignore_expires=True)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies), _Redirects())
    try:
        with opener.open(url, timeout=patience.timeout_s) as answer:
            return bounded(iter(lambda: answer.read1(CHUNK), b""), url, patience)
    except HTTPError as error:
        error.close()  # it is an answer as well
        raise


def _object(url: str, patience: Patience) -> bytes:
    parts = urlsplit(url)
    spec = {
        "driver": "s3",
        "bucket": parts.netloc,
        "requester_pays": os.environ.get("AWS_REQUEST_PAYER") == "requester",
    }
    if host := os.environ.get("AWS_S3_ENDPOINT"):
        web = "http" if os.environ.get("AWS_HTTPS", "YES").upper() in {"NO", "FALSE", "OFF"} else "https"
        spec |= {"endpoint": f"{web}://{host}", "aws_region": os.environ.get("AWS_REGION", "us-east-1")}
    store = ts.KvStore.open(spec).result(timeout=patience.timeout_s)
    key, limit = parts.path.lstrip("/"), patience.limits.answer_mb * 2**20
    with suppress(ValueError):  # there is no byte so far behind
        beyond = store.read(key, byte_range=slice(limit, limit + 1)).result(timeout=patience.timeout_s)
        if beyond.state == "value":
            raise TooLargeError(f"{url} holds more than {limit >> 20} MB", "answer_mb")
    answer = store.read(key).result(timeout=patience.timeout_s)
    if answer.state != "value":
        raise HTTPError(url, 404, "there is no such object", Message(), None)
    return answer.value
