"""Landsat scenes as USGS ships them: Collection 2 level 2 and level 1, and Collection 1 level 1, cut into chips.

Level-2 counts stay as they are (reflectance = DN * 2.75e-5 - 0.2, kelvin = DN * 0.00341802 + 149); level-1 counts
become reflectance and brightness temperature at the top of the atmosphere with the coefficients of the scene's
metadata. Chips lie on the scenes' own pixels, in their UTM zone; scenes whose pixels coincide give series of the same
locations.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray
from pydantic import Field, model_validator

from swath import sensors
from swath.corpus import eight_bit
from swath.corpus.sources import _legends as legends
from swath.corpus.sources._contents import Contents, LogEntry, moved, window, write_log
from swath.corpus.sources._position import pixel_m
from swath.corpus.sources._raster import BadFileError, File, check_size, header
from swath.corpus.sources.landsat import _grid as grid
from swath.corpus.sources.landsat import _scenes as scenes
from swath.corpus.sources.landsat._calibrate import fill_and_cloud, physical
from swath.corpus.sources.landsat._scenes import Scene
from swath.corpus.sources.published import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.store import Chip, Corpus, LabelLayer, Location, SensorLayout
from swath.corpus.store.codes import check_declared
from swath.errors import CorpusError
from swath.settings import Settings


class LabelRaster(Settings):
    """A raster of class codes in any reference system, such as NLCD."""

    file: Path
    """Path of the raster, absolute or relative to the data folder."""
    legend: Literal["nlcd", "cdl"] | None = None
    """Name of a known product, for its classes and colours; otherwise give `classes`."""
    classes: dict[int, str] = Field(default_factory=dict)
    colours: dict[int, str] = Field(default_factory=dict)
    void: int = 0
    """Code of pixels without a label: outside the raster, or where it says nodata."""

    @model_validator(mode="after")
    def _one_legend(self) -> "LabelRaster":
        if bool(self.legend) == bool(self.classes):
            raise ValueError("give either legend or classes")
        if self.legend and "void" in self.model_fields_set:
            raise ValueError("a legend has its own void: leave it out")
        check_declared(self.classes, self.void)
        return self

    @property
    def layer(self) -> LabelLayer:
        """The label layer of the corpus that it becomes."""
        if self.legend:
            return {"nlcd": legends.NLCD, "cdl": legends.CDL}[self.legend]
        return LabelLayer(classes=self.classes, colours=self.colours, void=self.void)


class Config(FormatSettings):
    """Landsat scenes as USGS ships them: which bands to store, cut into which chips, with labels from a raster."""

    name: Literal["landsat-c2"] = "landsat-c2"
    chip_px: int = Field(default=264, gt=0)
    """Width and height of a chip in pixels of 30 m."""
    bands: tuple[str, ...] = ()
    """Names such as `SR_B4` or `B10`; by default all that every scene of a sensor has, except the panchromatic one."""
    uint8: bool = False
    """Store one byte per value, by the tables of SSL4EO-L."""
    min_valid: float = Field(default=0.5, ge=0, le=1)
    """Leave out chips with a smaller share of usable pixels."""
    mask_clouds: bool = False
    """Mark cloud, its shadow and cirrus as invalid; their share is kept either way."""
    missing_metadata: Literal["error", "estimate"] = "error"
    """Level-1 scenes of Landsat 8 and 9 without `*_MTL.txt`: stop, or take the coefficients that all scenes share and
    the sun's elevation at the satellite's mean local time (about two degrees off)."""
    labels: dict[str, LabelRaster] = Field(default_factory=dict)
    """Rasters of class codes by name of the label layer."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no scene is there, or a file is missing or not as it should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    all_scenes = scenes.find(folder, omissions)
    bands = scenes.bands(all_scenes, config.bands)
    omissions.log += scenes.not_in_common(all_scenes, bands) if not config.bands else []
    ready, sizes = [], {}
    for scene in all_scenes:
        try:
            scenes.prepare(scene, bands[scene.sensor], config.missing_metadata, config.max_image_gb)
            _require_quality(scene, config)
            gsd_m = sizes.setdefault(scene.sensor, min(pixel_m(scene.grid) or (30.0,)))
            scenes.check_pixel_size(scene.id, scene.grid, gsd_m, scenes.folder_of(scene))
            ready.append(scene)
        except BadFileError as error:
            omissions.reject(error, scene.id)
    if not ready:
        raise CorpusError("no scene can be used", where=str(folder), remedy=f"first: {omissions.log[-1]['what']}")
    if not config.mask_clouds:
        what = "only fill is marked as missing"
        unjudged = [scene.id for scene in ready if scene.quality is None]
        omissions.log += [{"event": "no quality band", "id": name, "what": what, "where": name} for name in unjudged]
    spec = _form(config, ready, bands)
    rasters = {name: _raster(folder, raster, config) for name, raster in config.labels.items()}
    all_grids = grid.grids(ready)
    omissions.log += grid.scattered(all_grids)
    units = list(grid.blocks(all_grids, config.chip_px))
    if not units:
        sizes = sorted({f"{scene.grid.width} x {scene.grid.height}" for scene in ready})
        raise CorpusError(
            f"no chip of {config.chip_px} pixels fits into the scenes of {', '.join(sizes)}",
            where="corpus.source.chip_px",
            remedy="make chip_px smaller",
        )
    known = (
        Location(block.uid(column), crs=block.grid.crs, transform=moved(block.transform_of(column), 0, 0, 0))
        for block in units
        for column in block.columns
    )
    convert(
        target,
        spec,
        omissions,
        units,
        grid.CellRow.uids,
        lambda block: _contents_of(block, config, spec, rasters),
        known,
    )
    write_log(target, _without_chips(target, ready, config))


def _without_chips(target: Path, ready: list[Scene], config: Config) -> list[LogEntry]:
    """Notes on scenes of which nothing is stored."""
    stored = {name for source in Corpus.open(target).chips["source"] for name in source.split()}
    what = f"no cell of {config.chip_px} pixels has {config.min_valid:.0%} of them free of fill"
    what += " and cloud" if config.mask_clouds else ""
    return [
        {"event": "scene without chips", "id": scene.id, "what": what, "where": str(scenes.folder_of(scene))}
        for scene in ready
        if scene.id not in stored
    ]


def _require_quality(scene: Scene, config: Config) -> None:
    if config.mask_clouds and scene.quality is None:
        raise BadFileError(
            f"{scene.id} has no {' or '.join(scenes.QUALITY)}, so nobody knows where its clouds are",
            where="corpus.source.mask_clouds",
            remedy=f"{SKIP}; or mask_clouds=false",
        )


def _form(config: Config, ready: list[Scene], bands: dict[str, tuple[str, ...]]) -> CorpusSpec:
    layouts = {}
    for sensor in dict.fromkeys(scene.sensor for scene in ready):
        gsd = min(min(pixel_m(scene.grid) or (30.0,)) for scene in ready if scene.sensor == sensor)
        layouts[sensor] = layout(sensor, bands[sensor], gsd, uint8=config.uint8)
    layers = {name: raster.layer for name, raster in config.labels.items()}
    return CorpusSpec(config.chip_px, layouts, layers, ("public domain",))


def layout(sensor: str, bands: tuple[str, ...], gsd_m: float, *, uint8: bool) -> SensorLayout:
    """How a sensor's pixels are stored."""
    if uint8:
        return eight_bit.layout(sensor, bands, gsd_m)
    return SensorLayout.of(sensors.get(sensor), bands, gsd_m=gsd_m)


def _raster(data: Path, raster: LabelRaster, config: Config) -> File:
    path = data / raster.file
    if not path.is_file():
        raise CorpusError("the label raster is not there", where=str(path), remedy="mend corpus.source.labels")
    file = File(path, raster.file.as_posix(), key="corpus.source.labels")
    check_size(file, header(file).block_bytes, config.max_image_gb)
    return file


# -- one block ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Image:
    """The pixels of a scene within a block."""

    scene: Scene
    pixels: Shaped[ndarray, "c y x"]
    """Values as the corpus stores them."""
    seen: Bool[ndarray, "y x"]
    """Where there is an observation in every band."""
    cloud: Bool[ndarray, "y x"] | None
    """None where the scene has no quality band."""


def _contents_of(block: grid.CellRow, config: Config, spec: CorpusSpec, rasters: dict[str, File]) -> Contents:
    """The chips of all passes in a row of cells."""
    passes: dict[tuple[str, str, str], list[Image]] = {}
    for scene in block.grid.scenes:
        if image := _image(block, scene, config, spec):
            passes.setdefault(scene.swath, []).append(image)
    maps = {name: _codes(block, name, file, spec) for name, file in rasters.items()}
    contents = Contents()
    for position, column in enumerate(block.columns):
        cell = window(0, position, block.px)
        uid, corner = block.uid(column), moved(block.transform_of(column), 0, 0, 0)
        chips = [chip for images in passes.values() if (chip := _chip(uid, images, cell, config))]
        if chips:
            location = Location(uid, crs=block.grid.crs, transform=corner)
            contents.add(location, chips, {name: codes[cell] for name, codes in maps.items()}, spec.sensors)
    return contents


def _image(block: grid.CellRow, scene: Scene, config: Config, spec: CorpusSpec) -> Image | None:
    """None where the scene does not reach the block."""
    layout = spec.sensors[scene.sensor]
    counts = grid.read(block, scene, layout.bands)
    if counts is None:
        return None
    seen, cloud = (counts != 0).all(axis=0), None
    if scene.quality and (codes := grid.read(block, scene, [scene.quality])) is not None:
        try:
            fill, cloud = fill_and_cloud(codes[0], scene.bits)
        except ValueError as error:
            file = scene.files[scene.quality]
            raise BadFileError(f"{file.name} {error}", where=str(file.path), remedy=SKIP) from None
        seen &= ~fill
    shipped = SensorLayout.of(sensors.get(scene.sensor), layout.bands, gsd_m=layout.gsd_m)
    pixels = counts.astype(shipped.dtype)
    if scene.calibration is not None:
        pixels = np.nan_to_num(physical(counts, layout.bands, scene.calibration))
    if config.uint8:
        pixels = eight_bit.encode(pixels, scene.sensor, shipped)
    return Image(scene, pixels, seen, cloud)


def _chip(uid: str, images: list[Image], cell: tuple[slice, slice], config: Config) -> Chip | None:
    """The chip of a cell from the scenes of a pass, laid over one another, the one that sees most of the cell on top.
    None where too little of the cell can be used.

    None where too little of the cell can be used.
    """
    ordered = sorted(images, key=lambda image: (-int(image.seen[cell].sum()), image.scene.id))
    pixels, seen = ordered[0].pixels[:, *cell].copy(), ordered[0].seen[cell].copy()
    cloud = None if ordered[0].cloud is None else ordered[0].cloud[cell].copy()
    used = ordered[:1]
    for image in ordered[1:]:
        fresh = image.seen[cell] & ~seen
        if not fresh.any():
            continue
        pixels[:, fresh] = image.pixels[:, *cell][:, fresh]
        seen |= fresh
        used.append(image)
        if cloud is None or image.cloud is None:
            cloud = None
        else:
            cloud[fresh] = image.cloud[cell][fresh]
    valid = seen & ~cloud if config.mask_clouds and cloud is not None else seen
    if not valid.any() or valid.mean() < config.min_valid:
        return None
    return Chip(
        uid,
        used[0].scene.sensor,
        pixels,
        valid=valid,
        datetime=used[0].scene.date,
        cloud=None if cloud is None else float(cloud[seen].mean()),
        source=" ".join(image.scene.id for image in used),
        orbit=used[0].scene.path,
    )


def _codes(block: grid.CellRow, name: str, file: File, spec: CorpusSpec) -> Integer[ndarray, "y x"]:
    layer = spec.labels[name]
    try:
        return grid.labels(block, file, layer)
    except ValueError as error:
        raise CorpusError(
            f"{file.name} {error}", where=f"corpus.source.labels.{name}", remedy="add the code to classes, or as void"
        ) from None
