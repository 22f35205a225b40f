"""A small world on disk: scenes as cloud-optimised GeoTIFFs whose every count is known, and their STAC items.

The items have the shape of the real ones of Earth Search and Planetary Computer (keys, projection, scaling, baseline,
platform names); the counts are a function of place, band and day, so that a test can compute what a chip must hold.
"""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_geom

from swath import sensors

S2, S1, OLI = "sentinel-2-l2a", "sentinel-1-rtc", "landsat-oli-sr"
L1C = "sentinel-2-l1c"
SCL_CLEAR, SCL_CLOUD = 4, 9


@dataclass(frozen=True)
class Scene:
    """One item: a square of ground seen on one day."""

    when: dt.datetime
    sensor: str = S2
    west: float = 499_980.0
    north: float = 5_300_040.0
    epsg: int = 32632
    side_m: float = 4_800.0
    catalogue: str = "earth-search"
    baseline: str = "05.09"
    applied: bool = False
    """Earth Search removed the offset."""
    raster: bool = True
    """Assets carry raster:bands."""
    cloud: float = 5.0
    """Percent, as the item says."""
    cloudy: tuple[float, float, float, float] | None = None
    """West, south, east, north of clouds in the mask, in metres of the zone."""
    cirrus: bool = False
    """Clouds of level 1C are thin."""
    platform: str = "sentinel-2b"
    orbit: str = "descending"
    without: tuple[str, ...] = ()
    """Asset keys that the item lacks."""
    shifted_m: float = 0.0
    """The item says that it lies so much farther east than it does."""
    tile: str = "32TPT"
    bands: tuple[str, ...] | None = None

    def write(self, folder: Path, base: str) -> dict:
        """Write the scene's files and return its item."""
        return write(self, folder, base)

    @property
    def id(self) -> str:
        letter = {S2: "S2", L1C: "S2C", S1: "S1", OLI: "LC08"}[self.sensor]
        return f"{letter}_{self.tile}_{self.when:%Y%m%dT%H%M%S}_{self.baseline.replace('.', '')}"

    @property
    def folder(self) -> str:
        """Differs from the id where a test changes what is in the files."""
        return f"{self.id}-{hashlib.sha256(repr(self).encode()).hexdigest()[:8]}"

    @property
    def collection(self) -> str:
        return sensors.get(self.sensor).collections[self.catalogue]


def counts(sensor: str, band: str, gsd: float, x: np.ndarray, y: np.ndarray, when: dt.datetime) -> np.ndarray:
    """What the instrument saw at pixel centres x, y: S2 as before baseline 04.00, without offset."""
    number = [one.name for one in sensors.get(sensor).bands].index(band)
    step = np.floor(x[None, :] / gsd) * 7 + np.floor(y[:, None] / gsd) * 13
    value = 100 + (step + 29 * number + 31 * when.toordinal()) % 3000
    return (value / 3000).astype(np.float32) if sensor == S1 else value.astype(np.uint16)


def has_offset(scene: Scene) -> bool:
    return scene.sensor in {S2, L1C} and scene.baseline >= "04.00" and not scene.applied


def file_counts(scene: Scene, band: str, gsd: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Counts as they are in the file."""
    seen = spectra(scene, band, x, y) if scene.sensor == L1C else counts(scene.sensor, band, gsd, x, y, scene.when)
    if scene.sensor == OLI:
        return seen + 8000
    return seen + 1000 if has_offset(scene) else seen


NAMES = [band.name for band in sensors.get(L1C).bands]
CLEAR = dict(zip(NAMES, (0.13, 0.10, 0.09, 0.06, 0.10, 0.25, 0.32, 0.33, 0.35, 0.12, 0.001, 0.17, 0.08), strict=True))
CLOUD = dict(zip(NAMES, (0.55, 0.56, 0.55, 0.57, 0.58, 0.60, 0.61, 0.60, 0.62, 0.35, 0.03, 0.45, 0.33), strict=True))
CIRRUS = dict(zip(NAMES, (0.21, 0.19, 0.18, 0.17, 0.20, 0.28, 0.35, 0.36, 0.38, 0.20, 0.025, 0.17, 0.08), strict=True))
"""Reflectance at the top of the atmosphere over plants, of thick cloud, and of plants under thin cold cloud."""


def spectra(scene: Scene, band: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Counts without offset: plants, and clouds where the scene is cloudy."""
    seen = np.full((len(y), len(x)), CLEAR[band])
    if scene.cloudy:
        west, south, east, north = scene.cloudy
        rows = (y > south) & (y < north)
        seen[np.ix_(rows, (x > west) & (x < east))] = (CIRRUS if scene.cirrus else CLOUD)[band]
    return np.rint(seen * 10_000).astype(np.uint16)


def stored_counts(scene: Scene, band: str, west: float, north: float, px: int, gsd: float = 10.0) -> np.ndarray:
    """What the corpus must hold of a chip whose pixels are `gsd` wide: nearest-neighbour, offset of 04.00."""
    native = sensors.get(scene.sensor).pixel_m(band) or 10.0
    x = np.floor((west + (np.arange(px) + 0.5) * gsd) / native) * native + native / 2
    y = np.floor((north - (np.arange(px) + 0.5) * gsd) / native) * native + native / 2
    if scene.sensor == OLI:  # pixel edges are 15 m off the multiples of 30
        x = np.floor((west + (np.arange(px) + 0.5) * gsd - 15) / 30) * 30 + 30
        y = np.floor((north - (np.arange(px) + 0.5) * gsd - 15) / 30) * 30 + 30
    seen = counts(scene.sensor, band, native, x, y, scene.when)
    if scene.sensor == OLI:
        return seen + 8000
    return seen + 1000 if scene.sensor == S2 else seen


def write(scene: Scene, folder: Path, base: str) -> dict:
    """Write a scene's files and return its item; addresses begin with `base`."""
    sensor = sensors.get(scene.sensor)
    keys = sensor.assets[scene.catalogue]
    where = folder / scene.folder
    where.mkdir(parents=True, exist_ok=True)
    assets = {}
    for band in scene.bands or [one.name for one in sensor.bands if one.name in keys]:
        gsd = sensor.pixel_m(band) or 10.0
        x, y = _centres(scene, gsd)
        path = where / f"{band}.{'jp2' if scene.sensor == L1C else 'tif'}"
        save_raster(
            path,
            file_counts(scene, band, gsd, x, y),
            scene.epsg,
            (gsd, scene.west, scene.north),
            sensor.nodata,
        )
        assets[keys[band]] = _asset(scene, path, folder, base, gsd, sensor.scaling_of(band))
    if sensor.cloud is not None:
        gsd = {S2: 20.0, OLI: 30.0}[scene.sensor]
        path = where / "mask.tif"
        clear, cloud, dtype = (SCL_CLEAR, SCL_CLOUD, np.uint8) if scene.sensor == S2 else (1 << 6, 1 << 3, np.uint16)
        layer = mask(scene, gsd, clear, cloud, dtype)
        save_raster(path, layer, scene.epsg, (gsd, scene.west, scene.north), None)
        assets[keys[sensor.cloud.layer]] = _asset(scene, path, folder, base, gsd, None)
    for key in scene.without:
        assets.pop(key)
    return _item(scene, assets)


def _centres(scene: Scene, gsd: float) -> tuple[np.ndarray, np.ndarray]:
    count = int(scene.side_m / gsd)
    return scene.west + (np.arange(count) + 0.5) * gsd, scene.north - (np.arange(count) + 0.5) * gsd


def mask(scene, gsd: float, clear: int, cloud: int, dtype: type) -> np.ndarray:
    """A quality layer: one code where the scene is clear, one where it is cloudy."""
    x, y = _centres(scene, gsd)
    mask = np.full((len(y), len(x)), clear, dtype)
    if scene.cloudy:
        west, south, east, north = scene.cloudy
        mask[np.ix_((y > south) & (y < north), (x > west) & (x < east))] = cloud
    return mask


def save_raster(
    path: Path, pixels: np.ndarray, epsg: int, grid: tuple[float, float, float], nodata: float | None
) -> None:
    """A cloud-optimised GeoTIFF, or lossless JPEG 2000 without a nodata value, as level 1C is shipped.

    Args:
        path: which of the two, by its end.
        pixels: counts.
        epsg: of the reference system.
        grid: pixel size, west, north.
        nodata: count.
    """
    if path.exists():
        return
    profile = {"driver": "COG", "blocksize": 128, "compress": "deflate", "overviews": "none", "nodata": nodata}
    if path.suffix == ".jp2":
        profile = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "yes", "blockxsize": 128, "blockysize": 128}
    gsd, west, north = grid
    height, width = pixels.shape
    shape = {"count": 1, "height": height, "width": width, "dtype": pixels.dtype}
    transform = from_origin(west, north, gsd, gsd)
    with rasterio.open(path, "w", crs=f"EPSG:{epsg}", transform=transform, **shape, **profile) as file:
        file.write(pixels, 1)


def _asset(scene: Scene, path: Path, folder: Path, base: str, gsd: float, scaling: sensors.Scaling | None) -> dict:
    size = int(scene.side_m / gsd)
    transform = [gsd, 0.0, scene.west, 0.0, -gsd, scene.north]
    asset = {
        "href": f"{base}/{path.relative_to(folder)}",
        "type": "image/jp2" if path.suffix == ".jp2" else "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "proj:shape": [size, size],
        "proj:transform": transform,
    }
    if scene.raster and scaling is not None and scene.catalogue == "earth-search":
        # as Earth Search has it: -0.1 stands here even where the offset was removed
        offset = -0.1 if scene.sensor in {S2, L1C} and scene.baseline >= "04.00" else scaling.offset
        asset["raster:bands"] = [{"scale": scaling.scale, "offset": offset, "nodata": 0, "data_type": "uint16"}]
    return asset


def _item(scene: Scene, assets: dict) -> dict:
    west, north, side = scene.west + scene.shifted_m, scene.north, scene.side_m
    ring = [(west, north), (west, north - side), (west + side, north - side), (west + side, north), (west, north)]
    outline = {"type": "Polygon", "coordinates": [ring]}
    outline = transform_geom(f"EPSG:{scene.epsg}", "EPSG:4326", outline)
    # a polygon on either side of the antimeridian is a polygon of its own, as STAC wants it
    rings = outline["coordinates"] if outline["type"] == "Polygon" else [one[0] for one in outline["coordinates"]]
    lon, lat = zip(*(point for ring in rings for point in ring), strict=True)
    properties = {
        "datetime": scene.when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "platform": scene.platform,
        "proj:epsg": scene.epsg,
        "eo:cloud_cover": scene.cloud,
    }
    if scene.sensor == L1C:
        properties |= {"s2:processing_baseline": scene.baseline, "grid:code": f"MGRS-{scene.tile}"}
    if scene.sensor == S2:
        properties |= {"s2:processing_baseline": scene.baseline, "s2:mgrs_tile": scene.tile}
        if scene.catalogue == "earth-search":
            properties["earthsearch:boa_offset_applied"] = scene.applied
    if scene.sensor == S1:
        properties |= {"sat:orbit_state": scene.orbit, "sar:instrument_mode": "IW"}
        properties.pop("eo:cloud_cover")
    if scene.sensor == OLI:
        properties |= {"landsat:wrs_path": "193", "landsat:wrs_row": "027"}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": scene.id,
        "collection": scene.collection,
        "geometry": outline,
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "properties": properties,
        "assets": assets,
        "links": [],
    }


def save(items: list[dict], path: Path) -> Path:
    """An item collection as the STAC server reads it."""
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def at(scene: Scene, **changes) -> Scene:
    return replace(scene, **changes)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
