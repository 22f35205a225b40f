"""Asking a STAC API for the items over a location."""

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.parse import urljoin

import shapely
from pystac import Link
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning
from requests import Request
from shapely.geometry import shape

from swath.corpus.dates import Interval
from swath.corpus.sources.stac._addresses import checked
from swath.corpus.sources.stac._hosts import CHUNK, GoneError, Patience, TooLargeError, bounded, content, within

Item: TypeAlias = Any
"""An item as the API sends it, unchecked: objects of pystac would take longer to make than the pixels
to read."""
PAGE = 100
"""Number of items per answer."""
REDIRECTS = 5
SEARCH_TIMEOUTS = 30
"""A search may take this many times the timeout of a request, all of its answers together."""


def items(
    address: str,
    collection: str,
    outline: shapely.Geometry,
    periods: Sequence[Interval],
    filters: dict[str, Any],
    patience: Patience,
) -> list[Item]:
    """All items of a collection that touch a location in these periods, and those whose outline cannot be read.

    Args:
        address: of the API.
        collection: its id.
        outline: WGS 84; one across the antimeridian is two polygons, each of which is asked for.
        periods: disjoint.
        filters: by property, in the terms of the API's query extension; left out where the API has none, so whoever
            asks has to look at what comes.
        patience: with the API.

    Raises:
        TransientError: the API does not answer, or sends more than the limits allow.
        GoneError: it has no such collection.
    """

    def request() -> list[Item]:
        client = _client(address, patience)
        query = filters if filters and _can_query(client) else None
        by_identity = {}
        for part in _boxes(outline):
            area = shapely.box(*part)
            for start, end in periods:
                search = client.search(
                    collections=[collection], bbox=part, datetime=[start, end], limit=PAGE, query=query
                )
                for page in _pages(search.pages_as_dicts(), address, patience):
                    by_identity |= {_identity(item): item for item in page if _may_touch(item, area)}
        return list(by_identity.values())

    return patience.call(address, request)


def lacks(address: str, collection: str, patience: Patience) -> bool:
    """Whether an API answers that it has no such collection: a search for it would find nothing, and not say why.

    Raises:
        TransientError: nobody answers there.
    """
    url = f"{address.rstrip('/')}/collections/{collection}"

    def request() -> None:
        try:
            content(url, patience)
        except HTTPError as error:
            if error.code in {404, 410}:
                raise  # any other answer says nothing about what a search will be told

    try:
        patience.call(url, request)
    except GoneError:
        return True
    return False


def _boxes(outline: shapely.Geometry) -> list[tuple[float, float, float, float]]:
    return [part.bounds for part in shapely.get_parts(outline)]


def _pages(pages: Iterator[dict[str, Any]], address: str, patience: Patience) -> Iterator[list[Item]]:
    """Items of a search, answer by answer, until it has taken too many, too much or too long."""
    limits, end = patience.limits, time.monotonic() + SEARCH_TIMEOUTS * patience.timeout_s
    size = 0
    for number, page in enumerate(pages):
        size += page[_SIZE]
        if number >= limits.pages:
            raise TooLargeError(f"{address}: a search has more than {limits.pages} answers", "pages")
        if size > limits.search_mb * 2**20:
            raise TooLargeError(f"{address}: a search holds more than {limits.search_mb} MB", "search_mb")
        if time.monotonic() > end:
            raise TimeoutError(f"a search takes longer than {SEARCH_TIMEOUTS * patience.timeout_s:g} s")
        if not isinstance(page["features"], list):
            raise TypeError("the answer holds no list of items")
        yield page["features"]


def _identity(item: Item) -> str:
    """A key that is the same for an item found in two answers."""
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) else json.dumps(item, sort_keys=True)


def _may_touch(item: Item, area: shapely.Geometry) -> bool:
    """Whether an item's outline may touch an area: some servers compare bounding boxes, and a tile's box is
    larger than its outline.
    """
    try:
        return bool(shape(item["geometry"]).intersects(area))
    except Exception:  # whatever may be wrong with it: that is said where the item is read
        return True


# -- the API -----------------------------------------------------------------------------------------------------------

_SIZE = "swath:bytes"
"""Where the size of an answer is recorded."""


class _BoundedIO(StacApiIO):
    """pystac-client's requests, bounded in time, size, redirects and destinations.

    As it comes it reads files where a link names one, forgets its timeout, and takes whatever is sent.
    """

    def __init__(self, home: str, patience: Patience):
        super().__init__(max_retries=None)
        self._home, self._patience = home, patience

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(source, Link):
            return super().read_text(source, *args, **kwargs)
        return self.request(str(source), *args, **kwargs)

    def read_json(self, source: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        text = self.read_text(source, *args, **kwargs)
        answer = json.loads(text)
        if not isinstance(answer, dict):
            raise TypeError("the answer is no JSON object")
        return answer | {_SIZE: len(text)}

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text of one answer of the API.

        Raises:
            APIError: the API refuses.
            TooLargeError: it sends more than the limits allow.
        """
        how = (method or "GET").upper()
        request = Request(how, href, headers=headers)
        if how == "POST":
            request.json = parameters
        else:
            request.params = parameters or {}
        return within(self._patience.timeout_s, lambda: self._followed(request))

    def _followed(self, request: Request) -> str:
        for _ in range(REDIRECTS):
            request.url = checked(request.url, self._home)
            prepared = self.session.prepare_request(request)
            options = self.session.merge_environment_settings(request.url, {}, True, None, None)
            with self.session.send(
                prepared, timeout=self._patience.timeout_s, allow_redirects=False, **options
            ) as answer:
                if answer.is_redirect:
                    # what was asked is in the new address, or in the body that is sent again
                    request.url, request.params = urljoin(request.url, answer.headers["Location"]), {}
                    continue
                if not answer.ok:
                    refusal = APIError(f"HTTP status {answer.status_code}")
                    refusal.status_code = answer.status_code
                    raise refusal
                return bounded(answer.iter_content(CHUNK), request.url, self._patience).decode()
        raise APIError(f"more than {REDIRECTS} redirects")


@cache
def _client(address: str, patience: Patience) -> Client:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PystacClientWarning)
        return Client.open(address, stac_io=_BoundedIO(address, patience), timeout=patience.timeout_s)


def _can_query(client: Client) -> bool:
    return any("query" in name for name in client.get_conforms_to())
