"""What a build will cost, before it starts: chips, requests, bytes, hours."""

from dataclasses import dataclass
from math import ceil

import geopandas as gpd
import numpy as np
import shapely

from swath import sensors
from swath.corpus import dates
from swath.corpus.sources.stac import _cloudless as cloudless
from swath.corpus.sources.stac import _level_1 as level_1
from swath.corpus.sources.stac import _section as sections
from swath.corpus.sources.stac._section import Product, StacSection

BLOCK_PX = 512
"""Side of the blocks of the providers' cloud-optimised GeoTIFFs: 512 at Planetary Computer and USGS, 1024 at
Earth Search."""
HEADER_BYTES = 32_768
"""Bytes read when a file is opened: they contain the header of most cloud-optimised GeoTIFFs."""
COMPRESSED = 0.6
"""Size of deflated counts relative to raw ones, remote and stored."""
METADATA_BYTES = 15_000
"""Bytes of a Landsat scene's metadata file."""
ITEM_BYTES = 30_000
"""Bytes of an item in a search's answer."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast requests are answered."""

    request_s: float = 0.1
    """Time of a request, in seconds."""
    workers: int = 8
    """Processes that each wait for one request at a time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """An upper bound on what a build reads and stores: every window is assumed to have a usable scene."""

    locations: int
    chips: int
    """Locations times products times windows; for whole series, the number of dates by the revisit time."""
    searches: int
    requests: int
    """Searches, headers and blocks of files."""
    download_bytes: float
    stored_bytes: float
    hours: float

    def lines(self) -> list[str]:
        """The cost in words, a line each: chips, requests, bytes, hours."""
        return [
            f"{self.locations:,} locations, at most {self.chips:,} chips",
            f"{self.searches:,} searches, {self.requests:,} requests in all",
            f"{_size(self.download_bytes)} to download, {_size(self.stored_bytes)} to store",
            f"{self.hours:,.1f} hours",
        ]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def cost(section: StacSection, plan: gpd.GeoDataFrame, rate: Rate) -> Cost:
    """The most that building a plan's locations can cost."""
    gsd = sections.pixel_size(section)
    chips = asked = requests = 0
    downloaded = stored = 0.0
    for product in section.products:
        windows = dates.windows(product.when or section.when, str(plan["uid"].iloc[0]))
        per_window = [_acquisitions(product, window.intervals) if window.every else 1.0 for window in windows]
        taken = sum(per_window) * len(plan)
        periods = dates.joined(windows)
        # an outline across the antimeridian is two, each of which is searched
        outlines = int(shapely.get_num_geometries(plan.geometry.to_numpy()).sum())
        asked += outlines * len(periods) * len(sections.entries(product, section))
        acquisitions = _acquisitions(product, periods) * len(plan)
        each_requests, each_bytes, raw = _reads(section, product, gsd, compare=not windows[0].every)
        chips += round(taken)
        requests += round(taken * each_requests)
        downloaded += taken * each_bytes + acquisitions * ITEM_BYTES
        stored += taken * raw * COMPRESSED
    requests += asked
    hours = requests * rate.request_s / rate.workers / 3600
    return Cost(len(plan), chips, asked, requests, downloaded, stored, hours)


def _acquisitions(product: Product, intervals) -> float:
    days = sum((end - start).total_seconds() / 86400 for start, end in intervals)
    # where nobody knows the revisit time, one a day is an upper bound
    return max(1.0, days / (sensors.get(product.sensor).revisit_days or 1.0))


def _reads(section: StacSection, product: Product, gsd: float, *, compare: bool) -> tuple[float, float, float]:
    """Requests and bytes to read one chip, and its bytes in memory."""
    sensor = sensors.get(product.sensor)
    calibrated = any(sensors.METADATA in keys for keys in sections.asset_keys(product, section))
    size = np.dtype(level_1.DTYPE if calibrated else sensor.dtype).itemsize
    bands = sections.bands_of(product, section)
    requests, read = (1.0, METADATA_BYTES) if calibrated else (0.0, 0.0)
    for band in bands:
        rows, blocks = _blocks(section.chip_px * gsd / (sensor.pixel_m(band) or gsd))
        requests += 1 + rows
        read += HEADER_BYTES + blocks * BLOCK_PX**2 * size * COMPRESSED
    if product.cloud_mask is not None:
        # scenes that are compared, and not taken, are read in all bands of the mask
        lost = product.look - 1 if compare else 0
        extra = [band for band in sections.bands_read(product, section) if band not in bands]
        for band in (*extra, *cloudless.BANDS * lost):
            rows, blocks = _blocks(section.chip_px * gsd / (sensor.pixel_m(band) or gsd))
            requests += 1 + rows
            read += HEADER_BYTES + blocks * BLOCK_PX**2 * size * COMPRESSED
    elif sensor.cloud is not None:
        finest = min(sensor.pixel_m(band) or gsd for band in bands)
        rows, blocks = _blocks(section.chip_px * gsd / max(finest, 20.0))
        masks = product.look if compare else 1
        requests += masks * (1 + rows)
        read += masks * (HEADER_BYTES + blocks * BLOCK_PX**2 * COMPRESSED / 8)
    stored = np.dtype(sections.layouts(section)[product.sensor].dtype).itemsize
    return requests, read, float(len(bands) * section.chip_px**2 * stored)


def _blocks(px: float) -> tuple[float, float]:
    """Expected rows of blocks, and blocks, that a window of so many pixels touches; a row is one request."""
    rows = 1 + (ceil(px) - 1) / BLOCK_PX
    return rows, rows**2
