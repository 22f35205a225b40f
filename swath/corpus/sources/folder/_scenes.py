"""The images of a folder as scenes: the same files, checks, scaling and clouds, read window by window."""

import math
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from affine import Affine
from jaxtyping import Bool, Shaped
from numpy import ndarray
from rasterio.errors import NotGeoreferencedWarning

from swath.corpus.sources._raster import Cut, File, Header, times
from swath.corpus.sources.folder._build import Config, fitting_images, headers_of, layouts_of, scale
from swath.corpus.sources.folder._check import channels, finest
from swath.corpus.sources.folder._cut import Plan, pixels_of, shape_of
from swath.corpus.sources.folder._scan import LocationFiles, Shot, scan
from swath.corpus.sources.folder._section import FolderSection
from swath.corpus.store import SensorLayout


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A part of a scene as a corpus would store it."""

    counts: Shaped[ndarray, "c y x"]
    """By band, in the type and scaling of the scene's layout."""
    valid: Bool[ndarray, "y x"]
    """False where there is nodata, and where the quality layer sees a cloud."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The image of one id, sensor and date, of which no more than a window is ever read."""

    name: str
    """Name of its first file."""
    sensor: str
    bands: tuple[str, ...]
    """The sensor's names of the bands, in the order of the pixels."""
    date: datetime | None
    crs: str | None
    """Reference system; None where no file says one."""
    transform: Affine | None
    """From pixel corners (column, row) of the finest band to native coordinates."""
    height: int
    width: int
    gsd_m: float
    factor: int
    """Width of the coarsest band's pixels, in pixels of the finest."""
    masks_clouds: bool
    """Whether a quality layer hides clouds."""
    _shot: Shot = field(repr=False)
    _location: LocationFiles = field(repr=False)
    _plan: Plan = field(repr=False)

    def read(self, row: int, column: int, height: int, width: int) -> Pixels:
        """A window that lies in the scene, in pixels of the finest band.

        Raises:
            BadFileError: a file cannot be read, or holds what the type of its sensor cannot.
        """
        cut = Cut(row, column, height, width, (self.height, self.width))
        stored = pixels_of(self._shot, self._location, self._plan, cut)
        return Pixels(stored.pixels, stored.valid)

    @property
    def layout(self) -> SensorLayout:
        """What its counts mean."""
        return self._plan.layouts[self.sensor]


def scenes(section: FolderSection, data: Path) -> tuple[list[Scene], list[dict[str, Any]]]:
    """The images that a section describes, checked as for a corpus, in the order of ids, dates and tags.

    Args:
        section: of a recipe; its labels, groups and size of chips do not matter here.
        data: folder that its patterns are relative to.

    Returns:
        the scenes, and notes on what was left out, as in a corpus's log.

    Raises:
        RecipeError: nobody knows the pixel size of a sensor's images.
        CorpusError: files are missing, contradictory or bad; the message names the file and the key.
    """
    kept = {name: getattr(section, name) for name in ("images", "quality", "on_bad_file")}
    config = Config.model_construct(**(_PLAIN | kept))
    log: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        # whoever asks decides what a scene without a reference system is good for
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            locations = scan(data, config)
            headers = headers_of(locations, config, log, pool)
        scale(locations, config, headers, log)
        layouts = layouts_of(locations, config, headers)
        locations = fitting_images(locations, config, layouts, headers, log)
    plan = Plan(config, layouts, {}, headers, {})
    return [scene for location in locations for scene in _of_location(location, plan)], log


_PLAIN = {name: field.get_default(call_default_factory=True) for name, field in Config.model_fields.items()}
_PLAIN |= {"chip_px": 1, "max_image_gb": math.inf}
"""Settings of a section whose images are not cut into chips, and of which no more than a window is decoded."""


def _of_location(location: LocationFiles, plan: Plan) -> Iterator[Scene]:
    shape = shape_of(location, plan.headers)
    factors = [times(_size(plan.headers[c.file.name]), shape, c.file) for c in channels(location)]
    for shot in location.shots.values():
        file, head = _placed(shot, location, plan)
        yield Scene(
            name=file.name,
            sensor=shot.entry.sensor,
            bands=tuple(shot.bands),
            date=shot.date,
            crs=head.crs,
            transform=head.transform,
            height=shape[0],
            width=shape[1],
            gsd_m=plan.layouts[shot.entry.sensor].gsd_m,
            factor=max(factors),
            masks_clouds=any(plan.section.quality[position].mask for position in shot.quality),
            _shot=shot,
            _location=location,
            _plan=plan,
        )


def _size(head: Header) -> tuple[int, int]:
    return head.height, head.width


def _placed(shot: Shot, location: LocationFiles, plan: Plan) -> tuple[File, Header]:
    """The file that says where a shot lies: one of its own, else one of the location's other shots."""
    own = finest(shot, plan.headers)
    others = (finest(one, plan.headers) for one in location.shots.values())
    return next((one for one in (own, *others) if one[1].crs is not None), own)
