"""Patience with hosts: retries at growing distances, shared by all threads of a process, and fresh signatures."""

import datetime as dt
import http.cookiejar
import json
import os
import re
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Protocol, TypeVar, runtime_checkable
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import tensorstore as ts

T = TypeVar("T")

LONGEST_PAUSE_S = 60.0


class TransientError(Exception):
    """A host did not answer, or not properly, in spite of all retries."""


class GoneError(Exception):
    """A host answered that there is no such thing."""


class Hosts:
    """Pauses by host: doubled with every failure, forgotten with every success."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, int] = defaultdict(int)
        self._until: dict[str, float] = defaultdict(float)

    def wait(self, host: str) -> None:
        """Until the host may be asked again."""
        while (left := self._until[host] - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))

    def failed(self, host: str, first_pause_s: float) -> None:
        """Ask the host later."""
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
"""Of this process."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to keep trying."""

    retries: int
    backoff_s: float
    timeout_s: float

    def call(self, address: str, request: Callable[[], T], refused: Callable[[], None] | None = None) -> T:
        """Do a request, and again while the host fails.

        Args:
            address: whose host is asked; a local file has none.
            request: raises any exception where it fails.
            refused: called when the host says 401 or 403, to get a fresh signature.

        Raises:
            TransientError: the last failure, after all retries.
            GoneError: the host says 404 or 410.
        """
        host = urlsplit(address).netloc
        for attempt in range(self.retries + 1):
            HOSTS.wait(host)
            try:
                result = request()
            except GoneError:
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
        found = re.search(r"(?:HTTP response code|HTTP error code|response_code)\D{0,3}(\d{3})", str(one))
        if found:
            return int(found[1])
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
    """Without the query, which may hold a signature."""
    return address.partition("?")[0]


@runtime_checkable
class Signer(Protocol):
    """Makes addresses that a host will serve."""

    def sign(self, address: str) -> str:
        """The address with a signature that is still good."""
        ...

    def renew(self) -> None:
        """The host refused the last signature."""
        ...


class Unsigned:
    """For hosts that serve everybody."""

    def sign(self, address: str) -> str:
        """The address itself."""
        return address

    def renew(self) -> None:
        """Nothing to renew."""


class TokenSigner:
    """One token for a whole collection, put behind every address: shared access signatures of Azure."""

    MARGIN = dt.timedelta(minutes=2)
    """A token is renewed this long before it expires, so that it lasts for a read."""

    def __init__(self, url: str, patience: Patience):
        self._url = url
        self._patience = patience
        self._lock = threading.Lock()
        self._token: str | None = None
        self._expires = dt.datetime.min.replace(tzinfo=dt.UTC)

    def sign(self, address: str) -> str:
        """The address with the token; a new token is had where the old one is about to expire."""
        with self._lock:
            if self._token is None or dt.datetime.now(dt.UTC) + self.MARGIN > self._expires:
                self._fetch()
            return f"{address}{'&' if '?' in address else '?'}{self._token}"

    def renew(self) -> None:
        """Have a new token next time."""
        with self._lock:
            self._token = None

    def _fetch(self) -> None:
        answer = self._patience.call(self._url, lambda: json_of(self._url, self._patience.timeout_s))
        self._token = answer["token"]
        self._expires = dt.datetime.fromisoformat(answer["msft:expiry"])


def json_of(url: str, timeout_s: float) -> dict:
    """What an address answers.

    Raises:
        HTTPError: the host refuses.
        URLError: it cannot be reached, or its answer is no JSON.
    """
    try:
        return json.loads(content(url, timeout_s))
    except ValueError as error:
        raise URLError(f"the answer of {url} is no JSON") from error


def content(url: str, timeout_s: float) -> bytes:
    """All of a small file at an address of the web, or in a bucket of S3.

    GDAL reads the pixels; what GDAL is told in the environment holds here too: `GDAL_HTTP_COOKIEFILE` (the cookies of a
    login), `AWS_REQUEST_PAYER` and `AWS_S3_ENDPOINT`.

    Raises:
        HTTPError: the host refuses.
        URLError: it cannot be reached, or that is no such address.
    """
    scheme = urlsplit(url).scheme
    if scheme == "s3":
        return _object(url)
    if scheme not in {"http", "https"}:
        raise URLError(f"{url} is no address of the web")
    cookies = http.cookiejar.MozillaCookieJar()
    if name := os.environ.get("GDAL_HTTP_COOKIEFILE"):
        cookies.load(name, ignore_discard=True, ignore_expires=True)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    with opener.open(url, timeout=timeout_s) as answer:
        return answer.read()


def _object(url: str) -> bytes:
    parts = urlsplit(url)
    spec = {
        "driver": "s3",
        "bucket": parts.netloc,
        "requester_pays": os.environ.get("AWS_REQUEST_PAYER") == "requester",
    }
    if host := os.environ.get("AWS_S3_ENDPOINT"):
        web = "http" if os.environ.get("AWS_HTTPS", "YES").upper() in {"NO", "FALSE", "OFF"} else "https"
        spec |= {"endpoint": f"{web}://{host}", "aws_region": os.environ.get("AWS_REGION", "us-east-1")}
    found = ts.KvStore.open(spec).result().read(parts.path.lstrip("/")).result()
    if found.state != "value":
        raise HTTPError(url, 404, "there is no such object", Message(), None)
    return found.value


__all__ = [
    "GoneError",
    "HTTPError",
    "Patience",
    "Signer",
    "TokenSigner",
    "TransientError",
    "Unsigned",
    "content",
    "json_of",
]
