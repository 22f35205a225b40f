"""Landsat scenes of both levels as USGS ships them: COGs, metadata files, and items in the shape of its STAC server."""

import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.warp import transform_geom

from swath import sensors
from tests.corpus.sources.stac import world

WEST, NORTH, SIDE = 499_965.0, 5_300_055.0, 4_830.0
FILES = {"LC08": "oli", "LC09": "oli", "LE07": "etm", "LT05": "tm"}
THERMAL = {"B6": (607.76, 1260.56), "B6_VCID_1": (666.09, 1282.71), "B6_VCID_2": (666.09, 1282.71),
           "B10": (774.8853, 1321.0789), "B11": (480.8883, 1201.1442)}  # fmt: skip
RADIANCE = {"B10": (3.342e-4, 0.1), "B11": (3.342e-4, 0.1), "B6": (5.5375e-2, 1.18243),
            "B6_VCID_1": (6.7087e-2, -0.06709), "B6_VCID_2": (3.7205e-2, 3.1628)}  # fmt: skip


@dataclass(frozen=True)
class Landsat:
    """One item of one level."""

    when: dt.datetime
    level: int = 1
    craft: str = "LC08"
    row: str = "027"
    cloud: float = 2.0
    category: str = "T1"
    elevation: float = 43.38653299
    north: float = NORTH
    side_m: float = SIDE
    cloudy: tuple[float, float, float, float] | None = None
    without: tuple[str, ...] = ()
    epsg: int = 32632
    west: float = WEST

    @property
    def sensor(self) -> str:
        return f"landsat-{FILES[self.craft]}-{'toa' if self.level == 1 else 'sr'}"

    @property
    def id(self) -> str:
        day = f"{self.when:%Y%m%d}"
        level, end = ("L1TP", "") if self.level == 1 else ("L2SP", "_SR")
        return f"{self.craft}_{level}_193{self.row}_{day}_{day}_02_{self.category}{end}"

    @property
    def file(self) -> str:
        return self.id.removesuffix("_SR")

    @property
    def dtype(self) -> type:
        return np.uint8 if self.level == 1 and self.craft in {"LE07", "LT05"} else np.uint16

    def write(self, folder: Path, base: str) -> dict:
        """Write the files and return the item."""
        sensor = sensors.get(self.sensor)
        keys = sensor.assets["usgs"]
        where = folder / f"{self.file}-{abs(hash(self)):x}"
        where.mkdir(exist_ok=True)
        assets = {}
        for band in (one.name for one in sensor.bands if one.name in keys):
            gsd, west, north = grid(self, band)
            path = where / f"{self.file}_{band}.TIF"
            world.save_raster(path, dn(self, band), self.epsg, (gsd, west, north), 0)
            name = keys[band].lstrip("*_").removesuffix(".TIF").lower() if keys[band][0] == "*" else keys[band]
            assets[name] = asset(path, folder, base)
            if gsd != 30.0:
                shape = [int(self.side_m / gsd)] * 2
                assets[name] |= {"proj:shape": shape, "proj:transform": [gsd, 0, west, 0, -gsd, north]}
        mask = world.mask(self, 30.0, 1 << 6, 1 << 3, np.uint16)
        path = where / f"{self.file}_QA_PIXEL.TIF"
        world.save_raster(path, mask, self.epsg, (30.0, self.west, self.north), None)
        assets["qa_pixel"] = asset(path, folder, base)
        path = where / f"{self.file}_MTL.txt"
        path.write_text(metadata(self))
        assets["MTL.txt"] = asset(path, folder, base)
        return item(self, {key: one for key, one in assets.items() if key not in self.without})


def grid(scene: Landsat, band: str) -> tuple[float, float, float]:
    """Pixel size, west and north: the panchromatic band's 15 m lie half a pixel off the others' edges."""
    if band == "B8":
        return 15.0, scene.west + 7.5, scene.north - 7.5
    return 30.0, scene.west, scene.north


def dn(scene: Landsat, band: str) -> np.ndarray:
    """Counts of a whole file: a ramp that says where and which band a pixel is; 0 is fill."""
    gsd, west, north = grid(scene, band)
    size = int(scene.side_m / gsd)
    return counts(scene, band, west + gsd * (np.arange(size) + 0.5), north - gsd * (np.arange(size) + 0.5))


def counts(scene: Landsat, band: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Counts of the pixels with these centres."""
    number = [one.name for one in sensors.get(scene.sensor).bands].index(band)
    gsd = grid(scene, band)[0]
    step = np.floor(x[None, :] / gsd) * 7 + np.floor(y[:, None] / gsd) * 13 + 29 * number + scene.when.toordinal()
    if scene.dtype is np.uint8:
        return (5 + step % 250).astype(np.uint8)
    return ((8000 if scene.level == 2 else 20_000 if band in THERMAL else 5_100) + step % 3000).astype(np.uint16)


def coefficients(scene: Landsat, band: str) -> tuple[float, float]:
    """Of reflectance: the same for all OLI scenes, of its own for every other."""
    if scene.craft in {"LC08", "LC09"}:
        return 2e-5, -0.1
    return 1.1e-3 + 1e-4 * int(band[1]) + 1e-6 * scene.when.day, -0.01


def truth(scene: Landsat, band: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What Earth Engine's TOA collections hold: reflectance corrected for the sun, or kelvin."""
    seen = counts(scene, band, x, y).astype(np.float64)
    if band in THERMAL:
        (gain, bias), (k1, k2) = RADIANCE[band], THERMAL[band]
        return k2 / np.log(k1 / (gain * seen + bias) + 1)
    gain, bias = coefficients(scene, band)
    return (gain * seen + bias) / math.sin(math.radians(scene.elevation))


def metadata(scene: Landsat) -> str:
    """The fields of a metadata file that calibrate, in its groups."""
    rows = []
    for band in (one.name for one in sensors.get(f"landsat-{FILES[scene.craft]}-toa").bands):
        number = band.removeprefix("B")
        if band in THERMAL:
            (gain, bias), (k1, k2) = RADIANCE[band], THERMAL[band]
            rows += [f"RADIANCE_MULT_BAND_{number} = {gain}", f"RADIANCE_ADD_BAND_{number} = {bias}"]
            rows += [f"K1_CONSTANT_BAND_{number} = {k1}", f"K2_CONSTANT_BAND_{number} = {k2}"]
        else:
            gain, bias = coefficients(scene, band)
            rows += [f"REFLECTANCE_MULT_BAND_{number} = {gain!r}", f"REFLECTANCE_ADD_BAND_{number} = {bias!r}"]
    groups = {
        "PRODUCT_CONTENTS": [f'LANDSAT_PRODUCT_ID = "{scene.file}"', "COLLECTION_NUMBER = 02"],
        "IMAGE_ATTRIBUTES": [
            f"DATE_ACQUIRED = {scene.when:%Y-%m-%d}",
            f'SCENE_CENTER_TIME = "{scene.when:%H:%M:%S}.5255630Z"',
            "SUN_AZIMUTH = 130.5",
            f"SUN_ELEVATION = {scene.elevation}",
        ],
        "LEVEL1_RADIOMETRIC_RESCALING": rows,
    }
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for name, entries in groups.items():
        lines += [f"  GROUP = {name}", *(f"    {entry}" for entry in entries), f"  END_GROUP = {name}"]
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def asset(path: Path, folder: Path, base: str) -> dict:
    inside = path.relative_to(folder)
    s3 = {"storage:platform": "AWS", "storage:requester_pays": True, "href": f"s3://usgs-landsat/{inside}"}
    kind = "text/plain" if path.suffix == ".txt" else "image/vnd.stac.geotiff; cloud-optimized=true"
    return {"href": f"{base}/{inside}", "type": kind, "roles": ["data"], "alternate": {"s3": s3}}


def item(scene: Landsat, assets: dict) -> dict:
    west, north, side = scene.west, scene.north, scene.side_m
    ring = [(west, north), (west, north - side), (west + side, north - side), (west + side, north), (west, north)]
    outline = transform_geom(f"EPSG:{scene.epsg}", "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
    lon, lat = zip(*outline["coordinates"][0], strict=True)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": scene.id,
        "collection": sensors.get(scene.sensor).collections["usgs"],
        "geometry": outline,
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "properties": {
            "datetime": scene.when.strftime("%Y-%m-%dT%H:%M:%S.525630Z"),
            "eo:cloud_cover": scene.cloud,
            "view:sun_azimuth": 130.5,
            "view:sun_elevation": scene.elevation,
            "platform": f"LANDSAT_{int(scene.craft[2:])}",
            "instruments": [FILES[scene.craft].upper()],
            "landsat:wrs_type": "2",
            "landsat:wrs_path": "193",
            "landsat:wrs_row": scene.row,
            "landsat:collection_category": scene.category,
            "landsat:collection_number": "02",
            "landsat:correction": "L1TP" if scene.level == 1 else "L2SP",
            "proj:epsg": scene.epsg,
            "proj:shape": [int(side / 30)] * 2,
            "proj:transform": [30, 0, west, 0, -30, north],
        },
        "assets": assets,
        "links": [],
    }
