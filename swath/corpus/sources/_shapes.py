"""Label layers from polygons and points in vector files, burnt on the grid of each location.

The same for folders, published formats and builds from catalogues: a layer's shapes are read once, and `Shapes.label`
burns those that lie in a location. Everything happens in the location's pixels, so any reference system and any
orientation of the grid will do.
"""

import datetime as dt
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from jaxtyping import Bool, Float, Integer, Shaped
from numpy import ndarray
from pydantic import Field, field_validator, model_validator
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from scipy.ndimage import binary_dilation

from swath.corpus.ground import vector as _vector
from swath.corpus.sources._contents import Contents, LogEntry
from swath.corpus.store import Chip, Corpus, CorpusWriter, LabelLayer, Location
from swath.corpus.store.codes import check_declared
from swath.errors import CorpusError, RecipeError, nearest
from swath.settings import Settings

POLYGONS, POINTS = {3, 6}, {0, 4}
"""Shapely's numbers of geometry types: single and multiple polygons, single and multiple points."""
JOINED = "; "
"""Separator between the groups of one location in the index."""
NO_VALUE = {"NA", "N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"}
"""Texts that programs write where there is no value."""
GLOBE = shapely.box(-180, -90, 180, 90)


class ShapeLayer(Settings):
    """A label layer burnt from the polygons or points of a vector file."""

    layer: str
    """Name of the layer."""
    file: Path
    """Vector file: GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet, or a CSV of points, in any
    reference system. A relative path is looked for in the data folder, where the source has one, and then where
    the command is run."""
    table: str | None = None
    """Name of the table, for a GeoPackage that has several."""
    crs: str | None = None
    """Reference system, such as `EPSG:32632`, of a file that states none; a CSV has degrees by default."""
    column: str | None = None
    """Column that holds the class of a shape: a code, or a name of `classes`."""
    code: int | None = None
    """Code of all shapes, where there is no column of classes."""
    classes: dict[int, str] = Field(min_length=1)
    """Name of every code that occurs, apart from `void`."""
    colours: dict[int, str] = Field(default_factory=dict)
    """Colour of a code, `#rrggbb`."""
    void: int = 255
    """Code of pixels without a label."""
    background: int | None = None
    """Class of pixels that no shape covers; void if it is not given."""
    others: Literal["error", "void"] = "error"
    """Shapes of a class that is not in `classes`: an error, or void under them."""
    border: Literal["centre", "touched"] = "centre"
    """Whether a polygon covers the pixels whose centre lies inside, or all pixels that it touches."""
    min_share: float = Field(default=0.0, ge=0, le=1)
    """Smallest share of a pixel's area that its class (or the background) must cover; with less it is void."""
    overlap: Literal["void", "first", "last", "smallest"] = "void"
    """Where shapes of different classes cover a pixel: void, or the first or the last in the file, or the smallest."""
    group: str | None = None
    """Column of what a split must keep together, such as a farm or region: locations that share a value form
    one group."""
    max_table_gb: float = Field(default=_vector.MAX_TABLE_GB, gt=0)
    """Gigabytes that a GeoParquet file may take in memory, by its footer; a larger one is an error."""
    since: str | None = None
    """Column with the first day (or year) on which a shape is valid: it does not apply to earlier images."""
    until: str | None = None
    """Column with the last day (or year) on which a shape is valid: it does not apply to later images."""

    @field_validator("crs")
    @classmethod
    def _is_known(cls, crs: str | None) -> str | None:
        try:
            return crs and CRS.from_user_input(crs).to_string()
        except CRSError:
            raise ValueError(f"{crs!r} is no reference system; say it as EPSG:32632") from None

    @model_validator(mode="after")
    def _consistent(self) -> "ShapeLayer":
        if (self.column is None) == (self.code is None):
            raise ValueError("give the column that holds the class, or the code of all shapes")
        for name in ("code", "background"):
            if (code := getattr(self, name)) is not None and code not in self.classes:
                raise ValueError(f"{name} {code} is not one of the classes")
        check_declared(self.classes, self.void)
        return self

    @property
    def labels(self) -> LabelLayer:
        """The layer as `corpus.json` describes it."""
        return LabelLayer(classes=self.classes, colours=self.colours, void=self.void)


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """The shapes of one layer as read: all arrays have one entry per shape, in the file's order."""

    config: ShapeLayer
    path: Path
    """Path of the file."""
    crs: CRS
    shapes: Shaped[ndarray, " n"]
    """Valid polygons and points, in `crs`."""
    codes: Integer[ndarray, " n"]
    groups: Shaped[ndarray, " n"]
    """Name of each shape's group, or None."""
    since: Shaped[ndarray, " n"]
    until: Shaped[ndarray, " n"]
    """Last day on which each shape is valid; NaT without a limit."""
    tree: shapely.STRtree
    digest: str
    """SHA-256 of the file."""


class Shapes:
    """All label layers of a recipe section that come from vector files."""

    def __init__(self, configs: Iterable[ShapeLayer], data: Path | None, others: Iterable[str] = ()):
        """Read the files.

        Args:
            configs: of the section.
            data: folder of the source's data, where relative paths are looked for first; None where it has none.
            others: names of the corpus's layers that come from elsewhere.

        Raises:
            RecipeError: two layers have one name.
            CorpusError: a file cannot be used, or holds a class that is not declared.
        """
        self.log: list[LogEntry] = []
        """Log entries on what was left out of the files."""
        names = list(others)
        self._sources: list[_Source] = []
        for position, config in enumerate(configs):
            key = f"corpus.source.shapes.{position}"
            if config.layer in names:
                raise RecipeError(f"two layers are called {config.layer!r}", where=f"{key}.layer", remedy="rename one")
            names.append(config.layer)
            self._sources.append(_load(config, _path(config, data, key, self.log), key, self.log))

    @property
    def layers(self) -> dict[str, LabelLayer]:
        """The layers by name, as `corpus.json` describes them."""
        return {source.config.layer: source.config.labels for source in self._sources}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each layer's file."""
        return {source.config.layer: source.digest for source in self._sources}

    @property
    def groups(self) -> list[str]:
        """Index columns that name groups of locations, joined by semicolons."""
        return [_group_column(source.config) for source in self._sources if source.config.group]

    def add_to(self, contents: Contents) -> Contents:
        """The contents of a portion, completed by these layers' labels and groups."""
        chips: dict[str, list[Chip]] = defaultdict(list)
        for chip in contents.chips:
            chips[chip.uid].append(chip)
        for number, location in enumerate(contents.locations):
            labels, contents.locations[number], log = self.label(location, chips[location.uid])
            contents.labels[number] |= labels
            contents.left_out += log
        return contents

    def label(
        self, location: Location, chips: Sequence[Chip]
    ) -> tuple[dict[str, Integer[ndarray, "y x"]], Location, list[LogEntry]]:
        """Class codes by layer, the location with what the shapes say of it, and entries for the log.

        Raises:
            CorpusError: nobody knows where the location is, or when its images were taken.
        """
        labels: dict[str, Integer[ndarray, "y x"]] = {}
        facts: dict[str, Any] = {}
        log: list[LogEntry] = []
        for source in self._sources:
            config = source.config
            burnt = _burn(source, location, chips)
            labels[config.layer] = burnt.codes
            facts[f"{config.layer}_shapes"] = burnt.count
            if config.group:
                facts[_group_column(config)] = JOINED.join(burnt.groups) or None
            if burnt.contested:
                what = f"{burnt.contested} pixels of {config.layer} are covered by shapes of different classes"
                log.append({"event": "overlap", "id": location.uid, "what": what, "where": f"taken: {config.overlap}"})
        if taken := facts.keys() & location.scalars.keys():
            raise CorpusError(
                f"the locations have a column {min(taken)!r} already", where=location.uid, remedy="rename the layer"
            )
        return labels, replace(location, scalars=location.scalars | facts), log

    def look_ahead(self, locations: Iterable[Location], px: int) -> None:
        """Raise CorpusError if a layer can meet none of the locations: before anything of them is read or stored.

        Args:
            locations: all that the corpus may get; nothing is said where one has no georeference, or there are none.
            px: width and height of a chip.
        """
        waiting, boxes = list(self._sources), []
        for location in locations:
            if location.crs is None or location.transform is None:
                return
            here = {id(source): _boxes(source, location, px) for source in waiting}
            waiting = [one for one in waiting if not any(one.tree.query(box).size for box in here[id(one)])]
            if not waiting:
                return
            boxes += [_in_degrees(box, one.crs) for one in waiting for box in here[id(one)]]
        if boxes:
            raise _elsewhere(waiting[0], shapely.total_bounds(boxes), "any location", "before anything was stored")

    def begin(self, corpus: CorpusWriter | Corpus) -> None:
        """Raise CorpusError if the corpus was begun with other files of shapes."""
        for entry in corpus.info.provenance:
            for layer, digest in entry.get("shapes", {}).items():
                if self.digests.get(layer, digest) != digest:
                    raise CorpusError(
                        f"the file of label layer {layer!r} has changed since the corpus was begun",
                        where=str(corpus.path),
                        remedy="build into another folder",
                    )

    def finish(self, writer: CorpusWriter) -> None:
        """Finish the corpus; locations that share a group of the shapes become one group.

        Raises:
            CorpusError: a layer's shapes lie in none of the locations.
        """
        if self._sources and writer.committed:
            locations = Corpus.open(writer.path).locations
            for source in self._sources:
                _check_met(source, locations, writer.path)
        writer.finish(self.groups)


def _check_met(source: _Source, locations: gpd.GeoDataFrame, corpus: Path) -> None:
    if locations[f"{source.config.layer}_shapes"].to_numpy().any():
        return
    ground = [locations[name].agg(end) for end in ("min", "max") for name in ("lon", "lat")]
    raise _elsewhere(source, np.array(ground), f"any of the {len(locations)} locations", str(corpus))


def _elsewhere(source: _Source, ground: Float[ndarray, " 4"], which: str, where: str) -> CorpusError:
    """The error that a layer's shapes meet no location, which lie at `ground`: west, south, east, north in degrees."""
    shapes = _in_degrees(shapely.box(*shapely.total_bounds(source.shapes)), source.crs).bounds
    (w1, s1, e1, n1), (w2, s2, e2, n2) = shapes, ground.tolist()
    return CorpusError(
        f"no shape of {source.path} lies in {which}: shapes lie from {w1:.4f}, {s1:.4f} to {e1:.4f}, {n1:.4f} "
        f"degrees, locations from {w2:.4f}, {s2:.4f} to {e2:.4f}, {n2:.4f}",
        where=f"label layer {source.config.layer}, {where}",
        remedy="look at the file's reference system and at since and until, and build into another folder",
    )


def _in_degrees(box: shapely.Polygon, crs: CRS) -> shapely.Polygon:
    return shapely.box(*_transformer(crs.to_string(), "EPSG:4326").transform_bounds(*box.bounds))


def _group_column(config: ShapeLayer) -> str:
    return f"{config.layer}_{config.group}"


# -- reading -----------------------------------------------------------------------------------------------------------


def _path(config: ShapeLayer, data: Path | None, key: str, log: list[LogEntry]) -> Path:
    """The layer's file: a relative path is one in the data folder, and else where the command is run.

    Raises:
        CorpusError: it is in neither.
    """
    tried = list(dict.fromkeys(folder / config.file for folder in (data, Path()) if folder is not None))
    there = [path for path in tried if path.is_file()]
    if not there:
        places = " and ".join(str(path.absolute()) for path in tried)
        raise CorpusError(
            "there is no such file",
            where=f"{places}, for {key}.file",
            remedy="give its whole path, or one in the data folder (or, without such a file there, from where the "
            "command is run)",
        )
    if len(there) > 1 and not there[0].samefile(there[1]):
        what = "two files have this path, in the data folder and where the command is run: the first is taken"
        log.append({"event": "shapes", "id": config.layer, "what": what, "where": str(config.file)})
    return there[0]


def _load(config: ShapeLayer, path: Path, key: str, log: list[LogEntry]) -> _Source:
    table = _vector.read(path, f"{key}.file", config.table, config.crs, config.max_table_gb)
    known = [str(name) for name in table.columns if name != table.geometry.name]
    for setting in ("column", "group", "since", "until"):
        name = getattr(config, setting)
        if name is not None and name not in known:
            raise CorpusError(
                f"it has no column {name!r}", where=f"{path}, for {key}.{setting}", remedy=nearest(name, known)
            )
    table, notes = _usable(table, config, path, key)
    codes = _codes(table, config, path, key, notes)
    log += [
        {"event": "shapes", "id": config.layer, "what": f"{note}: {count} of {path.name}", "where": str(config.file)}
        for note, count in notes.items()
        if count
    ]
    shapes = np.asarray(table.geometry.array)
    return _Source(
        config=config,
        path=path,
        crs=CRS.from_user_input(table.crs),
        shapes=shapes,
        codes=codes,
        groups=_names(table, config),
        since=_days(table, config.since, path, f"{key}.since", "01-01"),
        until=_days(table, config.until, path, f"{key}.until", "12-31"),
        tree=shapely.STRtree(shapes),
        digest=_digest(path),
    )


def _digest(path: Path) -> str:
    """Digest of the file, and of the table of a Shapefile."""
    result = hashlib.sha256()
    for part in (path, path.with_suffix(".dbf")) if path.suffix.lower() == ".shp" else (path,):
        with part.open("rb") as file:
            result.update(hashlib.file_digest(file, "sha256").digest())
    return result.hexdigest()


def _usable(
    table: gpd.GeoDataFrame, config: ShapeLayer, path: Path, key: str
) -> tuple[gpd.GeoDataFrame, dict[str, int]]:
    """Rows with polygons or points that are valid and planar, and how many were mended or left out."""
    shapes = shapely.force_2d(np.asarray(table.geometry.array))
    empty = ~np.isfinite(shapely.bounds(shapes)).all(axis=1)  # none, or nowhere
    kinds = shapely.get_type_id(shapes)
    odd = ~empty & ~np.isin(kinds, [*POLYGONS, *POINTS])
    if odd.any():
        raise CorpusError(
            f"shape {int(odd.argmax()) + 1} is a {shapes[odd][0].geom_type}, neither polygon nor point",
            where=f"{path}, for {key}.file",
            remedy="give polygons or points; a line needs a width: buffer it",
        )
    if config.min_share and np.isin(kinds, list(POINTS)).any():
        raise CorpusError(
            "it holds points, which cover no share of a pixel",
            where=f"{path}, for {key}.min_share",
            remedy="leave min_share out",
        )
    broken = ~empty & ~shapely.is_valid(shapes)
    shapes[broken] = _vector.mended(shapes[broken])
    if table.crs is not None and table.crs.is_geographic:
        shapes = _within_180_degrees(shapes)
    notes = {"shapes without a geometry, left out": int(empty.sum()), "invalid shapes, mended": int(broken.sum())}
    return gpd.GeoDataFrame(table.set_geometry(gpd.GeoSeries(shapes, table.index, table.crs))[~empty]), notes


def _within_180_degrees(shapes: Shaped[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    """Shapes in degrees, what lies beyond 180 of which is put where it is on the globe."""
    west, _, east, _ = shapely.bounds(shapes).T
    beyond = (west < -180) | (east > 180)
    turns = [shapely.transform(shapes[beyond], lambda xy, turn=turn: np.add(xy, (turn, 0))) for turn in (-360, 0, 360)]
    shapes[beyond] = shapely.union_all([shapely.intersection(one, GLOBE) for one in turns], axis=0)
    return shapes


def _codes(
    table: gpd.GeoDataFrame, config: ShapeLayer, path: Path, key: str, notes: dict[str, int]
) -> Integer[ndarray, " n"]:
    """Code of each shape; void without a class, and for undeclared classes if the recipe says so."""
    if config.column is None:
        return np.full(len(table), config.code)
    names = Counter(config.classes.values())
    by_name = {name: code for code, name in config.classes.items() if names[name] == 1}
    named = NO_VALUE.difference(config.classes.values())
    values = [None if pd.isna(value) or str(value).strip() in named else value for value in table[config.column]]
    code_of = {value: _code(value, config, by_name) for value in dict.fromkeys(values) if value is not None}
    unknown = [value for value, code in code_of.items() if code is None]
    if unknown and config.others == "error":
        shown = ", ".join(map(repr, unknown[:10])) + (", …" if len(unknown) > 10 else "")
        raise CorpusError(
            f"{len(unknown)} values of the column {config.column!r} are no class: {shown}",
            where=f"{path}, for {key}.classes",
            remedy="add them to classes by code or by name, or say others: void",
        )
    codes = [code_of.get(value) for value in values]
    notes["shapes without a class, void"] = values.count(None)
    notes["shapes of other classes, void"] = codes.count(None) - values.count(None)
    return np.array([config.void if code is None else code for code in codes])


def _code(value: Any, config: ShapeLayer, by_name: Mapping[str, int]) -> int | None:
    """Code that a value of the class column stands for: a number, its text, or the name of a class."""
    text = str(value).strip()
    if text in by_name:
        return by_name[text]
    integer = re.fullmatch(r"([+-]?\d+)(\.0*)?", text)  # a float cannot hold every code of 64 bits
    code = int(integer[1]) if integer else None
    return code if code in {*config.classes, config.void} else None


def _names(table: gpd.GeoDataFrame, config: ShapeLayer) -> Shaped[ndarray, " n"]:
    """Group names as text, without the separator that joins them."""
    if config.group is None:
        return np.full(len(table), None, object)
    names = [None if pd.isna(value) else str(value).replace(";", ",") for value in table[config.group]]
    return np.array(names, object)


def _days(table: gpd.GeoDataFrame, column: str | None, path: Path, key: str, end: str) -> Shaped[ndarray, " n"]:
    """The days that a column states; a year becomes its first or last day."""
    if column is None:
        return np.full(len(table), "NaT", "datetime64[D]")
    try:
        days = [None if pd.isna(value) or value in NO_VALUE else _day(value, end) for value in table[column]]
    except ValueError as error:
        raise CorpusError(
            f"the column {column!r} holds what is no day: {error}",
            where=f"{path}, for {key}",
            remedy="write days as 2021-05-31, or years as 2021",
        ) from None
    return np.array(days, "datetime64[D]")


def _day(value: Any, end: str) -> dt.date:
    if isinstance(value, dt.date):  # dates, times and time stamps
        return value.date() if isinstance(value, dt.datetime) else value
    text = str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value).strip()
    return dt.datetime.fromisoformat(f"{text}-{end}" if len(text) == 4 and text.isdigit() else text).date()


# -- burning -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Burnt:
    """One layer burnt into one location."""

    codes: Integer[ndarray, "y x"]
    count: int
    """Number of shapes that cover at least one pixel."""
    groups: list[str]
    """Groups of those shapes, in order."""
    contested: int
    """Number of pixels that shapes of different classes cover."""


def _burn(source: _Source, location: Location, chips: Sequence[Chip]) -> _Burnt:
    config, px = source.config, chips[0].pixels.shape[-1]
    rows = _rows(source, location, px, _days_of(source, location, chips))
    shapes = _in_pixels(source, rows, location, px)
    masks = [_mask(shape, px, touched=config.border == "touched") for shape in shapes]
    hits = [k for k, (_, mask) in enumerate(masks) if mask.any()]
    codes = np.full((px, px), config.void if config.background is None else config.background)
    taken = np.zeros((px, px), bool)
    contested = np.zeros((px, px), bool)
    for k in _ordered(hits, source, rows):
        code, (here, mask) = source.codes[rows[k]], masks[k]
        contested[here] |= mask & taken[here] & (codes[here] != code)
        codes[here][mask & ~taken[here]] = code
        taken[here] |= mask
    if config.overlap == "void":
        codes[contested] = config.void
    if config.min_share:
        share = _share(codes, shapes, source.codes[rows].tolist(), config)
        codes[share < config.min_share - 1e-9] = config.void  # what is covered whole may be a rounding short of it
    groups = sorted({name for name in source.groups[rows[hits]] if name is not None})
    return _Burnt(codes, len(hits), groups, int(contested.sum()))


def _ordered(hits: list[int], source: _Source, rows: Integer[ndarray, " n"]) -> list[int]:
    """Shapes in the order in which they take pixels that no other has taken yet."""
    if source.config.overlap == "last":
        return hits[::-1]
    if source.config.overlap == "smallest":
        return sorted(hits, key=lambda k: shapely.area(source.shapes[rows[k]]))
    return hits


def _days_of(source: _Source, location: Location, chips: Sequence[Chip]) -> Shaped[ndarray, " d"] | None:
    """Days of the location's images, if the shapes are valid for limited times; else None."""
    if source.config.since is None and source.config.until is None:
        return None
    days = [chip.datetime.date() for chip in chips if chip.datetime is not None]
    if not days:
        raise CorpusError(
            f"no image of {location.uid!r} has a date, so nobody knows which shapes of {source.config.layer} hold",
            where=f"label layer {source.config.layer}",
            remedy="say how dates are read from names, or leave since and until out",
        )
    return np.array(sorted(set(days)), "datetime64[D]")


def _rows(source: _Source, location: Location, px: int, days: Shaped[ndarray, " d"] | None) -> Integer[ndarray, " n"]:
    """Positions of shapes near the location that are valid on one of the days, in the file's order."""
    rows = np.unique(np.concatenate([source.tree.query(box) for box in _boxes(source, location, px)] or [[]]))
    rows = rows.astype(np.int64)
    if days is None:
        return rows
    since, until = source.since[rows, None], source.until[rows, None]
    holds = (np.isnat(since) | (days >= since)) & (np.isnat(until) | (days <= until))
    return rows[holds.any(axis=1)]


def _boxes(source: _Source, location: Location, px: int) -> list[shapely.Polygon]:
    """Boxes that surely contain the location, in the file's reference system; two across the antimeridian."""
    crs, transform = _grid(location)
    outline = shapely.segmentize(shapely.box(-1, -1, px + 1, px + 1), px / 8)
    corners = _mapped(transform, shapely.get_coordinates(outline))
    x, y = _transformer(crs, source.crs.to_string()).transform(*corners.T)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return []  # beyond what the file's reference system can say, so no shape of it is there
    if source.crs.is_geographic:
        x = np.where(np.abs(x) > 180, (x + 180) % 360 - 180, x)
    if source.crs.is_geographic and np.ptp(x) > 180:
        spans = [(x[x > 0].min(), 180.0), (-180.0, x[x < 0].max())]
    else:
        spans = [(x.min(), x.max())]
    return [shapely.box(west, y.min(), east, y.max()) for west, east in spans]


def _in_pixels(source: _Source, rows: Integer[ndarray, " n"], location: Location, px: int) -> list[shapely.Geometry]:
    """Shapes in columns and rows of the location, cut off a little outside of it.

    Edges are straight in the file's reference system: they get more corners, so that they bend as they should.
    """
    crs, transform = _grid(location)
    forward, inverse = _transformer(source.crs.to_string(), crs), ~transform
    middle = (transform @ (px / 2, px / 2))[0]

    def moved(xy: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        x, y = forward.transform(*xy.T)
        if _is_geographic(crs):  # where the location lies, which may be beyond 180
            x = x + 360 * np.rint((middle - x) / 360)
        return _mapped(inverse, np.column_stack([x, y]))

    boxes = _boxes(source, location, px)
    if not boxes:
        return []
    frame = shapely.union_all(boxes)
    step = max(float(np.ptp(shapely.get_coordinates(box), axis=0).max()) for box in boxes) / 64
    cut = shapely.intersection(source.shapes[rows], frame)
    return list(shapely.transform(shapely.segmentize(cut, step), moved))


def _grid(location: Location) -> tuple[str, Affine]:
    if location.crs is None or location.transform is None:
        raise CorpusError(
            f"the images of {location.uid!r} have no georeference, so no shape can be laid over them",
            where=location.uid,
            remedy="give images with one, or masks of the same pixels instead of shapes",
        )
    return location.crs, Affine(*location.transform)


def _mapped(affine: Affine, xy: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
    return xy @ np.array([[affine.a, affine.d], [affine.b, affine.e]]) + np.array([affine.c, affine.f])


@lru_cache(maxsize=256)
def _is_geographic(crs: str) -> bool:
    return CRS.from_user_input(crs).is_geographic


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _mask(shape: shapely.Geometry, px: int, *, touched: bool) -> tuple[tuple[slice, slice], Bool[ndarray, "y x"]]:
    """Rows and columns around a shape, and which pixels of them it covers; a point covers the one that it lies in.

    A chip may have hundreds of small shapes, each of which costs what it covers and not what the chip does.
    """
    low, high = np.nan_to_num(shapely.bounds(shape)).reshape(2, 2)
    left, top = np.clip(np.floor(low) - 1, 0, px).astype(int).tolist()
    right, bottom = np.clip(np.floor(high) + 2, 0, px).astype(int).tolist()
    mask = np.zeros((bottom - top, right - left), bool)
    column, row = (np.floor(shapely.get_coordinates(_parts(shape, POINTS))) - (left, top)).astype(int).T
    inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
    mask[row[inside], column[inside]] = True
    if mask.size and (polygons := _parts(shape, POLYGONS)):
        mask |= _rasterized(polygons, mask.shape, (left, top), touched=touched)
    return (slice(top, bottom), slice(left, right)), mask


def _rasterized(
    shapes: Sequence[shapely.Geometry], shape: tuple[int, ...], corner: tuple[int, int] = (0, 0), *, touched: bool
) -> Bool[ndarray, "y x"]:
    """True for the pixels that shapes cover, in a window whose first column and row are `corner`."""
    at = Affine.translation(*corner)
    return np.asarray(rasterize(shapes, shape, transform=at, all_touched=touched, dtype="uint8")) > 0


def _parts(shape: shapely.Geometry, kinds: set[int]) -> list[shapely.Geometry]:
    """Single polygons or points of a shape, which cutting may have turned into a collection."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return [part for part in parts if shapely.get_type_id(part) in kinds and not part.is_empty]


def _share(
    codes: Integer[ndarray, "y x"], shapes: Sequence[shapely.Geometry], classes: Sequence[int], config: ShapeLayer
) -> Float[ndarray, "y x"]:
    """Share of each pixel that its class or the background covers: exact along the shapes' borders, 1 elsewhere."""
    parts: dict[int, list[shapely.Geometry]] = defaultdict(list)
    for shape, code in zip(shapes, classes, strict=True):
        parts[code] += _parts(shape, POLYGONS)
    areas = {code: shapely.union_all(polygons) for code, polygons in parts.items()}
    everything = shapely.union_all(list(areas.values()))
    row, column = np.nonzero(_near_borders(areas.values(), codes.shape))
    pixels = shapely.box(column, row, column + 1, row + 1)
    share = np.ones(codes.shape)
    for code in np.unique(codes[row, column]).tolist():
        here = codes[row, column] == code
        covered = shapely.area(shapely.intersection(pixels[here], areas.get(code, shapely.Polygon())))
        if code == config.background:
            covered += 1 - shapely.area(shapely.intersection(pixels[here], everything))
        share[row[here], column[here]] = covered
    return share


def _near_borders(areas: Iterable[shapely.Geometry], shape: tuple[int, ...]) -> Bool[ndarray, "y x"]:
    """True for the pixels that a border crosses, and those around them."""
    near = np.zeros(shape, bool)
    for line in shapely.get_parts([shapely.boundary(area) for area in areas]):
        near |= _rasterized([line], shape, touched=True)
    return binary_dilation(near, np.ones((3, 3)))
