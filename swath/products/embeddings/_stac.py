"""An index or a store as a STAC collection and item, in the words of the embedding extension."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

from shapely.geometry import mapping

from swath._files import write_whole
from swath.products import _checksums
from swath.products._shapes import outline_of

EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
"""The version of the extension that is followed: a proposal, whose schema refers to STAC 1.0.0."""
VERSION = "1.0.0"
PARQUET, ZARR, COG = (
    "application/vnd.apache.parquet",
    "application/vnd+zarr",
    "image/tiff; application=geotiff; profile=cloud-optimized",
)
_OF_ITEMS = ("emb:quantization",)
"""Fields that the extension has on items alone."""
_ABOUT = {"rel": "about", "href": "https://github.com/geo-embeddings/embeddings-stac-specification"}


def remove_stac(asset: Path) -> None:
    """Remove collection and item beside embeddings that they do not describe any more."""
    for path in _files(asset):
        path.unlink(missing_ok=True)


def _files(asset: Path) -> tuple[Path, Path]:
    """Item and collection of embeddings."""
    name = asset.name.removesuffix(asset.suffix)
    return asset.with_name(f"{name}.item.json"), asset.with_name(f"{name}.collection.json")


def write_stac(
    asset: Path,
    media_type: str,
    emb: dict[str, Any],
    *,
    bbox: list[float],
    interval: tuple[dt.datetime, dt.datetime] | None,
    model: str,
    source: str,
    licences: tuple[str, ...],
) -> None:
    """Write `NAME.collection.json` and `NAME.item.json` beside the embeddings; an item has to have a date.

    Args:
        asset: file or folder of the embeddings.
        media_type: of the asset.
        emb: fields of the extension, `data_type` and `gsd`, and how quantisation is undone (`undo`).
        bbox: west, south, east, north in degrees; west is the larger one across the antimeridian.
        interval: first and last date, UTC; None where unknown.
        model: where the encoder lies.
        source: where its images lie.
        licences: of the images.
    """
    name = asset.name.removesuffix(asset.suffix)
    item_path, collection_path = _files(asset)
    undo = emb.get("undo")
    fields = {key: value for key, value in emb.items() if key != "undo"}
    licence = licences[0] if len(licences) == 1 and " " not in licences[0] else "various" if licences else "proprietary"
    embeddings = {"href": f"./{asset.name}", "type": media_type, "roles": ["data"], "title": "Embedding vectors"}
    # the chunks of a Zarr store have checksums of their own
    extensions = [EXTENSION] if asset.is_dir() else [EXTENSION, _checksums.EXTENSION]
    embeddings |= {} if asset.is_dir() else _checksums.checksum(asset)
    begin, end = (None, None) if interval is None else (f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in interval)
    properties: dict[str, Any] = {"datetime": begin if begin == end else None}
    if begin != end:
        properties |= {"start_datetime": begin, "end_datetime": end}
    for key in _OF_ITEMS:
        if key in fields:
            properties[key] = fields[key] | {"link": _ABOUT | {"title": f"undo: {undo}"}}
    links = [
        {"rel": "emb:model", "href": model, "type": "application/json"},
        {"rel": "emb:source-data", "href": source, "type": "application/json"},
    ]
    to_item = {"rel": "item", "href": f"./{item_path.name}", "type": "application/geo+json"}
    collection = {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": extensions,
        "id": name,
        "description": f"Embeddings of {source} by {model}",
        "license": licence,
        "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [[begin, end]]}},
        **{key: value for key, value in fields.items() if key not in _OF_ITEMS},
        "links": [*links, *([] if begin is None else [to_item])],
        "assets": {"embeddings": embeddings},
    }
    write_whole(collection_path, json.dumps(collection, indent=1))
    item_path.unlink(missing_ok=True)
    if begin is None:
        return
    item = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions,
        "id": name,
        "bbox": bbox,
        "geometry": mapping(outline_of(bbox)),
        "properties": properties | {"created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        "links": [{"rel": "collection", "href": f"./{collection_path.name}", "type": "application/json"}, *links],
        "collection": name,
        "assets": {"embeddings": embeddings},
    }
    write_whole(item_path, json.dumps(item, indent=1))
