"""From STAC items to what a build needs of them: files by band, scaling, cloud, and which belong together."""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from jaxtyping import Bool, Shaped
from numpy import ndarray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from swath.errors import CorpusError
from swath.sensors import METADATA, Scaling, Sensor, offset_for_baseline

SAME_PASS = dt.timedelta(minutes=5)
"""Scenes of one platform that are at most this far apart in time are one acquisition, cut up by the provider."""
SAME_OUTLINE = 0.95
"""Two outlines count as the same if they share this part of what they cover together: processing moves an edge
by pixels, while the parts of a tile that was cut in two overlap by little."""
SCALE_FACTOR = 1000.0
"""Largest factor by which an item's scale may differ from its sensor's; anything else is a mistake."""
LONGEST_NAME = 512
"""Most characters of an item's id."""


@dataclass(frozen=True, slots=True)
class File:
    """One band of one item."""

    href: str
    scaling: Scaling
    """How the counts in the file become physical values."""
    pixel_m: float | None
    """Size of a pixel in metres, if known without opening the file."""
    overruled: bool = False
    """The catalogue is known to say an offset that its counts do not have: the file's own tags may say it as well."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One item of a catalogue."""

    id: str
    when: dt.datetime
    platform: str
    files: dict[str, File]
    """File of each band."""
    quality: File | None
    """The mask that the sensor's cloud rule reads, if there is one."""
    metadata: str | None
    """Address of the metadata file that calibrates the counts; None where none is needed."""
    missing: tuple[str, ...]
    """Wanted bands that the item lacks."""
    cloud: float | None
    """Cloud over the whole scene, in percent, as the provider says; None where it does not."""
    orbit: str | None
    crs: str | None
    baseline: str
    """Processing baseline, so that the newest of two versions is taken; empty where there is none."""
    outline: BaseGeometry
    tile: str
    """Cell of the provider's grid; two scenes of one pass, tile and outline are versions of each other."""
    generated: str = ""
    """When the provider made it, as text that sorts by time; empty where the item does not say."""

    @property
    def key(self) -> tuple[str, dt.date, str]:
        """What identifies a scene across its product levels."""
        return self.platform, self.when.date(), self.tile

    @property
    def version(self) -> tuple[str, str, str]:
        """A key that grows with every processing of a scene."""
        return self.baseline, self.generated, self.id


def scene_of(
    item: Any,
    sensor: Sensor,
    bands: tuple[str, ...],
    keys: Mapping[str, str],
    alternate: str | None = None,
    address: Callable[[object], str] = str,
) -> Scene:
    """The scene described by a catalogue's item, checked.

    Args:
        item: as the API sends it.
        sensor: what it is an item of.
        bands: wanted ones.
        keys: of the assets, by band; see `Sensor.assets`.
        alternate: name of the assets' other addresses that are to be read; by default the first ones. An asset without
            one counts as missing.
        address: looks at what the item says of where a file is, and raises CorpusError unless it may be opened.

    Raises:
        CorpusError: it is no item, or says no time, outline or baseline where one is needed, or what makes no sense.
    """
    try:
        return _scene(item, sensor, bands, keys, alternate, address)
    except CorpusError as error:
        raise CorpusError(f"item {_name(item)}: {error.what}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # what an item may say has no end; whatever the checks do not know ends here
        raise CorpusError(f"item {_name(item)} is malformed: {type(error).__name__}") from error


def _name(item: Any) -> str:
    """Name of an item for messages, whatever the item contains."""
    name = item.get("id") if isinstance(item, dict) else None
    return re.sub(r"[^\x20-\x7e]", "?", name)[:80] if isinstance(name, str) and name else "without an id"


def _scene(
    item: Any,
    sensor: Sensor,
    bands: tuple[str, ...],
    keys: Mapping[str, str],
    alternate: str | None,
    address: Callable[[object], str],
) -> Scene:
    item = _mapping(item, "the item")
    properties, listed = _mapping(item.get("properties"), "properties"), _mapping(item.get("assets"), "assets")
    when, baseline = _time(properties), _baseline(item)
    layer = sensor.cloud.layer if sensor.cloud else ""
    names = (*bands, *(name for name in (layer, METADATA) if name in keys))
    assets = {name: asset for name in names if name in keys and (asset := _asset(listed, keys[name], alternate))}
    files = {}
    for band in (band for band in bands if band in assets):
        # counts that a metadata file calibrates have no scaling of their own
        scaling = Scaling() if METADATA in keys else _scaling(item, assets[band], sensor, band, baseline)
        _require_no_mask_beside(listed, assets[band])
        files[band] = _file(item, assets[band], scaling, address, overruled=_without_offset(item, sensor, baseline))
    return Scene(
        id=_id(item.get("id")),
        when=when,
        platform=str(properties.get("platform", "")).lower().replace("_", "-").replace(" ", "-"),
        files=files,
        quality=_file(item, assets[layer], Scaling(), address) if layer in assets else None,
        metadata=address(assets[METADATA].get("href")) if METADATA in assets else None,
        missing=tuple(keys[name] for name in (*bands, METADATA) if name in keys and name not in assets),
        cloud=_cloud(properties.get("eo:cloud_cover")),
        orbit=_text(properties.get("sat:orbit_state"), "sat:orbit_state"),
        crs=_crs(properties),
        baseline=baseline,
        outline=_outline(item.get("geometry")),
        tile=_tile(properties),
        generated=str(properties.get("s2:generation_time") or ""),
    )


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CorpusError(f"{what} is no JSON object" if value is not None else f"it has no {what}")
    return value


def _text(value: Any, what: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise CorpusError(f"{what} is no text: {value!r:.40}")
    return value


def _number(value: Any, what: str) -> float:
    """A finite number; text and truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CorpusError(f"{what} is no number: {value!r:.40}")
    return float(value)


def _id(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME or not value.isprintable():
        raise CorpusError(f"its id is no printable text of 1 to {LONGEST_NAME} characters")
    return value


def _time(properties: dict[str, Any]) -> dt.datetime:
    said = properties.get("datetime") or properties.get("start_datetime")
    if said is None:
        raise CorpusError("says no time")
    try:
        when = dt.datetime.fromisoformat(said)
        when = when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        raise CorpusError(f"its datetime is no time: {said!r:.40}") from None
    if not 1970 <= when.year <= 2100:
        raise CorpusError(f"its datetime is of no satellite's time: {said!r:.40}")
    return when


def _cloud(value: Any) -> float | None:
    if value is None:
        return None
    percent = _number(value, "eo:cloud_cover")
    if not 0 <= percent <= 100:
        raise CorpusError(f"eo:cloud_cover is no percentage: {percent:g}")
    return percent


def _crs(properties: dict[str, Any]) -> str | None:
    said = properties.get("proj:epsg") or properties.get("proj:code")
    return None if said is None else str(said) if ":" in str(said) else f"EPSG:{said}"


def _outline(geometry: Any) -> BaseGeometry:
    """A polygon or several, on the globe; one that merely touches itself is mended, one that crosses itself is not."""
    if not geometry:
        raise CorpusError("says no outline")
    try:
        outline = shape(geometry)
        good = outline.geom_type in {"Polygon", "MultiPolygon"} and outline.area > 0
        if good and not outline.is_valid:
            mended = shapely.make_valid(outline)
            good = math.isclose(mended.area, outline.area, rel_tol=0.01)
            outline = mended
    except Exception as error:  # shapely and NumPy have no common base for what they cannot make a polygon of
        raise CorpusError("its outline is no polygon") from error
    if not good:
        raise CorpusError("its outline is no polygon with an inside, or crosses itself")
    west, south, east, north = outline.bounds
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        raise CorpusError("its outline is not on the globe")
    return outline


def _asset(assets: dict[str, Any], key: str, alternate: str | None) -> dict[str, Any] | None:
    """The asset of that key, or whose file's name has that end, with the address that is to be read as `href`."""
    if key.startswith("*"):
        ends = (one for one in assets.values() if str(_href(one)).partition("?")[0].endswith(key[1:]))
        asset = next(ends, None)
    else:
        asset = assets.get(key)
    if asset is None:
        return None
    asset = _mapping(asset, f"asset {key}")
    if alternate is None:
        return asset
    other = _mapping(asset.get("alternate", {}), f"alternate of asset {key}").get(alternate)
    return None if other is None else asset | {"href": _href(other)}


def _require_no_mask_beside(listed: dict[str, Any], asset: dict[str, Any]) -> None:
    """Raise CorpusError if the item lists a mask of a band's file that is a file beside it: such masks are not read,
    and what they hide would count as valid."""
    path = str(_href(asset)).partition("?")[0]
    addresses = [str(_href(one)).partition("?")[0] for one in listed.values()]
    if masks := [one for one in addresses if one.lower() == f"{path}.msk".lower()]:
        raise CorpusError(f"it lists a mask beside a file ({masks[0].rpartition('/')[2]}), and such masks are not read")


def _href(asset: Any) -> Any:
    return asset.get("href") if isinstance(asset, dict) else None


def _file(
    item: dict[str, Any],
    asset: dict[str, Any],
    scaling: Scaling,
    address: Callable[[object], str],
    *,
    overruled: bool = False,
) -> File:
    transform = asset.get("proj:transform") or item["properties"].get("proj:transform")
    pixel_m = abs(_number(transform[0], "proj:transform")) if transform else None
    if "href" not in asset:
        raise CorpusError("an asset has no href")
    return File(address(asset["href"]), scaling, pixel_m, overruled)


def _scaling(item: dict[str, Any], asset: dict[str, Any], sensor: Sensor, band: str, baseline: str) -> Scaling:
    """How this item's counts of a band become physical values, by the item's own words.

    For Sentinel-2 in this order: a catalogue that says it removed the offset itself; a baseline that never had one;
    the asset's `raster:bands` (or the same in STAC 1.1); the baseline.
    """
    default = sensor.scaling_of(band)
    said = _raster(asset)
    scale, offset = said.get("scale", default.scale), said.get("offset")
    _plausible(scale, offset, default, sensor, band)
    if not sensor.has_baselines:
        return Scaling(scale, default.offset if offset is None else offset, default.decibel)
    if _without_offset(item, sensor, baseline):
        return Scaling(scale)
    if offset is not None:
        return Scaling(scale, offset)
    if not baseline:
        raise CorpusError("says neither its processing baseline nor an offset")
    return Scaling(scale, offset_for_baseline(baseline) * scale)


def _without_offset(item: dict[str, Any], sensor: Sensor, baseline: str) -> bool:
    """Whether counts of Sentinel-2 have no offset, whatever the asset says: never had one, or it was removed."""
    if not sensor.has_baselines:
        return False
    removed = any(item["properties"].get(f"{who}:boa_offset_applied") for who in ("earthsearch", "sentinel"))
    return removed or (baseline != "" and offset_for_baseline(baseline) == 0)


def _plausible(scale: float, offset: float | None, default: Scaling, sensor: Sensor, band: str) -> None:
    """Refuse a scale that would make nonsense of the counts: none at all, or one that is not of this sensor."""
    if not default.scale / SCALE_FACTOR <= scale <= default.scale * SCALE_FACTOR:
        raise CorpusError(f"the scale {scale:g} of {band} cannot be, {sensor.name} has {default.scale:g}")
    low, high = sensor.range_of(band)
    if offset is not None and abs(offset - default.offset) > high - low:
        raise CorpusError(f"the offset {offset:g} of {band} cannot be: {sensor.name} measures {low:g} to {high:g}")


def _raster(asset: dict[str, Any]) -> dict[str, float]:
    bands = asset.get("raster:bands") or asset.get("bands") or [{}]
    values = {name: bands[0].get(name, bands[0].get(f"raster:{name}", asset.get(f"raster:{name}"))) for name in
             ("scale", "offset")}  # fmt: skip
    return {name: _number(value, f"the {name} of raster:bands") for name, value in values.items() if value is not None}


def _baseline(item: dict[str, Any]) -> str:
    properties = item["properties"]
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        if properties.get(key):
            return str(properties[key]).removeprefix("N")
    names = [
        str(item.get("id", "")),
        *(str(properties.get(k, "")) for k in ("s2:product_uri", "sentinel:product_id", "title")),
    ]
    for name in names:
        if match := re.search(r"_N(\d{2})\.?(\d{2})(?:_|$)", name):
            return f"{match[1]}.{match[2]}"
    return ""


def _tile(properties: dict[str, Any]) -> str:
    """Tile in one spelling for all catalogues: `32TPT`, or path and row as `193027`."""
    path, row = properties.get("landsat:wrs_path"), properties.get("landsat:wrs_row")
    if path is not None and row is not None:
        return f"{int(path):03}{int(row):03}"
    tile = properties.get("s2:mgrs_tile") or properties.get("grid:code") or ""
    return str(tile).rpartition("-")[2]


# -- acquisitions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acquisition:
    """All scenes of one pass over a location, the best first."""

    scenes: tuple[Scene, ...]

    @property
    def when(self) -> dt.datetime:
        """Time of the first scene."""
        return min(scene.when for scene in self.scenes)

    @property
    def cloud(self) -> float:
        """Cloud over the cloudiest of its scenes, in percent; 0 where nobody knows."""
        return max((scene.cloud or 0.0 for scene in self.scenes), default=0.0)

    def only(self, keys: Set[tuple]) -> "Acquisition | None":
        """The acquisition with only the scenes of these keys; None if there is none."""
        kept = tuple(scene for scene in self.scenes if scene.key in keys)
        return Acquisition(kept) if kept else None

    @property
    def name(self) -> str:
        """Ids of its scenes, as one text."""
        return " ".join(scene.id for scene in self.scenes)


def acquisitions(scenes: Iterable[Scene], outline: BaseGeometry, crs: str) -> list[Acquisition]:
    """Scenes joined by pass, in order of time.

    Of a tile that was processed twice the newest version stays; parts of a tile that cover different ground are laid
    side by side, whenever they were processed.

    Args:
        scenes: of one product.
        outline: of the location, WGS 84.
        crs: of the location; scenes in it come first, as they need no resampling.
    """
    passes: list[list[Scene]] = []
    for scene in sorted(scenes, key=lambda scene: (scene.platform, scene.when, scene.id)):
        last = passes[-1][-1] if passes else None
        if last and last.platform == scene.platform and scene.when - last.when <= SAME_PASS:
            passes[-1].append(scene)
        else:
            passes.append([scene])

    def order(scene: Scene) -> tuple:
        shared = round(scene.outline.intersection(outline).area / outline.area, 3) if outline.area else 0.0
        return (-shared, scene.crs != crs, scene.id)

    joined = [Acquisition(tuple(sorted(_newest(one), key=order))) for one in passes]
    return sorted(joined, key=lambda one: (one.when, one.name))


def _newest(scenes: Iterable[Scene]) -> list[Scene]:
    """The scenes of a pass, without earlier versions of the same scene."""
    kept: list[Scene] = []
    for scene in sorted(scenes, key=lambda scene: scene.version, reverse=True):
        if not any(scene.tile == one.tile and _same_ground(scene.outline, one.outline) for one in kept):
            kept.append(scene)
    return kept


def _same_ground(one: BaseGeometry, other: BaseGeometry) -> bool:
    return one.intersection(other).area >= SAME_OUTLINE * one.union(other).area


def twins(levels: Sequence[Sequence[Acquisition]]) -> list[tuple[Acquisition, ...]]:
    """Acquisitions that every product level has, of each the scenes that every level has.

    Args:
        levels: acquisitions by product level.
    """
    common = set.intersection(*({scene.key for one in level for scene in one.scenes} for level in levels))
    matched: list[tuple[Acquisition, ...]] = []
    for first in levels[0]:
        shared = first.only(common)
        if shared is not None:
            keys = {scene.key for scene in shared.scenes}
            partners = [other for level in levels[1:] for one in level if (other := one.only(keys)) is not None]
            # a pass that one level cuts in two has no single partner
            if len(partners) == len(levels) - 1:
                matched.append((shared, *partners))
    return matched


# -- counts ------------------------------------------------------------------------------------------------------------


def rescaled(
    counts: Shaped[ndarray, "y x"], missing: Bool[ndarray, "y x"], given: Scaling, stored: Scaling
) -> Shaped[ndarray, "y x"]:
    """Counts converted to the corpus's scaling; missing pixels keep theirs.

    An item of another offset is shifted by a whole number, so that nothing is lost; counts at the end of the type's
    range, which mean saturation, stay there.
    """
    if (given.scale, given.offset) == (stored.scale, stored.offset):
        return counts
    values = counts.astype(np.float64)
    if given.scale != stored.scale or counts.dtype.kind == "f":
        values = values * given.scale + (given.offset - stored.offset)
        values = values / stored.scale
    else:
        values = values + round((given.offset - stored.offset) / stored.scale)
    if counts.dtype.kind == "f":
        return np.where(missing, counts, values).astype(counts.dtype)
    limits = np.iinfo(counts.dtype)
    lowest = limits.min or 1  # 0 of counts without a sign is nodata
    shifted = np.clip(np.rint(values), lowest, limits.max).astype(counts.dtype)
    return np.where(missing | (counts == limits.max), counts, shifted)
