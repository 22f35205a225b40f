"""Cells of chips on the grids that scenes share, and reading them without loading a scene.

Scenes of one UTM zone whose pixels coincide are on one grid, and what they show of a cell is one location. A row of up
to eight cells is read at once, each file once, as a window.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from affine import Affine
from jaxtyping import Int64, Shaped
from numpy import ndarray
from rasterio import DatasetReader
from rasterio.enums import Resampling
from rasterio.windows import Window

from swath.corpus.sources._contents import LogEntry
from swath.corpus.sources._raster import Channel, File, Header, explained, nearest_pixels
from swath.corpus.sources.landsat._scenes import Scene
from swath.corpus.store import LabelLayer
from swath.corpus.store.codes import codes_of_map

BLOCK = 8
"""Number of cells of a row that are read at once."""


@dataclass(frozen=True, slots=True)
class SceneGrid:
    """A pixel grid that several scenes share."""

    name: str
    """First part of the locations' ids: the reference system's number, and the grid's where several have that
    system."""
    crs: str
    transform: Affine
    """Transform of the grid, whose origin is the upper left corner of all its scenes."""
    scenes: tuple[Scene, ...]
    height: int
    width: int

    def offset(self, head: Header) -> tuple[int, int]:
        """Row and column where an image on this grid begins."""
        if head.transform is None:
            raise AssertionError("images on a grid have a georeference")
        a, e = self.transform.a, self.transform.e
        return round((head.transform.f - self.transform.f) / e), round((head.transform.c - self.transform.c) / a)


@dataclass(frozen=True, slots=True)
class CellRow:
    """Neighbouring cells of a row, read together."""

    grid: SceneGrid
    row: int
    """Row of the grid in which the cells lie."""
    columns: range
    px: int

    def uids(self) -> list[str]:
        """Ids of the cells: reference system and upper left corner."""
        return [self.uid(column) for column in self.columns]

    def uid(self, column: int) -> str:
        """Id of the cell at a position in the row."""
        transform = self.transform_of(column)
        return f"{self.grid.name}_{round(transform.c)}_{round(transform.f)}"

    def transform_of(self, column: int) -> Affine:
        """Transform of a cell."""
        a, e = self.grid.transform.a, self.grid.transform.e
        x, y = self.grid.transform.c + column * self.px * a, self.grid.transform.f + self.row * self.px * e
        return Affine(a, 0.0, x, 0.0, e, y)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.px, self.px * len(self.columns)


def grids(scenes: Iterable[Scene]) -> list[SceneGrid]:
    """The scenes by grid: same reference system and pixel size, and corners a whole number of pixels apart."""
    groups: dict[tuple[str, float, float, float, float], list[Scene]] = {}
    for scene in scenes:
        head = scene.grid
        if head.transform is None or head.crs is None:
            raise AssertionError(scene.id)
        a, e = head.transform.a, head.transform.e
        x, y = (round((corner / size) % 1, 2) % 1 for corner, size in ((head.transform.c, a), (head.transform.f, e)))
        groups.setdefault((head.crs, round(a, 6), round(e, 6), x, y), []).append(scene)
    many = Counter(crs for crs, *_ in groups)
    count: Counter[str] = Counter()
    scene_grids = []
    for (crs, *_), members in sorted(groups.items(), key=lambda item: item[0]):
        number = crs.rpartition(":")[2]
        scene_grids.append(_grid(number if many[crs] == 1 else f"{number}-{count[crs]}", crs, members))
        count[crs] += 1
    return scene_grids


def scattered(all_grids: Iterable[SceneGrid]) -> list[LogEntry]:
    """Notes on paths and rows of which the scenes lie on several grids of one zone, so that their dates are not joined.

    Scenes as the provider ships them share one; scenes that were cut or resampled each by themselves do not.
    """
    by_track: dict[tuple[str, str], list[SceneGrid]] = defaultdict(list)
    for one in all_grids:
        for scene in one.scenes:
            by_track[scene.track_and_satellite[1:], one.crs].append(one)
    entries = []
    for (track, crs), of_scenes in sorted(by_track.items()):
        names = list(dict.fromkeys(one.name for one in of_scenes))
        if len(names) > 1:
            what = f"{len(of_scenes)} scenes of path {track[:3]}, row {track[3:]} lie on {len(names)} grids of pixels: "
            what += "only dates of one grid are a series (bring them onto one, such as with gdalwarp -tr 30 30 -tap)"
            entries.append({"event": "several grids", "id": f"{track}, {crs}", "what": what, "where": " ".join(names)})
    return entries


def _grid(name: str, crs: str, scenes: list[Scene]) -> SceneGrid:
    transforms = [scene.grid.transform for scene in scenes if scene.grid.transform is not None]
    first = transforms[0]
    corner = Affine(first.a, 0.0, min(t.c for t in transforms), 0.0, first.e, max(t.f for t in transforms))
    bare = SceneGrid(name, crs, corner, tuple(scenes), 0, 0)
    ends = [(row + s.grid.height, column + s.grid.width) for s in scenes for row, column in [bare.offset(s.grid)]]
    return replace(bare, height=max(row for row, _ in ends), width=max(column for _, column in ends))


def blocks(all_grids: Sequence[SceneGrid], px: int) -> Iterator[CellRow]:
    """All cells in order, in blocks; what is left over at the right and lower edge is not used."""
    for grid in all_grids:
        columns = grid.width // px
        for row in range(grid.height // px):
            for start in range(0, columns, BLOCK):
                yield CellRow(grid, row, range(start, min(start + BLOCK, columns)), px)


def read(block: CellRow, scene: Scene, names: Sequence[str]) -> Shaped[ndarray, "c y x"] | None:
    """Counts of some bands of a scene in a block, 0 beyond its edge; None where it does not reach the block.

    Bands of other pixel sizes (panchromatic) are averaged, or repeated, to the scene's grid.
    """
    top, left = block.grid.offset(scene.grid)
    height, width = block.shape
    y, x = block.row * block.px, block.columns.start * block.px
    rows = slice(max(y, top), min(y + height, top + scene.grid.height))
    columns = slice(max(x, left), min(x + width, left + scene.grid.width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    there = Window(columns.start - left, rows.start - top, columns.stop - columns.start, rows.stop - rows.start)  # type: ignore[call-arg]
    counts = [_window(scene.files[name], there, scene.grid, counts=name != scene.quality) for name in names]
    result = np.zeros((len(names), height, width), np.result_type(*counts))
    result[:, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x] = np.stack(counts)
    return result


def _window(file: File, window: Window, grid: Header, *, counts: bool) -> Shaped[ndarray, "y x"]:
    """A window, given in pixels of the scene's grid, of one of its files; of counts 0 where the file's nodata is."""
    with explained(file), rasterio.open(file.path) as source:
        pixels = _at(source, window, grid)
        return missing_as_zero(pixels[None], source.nodatavals)[0] if counts else pixels


def missing_as_zero(counts: Shaped[ndarray, "c y x"], nodata: Sequence[float | None]) -> Shaped[ndarray, "c y x"]:
    """Counts in which 0, Landsat's sign of a missing pixel, also stands where a channel has the file's own nodata."""
    for channel, value in zip(counts, nodata, strict=True):
        if value:
            channel[channel == value] = 0
    return counts


def _at(source: DatasetReader, window: Window, grid: Header) -> Shaped[ndarray, "y x"]:
    if (source.height, source.width) == (grid.height, grid.width):
        return source.read(1, window=window)
    down, across = source.height / grid.height, source.width / grid.width
    own = Window(window.col_off * across, window.row_off * down, window.width * across, window.height * down)  # type: ignore[call-arg]
    method = Resampling.average if across > 1 else Resampling.nearest
    return source.read(1, window=own, out_shape=(window.height, window.width), resampling=method)


def labels(block: CellRow, file: File, layer: LabelLayer) -> Int64[ndarray, "y x"]:
    """Class codes of a raster in any reference system, brought to the block's pixels by the nearest neighbour.

    Raises:
        ValueError: it holds what is no code of the layer, which has one for void.
    """
    transform = block.transform_of(block.columns.start)
    values, there = nearest_pixels(Channel(file, 1), block.grid.crs, transform, block.shape)
    return codes_of_map(values, layer.codes, layer.void, there)
