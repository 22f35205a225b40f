"""The STAC item of an exported encoder: what goes in, what comes out, and where it was trained.

By the Machine Learning Model extension (https://github.com/stac-extensions/mlm), version 1.5.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import swath
from swath import sensors
from swath.encoders import EncoderCard, load_seen
from swath.products.model_export._formats import FileFormat
from swath.products.model_export._graphs import FIXED, OUTPUT_AXES, Decoding, Graph
from swath.sensors import band

EXTENSIONS = {
    "mlm": "https://stac-extensions.github.io/mlm/v1.5.2/schema.json",
    "eo": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
}
SHA256 = "1220"
"""What a multihash of SHA-256 begins with: its code and its 32 bytes."""
SAID_OF = {
    "pixels": "physical values of each band, in its unit; a pixel of which a band is not finite is not valid",
    "counts": "counts of each band as its sensor stores them; a pixel of which a band is nodata is not valid",
    "valid": "bool: False where a pixel is missing or not to be looked at, such as under clouds, and at padding dates",
    "days": "days since 1970-01-01 of each date, ascending; -2147483648 where it is padding or unknown",
    "lonlat": "longitude and latitude in degrees, WGS 84",
}


def item(
    card: EncoderCard, encoder: Path | str, path: Path, kind: FileFormat, graph: Graph, outputs: dict[str, Tensor]
) -> str:
    """The item as JSON.

    Args:
        card: of the encoder.
        encoder: path of the encoder.
        path: of the graph that was written.
        kind: what kind of file it is.
        graph: what it is fed.
        outputs: an example of what it gives.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    used = EXTENSIONS if graph.decoding is not None else {k: v for k, v in EXTENSIONS.items() if k != "raster"}
    said = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(used.values()),
        "id": path.name,
        **_where(encoder),
        "properties": {
            "datetime": now,
            "created": now,
            "description": f"Encoder {card.encoder['name']} of swath {swath.__version__}. Units, statistics and "
            "invalid pixels are dealt with inside the graph.",
            "bands": [_band(key, graph.decoding) for key in graph.bands],
            **_model(card, path, kind, graph, outputs),
        },
        "links": [],
        "assets": _assets(path, kind),
    }
    return json.dumps(said, indent=1) + "\n"


def _where(encoder: Path | str) -> dict[str, Any]:
    """Geometry and box of the locations that it was trained on; none where nobody knows."""
    seen = load_seen(encoder)
    places = None if seen is None else seen[["lon", "lat"]].dropna()
    if places is None or places.empty:
        return {"geometry": None}
    (west, south), (east, north) = places.min().tolist(), places.max().tolist()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [west, south, east, north]}


def _band(key: str, decoding: Decoding | None) -> dict[str, Any]:
    """A band as STAC 1.1 describes it, under its key."""
    own = band(key)
    sensor = sensors.get(own.sensor)
    said = {
        "name": key,
        "unit": own.unit,
        "gsd": own.gsd_m,
        "eo:common_name": own.common_name,
        "eo:center_wavelength": own.centre_um,
        "eo:full_width_half_max": own.width_um,
    }
    if decoding is not None:
        rule = sensor.scaling_of(own.name)
        said |= {"nodata": sensor.nodata, "raster:scale": rule.scale, "raster:offset": rule.offset}
    return {name: value for name, value in said.items() if value is not None}


def _model(card: EncoderCard, path: Path, kind: FileFormat, graph: Graph, outputs: dict[str, Tensor]) -> dict[str, Any]:
    weights = sum(parameter.numel() for parameter in graph.encoder.parameters())
    return {
        "mlm:name": _name(path.stem),
        "mlm:architecture": str(card.encoder.get("model") or card.encoder["name"]),
        "mlm:tasks": ["similarity-search"],
        "mlm:framework": kind.framework,
        "mlm:framework_version": torch.__version__.partition("+")[0],
        "mlm:total_parameters": weights,
        "mlm:pretrained": True,
        "mlm:accelerator_constrained": False,
        "mlm:input": [_input(name, axes, graph) for name, axes in graph.AXES.items()],
        "mlm:output": [_output(name, tensor) for name, tensor in outputs.items()],
    }


def _name(stem: str) -> str:
    """A name that the extension allows."""
    return re.sub(r"[^a-zA-Z0-9_.\- ]", "-", f"swath {stem}").rstrip("_.- ")


def _input(name: str, axes: tuple[str, ...], graph: Graph) -> dict[str, Any]:
    has_bands = "bands" in axes
    counts = name == "pixels" and graph.decoding is not None
    return {
        "name": name,
        "description": SAID_OF["counts" if counts else name],
        "bands": list(graph.bands) if has_bands else [],
        "input": {
            "shape": [len(graph.bands) if axis in FIXED else -1 for axis in axes],
            "dim_order": list(axes),
            "data_type": _data_type(name, graph),
        },
        "value_scaling": None,
        "resize_type": None,
    }


def _data_type(name: str, graph: Graph) -> str:
    """What STAC calls an input's type; it has no word for bool."""
    if name == "pixels" and graph.decoding is not None:
        return graph.decoding.stored_as
    return {"valid": "other", "days": "int32"}.get(name, "float32")


def _output(name: str, tensor: Tensor) -> dict[str, Any]:
    axes = OUTPUT_AXES[tensor.ndim]
    return {
        "name": name,
        "tasks": ["similarity-search"],
        "result": {
            "shape": [tensor.shape[i] if axis in FIXED else -1 for i, axis in enumerate(axes)],
            "dim_order": list(axes),
            "data_type": "float32",
        },
        "bands": [],
    }


def _assets(path: Path, kind: FileFormat) -> dict[str, Any]:
    base = path.with_suffix("").name
    content = path.read_bytes()
    return {
        "model": {
            "href": f"./{path.name}",
            "title": "The graph",
            "type": kind.media_type,
            "roles": ["mlm:model"],
            "mlm:artifact_type": kind.artifact,
            "file:size": len(content),
            "file:checksum": SHA256 + hashlib.sha256(content).hexdigest(),
        },
        "weights": {
            "href": f"./{base}.safetensors",
            "title": "The encoder's weights, for swath",
            "type": "application/octet-stream; framework=pytorch",
            "roles": ["mlm:weights"],
        },
        "card": {
            "href": f"./{base}.json",
            "title": "What the encoder is fed and where it is from, for swath",
            "type": "application/json",
            "roles": ["metadata"],
        },
    }
