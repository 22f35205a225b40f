"""Building chips from local COGs against the floor: rasterio reading the same windows of the same files.

Sentinel-2, 12 bands of 10, 20 and 60 m and the scene classification, one scene; search is left out.
"""

import datetime as dt
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.windows import from_bounds
from scipy.ndimage import gaussian_filter

from benchmarks import Result, on_one_core, race, versions
from swath import sensors
from swath.corpus import CorpusWriter, Part
from swath.corpus.dates import Window
from swath.corpus.sources.stac import Config
from swath.corpus.sources.stac import _pixels as pixels
from swath.corpus.sources.stac import _section as sections
from swath.corpus.sources.stac._hosts import Patience
from swath.corpus.sources.stac._read import LocationGrid, configure
from swath.corpus.sources.stac._scenes import Acquisition, File, Scene
from swath.corpus.sources.stac._site import Site
from swath.corpus.store.part import Location
from swath.sensors import Scaling

SENSOR, PX, SIDE = "sentinel-2-l2a", 264, 21_960
WEST, NORTH = 499_980.0, 5_300_040.0


def run(quick: bool = False) -> Result:
    on_one_core()
    with tempfile.TemporaryDirectory() as folder:
        scene = _scene(Path(folder))
        section = _section()
        sites = _sites(4 if quick else 40)
        work = _Builds(section, scene, Path(folder))
        ours, floor = race(lambda: work(sites), lambda: _floor(scene, sites), 1 if quick else 15)
        chips_wall = _wall(work, sites)
    return Result(
        ours=ours,
        peer=floor,
        ratio=ours / floor,
        unit="chips/s per core",
        setting={
            "chip": f"12 bands of {PX}x{PX} uint16, 10/20/60 m, and SCL",
            "files": "COG, 1024 px blocks, deflate, local",
            "ours": "read, unify, mask, commit to the corpus",
            "chips/s by the clock": chips_wall,
            "clock": "processor time of one core",
            "at least": 0.6,
        },
        versions=versions("rasterio", "odc-loader", "tensorstore", "numpy"),
    )


def _section() -> Config:
    where, when = {"name": "uniform", "count": 1}, {"name": "seasons", "year": 2021}
    return Config.model_validate({"where": where, "when": when, "products": ({"sensor": SENSOR},), "chip_px": PX})


class _Builds:
    """Builds the same locations, each time into a new corpus."""

    def __init__(self, section: Config, scene: Scene, folder: Path):
        self.section, self.scene, self.folder, self.number = section, scene, folder, 0
        configure(60.0)

    def __call__(self, sites: list[Location]) -> int:
        self.number += 1
        layouts = sections.layouts(self.section)
        product, window = self.section.products[0], Window("03-20", ())
        acquisition = Acquisition((self.scene,))
        chips = []
        for location in sites:
            assert location.crs
            assert location.transform
            grid = LocationGrid(location.crs, location.transform, PX)
            site = Site(self.section, layouts, location, grid, Patience(0, 1.0, 60.0))
            chips.append(pixels.chip_of(site, product, acquisition, window))
        with CorpusWriter(self.folder / f"corpus-{self.number}", layouts, PX) as writer:
            writer.append(Part(sites, chips))
        return len(chips)


def _wall(work: _Builds, sites: list[Location]) -> float:
    start = time.monotonic()
    return work(sites) / (time.monotonic() - start)


def _floor(scene: Scene, sites: list[Location]) -> int:
    files = [*scene.files.values(), scene.quality]
    for location in sites:
        assert location.transform
        west, north = location.transform[2], location.transform[5]
        for file in files:
            assert file
            with rasterio.open(file.href) as source:
                box = from_bounds(west, north - 10 * PX, west + 10 * PX, north, source.transform)
                source.read(1, window=box)
    return len(sites)


def _sites(count: int) -> list[Location]:
    rng = np.random.default_rng(0)
    outline = shapely.box(9.0, 47.6, 9.3, 47.9)
    corners = rng.integers(0, (SIDE - 10 * PX) // 60, (count, 2)) * 60
    return [
        Location(f"{i}", (9.0, 47.8), outline, "EPSG:32632", (10.0, 0.0, WEST + x, 0.0, -10.0, NORTH - y))
        for i, (x, y) in enumerate(corners.tolist())
    ]


def _scene(folder: Path) -> Scene:
    sensor = sensors.get(SENSOR)
    sizes = {b.name: b.gsd_m or 10.0 for b in sensor.bands if b.name in sensor.assets["earth-search"]}
    scaling = Scaling(sections.layouts(_section())[SENSOR].scale[0], -(sensors.get(SENSOR).product_offset or 0.0))
    files = {band: File(_write(folder, band, size), scaling, size) for band, size in sizes.items()}
    quality = File(_write(folder, "SCL", 20.0, np.uint8), Scaling(), 20.0)
    when = dt.datetime(2021, 3, 20, tzinfo=dt.UTC)
    box = shapely.box(9.0, 47.6, 9.3, 47.9)
    return Scene("scene", when, "sentinel-2a", files, quality, None, (), 0.0, None, "EPSG:32632", "05.00", box, "32TNT")


def _write(folder: Path, band: str, size: float, dtype: type = np.uint16) -> str:
    """Smooth structure and noise of a few counts, so that the files compress as imagery does."""
    rng = np.random.default_rng(len(band))
    px = round(SIDE / size)
    smooth = gaussian_filter(rng.normal(size=(px, px)).astype(np.float32), 8)
    pixels = 2000 + 4000 * smooth / smooth.std() / 8 + 20 * rng.normal(size=(px, px))
    counts = np.full((px, px), 4, dtype) if dtype is np.uint8 else np.clip(pixels, 1, 9999).astype(dtype)
    path = folder / f"{band}.tif"
    profile = {"driver": "COG", "blocksize": 1024, "compress": "deflate", "predictor": 2, "overviews": "none"}
    shape = {"count": 1, "height": px, "width": px, "dtype": counts.dtype, "nodata": 0}
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=from_origin(WEST, NORTH, size, size), **shape, **profile
    ) as f:
        f.write(counts, 1)
    return str(path)
