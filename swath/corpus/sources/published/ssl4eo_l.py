"""SSL4EO-L (Stewart et al. 2023): a million Landsat patches of each of five sensors and levels, at four seasons.

As unpacked: `ssl4eo_l_<split>/<7-digit location>/<scene>/all_bands.tif`, 264 x 264 pixels of 30 m, a byte a value. The
bytes stay as they are; scale and offset make reflectance and kelvin of them (`swath.corpus.eight_bit`).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from swath import sensors
from swath.corpus import eight_bit
from swath.corpus.sources._contents import Contents, LogEntry
from swath.corpus.sources._raster import BadFileError, File, Header
from swath.corpus.sources.published._convert import SKIP, CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, image, outlines, placed, same_ground, stranger
from swath.corpus.store import Chip, SensorLayout
from swath.errors import CorpusError

Split = Literal["tm_toa", "etm_toa", "etm_sr", "oli_tirs_toa", "oli_sr"]

SENSORS: dict[str, str] = {
    "tm_toa": "landsat-tm-toa",
    "etm_toa": "landsat-etm-toa",
    "etm_sr": "landsat-etm-sr",
    "oli_tirs_toa": "landsat-oli-toa",
    "oli_sr": "landsat-oli-sr",
}
"""Sensor of each split. The files' bands are in the sensor's order; surface products come without temperature."""
PARALLEL = (("etm_toa", "etm_sr"), ("oli_tirs_toa", "oli_sr"))
"""Pairs of splits that show the same acquisitions at two levels."""
SEASONS = {(3, 20): "march", (6, 21): "june", (9, 23): "september", (12, 21): "december"}
"""Equinoxes and solstices around which the scenes were searched (30 days before and after); names of the tags."""
PX = 264
GSD_M = 30.0
FILE = "all_bands.tif"


class Config(FormatSettings):
    """SSL4EO-L (Stewart et al. 2023): which of its five sensors and levels to store."""

    name: Literal["ssl4eo-l"] = "ssl4eo-l"
    splits: tuple[Split, ...] = ()
    """Which of the data set's parts to store; by default those whose folders are there."""
    parallel: bool = True
    """Where both levels of a sensor are stored, keep only locations that have the same dates in both."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: no split is there, or a file is missing or not as it should be.
    """
    folder = data_folder(data)
    splits = _splits(config, folder)
    omissions = Omissions(config, folder)
    places = _places(folder, splits, config, omissions.log)
    spec = CorpusSpec(PX, {SENSORS[split]: layout(split) for split in splits}, licences=("CC0-1.0",))
    units = list(places.items())
    known = outlines((_first(folder, *unit) for unit in units if any(unit[1].values())), PX)
    convert(
        target, spec, omissions, units, lambda unit: [unit[0]], lambda unit: _contents_of(folder, spec, *unit), known
    )


def layout(split: str) -> SensorLayout:
    """How a split's bytes are stored, and what they mean."""
    sensor = sensors.get(SENSORS[split])
    bands = [b.name for b in sensor.bands if sensor.top_of_atmosphere or b.unit != "K"]
    return eight_bit.layout(sensor.name, bands, GSD_M)


def season(date: datetime) -> str:
    """The equinox or solstice that is nearest to a date."""

    def days_off(month: int, day: int) -> int:
        gap = abs(date.timetuple().tm_yday - datetime(date.year, month, day, tzinfo=UTC).timetuple().tm_yday)
        return min(gap, 365 - gap)

    return SEASONS[min(SEASONS, key=lambda reference: days_off(*reference))]


def date_of(scene: str) -> datetime:
    """Day of acquisition of a scene such as `LC08_172034_20210306`.

    Raises:
        BadFileError: the name holds none.
    """
    match = re.fullmatch(r"L[A-Z]\d{2}_\d{6}_(\d{8})", scene)
    try:
        return datetime.strptime(match[1] if match else "", "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadFileError(
            f"the scene {scene!r} is not named like LC08_172034_20210306, so its date is unknown",
            where=scene,
            remedy=SKIP,
        ) from None


# -- which scenes ------------------------------------------------------------------------------------------------------


def _splits(config: Config, data: Path) -> tuple[str, ...]:
    there = tuple(split for split in SENSORS if (data / f"ssl4eo_l_{split}").is_dir())
    wanted = config.splits or there
    missing = [split for split in wanted if split not in there]
    if missing or not wanted:
        raise CorpusError(
            f"no folder ssl4eo_l_{missing[0] if missing else '<split>'} here",
            where=str(data),
            remedy=f"give the folder that holds it (data=PATH); splits: {', '.join(SENSORS)}",
        )
    return tuple(split for split in SENSORS if split in wanted)


Scenes = dict[str, list[str]]
"""Names of a location's scenes by split."""


def _places(data: Path, splits: tuple[str, ...], config: Config, log: list[LogEntry]) -> dict[str, Scenes]:
    places: dict[str, Scenes] = {}
    for split in splits:
        for uid, scenes in _listing(data / f"ssl4eo_l_{split}", log):
            places.setdefault(uid, {})[split] = scenes
    if config.parallel:
        for uid in [uid for uid, scenes in places.items() if not _same_dates(scenes, splits)]:
            what = "the two levels of a sensor have different dates"
            log.append({"event": "left out", "id": uid, "what": what, "where": str(data)})
            del places[uid]
    return dict(sorted(places.items()))


def _listing(folder: Path, log: list[LogEntry]) -> Iterator[tuple[str, list[str]]]:
    for location in sorted(folder.iterdir()):
        if re.fullmatch(r"\d{7}", location.name) and location.is_dir():
            yield location.name, sorted(scene.name for scene in location.iterdir() if scene.is_dir())
        else:
            log.append(stranger(location, folder.parent))


def _same_dates(scenes: Scenes, splits: tuple[str, ...]) -> bool:
    pairs = [pair for pair in PARALLEL if set(pair) <= set(splits) and set(pair) & set(scenes)]
    return all(
        {name[-8:] for name in scenes.get(one, [])} == {name[-8:] for name in scenes.get(other, [])}
        for one, other in pairs
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def _first(data: Path, uid: str, scenes: Scenes) -> Path:
    """A file that states where the location lies, from the first split that has a scene there."""
    split, scene = next((split, names[0]) for split, names in scenes.items() if names)
    return data / f"ssl4eo_l_{split}" / uid / scene / FILE


def _contents_of(data: Path, spec: CorpusSpec, uid: str, scenes: Scenes) -> Contents:
    heads: list[Header] = []
    chips: list[Chip] = []
    for split, names in scenes.items():
        layout = spec.sensors[SENSORS[split]]
        if not names:
            where = str(data / f"ssl4eo_l_{split}" / uid)
            raise BadFileError(f"location {uid} has no scene", where=where, remedy=SKIP)
        for scene in names:
            file = File(data / (name := f"ssl4eo_l_{split}/{uid}/{scene}/{FILE}"), name)
            date = date_of(scene)
            pixels, head = image(file, len(layout.bands), "uint8", PX)
            same_ground(file, head, (heads or [head])[0])
            heads.append(head)
            chips.append(chip_of(uid, SENSORS[split], pixels, name, datetime=date, tag=season(date)))
    contents = Contents()
    contents.add(placed(uid, heads[0]), chips, {}, spec.sensors)
    return contents
