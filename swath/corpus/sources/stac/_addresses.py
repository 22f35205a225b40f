"""Which addresses of a catalogue are followed.

An item may name anything as its file. GDAL would open most of it: this machine's files, archives inside of archives,
documents that name further files, services that fetch from anywhere. So an address is a plain one of the web or of a
cloud's store, or nothing is opened; whether its content is an image is for whoever opens it to see (`read.py`).
"""

import ipaddress
import re
import socket
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from swath.errors import CorpusError

WEB, STORES = ("http", "https"), ("s3", "gs", "az")
LONGEST = 8192
"""Most characters of an address, its signature included."""


def checked(href: object, home: str, *, local: bool = False) -> str:
    """The address as it may be opened.

    Args:
        href: what a catalogue says.
        home: address of the catalogue. Hosts of a private network are asked only for catalogues that are there too.
        local: files of this machine are allowed as well.

    Raises:
        CorpusError: it is no address that may be opened; says why.
    """
    if not isinstance(href, str) or not href:
        raise _refused(href, "it is no text" if href else "it is empty")
    if len(href) > LONGEST or re.search(r"[\x00-\x1f\x7f\\]|^ | $", href):
        raise _refused(href, "it is too long" if len(href) > LONGEST else "it holds characters that no address has")
    try:
        parts = urlsplit(href)
        _ = parts.port
    except ValueError as error:
        raise _refused(href, str(error)) from None
    if local and parts.scheme in {"", "file"}:
        return _file(href, parts)
    if problem := _problem(parts, home):
        raise _refused(href, problem)
    return parts.geturl()


def host_of(address: str) -> str:
    """Name and port of the host, in lower case; empty for a file of this machine."""
    return urlsplit(address).netloc.lower()


def _refused(href: object, why: str) -> CorpusError:
    shown = str(href).partition("?")[0]
    return CorpusError(f"the address {shown[:120]!r} is not opened: {why}")


def _problem(parts: SplitResult, home: str) -> str | None:
    if parts.scheme not in (*WEB, *STORES):
        kinds = ", ".join((*WEB, *STORES))
        return f"only {kinds} are (catalogue.local allows files of this machine)"
    if parts.username is not None or parts.fragment or " " in parts.geturl():
        return "it holds a password, a fragment or a space"
    if ".." in unquote(parts.path).split("/"):
        return "its path leads upwards"
    if parts.scheme in STORES:
        return None if re.fullmatch(r"[A-Za-z0-9][\w.-]{1,62}", parts.netloc) else "it names no bucket"
    if not parts.hostname:
        return "it names no host"
    if is_private(parts.hostname) and not is_private(urlsplit(home).hostname or ""):
        return "its host is of a private network, the catalogue's is not"
    return None


def _file(href: str, parts: SplitResult) -> str:
    path = Path(unquote(parts.path) if parts.scheme else href)
    if parts.netloc or not path.is_absolute() or not path.is_file():
        raise _refused(href, "there is no such file")
    return str(path)


@lru_cache(4096)
def is_private(host: str) -> bool:
    """Whether a host is this machine or one of a network that is not public, by its address or what its name means.

    A name that nobody knows here may be known to a proxy; it is not held for private.
    """
    try:
        addresses = {ipaddress.ip_address(host)}
    except ValueError:
        try:
            addresses = {ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host or "localhost", None)}
        except (OSError, ValueError):
            return False
    return any(not (getattr(one, "ipv4_mapped", None) or one).is_global for one in addresses)
