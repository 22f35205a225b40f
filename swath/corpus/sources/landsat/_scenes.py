"""Finding the scenes of a folder by the names that USGS gives them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rasterio.warp import transform

from swath import sensors
from swath.corpus.sources._contents import LogEntry
from swath.corpus.sources._names import matching
from swath.corpus.sources._position import check_same_place, off_size, pixel_m
from swath.corpus.sources._raster import BadFileError, File, Header, check_size, contradict, corner, header
from swath.corpus.sources.landsat import _mtl as mtl
from swath.corpus.sources.landsat._mtl import Calibration
from swath.corpus.sources.published import SKIP, Omissions
from swath.errors import CorpusError
from swath.sensors import Scaling

_FILE = r"_(?P<layer>\w+)\.(?P<suffix>TIF|txt)"
_NAMES = (
    re.compile(
        r"(?P<id>L(?P<kind>[COTE])0(?P<satellite>\d)_L(?P<level>[12])\w{2}_(?P<path>\d{3})(?P<row>\d{3})_(?P<date>\d{8})"
        r"(?:_(?P<made>\d{8})_(?P<collection>\d{2})_(?P<tier>\w{2}))?)" + _FILE,
        re.IGNORECASE,
    ),
    # before Collection 1, with the day of the year, ground station and version; always of level 1
    re.compile(
        r"(?P<id>L(?P<kind>[COTE])(?P<satellite>\d)(?P<path>\d{3})(?P<row>\d{3})(?P<day>\d{7})[A-Z]{3}\d{2})" + _FILE,
        re.IGNORECASE,
    ),
    # before 2012, with two rows; the bands of one scene of Landsat 7 are of two formats, L71 and L72
    re.compile(
        r"(?P<id>L(?:(?P<satellite>7)[12]|(?P<tm>[45]))(?P<path>\d{3})(?P<row>\d{3})_\d{3}(?P<date>\d{8}))" + _FILE,
        re.IGNORECASE,
    ),
)
_PRODUCT = re.compile(r"(?P<scene>L[COTE]0\d_L[12]\w{2}_\d{6}_\d{8})_\d{8}_\d{2}_\w{2}")
QUALITY = ("QA_PIXEL", "BQA")
"""Names of the quality band: in Collection 2, and in all before it."""


@dataclass(slots=True)
class Scene:
    """One acquisition at one level."""

    id: str
    sensor: str
    date: datetime
    path: str
    """Path of the World Reference System: the ground track."""
    track_and_satellite: str
    """Satellite, path and row, which together with the day identify a scene across its versions."""
    version: tuple[int, str, str, str]
    """A key that grows with every processing of a scene: collection, day, whether it is final, and id."""
    collection: int | None
    """Number of the collection, 0 before there were any; None until the scene is prepared where its name does
    not tell."""
    files: dict[str, File] = field(default_factory=dict)
    """File of each band, the quality band included."""
    metadata: Path | None = None
    calibration: Calibration | None = None
    """How counts become physical values, for level-1 scenes."""
    header: Header | None = None
    """Header of its first band of 30 m, which says what the scene's pixel grid is."""

    @property
    def quality(self) -> str | None:
        """Name of the quality band; None if there is none."""
        return next((name for name in QUALITY if name in self.files), None)

    @property
    def bits(self) -> int:
        """Collection whose bits the quality band has."""
        if self.quality == "QA_PIXEL":
            return 2
        if self.collection is None:
            raise AssertionError(self.id)
        return min(self.collection, 1)

    @property
    def swath(self) -> tuple[str, str, str]:
        """Sensor, satellite and path, day: one pass, of which the provider makes overlapping scenes."""
        return self.sensor, self.track_and_satellite[:4], self.date.strftime("%Y%m%d")

    @property
    def grid(self) -> Header:
        """Header of the scene's grid, read when the scene was prepared."""
        if self.header is None:
            raise AssertionError(self.id)
        return self.header


def find(root: Path, omissions: Omissions) -> list[Scene]:
    """All scenes below a folder, in the order of time and id; what is no band of theirs is noted.

    Raises:
        CorpusError: there is no scene, or two files are one band of one.
    """
    scenes: dict[str, Scene] = {}
    for path in matching(root, "**/L*_*.*"):
        match = next((match for name in _NAMES if (match := name.fullmatch(_full(path)))), None)
        if match is None or not path.is_file() or (one := _named(match)) is None:
            continue
        scene = scenes.setdefault(one.id, one)
        layer = match["layer"].upper()
        layer = _before_2012(layer) if "tm" in match.re.groupindex else layer
        if match["suffix"].lower() == "txt":
            scene.metadata = path if layer == "MTL" else scene.metadata
            continue
        file = File(path, path.relative_to(root).as_posix())
        if scene.files.setdefault(layer, file) is not file:
            what = f"two files are {layer} of {scene.id}: {scene.files[layer].name} and {file.name}"
            raise CorpusError(what, where=str(root), remedy="leave one of them out")
    newest = _newest([scene for scene in scenes.values() if _bands_of(scene)], omissions)
    if not newest:
        raise CorpusError(
            "no Landsat scene is here",
            where=str(root),
            remedy="files must be named as USGS names them, such as LC08_L2SP_005009_20150710_20200908_02_T2_SR_B4.TIF",
        )
    for scene in newest:
        known = {band.name for band in sensors.get(scene.sensor).bands} | set(QUALITY)
        for layer in sorted(scene.files.keys() - known):
            what = "not a band that is stored"
            omissions.log.append(
                {"event": "extra file", "id": scene.id, "what": what, "where": scene.files[layer].name}
            )
    return sorted(newest, key=lambda scene: (scene.date, scene.id))


def _before_2012(layer: str) -> str:
    """The band of a layer named B10 to B80, or B61 and B62 for thermal radiation in two gains, as files were
    named before 2012.
    """
    band = re.fullmatch(r"B(\d)([012])", layer)
    if band is None:
        return layer
    return f"B{band[1]}" if band[2] == "0" else f"B{band[1]}_VCID_{band[2]}"


def _full(path: Path) -> str:
    """A file's name, with what its folder says more of the processing where that is named after the product."""
    product = _PRODUCT.fullmatch(path.parent.name)
    if product and path.name.startswith(f"{product['scene']}_") and not path.name.startswith(product[0]):
        return product[0] + path.name.removeprefix(product["scene"])
    return path.name


def _named(match: re.Match[str]) -> Scene | None:
    """A scene by the name of one of its files; None of a satellite or a level that is not stored."""
    said = match.groupdict()
    kind, level = said.get("kind", "").upper(), said.get("level", "1")
    satellite = int(said["satellite"] or said["tm"])
    family = "oli" if satellite >= 8 and kind in "CO" else {7: "etm", 5: "tm", 4: "tm"}.get(satellite)
    if family is None:
        return None
    day, written = (said["day"], "%Y%j") if "day" in said else (said["date"], "%Y%m%d")
    try:
        date = datetime.strptime(day, written).replace(tzinfo=UTC)
    except ValueError:
        return None
    name = re.sub("^L72", "L71", said["id"].upper())
    collection = (int(said["collection"]) if said["collection"] else None) if "collection" in said else 0
    made, final = said.get("made") or "", "" if (said.get("tier") or "").upper() == "RT" else "final"
    return Scene(
        id=name,
        sensor=f"landsat-{family}-{'toa' if level == '1' else 'sr'}",
        date=date,
        path=said["path"],
        track_and_satellite=f"{satellite}{said['path']}{said['row']}",
        version=(collection or 0, made, final, name),
        collection=collection,
    )


def _newest(scenes: Sequence[Scene], omissions: Omissions) -> list[Scene]:
    """The newest processing of every scene; the others are noted."""
    kept: dict[tuple[str, str, datetime], Scene] = {}
    for scene in sorted(scenes, key=lambda scene: scene.version, reverse=True):
        newest = kept.setdefault((scene.sensor, scene.track_and_satellite, scene.date), scene)
        if newest is not scene:
            what = f"{newest.id} is a newer processing of the same scene"
            omissions.log.append({"event": "older processing", "id": scene.id, "what": what, "where": scene.id})
    return list(kept.values())


def _bands_of(scene: Scene) -> list[str]:
    return [band.name for band in sensors.get(scene.sensor).bands if band.name in scene.files]


def bands(scenes: Sequence[Scene], wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Bands to store by sensor.

    Args:
        scenes: of which.
        wanted: names of bands; by default all that every scene of a sensor has, but the panchromatic one of 15 m.

    Raises:
        CorpusError: no sensor has a wanted band, or a scene has none of the bands that the others have.
    """
    chosen = {}
    for sensor in dict.fromkeys(scene.sensor for scene in scenes):
        of_sensor = [scene for scene in scenes if scene.sensor == sensor]
        known = sensors.get(sensor).bands
        names = [b.name for b in known if (b.name in wanted if wanted else b.common_name != "pan")]
        chosen[sensor] = tuple(n for n in names if wanted or all(n in scene.files for scene in of_sensor))
    if unknown := set(wanted) - {name for names in chosen.values() for name in names}:
        there = sorted({name for scene in scenes for name in _bands_of(scene)})
        what = f"no scene's sensor has the band {min(unknown)}"
        raise CorpusError(what, where="corpus.source.bands", remedy=f"there are {', '.join(there)}")
    if empty := [sensor for sensor, names in chosen.items() if not names]:
        what = f"the scenes of {empty[0]} have no band in common"
        raise CorpusError(what, where="corpus.source.bands", remedy="name the bands to store, or complete the scenes")
    return chosen


def not_in_common(scenes: Sequence[Scene], stored: Mapping[str, Sequence[str]]) -> list[LogEntry]:
    """Log entries on bands that some scenes of a sensor have and others lack: they are not stored.

    Args:
        scenes: all that were found.
        stored: bands by sensor.
    """
    entries = []
    for sensor, names in stored.items():
        of_sensor = [scene for scene in scenes if scene.sensor == sensor]
        for band in sensors.get(sensor).bands:
            lacking = [scene.id for scene in of_sensor if band.name not in scene.files]
            if band.name not in names and band.common_name != "pan" and len(lacking) < len(of_sensor):
                what = f"{len(lacking)} of {len(of_sensor)} scenes of {sensor} lack it, such as {lacking[0]}"
                entries.append({"event": "band left out", "id": band.name, "what": what, "where": lacking[0]})
    return entries


def prepare(
    scene: Scene, names: Sequence[str], missing_metadata: Literal["error", "estimate"], limit_gb: float
) -> None:
    """Read the scene's header and metadata.

    Raises:
        BadFileError: a band's file is missing or no scene of this kind, or the metadata are; a file lies elsewhere than
            the others, or cannot be read in pieces of less than so many gigabytes.
    """
    for name in names:
        if name not in scene.files:
            what, where = f"band {name} of {scene.id} is missing", str(folder_of(scene))
            raise BadFileError(what, where=where, remedy=f"{SKIP}; or name other bands: bands=[...]")
    units = {name: sensors.get(scene.sensor).band(name).unit for name in names}
    heads = {name: header(scene.files[name]) for name in names}
    for name, head in heads.items():
        if head.count != 1 or head.dtype not in ("uint16", "uint8") or head.crs is None:
            what = f"{scene.files[name].name}: {head.count} bands of {head.dtype}"
            what += "" if head.crs is not None else " without a georeference"
            raise BadFileError(
                f"{what}, where Landsat has one of uint16 (before Collection 2 uint8)",
                where=str(scene.files[name].path),
                remedy=SKIP,
            )
        _check_tags(scene, name, head)
    first = next((n for n in heads if sensors.get(scene.sensor).band(n).common_name != "pan"), next(iter(heads)))
    scene.header = heads[first]
    if scene.quality is not None:
        heads[scene.quality] = header(scene.files[scene.quality])
    for name, head in heads.items():
        check_windows(scene.files[name], head, limit_gb)
        check_same_place(scene.files[name], head, scene.files[first], scene.header)
    if scene.metadata is not None:
        metadata = mtl.fields(scene.metadata)
        if metadata.get("SENSOR_ID", "").startswith("MSS"):
            what = f"{scene.id} is of the multispectral scanner, by {scene.metadata.name}, which is not stored"
            raise BadFileError(what, where=str(scene.metadata), remedy="take it out; or leave it out: on_bad_file=skip")
        scene.date = mtl.acquired(metadata, scene.metadata)
        scene.collection = mtl.collection(metadata)
        if sensors.get(scene.sensor).top_of_atmosphere:
            scene.calibration = mtl.calibration(metadata, scene.metadata, scene.sensor, units)
    elif sensors.get(scene.sensor).top_of_atmosphere:
        scene.calibration = _without_metadata(scene, units, missing_metadata)
    if scene.quality == "BQA" and scene.collection is None:
        what = f"nobody says which bits {scene.files['BQA'].name} has: neither names nor metadata tell the collection"
        remedy = f"put {scene.id}_MTL.txt beside it; or leave it out: on_bad_file=skip"
        raise BadFileError(what, where=str(folder_of(scene)), remedy=remedy)


def _check_tags(scene: Scene, name: str, head: Header) -> None:
    """Raise BadFileError if a file says another scaling than its level has: level-1 counts have the metadata's."""
    sensor = sensors.get(scene.sensor)
    scaling = Scaling() if sensor.top_of_atmosphere else sensor.scaling_of(name)
    if contradict(tags := head.scalings[0], scaling):
        what = f"{scene.files[name].name} says scale {tags[0]:g} and offset {tags[1]:g}, where this level has "
        what += f"{scaling.scale:g} and {scaling.offset:g}"
        raise BadFileError(what, where=str(scene.files[name].path), remedy=SKIP)


def check_windows(file: File, head: Header, limit_gb: float) -> None:
    """Raise BadFileError unless windows of a file can be read as they are, in little memory."""
    if head.turned or (head.transform is not None and (head.transform.b, head.transform.d) != (0, 0)):
        remedy = "bring it to rows from north to south, such as with gdalwarp; or leave it out: on_bad_file=skip"
        raise BadFileError(
            f"the rows of {file.name} do not go from north to south", where=str(file.path), remedy=remedy
        )
    check_size(file, head.block_bytes, limit_gb)


def check_pixel_size(scene: str, head: Header, gsd_m: float, where: Path) -> None:
    """Raise BadFileError if a scene has pixels of another size than the corpus says of its sensor."""
    sizes = pixel_m(head)
    if sizes is not None and off_size(sizes, gsd_m):
        what = f"{scene} has pixels of {sizes[0]:.4g} x {sizes[1]:.4g} m on the ground, not of {gsd_m:.4g} m"
        remedy = "give scenes of each pixel size a corpus of their own; or leave it out: on_bad_file=skip"
        raise BadFileError(what, where=str(where), remedy=remedy)


def _without_metadata(scene: Scene, units: dict[str, str], missing: Literal["error", "estimate"]) -> Calibration:
    if missing == "error" or scene.sensor != "landsat-oli-toa":
        more = "; or missing_metadata=estimate: fixed coefficients, the sun's elevation by date and latitude"
        raise BadFileError(
            f"{scene.id}_MTL.txt is missing, so its counts cannot become reflectance",
            where=str(folder_of(scene)),
            remedy=SKIP + (more if scene.sensor == "landsat-oli-toa" else ""),
        )
    return mtl.estimated(units, scene.date, centre(scene.grid))


def folder_of(scene: Scene) -> Path:
    """Folder of the scene's files."""
    return next(iter(scene.files.values())).path.parent


def centre(head: Header) -> tuple[float, float]:
    """Longitude and latitude of an image's centre."""

    if head.transform is None or head.crs is None:
        raise AssertionError("prepared scenes have a georeference")
    x, y = corner(head.transform, head.width // 2, head.height // 2)
    lon, lat = transform(head.crs, "EPSG:4326", [x], [y])[:2]
    return lon[0], lat[0]
