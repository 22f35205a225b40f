"""An index with its labels: everything that the page shows, and that Python can ask for without a page."""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock

import geopandas as gpd
import numpy as np
import shapely
from jaxtyping import Float32, Int, Int16
from numpy import ndarray

from swath.corpus import Corpus
from swath.corpus.store import split_at_antimeridian
from swath.errors import CorpusError, SwathError, nearest
from swath.products.explore._classifier import Predicted, classify
from swath.products.explore._labels import NONE, Labels, tidy
from swath.products.explore._layout import layout_of, sample_of
from swath.products.explore._pictures import Pictures
from swath.products.explore._suggestions import suggest
from swath.products.explore._vectors import NAMES, Ground, points_at, read_labels, write_shapes
from swath.products.search import Asked, Index, Results, corpus_of, cosines, find, write_places
from swath.tasks.probes import ZScore

SUGGESTIONS = 12
LON_LAT = re.compile(r"\s*([-+]?\d+\.?\d*)\s*,\s*([-+]?\d+\.?\d*)\s*")


class Explorer:
    """An opened index with its labels; use `Explorer.open`, and `close` it, or open it in a `with` block.

    Attributes:
        index: the embeddings.
        layout: where its rows lie.
        names: of its rows: the location's id, or `UID@TIME` where the index has a row for each date.
        labels: classes, and what is labelled.
        notes: sentences for people: what was left out when it was opened.
        lock: held by whoever changes labels, or reads several things that must fit together.
    """

    def __init__(self, index: Index, labels: Path, corpus: Corpus | Path | str | None = None):
        """Open the labels of an index; pictures are missing, and it is said why, where its corpus is not found.

        Args:
            index: opened.
            labels: file of labels, which is begun if it is not there.
            corpus: that the index was made of; where the index says if not given.
        """
        self.index, self.layout = index, layout_of(index)
        self.lock = RLock()
        self.notes = list[str]()
        self._predicted: tuple[Int16[ndarray, " n"], Predicted] | None = None
        self._opened = None
        try:
            self._opened = Pictures(corpus_of(index, corpus), index)
        except CorpusError as error:
            if corpus is not None:
                raise
            self.notes.append(f"there are no pictures: {error.what} ({error.where}); say where it is: --corpus")
        if self.layout.kind == "components":
            self.notes.append("no location has coordinates: the map shows the first two principal components")
        elif unknown := int(np.isnan(self.layout.xy[:, 0]).sum()):
            self.notes.append(f"{unknown:,} rows have no coordinates, and are not on the map")
        self.names = _names(index)
        self.labels = Labels(labels, self.names, index.header.corpus)
        self.notes += self.labels.notes

    @classmethod
    def open(
        cls, index: Index | Path | str, labels: Path | None = None, corpus: Corpus | Path | str | None = None
    ) -> "Explorer":
        """Open what `swath embed` wrote, with its labels.

        Args:
            index: GeoParquet file, or the opened index.
            labels: file of labels, which is begun if it is not there; beside the index, `NAME.labels.jsonl`, if not
                given.
            corpus: that the index was made of, for pictures; where the index says if not given.

        Raises:
            SwathError: as in `Index.open`; or the labels are open elsewhere, damaged, or of another corpus.
            CorpusError: a corpus is given, and is not the index's.
        """
        index = index if isinstance(index, Index) else Index.open(index)
        return cls(index, index.path.with_suffix(".labels.jsonl") if labels is None else labels, corpus)

    def close(self) -> None:
        """Let others open the labels."""
        self.labels.close()

    def __enter__(self) -> "Explorer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def has_pictures(self) -> bool:
        """Whether the corpus was found."""
        return self._opened is not None

    @property
    def pictures(self) -> Pictures:
        """Pictures of the locations.

        Raises:
            CorpusError: the corpus was not found.
        """
        if self._opened is None:
            raise CorpusError("there are no pictures", where=self.index.header.corpus_path, remedy="--corpus")
        return self._opened

    def locate(self, text: str) -> int:
        """The row that a location's id, or a longitude and latitude, `11.78,52.09`, means.

        Raises:
            SwathError: there is no such location, or coordinates are no degrees.
        """
        asked = Asked(like=(text.strip(),))
        if text.strip() not in self.index.uids and (found := LON_LAT.fullmatch(text)):
            asked = Asked(at=(float(found[1]), float(found[2])))
        return int(find(self.index, asked, count=1).query.wanted[0])

    def near(self, row: int, count: int = 12) -> Results:
        """The locations whose vectors are nearest to a row's, by cosine, exactly; see `swath.products.search.find`."""
        return find(self.index, Asked(like=(self.names[row],)), count=count)

    def similarity(self, row: int) -> Float32[ndarray, " n"]:
        """The cosine of every row with one."""
        return cosines(self.index, self.index.unit(np.array([row]))[0])

    def declare_missing(self, names: Sequence[str]) -> None:
        """Declare those of these classes that are not there yet; see `Labels.declare`."""
        with self.lock:
            known = {one.name for one in self.labels.classes}
            for name in dict.fromkeys(map(tidy, names)):
                if name not in known:
                    self.labels.declare(name)

    def give(self, name: str | None, rows: Sequence[int]) -> None:
        """Give rows a class, or with None take theirs away; see `Labels.give`."""
        chosen = np.unique(np.array(rows, dtype=np.int64))
        if len(chosen) and (chosen[0] < 0 or chosen[-1] >= len(self.index)):
            raise SwathError(f"there is no row {chosen[-1]}", where=str(self.index.path))
        with self.lock:
            self.labels.give(name, chosen)

    def give_inside(self, name: str | None, corners: Sequence[Sequence[float]]) -> int:
        """Give all rows whose middle lies in a polygon a class; how many these are.

        Args:
            name: of a class, or None.
            corners: x and y of the layout: longitude, which may go on beyond 180, and latitude.

        Raises:
            SwathError: the polygon has fewer than three corners, crosses itself, or holds no location.
        """
        polygon = _polygon(corners)
        rows = np.flatnonzero(shapely.contains_xy(polygon, *self.layout.xy.T))
        if not len(rows):
            raise SwathError("no location lies in this polygon", remedy="draw it around at least one")
        with self.lock:
            self.labels.give(name, rows, polygon=[list(corner) for corner in corners])
        return len(rows)

    def predict(self) -> Predicted:
        """What the labels say of all rows; computed anew where they have changed.

        Raises:
            SwathError: fewer than two classes have labels.
        """
        with self.lock:
            given, classes = self.labels.given.copy(), len(self.labels.classes)
        if self._predicted is None or not np.array_equal(self._predicted[0], given):
            self._predicted = (given, classify(self.index, self._scale, given, classes))
        return self._predicted[1]

    def suggestions(self, count: int = SUGGESTIONS) -> Int[ndarray, " m"]:
        """Rows to label next: uncertain, and unlike each other and what is labelled."""
        try:
            entropy = self.predict().entropy
        except SwathError:
            entropy = None
        with self.lock:
            labelled = self.labels.given != NONE
        return suggest(self.index, labelled, entropy, count)

    def read_labels(self, path: Path, column: str | None = None) -> list[str]:
        """Take the labels of a vector file of points or polygons, in one act; sentences on what was left out.

        Classes are declared if there are none yet. A file that was taken already is not taken again.

        Args:
            path: of the file.
            column: that holds the classes; `class`, or the only column of texts, if not given.

        Raises:
            CorpusError: the file cannot be read, or says nothing of the index's locations.
            SwathError: it has a class that is not declared.
        """
        found, notes = read_labels(path, self._ground, column)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with self.lock:
            if digest in self.labels.files:
                return [f"{path.name} was opened before, and is not taken again"]
            if not self.labels.classes:
                self.declare_missing([name for name, _ in found])
            known = [one.name for one in self.labels.classes]
            if unknown := [name for name, _ in found if name not in known]:
                raise SwathError(
                    f"classes that are not declared: {', '.join(unknown)}",
                    where=str(path),
                    remedy=f"{nearest(unknown[0], known)}; or declare them: --classes",
                )
            self.labels.give_many(found, file=digest)
        return [*notes, f"{sum(len(rows) for _, rows in found):,} locations have labels of {path.name}"]

    def write_labels(self, path: Path) -> Path:
        """Write a GeoPackage of points: the middle of what is labelled, its id, date, class and colour.

        Raises:
            CorpusError: the file's name does not end in .gpkg.
        """
        with self.lock:
            given, classes = self.labels.given.copy(), list(self.labels.classes)
        rows = np.flatnonzero(given != NONE)
        own = [classes[number] for number in given[rows]]
        table = self.index.table.iloc[rows]
        said = {
            NAMES: [self.names[row] for row in rows],
            "uid": table["uid"].to_numpy(object),
            "date": table["date"].to_numpy(),
            "class": [one.name for one in own],
            "colour": [one.colour for one in own],
        }
        points = points_at(self._ground.middles[rows])
        return write_shapes(gpd.GeoDataFrame(said, geometry=points, crs="EPSG:4326"), path)

    def write_polygons(self, path: Path) -> Path:
        """Write the polygons that were drawn and not undone, with class and colour, as a GeoPackage.

        Raises:
            CorpusError: none was drawn on the ground, or the file's name does not end in .gpkg.
        """
        with self.lock:
            drawn = self.labels.polygons
            colours = {one.name: one.colour for one in self.labels.classes}
        if not drawn or self.layout.kind != "ground":
            raise CorpusError("no polygon was drawn on the ground", where=str(self.labels.path))
        said = {"class": [name for name, _ in drawn], "colour": [colours[name] for name, _ in drawn]}
        shapes = [split_at_antimeridian(shapely.Polygon(corners)) for _, corners in drawn]
        return write_shapes(gpd.GeoDataFrame(said, geometry=shapes, crs="EPSG:4326"), path)

    def write_predictions(self, path: Path) -> Path:
        """Write class, probability and entropy of all rows, and their labels, as GeoParquet or GeoJSON.

        Raises:
            SwathError: fewer than two classes have labels, or the file's name has another ending.
        """
        with self.lock:
            predicted, given = self.predict(), self.labels.given.copy()
            names = np.array([*(one.name for one in self.labels.classes), None], object)
        table = self.index.table[["uid", "sensor", "date"]].copy()
        table["class"] = names[predicted.classes]
        table["probability"], table["entropy"] = predicted.probability, predicted.entropy
        table["label"] = names[given]  # NONE is the last
        return write_places(gpd.GeoDataFrame(table, geometry=self.index.table.geometry), path)

    @cached_property
    def _ground(self) -> Ground:
        return Ground(
            {name: row for row, name in enumerate(self.names)},
            self.index.table.geometry.to_numpy(),
            self.layout.lonlat if self.layout.kind == "ground" else np.full_like(self.layout.xy, np.nan),
            self.index.header.chip_px * self.index.header.gsd_m,
        )

    @cached_property
    def _scale(self) -> ZScore:
        return ZScore(sample_of(self.index))


def _names(index: Index) -> list[str]:
    uids = index.table["uid"].astype(str)
    if index.header.dates != "each":
        return uids.tolist()
    return (uids + "@" + index.table["date"].dt.strftime("%Y-%m-%dT%H:%M:%S")).tolist()


def _polygon(corners: Sequence[Sequence[float]]) -> shapely.Polygon:
    if len(corners) < 3:
        raise SwathError("a polygon has three corners at least", remedy="go on drawing")
    if not np.isfinite(corners).all():
        raise SwathError("the corners are not all numbers", remedy="draw it again")
    if not (polygon := shapely.Polygon(corners)).is_valid:
        raise SwathError(
            f"the polygon cannot be used: {shapely.is_valid_reason(polygon)}", remedy="draw it without crossing lines"
        )
    return polygon
