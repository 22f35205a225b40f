"""USGS's cloud validation scenes (L7 Irish, L8 Biome): whole scenes with a mask each, cut into chips.

As torchgeo redistributes them: every scene is one GeoTIFF with all bands at 30 m, beside it the mask and the metadata.
Scenes are cut on their own pixels, a row of eight chips at a time; the split is by whole scenes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
import torch
from jaxtyping import Shaped
from numpy import ndarray
from pydantic import Field
from rasterio.windows import Window

from swath import sensors
from swath.corpus import eight_bit
from swath.corpus.sources._contents import Contents, moved, window
from swath.corpus.sources._names import matching
from swath.corpus.sources._position import check_same_place
from swath.corpus.sources._raster import BadFileError, File, Header, explained, header
from swath.corpus.sources.landsat import _mtl as mtl
from swath.corpus.sources.landsat._calibrate import physical
from swath.corpus.sources.landsat._grid import BLOCK, missing_as_zero
from swath.corpus.sources.landsat._mtl import Calibration
from swath.corpus.sources.landsat._scenes import centre, check_pixel_size, check_windows
from swath.corpus.sources.published import SKIP, CorpusSpec, FormatSettings, Omissions, convert, expect, outlines
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.errors import CorpusError, nearest

CLASSES = {0: "fill", 64: "cloud shadow", 128: "clear", 192: "thin cloud", 255: "cloud"}
"""Codes of the masks. The corpus numbers them 0 to 4, as torchgeo does, with 0 as void."""
LAYER = LabelLayer(
    classes={1: "cloud shadow", 2: "clear", 3: "thin cloud", 4: "cloud"},
    colours={1: "#404040", 2: "#808080", 3: "#c0c0c0", 4: "#ffffff"},
    void=0,
)
GSD_M = 30.0
FRACTIONS = (0.6, 0.2, 0.2)
EIGHT_BITS = (
    "this is a copy of 8 bits, and neither it nor those who made the known one say how: get the files of 16 bits, or "
    "say counts_per_step, how many of the 65,536 counts one of its steps is (257 if 0..65535 became 0..255): the "
    "16-bit files divided by the copy tell, of one scene (docs/formats.md)"
)
"""Advice for an 8-bit copy of which nobody knows the steps."""


class ValidationSettings(FormatSettings):
    """The settings that both cloud validation sets have."""

    chip_px: int = Field(default=224, gt=0)
    """Width and height of a chip in pixels of 30 m."""
    uint8: bool = False
    """Store one byte per value, by the tables of SSL4EO-L."""
    biomes: tuple[str, ...] = ()
    """Only scenes of these biomes or zones, a subset that the corpus's provenance names; by default all that are there.
    The split is dealt among all scenes that are there."""
    min_valid: float = Field(default=0.5, ge=0, le=1)
    """Leave out chips with a smaller share of pixels that hold data."""


@dataclass(frozen=True, slots=True)
class LabelledScene:
    """One scene, its mask and its metadata."""

    name: str
    biome: str
    date: datetime
    image: File
    mask: File
    metadata: Path | None


@dataclass(frozen=True, slots=True)
class ReadyScene:
    """A scene whose headers and metadata are read."""

    scene: LabelledScene
    split: str
    head: Header
    calibration: Calibration

    def cells(self, px: int) -> tuple[int, int]:
        """Number of rows and columns of chips."""
        return self.head.height // px, self.head.width // px


@dataclass(frozen=True, slots=True)
class ChipRow:
    """Neighbouring chips of a row."""

    ready: ReadyScene
    row: int
    columns: range

    def uids(self) -> list[str]:
        """Ids of the chips."""
        return [self.uid(column) for column in self.columns]

    def uid(self, column: int) -> str:
        """Id of a chip."""
        return f"{self.ready.scene.name}_{self.row}_{column}"


def split(count: int) -> list[str]:
    """Part of every scene, in the order of their paths: torchgeo's `random_bbox_assignment` with seed 0.

    Parts have 60, 20 and 20 % of the scenes, rounded down; what is left goes to train, val and test in turn.
    """
    lengths = [math.floor(fraction * count) for fraction in FRACTIONS]
    for extra in range(count - sum(lengths)):
        lengths[extra % len(lengths)] += 1
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    parts = [""] * count
    for name, end, length in zip(("train", "val", "test"), accumulate(lengths), lengths, strict=True):
        for scene in order[end - length : end]:
            parts[scene] = name
    return parts


def build(
    config: ValidationSettings,
    target: Path,
    root: Path,
    sensor: str,
    scenes: Sequence[LabelledScene],
    whole: int,
    dtypes: dict[str, float | None],
    estimate: Literal["error", "estimate"],
    omissions: Omissions,
) -> None:
    """Make the corpus of scenes in the order of their paths.

    Args:
        config: the format's settings.
        target: folder of the corpus.
        root: folder of the data set, for messages.
        sensor: whose bands, in order, the images hold.
        scenes: all of them.
        whole: how many scenes the data set has.
        dtypes: counts (DN) a step of the stored values, by the types that images may have; None where the settings have
            to say it.
        estimate: what to do about missing metadata.
        omissions: takes what is left out.
    """
    names = tuple(band.name for band in sensors.get(sensor).bands)
    ready = []
    if len(scenes) != whole:
        what = f"{len(scenes)} of {whole} scenes are here: the split is dealt among these, and is not the published one"
        omissions.log.append({"event": "subset", "id": root.name, "what": what, "where": str(root)})
    if unknown := sorted(set(config.biomes) - {scene.biome for scene in scenes}):
        there = {scene.biome for scene in scenes}
        raise CorpusError(f"no scene of {unknown[0]!r} is here", where=str(root), remedy=nearest(unknown[0], there))
    for scene, part in zip(scenes, split(len(scenes)), strict=True):
        if config.biomes and scene.biome not in config.biomes:
            continue
        try:
            ready.append(_prepared(scene, part, sensor, names, dtypes, estimate, config.max_image_gb))
        except BadFileError as error:
            omissions.reject(error, scene.name)
    px = config.chip_px
    blocks = list(_blocks(ready, px))
    if not blocks:
        remedy = f"first: {omissions.log[-1]['what']}" if omissions.log and not ready else "make chip_px smaller"
        raise CorpusError(f"no chip of {px} pixels fits into any scene", where=str(root), remedy=remedy)
    shipped = SensorLayout.of(sensors.get(sensor), names, gsd_m=GSD_M)
    layout = eight_bit.layout(sensor, names, GSD_M) if config.uint8 else shipped
    spec = CorpusSpec(px, {sensor: layout}, {"cloud": LAYER}, ("public domain",))

    def read(block: ChipRow) -> Contents:
        return _contents_of(block, spec, config, dtypes, shipped, sensor)

    known = outlines((one.scene.image.path for one in ready), px)
    convert(target, spec, omissions, blocks, ChipRow.uids, read, known)


def _prepared(
    scene: LabelledScene,
    part: str,
    sensor: str,
    names: Sequence[str],
    dtypes: dict[str, float | None],
    estimate: Literal["error", "estimate"],
    limit_gb: float,
) -> ReadyScene:
    for file in (scene.image, scene.mask):
        if not file.path.is_file():
            raise BadFileError(f"{file.name} is missing", where=str(file.path), remedy=SKIP)
    head = header(scene.image)
    if dtypes.get(head.dtype) is None:
        known = " or ".join(kind for kind, step in dtypes.items() if step is not None)
        what = f"{scene.image.name}: values of type: {head.dtype}, where this format has {known}"
        raise BadFileError(what, where=str(scene.image.path), remedy=EIGHT_BITS if head.dtype in dtypes else SKIP)
    expect(scene.image, head, len(names), head.dtype, None)
    expect(scene.mask, labelled := header(scene.mask), 1, "uint8", (head.height, head.width))
    check_windows(scene.image, head, limit_gb)
    check_windows(scene.mask, labelled, limit_gb)
    check_same_place(scene.mask, labelled, scene.image, head)
    if head.crs is None:
        raise BadFileError(f"{scene.image.name} has no georeference", where=str(scene.image.path), remedy=SKIP)
    check_pixel_size(scene.image.name, head, GSD_M, scene.image.path)
    units = {name: sensors.get(sensor).band(name).unit for name in names}
    if scene.metadata is not None:
        calibration = mtl.calibration(mtl.fields(scene.metadata), scene.metadata, sensor, units)
    elif estimate == "estimate":
        calibration = mtl.estimated(units, scene.date, centre(head))
    else:
        what = f"the metadata *_MTL.txt of {scene.name} are missing, so its counts cannot become reflectance"
        raise BadFileError(what, where=str(scene.image.path.parent), remedy=SKIP)
    return ReadyScene(scene, part, head, calibration)


def _blocks(ready: Sequence[ReadyScene], px: int) -> Iterator[ChipRow]:
    for scene in ready:
        rows, columns = scene.cells(px)
        for row in range(rows):
            for start in range(0, columns, BLOCK):
                yield ChipRow(scene, row, range(start, min(start + BLOCK, columns)))


def _contents_of(
    block: ChipRow,
    spec: CorpusSpec,
    config: ValidationSettings,
    dtypes: dict[str, float | None],
    shipped: SensorLayout,
    sensor: str,
) -> Contents:
    ready, px = block.ready, spec.chip_px
    counts = missing_as_zero(_window(ready.scene.image, block, px), ready.head.nodata)
    mask = _window(ready.scene.mask, block, px)[0]
    if unknown := set(np.unique(mask).tolist()) - set(CLASSES):
        what = f"{ready.scene.mask.name} holds the code {min(unknown)}; known: {', '.join(map(str, CLASSES))}"
        raise BadFileError(what, where=str(ready.scene.mask.path), remedy=SKIP)
    codes = np.searchsorted(list(CLASSES), mask).astype(np.uint8)
    seen = (counts != 0).all(axis=0)
    step = dtypes[counts.dtype.name]
    assert step is not None
    numbers = counts.astype(np.float64) * step
    pixels = np.nan_to_num(physical(numbers, shipped.bands, ready.calibration))
    if config.uint8:
        pixels = eight_bit.encode(pixels, sensor, shipped)
    contents = Contents()
    for position, column in enumerate(block.columns):
        cell = window(0, position, px)
        if ready.head.transform is None or seen[cell].mean() < config.min_valid or not seen[cell].any():
            continue
        uid = block.uid(column)
        location = Location(
            uid,
            crs=ready.head.crs,
            transform=moved(ready.head.transform, block.row, column, px),
            group=ready.scene.name,
            split=ready.split,
            scalars={"biome": ready.scene.biome},
        )
        chip = Chip(
            uid,
            sensor,
            np.ascontiguousarray(pixels[:, *cell]),
            valid=seen[cell].copy(),
            datetime=ready.scene.date,
            cloud=float((codes[cell][seen[cell]] >= 3).mean()),
            source=ready.scene.image.name,
        )
        contents.add(location, [chip], {"cloud": codes[cell]}, spec.sensors)
    return contents


def _window(file: File, block: ChipRow, px: int) -> Shaped[ndarray, "c y x"]:
    part = Window(block.columns.start * px, block.row * px, len(block.columns) * px, px)  # type: ignore[call-arg]
    with explained(file), rasterio.open(file.path) as source:
        return source.read(window=part)


def found(root: Path, glob: str, make: Callable[[Path], LabelledScene | None], example: str) -> list[LabelledScene]:
    """Scenes whose image matches, in the order of their paths.

    Raises:
        CorpusError: there is none.
    """
    scenes = [scene for path in matching(root, f"**/{glob}") if (scene := make(path)) is not None]
    if not scenes:
        raise CorpusError(f"no scene is here, such as {example}", where=str(root), remedy="give the unpacked data set")
    return scenes


def scene_of(folder: Path, image: Path, mask: Path, date: datetime) -> LabelledScene:
    """A scene by its image: the biome is the folder above the scene's own, the metadata lies beside the image."""
    return LabelledScene(
        name=image.stem,
        biome=image.parent.parent.name,
        date=date.replace(tzinfo=UTC),
        image=File(image, image.relative_to(folder).as_posix()),
        mask=File(mask, mask.relative_to(folder).as_posix()),
        metadata=next(iter(sorted(image.parent.glob("*_MTL.txt"))), None),
    )
