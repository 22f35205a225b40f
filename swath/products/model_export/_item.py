"""The STAC item of an exported encoder: what goes in, what comes out, and where it was trained.

By the Machine Learning Model extension (https://github.com/stac-extensions/mlm), version 1.5.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
import torch
from shapely.geometry import mapping
from torch import Tensor

import swath
from swath import sensors
from swath.encoders import load_card, load_seen
from swath.products import _checksums
from swath.products._shapes import box_around, outline_of
from swath.products.model_export._formats import FileFormat
from swath.products.model_export._graphs import FIXED, OUTPUT_AXES, Graph
from swath.sensors import band

EXTENSIONS = {
    "mlm": "https://stac-extensions.github.io/mlm/v1.5.2/schema.json",
    "eo": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "file": _checksums.EXTENSION,
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
}
INSIDE = "Units, statistics and invalid pixels are dealt with inside the graph."
SAID_OF = {
    "pixels": "physical values of each band, in its unit; a pixel of which a band is not finite is not valid",
    "counts": "counts of each band as its sensor stores them; a pixel of which a band is nodata is not valid",
    "valid": "bool: False where a pixel is missing or not to be looked at, such as under clouds, and at padding dates",
    "days": "days since 1970-01-01 of each date, ascending; -2147483648 where it is padding or unknown",
    "lonlat": "longitude and latitude in degrees, WGS 84",
}


@dataclass(frozen=True, slots=True)
class About:
    """What an item says that the graph does not know."""

    description: str
    architecture: str
    places: pd.DataFrame | None
    """`lon` and `lat` of the locations that it was trained on; None where nobody knows."""
    tasks: tuple[str, ...] = ("similarity-search",)
    """What it is for, in the extension's words."""
    feature: str = "feature"
    """What the second axis of an output is called."""
    classes: tuple[dict[str, Any], ...] = ()
    """In the words of STAC's classification, where it tells classes apart."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further properties."""
    encoder_beside: bool = True
    """Whether the encoder's own files lie beside the graph."""


def about_encoder(encoder: Path | str) -> About:
    """What is said of a saved encoder."""
    said, seen = load_card(encoder).encoder, load_seen(encoder)
    return About(
        f"Encoder {said['name']} of swath {swath.__version__}. {INSIDE}",
        str(said.get("model") or said["name"]),
        None if seen is None else pd.DataFrame(seen[["lon", "lat"]]),
    )


def item(about: About, path: Path, kind: FileFormat, graph: Graph[Any], outputs: dict[str, Tensor]) -> str:
    """The item as JSON.

    Args:
        about: what the graph does not know.
        path: of the graph that was written.
        kind: what kind of file it is.
        graph: what it is fed.
        outputs: an example of what it gives.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    counts = any(graph.stored_as(name) for name in graph.axes)
    used = EXTENSIONS if counts else {k: v for k, v in EXTENSIONS.items() if k != "raster"}
    said = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(used.values()),
        "id": path.name,
        **_where(about.places),
        "properties": {
            "datetime": now,
            "created": now,
            "description": about.description,
            "bands": [_band(key, counts=counts) for key in graph.bands],
            **_model(about, path, kind, graph, outputs),
            **about.more,
        },
        "links": [],
        "assets": _assets(path, kind, graph.bands) | (_encoder_assets(path) if about.encoder_beside else {}),
    }
    return json.dumps(said, indent=1) + "\n"


def _where(locations: pd.DataFrame | None) -> dict[str, Any]:
    """Geometry and box of the locations that it was trained on; none where nobody knows."""
    places = None if locations is None else locations.dropna()
    if places is None or places.empty:
        return {"geometry": None}
    box = box_around(np.asarray(shapely.points(places[["lon", "lat"]].to_numpy(float))))
    return {"geometry": mapping(outline_of(box)), "bbox": box}


def _band(key: str, *, counts: bool) -> dict[str, Any]:
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
    if counts:
        rule = sensor.scaling_of(own.name)
        said |= {"nodata": sensor.nodata, "raster:scale": rule.scale, "raster:offset": rule.offset}
    return {name: value for name, value in said.items() if value is not None}


def _model(about: About, path: Path, kind: FileFormat, graph: Graph[Any], outputs: dict[str, Tensor]) -> dict[str, Any]:
    weights = sum(parameter.numel() for parameter in graph.parameters())
    return {
        "mlm:name": _name(path.stem),
        "mlm:architecture": about.architecture,
        "mlm:tasks": list(about.tasks),
        "mlm:framework": kind.framework,
        "mlm:framework_version": torch.__version__.partition("+")[0],
        "mlm:total_parameters": weights,
        "mlm:pretrained": True,
        "mlm:accelerator_constrained": False,
        "mlm:input": [_input(name, axes, graph) for name, axes in graph.axes.items()],
        "mlm:output": [_output(name, tensor, about) for name, tensor in outputs.items()],
    }


def _name(stem: str) -> str:
    """A name that the extension allows."""
    return re.sub(r"[^a-zA-Z0-9_.\- ]", "-", f"swath {stem}").rstrip("_.- ")


def _input(name: str, axes: tuple[str, ...], graph: Graph[Any]) -> dict[str, Any]:
    bands, stored, kind = graph.bands_of(name), graph.stored_as(name), name.partition("_")[0]
    return {
        "name": name,
        "description": SAID_OF["counts" if stored else kind],
        "bands": list(bands),
        "input": {
            "shape": [len(bands) if axis in FIXED else -1 for axis in axes],
            "dim_order": list(axes),
            # STAC has no word for bool
            "data_type": stored or {"valid": "other", "days": "int32"}.get(kind, "float32"),
        },
        "value_scaling": None,
        "resize_type": None,
    }


def _output(name: str, tensor: Tensor, about: About) -> dict[str, Any]:
    axes = tuple(about.feature if axis == "feature" else axis for axis in OUTPUT_AXES[tensor.ndim])
    classes = {"classification:classes": list(about.classes)} if about.classes else {}
    return {
        "name": name,
        "tasks": list(about.tasks),
        "result": {
            "shape": [tensor.shape[i] if axis in FIXED else -1 for i, axis in enumerate(axes)],
            "dim_order": list(axes),
            "data_type": "float32",
        },
        "bands": [],
        **classes,
    }


def _assets(path: Path, kind: FileFormat, bands: Sequence[str]) -> dict[str, Any]:
    return {
        "model": {
            "href": f"./{path.name}",
            "title": "The graph",
            "type": kind.media_type,
            "roles": ["mlm:model"],
            "mlm:artifact_type": kind.artifact,
            # STAC lets an item describe bands only if an asset has some
            "bands": [{"name": key} for key in bands],
            **_checksums.checksum(path),
        },
    }


def _encoder_assets(path: Path) -> dict[str, Any]:
    base = path.with_suffix("").name
    return {
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
