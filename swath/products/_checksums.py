"""Size and checksum of a file in its STAC item, by the file extension, and whether the file still has them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swath._files import read_json

EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
SHA256 = "1220"
"""What a multihash of SHA-256 begins with: its code and its 32 bytes."""


def checksum(path: Path) -> dict[str, Any]:
    """Fields of an asset: size in bytes, and the multihash of the file's SHA-256."""
    with path.open("rb") as file:
        return {
            "file:size": path.stat().st_size,
            "file:checksum": SHA256 + hashlib.file_digest(file, "sha256").hexdigest(),
        }


def changes(path: Path) -> list[str]:
    """What is not as the STAC item or collection beside a file says: a sentence for each file that was changed.

    Args:
        path: of a raster or a table; beside it `NAME.json`, `NAME.item.json` or `NAME.collection.json` describe it, and
            files that belong to it.
    """
    try:
        return [said for document in _documents(path) for said in _changed(document, path)]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return [f"the STAC document beside it cannot be read: {str(error).splitlines()[0]}"]


def _documents(path: Path) -> list[dict[str, Any]]:
    """The item that describes a file, or the collection where there is no item."""
    for ending in (".json", ".item.json", ".collection.json"):
        beside = path.with_name(f"{path.name.removesuffix(path.suffix)}{ending}")
        if beside.exists() and beside != path:
            said = read_json(beside)
            if isinstance(said, dict) and any(_file(path, asset) == path for asset in said.get("assets", {}).values()):
                return [said]
    return []


def _file(path: Path, asset: dict[str, Any]) -> Path:
    """The file of an asset, which lies beside the item."""
    return path.with_name(Path(str(asset.get("href"))).name)


def _changed(document: dict[str, Any], path: Path) -> Iterator[str]:
    for asset in document["assets"].values():
        file = _file(path, asset)
        if "file:checksum" not in asset:
            continue
        if not file.exists():
            yield f"{file.name} is missing"
        elif checksum(file)["file:checksum"] != asset["file:checksum"]:
            yield f"{file.name} was changed since it was written: its checksum is not that of its STAC item"
