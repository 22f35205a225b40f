"""S2-100K (Klemmer et al. 2024, SatCLIP): 100,000 Sentinel-2 L2A images of 256 x 256 pixels and a table of coordinates.

As unpacked: `index.csv` with the columns `lat`, `lon` and `fn`, and `images/<fn>` such as `images/patch_0.tif`, twelve
bands in the order of the sensor, in UTM. Dates are not told, so neither is whether counts hold the offset of processing
baseline 04.00 and later (January 2022 on, 1000 counts): they are stored as they are, as SatCLIP was trained on them.
"""

from pathlib import Path
from typing import Literal

import pandas as pd
from pyproj import Geod, Transformer

from swath import sensors
from swath.corpus.sources._contents import Contents
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._raster import BadFileError, File, Header
from swath.corpus.sources.published._convert import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, image, outlines, placed, stranger
from swath.corpus.store import SensorLayout
from swath.errors import CorpusError, nearest

SENSOR = "sentinel-2-l2a"
PX = 256
TABLE, FOLDER = "index.csv", "images"
COLUMNS = ("lat", "lon", "fn")
FARTHEST_M = 100.0
"""Between the centre of an image and its coordinates in the table; they agree to a metre in what was published."""
_GEOD = Geod(ellps="WGS84")


class Config(FormatSettings):
    """Settings of the source."""

    name: Literal["s2-100k"] = "s2-100k"


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: the table or images are missing or not as they should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    table = _table(folder)
    files = [File(folder / FOLDER / name, f"{FOLDER}/{name}") for name in table["fn"]]
    known = {file.path for file in files}
    omissions.log += [stranger(path, folder) for path in sorted((folder / FOLDER).iterdir()) if path not in known]
    coordinates = dict(zip(table["fn"], zip(table["lon"], table["lat"], strict=True), strict=True))
    layout = SensorLayout.of(sensors.get(SENSOR), gsd_m=10).model_copy(update={"nodata": None})
    spec = CorpusSpec(PX, {SENSOR: layout}, licences=("Copernicus Sentinel data",))

    def contents_of(file: File) -> Contents:
        pixels, head = image(file, len(layout.bands), "uint16", PX)
        uid = file.path.stem
        _check_place(file, head, coordinates[file.path.name])
        contents = Contents()
        contents.add(placed(uid, head), [chip_of(uid, SENSOR, pixels, file.name)], {}, spec.sensors)
        return contents

    there = outlines((file.path for file in files), PX)
    convert(target, spec, omissions, files, lambda file: [file.path.stem], contents_of, there)


def _table(folder: Path) -> pd.DataFrame:
    """The coordinates by file name; CorpusError unless it is such a table."""
    path = folder / TABLE
    if not path.is_file() or not (folder / FOLDER).is_dir():
        lacking = TABLE if not path.is_file() else FOLDER
        raise CorpusError(f"no {lacking}", where=str(folder), remedy=what_is_there(folder, lacking))
    try:
        table = pd.read_csv(path, dtype={"fn": str})
    except (ValueError, pd.errors.ParserError) as error:
        raise CorpusError(f"the table cannot be read: {error}", where=str(path), remedy="get it again") from None
    for name in COLUMNS:
        if name not in table:
            remedy = nearest(name, map(str, table.columns))
            raise CorpusError(f"the table has no column {name!r}", where=str(path), remedy=remedy)
    for line, row in enumerate(zip(table["fn"], table["lon"], table["lat"], strict=True), start=2):
        if problem := _problem(*row):
            raise CorpusError(problem, where=f"{path}, line {line}", remedy="get the table again")
    if twice := table["fn"][table["fn"].duplicated()].tolist():
        raise CorpusError(f"{twice[0]} stands in the table twice", where=str(path), remedy="get it again")
    return table


def _problem(name: object, lon: object, lat: object) -> str:
    """What is wrong with a line of the table; empty if nothing is."""
    if not isinstance(name, str) or Path(name).name != name:
        return f"{name!r} is no name of a file"
    if not (isinstance(lon, int | float) and isinstance(lat, int | float) and abs(lon) <= 180 and abs(lat) <= 90):
        return f"latitude {lat} and longitude {lon} are no place on the Earth"
    return ""


def _check_place(file: File, head: Header, said: tuple[float, float]) -> None:
    """Raise BadFileError unless the centre of an image lies where the table says."""
    if head.transform is None or head.crs is None:
        raise BadFileError(f"{file.name} does not say where it lies", where=str(file.path), remedy=SKIP)
    lon, lat = Transformer.from_crs(head.crs, "EPSG:4326", always_xy=True).transform(
        *(head.transform * (PX / 2, PX / 2))
    )
    metres = _GEOD.inv(lon, lat, *said)[2]
    if not metres <= FARTHEST_M:
        what = f"{file.name} lies at latitude {lat:.4f}, longitude {lon:.4f}, {metres:,.0f} m from where {TABLE} says"
        raise BadFileError(what, where=str(file.path), remedy="are both of one edition? or: on_bad_file=skip")
