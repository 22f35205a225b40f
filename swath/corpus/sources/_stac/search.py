"""Asking a STAC API for the items over a location."""

import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from urllib.error import HTTPError

import shapely
from pystac_client import Client
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import PystacClientWarning
from shapely.geometry import shape

from swath.corpus.dates import Interval
from swath.corpus.sources._stac.hosts import GoneError, Patience, content

Item = dict[str, Any]
"""As the API sends it: objects of pystac would take longer to make than the pixels to read."""
PAGE = 100
"""Items in an answer."""


def items(
    address: str,
    collection: str,
    outline: shapely.Geometry,
    periods: Sequence[Interval],
    filters: dict[str, Any],
    patience: Patience,
) -> list[Item]:
    """All items of a collection that touch a location in these periods.

    Args:
        address: of the API.
        collection: its id.
        outline: WGS 84; one across the antimeridian is two polygons, each of which is asked for.
        periods: disjoint.
        filters: by property, in the terms of the API's query extension; left out where the API has none, so whoever
            asks has to look at what comes.
        patience: with the API.

    Raises:
        TransientError: the API does not answer.
        GoneError: it has no such collection.
    """

    def request() -> list[Item]:
        client = _client(address, patience.timeout_s)
        query = filters if filters and _can_query(client) else None
        found = {}
        for part in _boxes(outline):
            for start, end in periods:
                search = client.search(
                    collections=[collection], bbox=part, datetime=[start, end], limit=PAGE, query=query
                )
                found |= {item["id"]: item for item in _touching(search.items_as_dicts(), part)}
        return list(found.values())

    return patience.call(address, request)


def lacks(address: str, collection: str, patience: Patience) -> bool:
    """Whether an API answers that it has no such collection: a search for it would find nothing, and not say why.

    Raises:
        TransientError: nobody answers there.
    """
    url = f"{address.rstrip('/')}/collections/{collection}"

    def request() -> None:
        try:
            content(url, patience.timeout_s)
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


def _touching(found: Iterable[Item], box: tuple[float, float, float, float]) -> Iterable[Item]:
    """Some servers compare bounding boxes only, and a tile's box is larger than what was seen of it."""
    area = shapely.box(*box)
    return [item for item in found if item["geometry"] and shape(item["geometry"]).intersects(area)]


@cache
def _client(address: str, timeout_s: float) -> Client:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PystacClientWarning)
        return Client.open(address, stac_io=StacApiIO(timeout=timeout_s, max_retries=None))


def _can_query(client: Client) -> bool:
    return any("query" in name for name in client.get_conforms_to())
