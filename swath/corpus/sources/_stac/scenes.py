"""From STAC items to what a build needs of them: files by band, scaling, cloud, and which belong together."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from swath.errors import CorpusError
from swath.sensors import METADATA, Scaling, Sensor, offset_for_baseline

SAME_PASS = dt.timedelta(minutes=5)
"""Scenes of one platform that are no farther apart are one acquisition, cut up by the provider."""


@dataclass(frozen=True, slots=True)
class File:
    """One band of one item."""

    href: str
    scaling: Scaling
    """Of the counts as they are in the file."""
    pixel_m: float | None
    """Size of a pixel, if it is known without opening the file."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One item of a catalogue."""

    id: str
    when: dt.datetime
    platform: str
    files: dict[str, File]
    """By band."""
    quality: File | None
    """The mask that the sensor's cloud rule reads."""
    metadata: str | None
    """Address of the file that calibrates the counts; None where counts need none."""
    missing: tuple[str, ...]
    """Wanted bands that the item does not have."""
    cloud: float | None
    """Of the whole scene, in percent."""
    orbit: str | None
    crs: str | None
    baseline: str
    """Processing baseline, so that the newest of two versions is taken; empty where there is none."""
    outline: BaseGeometry
    tile: str
    """Of the provider's grid; two scenes with one tile and one time are versions of each other."""

    @property
    def key(self) -> tuple[str, dt.date, str]:
        """What the product levels of a scene have in common."""
        return self.platform, self.when.date(), self.tile


def scene_of(
    item: dict[str, Any],
    sensor: Sensor,
    bands: tuple[str, ...],
    keys: Mapping[str, str],
    alternate: str | None = None,
) -> Scene:
    """What is needed of an item.

    Args:
        item: as the API sends it.
        sensor: what it is an item of.
        bands: wanted ones.
        keys: of the assets, by band; see `Sensor.assets`.
        alternate: name of the assets' other addresses that are to be read; by default the first ones. An asset without
            one counts as missing.

    Raises:
        CorpusError: it says no time, outline or baseline where one is needed.
    """
    properties = item["properties"]
    when = properties.get("datetime") or properties.get("start_datetime")
    if when is None or not item.get("geometry"):
        what = "no time" if when is None else "no outline"
        raise CorpusError(f"item {item['id']} says {what}")
    layer = sensor.cloud.layer if sensor.cloud else None
    baseline = _baseline(item)
    assets = {band: asset for band, key in keys.items() if (asset := _asset(item, key, alternate)) is not None}
    files = {
        band: _file(item, assets[band], _scaling(item, assets[band], sensor, band, baseline))
        for band in bands
        if band in assets
    }
    epsg = properties.get("proj:epsg") or properties.get("proj:code")
    cloud = properties.get("eo:cloud_cover")
    return Scene(
        id=item["id"],
        when=_utc(when),
        platform=str(properties.get("platform", "")).lower().replace("_", "-").replace(" ", "-"),
        files=files,
        quality=_file(item, assets[layer], Scaling()) if layer and layer in assets else None,
        metadata=assets[METADATA]["href"] if METADATA in assets else None,
        missing=tuple(keys[name] for name in (*bands, METADATA) if name in keys and name not in assets),
        cloud=None if cloud is None else float(cloud),
        orbit=properties.get("sat:orbit_state"),
        crs=None if epsg is None else str(epsg) if ":" in str(epsg) else f"EPSG:{epsg}",
        baseline=baseline,
        outline=shape(item["geometry"]),
        tile=_tile(item),
    )


def _utc(text: str) -> dt.datetime:
    when = dt.datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _asset(item: dict[str, Any], key: str, alternate: str | None) -> dict[str, Any] | None:
    """The asset of that key, or whose file's name has that end, with the address that is to be read as `href`."""
    assets = item["assets"]
    if key.startswith("*"):
        ends = (one for one in assets.values() if one["href"].partition("?")[0].endswith(key[1:]))
        asset = next(ends, None)
    else:
        asset = assets.get(key)
    if asset is None or alternate is None:
        return asset
    other = asset.get("alternate", {}).get(alternate)
    return None if other is None else asset | {"href": other["href"]}


def _file(item: dict[str, Any], asset: dict[str, Any], scaling: Scaling) -> File:
    transform = asset.get("proj:transform") or item["properties"].get("proj:transform")
    return File(asset["href"], scaling, abs(float(transform[0])) if transform else None)


def _scaling(item: dict[str, Any], asset: dict[str, Any], sensor: Sensor, band: str, baseline: str) -> Scaling:
    """How this item's counts of a band become physical values, by the item's own words.

    For Sentinel-2 in this order: a catalogue that says it removed the offset itself; a baseline that never had one;
    the asset's `raster:bands` (or the same in STAC 1.1); the baseline.
    """
    default = sensor.scaling_of(band)
    said = _raster(asset)
    scale, offset = said.get("scale", default.scale), said.get("offset")
    if not sensor.name.startswith("sentinel-2"):
        return Scaling(scale, default.offset if offset is None else offset, default.decibel)
    if any(item["properties"].get(f"{who}:boa_offset_applied") for who in ("earthsearch", "sentinel")):
        return Scaling(scale)
    if baseline and offset_for_baseline(baseline) == 0:
        return Scaling(scale)
    if offset is not None:
        return Scaling(scale, offset)
    if not baseline:
        raise CorpusError(f"item {item['id']} says neither its processing baseline nor an offset")
    return Scaling(scale, offset_for_baseline(baseline) * scale)


def _raster(asset: dict[str, Any]) -> dict[str, float]:
    bands = asset.get("raster:bands") or asset.get("bands") or [{}]
    found = {name: bands[0].get(name, bands[0].get(f"raster:{name}", asset.get(f"raster:{name}"))) for name in
             ("scale", "offset")}  # fmt: skip
    return {name: float(value) for name, value in found.items() if value is not None}


def _baseline(item: dict[str, Any]) -> str:
    properties = item["properties"]
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        if properties.get(key):
            return str(properties[key]).removeprefix("N")
    names = [item["id"], *(str(properties.get(k, "")) for k in ("s2:product_uri", "sentinel:product_id", "title"))]
    for name in names:
        if found := re.search(r"_N(\d{2})\.?(\d{2})(?:_|$)", name):
            return f"{found[1]}.{found[2]}"
    return ""


def _tile(item: dict[str, Any]) -> str:
    """Spelled alike whatever the catalogue: `32TPT`, or path and row as `193027`."""
    properties = item["properties"]
    path, row = properties.get("landsat:wrs_path"), properties.get("landsat:wrs_row")
    if path is not None and row is not None:
        return f"{int(path):03}{int(row):03}"
    tile = properties.get("s2:mgrs_tile") or properties.get("grid:code") or ""
    return str(tile).rpartition("-")[2]


# -- acquisitions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acquisition:
    """All scenes of one pass over a location, the best to begin with first."""

    scenes: tuple[Scene, ...]

    @property
    def when(self) -> dt.datetime:
        """Time of the first scene."""
        return min(scene.when for scene in self.scenes)

    @property
    def cloud(self) -> float:
        """Of its scenes, in percent, the cloudiest counts; 0 where nobody knows."""
        return max((scene.cloud or 0.0 for scene in self.scenes), default=0.0)

    def only(self, keys: Set[tuple]) -> "Acquisition | None":
        """Its scenes of these keys; None if there is none."""
        kept = tuple(scene for scene in self.scenes if scene.key in keys)
        return Acquisition(kept) if kept else None

    @property
    def name(self) -> str:
        """Ids of its scenes."""
        return " ".join(scene.id for scene in self.scenes)


def acquisitions(scenes: Iterable[Scene], outline: BaseGeometry, crs: str) -> list[Acquisition]:
    """Scenes joined by pass, in order of time; of two versions of one scene the newest stays.

    Args:
        scenes: of one product.
        outline: of the location, WGS 84.
        crs: of the location; scenes in it come first, as they need no resampling.
    """
    newest: dict[tuple, Scene] = {}
    for scene in sorted(scenes, key=lambda scene: (scene.baseline, scene.id)):
        # seconds, because reprocessing may shift the fraction; a tile-less scene is only a version of itself
        version = (scene.platform, scene.when.replace(microsecond=0), scene.tile or scene.id)
        newest[version] = scene
    passes: list[list[Scene]] = []
    for scene in sorted(newest.values(), key=lambda scene: (scene.platform, scene.when, scene.id)):
        last = passes[-1][-1] if passes else None
        if last and last.platform == scene.platform and scene.when - last.when <= SAME_PASS:
            passes[-1].append(scene)
        else:
            passes.append([scene])

    def order(scene: Scene) -> tuple:
        shared = round(scene.outline.intersection(outline).area / outline.area, 3) if outline.area else 0.0
        return (-shared, scene.crs != crs, scene.id)

    found = [Acquisition(tuple(sorted(one, key=order))) for one in passes]
    return sorted(found, key=lambda one: (one.when, one.name))


def twins(levels: Sequence[Sequence[Acquisition]]) -> list[tuple[Acquisition, ...]]:
    """Acquisitions that every product level has, of each the scenes that every level has.

    Args:
        levels: acquisitions by product level.
    """
    common = set.intersection(*({scene.key for one in level for scene in one.scenes} for level in levels))
    found: list[tuple[Acquisition, ...]] = []
    for first in levels[0]:
        shared = first.only(common)
        if shared is not None:
            keys = {scene.key for scene in shared.scenes}
            partners = [other for level in levels[1:] for one in level if (other := one.only(keys)) is not None]
            # a pass that one level cuts in two has no single partner
            if len(partners) == len(levels) - 1:
                found.append((shared, *partners))
    return found


# -- counts ------------------------------------------------------------------------------------------------------------


def rescaled(
    counts: Shaped[ndarray, "y x"], missing: Bool[ndarray, "y x"], given: Scaling, stored: Scaling
) -> Shaped[ndarray, "y x"]:
    """Counts that mean the same in the corpus's scaling; missing pixels keep theirs.

    An item of another offset is shifted by a whole number, so that nothing is lost; counts at the end of the type's
    range, which mean saturation, stay there.
    """
    if (given.scale, given.offset) == (stored.scale, stored.offset) or counts.dtype.kind == "f":
        return counts
    limits = np.iinfo(counts.dtype)
    values = counts.astype(np.float64)
    if given.scale != stored.scale:
        values = values * given.scale + (given.offset - stored.offset)
        values = values / stored.scale
    else:
        values = values + round((given.offset - stored.offset) / stored.scale)
    shifted = np.clip(np.rint(values), max(limits.min, 1), limits.max).astype(counts.dtype)
    return np.where(missing | (counts == limits.max), counts, shifted)
