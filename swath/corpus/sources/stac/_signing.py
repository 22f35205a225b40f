"""Signatures behind the addresses of files, for the hosts that they are meant for."""

import datetime as dt
import re
import threading
from functools import cache
from typing import NamedTuple, Protocol, runtime_checkable

from swath.corpus.sources.stac._addresses import host_of
from swath.corpus.sources.stac._hosts import Patience, json_of

_AZURE = re.compile(r"https://(?P<account>[a-z0-9]{3,24})\.blob\.core\.windows\.net/(?P<container>[a-z0-9$-]{3,63})/")


@runtime_checkable
class Signer(Protocol):
    """Makes addresses that a host will serve."""

    def sign(self, address: str) -> str:
        """The address, with a signature that is still good where its host is one that gets it."""
        ...

    def renew(self) -> None:
        """A host refused the last signature."""
        ...


class Unsigned:
    """Signer for hosts that serve everybody."""

    def sign(self, address: str) -> str:
        """The address itself."""
        return address

    def renew(self) -> None:
        """Nothing to renew."""


class _Token(NamedTuple):
    query: str
    expires: dt.datetime


class TokenSigner:
    """Shared access signatures of Azure and the like: a query string, for whole containers, that expires."""

    MARGIN = dt.timedelta(minutes=2)
    """How long before it expires a token is renewed, so that it outlasts a read."""

    def __init__(self, template: str, hosts: tuple[str, ...], patience: Patience):
        """Make a signer.

        Args:
            template: address of the tokens, with `{account}` and `{container}` where each container has its own.
            hosts: that get the token, where the template has no `{account}`; empty: the template's own.
            patience: with the host of the tokens.
        """
        self._template = template
        self._hosts = {host.lower() for host in hosts} or {host_of(template)}
        self._patience = patience
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}

    def sign(self, address: str) -> str:
        """The address with a token; a new token is fetched where the old one is about to expire."""
        url = self._url(address)
        if url is None:
            return address
        with self._lock:
            token = self._tokens.get(url)
            if token is None or dt.datetime.now(dt.UTC) + self.MARGIN > token.expires:
                token = self._tokens[url] = self._fetched(url)
            return f"{address}{'&' if '?' in address else '?'}{token.query}"

    def renew(self) -> None:
        """Discard all tokens, so that new ones are fetched."""
        with self._lock:
            self._tokens.clear()

    def _url(self, address: str) -> str | None:
        """Address of the token for an address; None if its host gets none."""
        if "{account}" not in self._template:
            return self._template if host_of(address) in self._hosts else None
        match = _AZURE.match(address)
        return self._template.format(**match.groupdict()) if match else None

    def _fetched(self, url: str) -> _Token:
        def request() -> _Token:
            answer = json_of(url, self._patience)
            expires = dt.datetime.fromisoformat(answer["msft:expiry"])
            return _Token(str(answer["token"]), expires if expires.tzinfo else expires.replace(tzinfo=dt.UTC))

        return self._patience.call(url, request)


@cache
def signer(template: str | None, hosts: tuple[str, ...], patience: Patience) -> Signer:
    """One signer a process and address of tokens, so that they are shared.

    Args:
        template: see `TokenSigner`; None where everybody is served.
        hosts: likewise.
        patience: with the host of the tokens.
    """
    return Unsigned() if template is None else TokenSigner(template, hosts, patience)
