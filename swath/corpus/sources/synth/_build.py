"""The synthetic landscape: a generated, georeferenced multi-sensor world whose truth is known.

How it is made, with the formulas, and what it is not: docs/synthetic-landscape.md.

    swath corpus synth landscape locations=400
"""

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Integer, Shaped, UInt8
from pydantic import Field, field_validator, model_serializer, model_validator
from pyproj import Transformer

import swath
from swath._progress import track
from swath.corpus.physics import radar as _radar
from swath.corpus.physics import spectra as _spectra
from swath.corpus.physics import weather as _weather
from swath.corpus.physics.clouds import Sky, sky
from swath.corpus.physics.noise import scramble, stream, uniform
from swath.corpus.physics.window import Window
from swath.corpus.sources.synth import _calendar, _other, _render
from swath.corpus.sources.synth._calendar import Pass
from swath.corpus.sources.synth._classes import Land, classes
from swath.corpus.sources.synth._landscape import PIXEL, Landscape, window
from swath.corpus.sources.synth._render import Plants, crop
from swath.corpus.store import (
    Chip,
    Corpus,
    CorpusInfo,
    CorpusWriter,
    LabelLayer,
    Location,
    Part,
    SensorLayout,
    truth_path,
)
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError, RecipeError
from swath.sensors import SensorName
from swath.settings import PluginSettings, Seed

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
POLARISATIONS = ("VV", "VH")
OPTICAL_SCALE, OPTICAL_OFFSET = 1e-4, -0.1
"""Counts to reflectance, as Sentinel-2 ships it since processing baseline 04.00."""
RADAR_SCALE = 0.01
"""Counts to dB: hundredths of a decibel."""
LAYER = "landcover"
PART = 64
"""Number of locations that are committed at once."""
TRUTH_ROWS = 1024
"""Number of chips whose cloud truth is in memory at once."""
CLEAR, CLOUD, SHADOW = range(3)
"""Codes of the cloud truth."""


class Config(PluginSettings):
    """The synthetic landscape: a generated world of several sensors, with known land cover, clouds and shadows."""

    name: Literal["synth"] = "synth"
    seed: Seed = 0
    """Seed of the whole world; the same seed and settings give the same bytes."""
    locations: int = Field(400, ge=1, le=10_000_000)
    """Number of locations, spread over the extent; 400 or more side by side make a mosaic."""
    chip_px: int = Field(64, ge=8, le=512, multiple_of=2)
    """Rows and columns of a chip, in pixels of 10 m."""
    year: int = Field(2021, ge=2016, le=2100)
    dates_optical: int = Field(4, ge=0, le=146)
    """Sentinel-2 dates per location, spread over the year (fewer if fewer passes survive the clouds)."""
    dates_radar: int = Field(4, ge=0, le=122)
    """Sentinel-1 dates per location: first those nearest to the optical ones, then random ones."""
    lon: float = Field(12.0, ge=-180, lt=180)
    """Longitude of the region's centre, degrees. The default lies on the border of UTM zones 32 and 33."""
    lat: float = Field(52.0, ge=-70, le=70)
    """Latitude of the region's centre, degrees."""
    extent_km: float = Field(40.0, gt=0, le=500)
    """Side of the square region."""
    block_km: float = Field(5.0, gt=0)
    """Side of the spatial blocks that become the locations' groups."""
    crops: int = Field(5, ge=1, le=6)
    """Number of crop classes, besides water, built-up, forest and grass."""
    structures: bool = False
    """Also classes that structure tells apart rather than colour: orchards and vineyards, coniferous and broad-leaved
    forest, villages and industry. Settlements then are villages or industry, and forest is of two classes."""
    cloud_fraction: float = Field(0.1, ge=0, le=0.9)
    """Mean cloud cover of the optical dates."""
    mask_clouds: bool = False
    """Mark clouds and their shadows as invalid, by the truth; otherwise they are pixels like any other."""
    clear: bool = False
    """Also keep what the optical dates would show without clouds and shadows, for `cloud_levels` of a task."""
    looks: float = Field(4.4, gt=0)
    """Equivalent number of looks of the radar; 4.4 is Sentinel-1's in IW GRD products."""
    radar_revisit: Literal[6, 12] = 12
    """Days between radar passes of one direction: 6 with two satellites, 12 with one."""
    others: tuple[SensorName, ...] = ()
    """Further optical sensors that see the same ground on days of their own, as many as `dates_optical`: any that swath
    knows, those of the recipe's `sensors` among them. Their bands are averages of the landscape's spectrum over the
    bands' widths, on the 10 m grid, blurred to what the sensor resolves."""

    @model_validator(mode="after")
    def _possible(self) -> "Config":
        if self.dates_optical + self.dates_radar == 0:
            raise ValueError("dates_optical and dates_radar are both 0: there would be nothing to see")
        return self

    @field_validator("others")
    @classmethod
    def _can_be_painted(cls, others: tuple[str, ...]) -> tuple[str, ...]:
        for name in others:
            if others.count(name) > 1 or name in (OPTICAL, RADAR):
                raise ValueError(f"{name} is there already")
            _other.bands_of(name)
        return others

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # worlds of no other sensors have the provenance and digest that they had before there were any
        return {key: value for key, value in handler(self).items() if key != "others" or value}

    @property
    def chip_m(self) -> float:
        """Side of a chip in metres."""
        return self.chip_px * PIXEL


@dataclass(frozen=True, slots=True)
class LandscapeLocation:
    """A location before anything is rendered there."""

    uid: str
    zone: int
    """UTM zone, 1 to 60."""
    south: bool
    """Whether it lies on the southern hemisphere."""
    west: float
    """Easting of the west edge, metres."""
    north: float
    """Northing of the north edge, metres."""
    lon: float
    """Longitude of the centre, degrees."""
    lat: float
    group: str
    """Name of its spatial block."""

    @property
    def crs(self) -> str:
        """Coordinate reference system, `EPSG:326xx` or `EPSG:327xx`."""
        return _epsg(self.zone, self.south)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Transform from column and row to easting and northing, in the order of `affine.Affine`."""
        return (PIXEL, 0.0, self.west, 0.0, -PIXEL, self.north)

    @property
    def tile(self) -> int:
        """Number of the 100 km tile, which shares its satellite passes."""
        column, row = self.west // _calendar.TILE, self.north // _calendar.TILE
        return int((self.zone * 1000 + column) * 1000 + row)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """All chips of one location and sensor."""

    passes: list[Pass]
    pixels: Shaped[np.ndarray, "t c h w"]
    """Counts."""


@dataclass(frozen=True, slots=True, eq=False)
class RenderedLocation:
    """Everything that is known of one location: chips, labels and truth."""

    location: LandscapeLocation
    landcover: Integer[np.ndarray, "h w"]
    """Codes of the classes that `label_layer` names."""
    optical: Series
    radar: Series
    truth: UInt8[np.ndarray, "t h w"]
    """What each pixel of each optical date is: CLEAR, CLOUD, or SHADOW where no cloud stands above."""
    others: dict[str, "Seen"] = field(default_factory=dict)
    """The same of further optical sensors, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a further optical sensor sees of a location."""

    series: Series
    truth: UInt8[np.ndarray, "t h w"]
    """As of `RenderedLocation`."""


# --- where ----------------------------------------------------------------------------------------------------------


def locations(config: Config) -> list[LandscapeLocation]:
    """The locations: one in each cell of a square grid over the region, on the lattice of chips of its UTM zone.

    With `extent_km` equal to the chips of a row side by side, they tile the region.

    Raises:
        RecipeError: The region is too small for that many locations that do not overlap.
    """
    side = math.ceil(math.sqrt(config.locations))
    cell = config.extent_km * 1000 / side
    if cell < config.chip_m * (1 - 1e-9):
        need = math.ceil(side * config.chip_m) / 1000
        raise RecipeError(
            f"{config.locations} locations of {config.chip_m:g} m do not fit into {config.extent_km:g} km",
            where="source.extent_km",
            remedy=f"make extent_km at least {need:g}, or ask for fewer locations",
        )
    key = stream(config.seed, "places")  # the word of before: another one would draw other locations
    chosen = np.argsort(uniform(key, np.arange(side * side)), kind="stable")[: config.locations]
    row, column = np.divmod(np.sort(chosen), side)
    west, north = _corner(config)
    slots = max(int(cell / config.chip_m + 1e-9), 1)
    jitter = [np.floor(slots * uniform(key, row, column, axis)) * config.chip_m for axis in (1, 2)]
    return _distinct(config, west + column * cell + jitter[0], north - row * cell - jitter[1])


def _corner(config: Config) -> tuple[float, float]:
    """North-west corner of the region in the UTM zone of its centre, on the lattice of chips."""
    centre = _transformer(_zone(config.lon), config.lat < 0).transform(config.lon, config.lat)
    half = config.extent_km * 500
    return _snap(centre[0] - half, config), _snap(centre[1] + half, config)


def _distinct(config: Config, west: np.ndarray, north: np.ndarray) -> list[LandscapeLocation]:
    """Positions in the zone of each chip's centre; snapping to another zone's lattice may merge two."""
    inverse = _transformer(_zone(config.lon), config.lat < 0)
    half = config.chip_m / 2
    lon, lat = inverse.transform(west + half, north - half, direction="INVERSE")
    distinct: dict[str, LandscapeLocation] = {}
    for i in range(len(lon)):
        location = _location_at(config, float(lon[i]), float(lat[i]))
        distinct.setdefault(location.uid, location)
    return list(distinct.values())


def _location_at(config: Config, lon: float, lat: float) -> LandscapeLocation:
    zone, south = _zone(lon), lat < 0
    project = _transformer(zone, south)
    half = config.chip_m / 2
    east, north = project.transform(lon, lat)
    west, north = _snap(east - half, config), _snap(north + half, config)
    lon, lat = project.transform(west + half, north - half, direction="INVERSE")
    block = config.block_km * 1000
    hemisphere = "S" if south else "N"
    return LandscapeLocation(
        uid=f"{zone:02d}{hemisphere}-{west:.0f}-{north:.0f}",
        zone=zone,
        south=south,
        west=west,
        north=north,
        lon=float(lon),
        lat=float(lat),
        group=f"{zone:02d}{hemisphere}-{int((west + half) // block)}-{int((north - half) // block)}",
    )


def _snap(metres: float, config: Config) -> float:
    return round(metres / config.chip_m) * config.chip_m


def _zone(lon: float) -> int:
    return int((lon + 180) // 6) % 60 + 1


def _epsg(zone: int, south: bool) -> str:
    return f"EPSG:{32700 + zone if south else 32600 + zone}"


@lru_cache(maxsize=130)
def _transformer(zone: int, south: bool) -> Transformer:
    return Transformer.from_crs("EPSG:4326", _epsg(zone, south), always_xy=True)


# --- what is seen there ---------------------------------------------------------------------------------------------


def passes(config: Config, location: LandscapeLocation) -> tuple[list[Pass], list[Pass]]:
    """The optical and radar acquisitions that the corpus holds of a location."""
    rng = _rng(config, location, "dates")
    s2 = _calendar.optical_passes(
        config.seed, config.year, location.tile, config.lon, config.lat, config.cloud_fraction
    )
    s1 = _calendar.radar_passes(config.seed, config.year, location.tile, config.lon, config.radar_revisit)
    optical = _calendar.choose(s2, config.dates_optical, rng)
    return optical, _calendar.choose_near(s1, config.dates_radar, optical, rng)


def make(config: Config, location: LandscapeLocation) -> RenderedLocation:
    """All chips, labels and truth of one location: a pure function of the two arguments."""
    at = window(location.zone, location.west, location.north, config.chip_px)
    ground = _landscape(config).ground(at)
    plants = Plants(ground, _lands(config))
    optical, radar = passes(config, location)
    clouds = _clouds(config, location, at, optical)
    return RenderedLocation(
        location=location,
        landcover=crop(ground.code).astype(np.uint8),
        optical=Series(optical, _optical(config, location, plants, optical, clouds)),
        radar=Series(radar, _radar_counts(config, location, plants, radar)),
        truth=_truth(clouds),
        others={name: _seen_by(name, config, location, at, plants) for name in config.others},
    )


def _landscape(config: Config) -> Landscape:
    return Landscape(config.seed, config.crops, structures=config.structures)


def _lands(config: Config) -> tuple[Land, ...]:
    return classes(config.crops, structures=config.structures)


def cloud_truth(config: Config, location: LandscapeLocation) -> UInt8[np.ndarray, "t h w"]:
    """CLEAR, CLOUD or SHADOW for the pixels of the optical dates, without making the rest."""
    at = window(location.zone, location.west, location.north, config.chip_px)
    return _truth(_clouds(config, location, at, passes(config, location)[0]))


def clear_counts(config: Config, location: LandscapeLocation) -> Shaped[np.ndarray, "t c h w"]:
    """The optical dates without clouds and shadows; haze, gain and noise are those of the corpus."""
    at = window(location.zone, location.west, location.north, config.chip_px)
    plants = Plants(_landscape(config).ground(at), _lands(config))
    optical = passes(config, location)[0]
    clouds = _clouds(config, location, at, optical)
    open_sky = replace(clouds, cloud=np.zeros_like(clouds.cloud), shadow=np.zeros_like(clouds.shadow))
    return _optical(config, location, plants, optical, open_sky)


def _truth(clouds: Sky) -> UInt8[np.ndarray, "t h w"]:
    return crop(np.where(clouds.cloudy, CLOUD, np.where(clouds.shaded, SHADOW, CLEAR)).astype(np.uint8))


def _clouds(config: Config, location: LandscapeLocation, at: Window, dates: list[Pass]) -> Sky:
    day_of_year, cover = np.array([p.day_of_year for p in dates]), np.array([p.cover for p in dates])
    return sky(config.seed, at, np.array([p.day for p in dates], dtype=int), day_of_year, cover, location.lat)


def _season(location: LandscapeLocation, dates: list[Pass]) -> Float[np.ndarray, " t"]:
    """Day of the northern year that has the same season."""
    day = np.array([p.day_of_year for p in dates], dtype=float)
    return (day + 182.6) % 365.25 if location.south else day


def _moisture(config: Config, location: LandscapeLocation, dates: list[Pass]) -> Float[np.ndarray, " t"]:
    by_day = _weather.moisture(config.seed, location.south)
    return by_day[np.array([int(p.day_of_year) - 1 for p in dates], dtype=int)]


def _optical(config: Config, location: LandscapeLocation, plants: Plants, dates: list[Pass], clouds: Sky) -> np.ndarray:
    rng = _rng(config, location, OPTICAL)
    seen = _through_the_air(config, location, plants, dates, clouds, rng)
    seen = seen + _noise(seen, rng)
    coarse = list(_spectra.COARSE)
    seen[:, coarse] = _spectra.coarsen(seen[:, coarse])
    return _spectra.counts(crop(seen), OPTICAL_SCALE, OPTICAL_OFFSET)


def _seen_by(name: str, config: Config, location: LandscapeLocation, at: Window, plants: Plants) -> Seen:
    """What a further sensor sees, on passes drawn from the same calendar as Sentinel-2's."""
    possible = _calendar.optical_passes(
        config.seed, config.year, location.tile, config.lon, config.lat, config.cloud_fraction
    )
    dates = _calendar.choose(possible, config.dates_optical, _rng(config, location, f"dates of {name}"))
    clouds, rng = _clouds(config, location, at, dates), _rng(config, location, name)
    seen = _other.resolved(_through_the_air(config, location, plants, dates, clouds, rng), name)
    return Seen(Series(dates, _other.counts(crop(seen + _noise(seen, rng)), name)), _truth(clouds))


def _noise(seen: Float[np.ndarray, "t c h w"], rng: np.random.Generator) -> Float[np.ndarray, "t c h w"]:
    return rng.standard_normal(seen.shape, dtype=np.float32) * (0.0015 + 0.012 * np.abs(seen))


def _through_the_air(
    config: Config,
    location: LandscapeLocation,
    plants: Plants,
    dates: list[Pass],
    clouds: Sky,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t c h w"]:
    """Reflectance of the ten bands as an instrument sees it, without its noise."""
    surface = _render.optical(plants, plants.state(_season(location, dates)), _moisture(config, location, dates))
    # residual view and sun effects: one gain for the date, a smaller one for each band
    gain = np.exp(rng.normal(0, 0.07, (len(dates), 1)) + rng.normal(0, 0.02, (len(dates), surface.shape[1])))
    seen = _spectra.atmosphere(surface, clouds.haze, gain)
    return _spectra.blur(_spectra.overcast(seen, clouds.cloud, clouds.shadow))


def _radar_counts(config: Config, location: LandscapeLocation, plants: Plants, dates: list[Pass]) -> np.ndarray:
    rng = _rng(config, location, RADAR)
    days = np.array([p.day for p in dates], dtype=float)
    power = _render.radar(
        plants,
        plants.state(_season(location, dates)),
        _moisture(config, location, dates),
        _weather.wind(config.seed, days),
        np.array([_incidence(config, location, p.orbit) for p in dates], dtype=float),
    )
    speckled = _radar.speckle(crop(_spectra.blur(power)), config.looks, rng)
    calibration = rng.normal(0, 0.25, (len(dates), 1, 1, 1))
    return np.rint((_radar.decibel(speckled) + calibration) / RADAR_SCALE).astype(np.int16)


def _incidence(config: Config, location: LandscapeLocation, orbit: str) -> float:
    """Incidence angle in radians: 31 to 45 degrees, fixed for a tile and direction, as on a repeated orbit."""
    return math.radians(31 + 14 * float(uniform(stream(config.seed, f"swath-{orbit}"), location.tile)[0]))


def _rng(config: Config, location: LandscapeLocation, purpose: str) -> np.random.Generator:
    """Random generator of one location and purpose, independent of all other locations."""
    key = scramble(stream(config.seed, purpose), location.zone, round(location.west), round(location.north))
    return np.random.default_rng(int(key[0]))


# --- as a corpus ----------------------------------------------------------------------------------------------------


def build(config: Config, target: Path, data: Path | None = None) -> None:  # noqa: ARG001 - nothing is read
    """Make the corpus, or continue one that was interrupted.

    Beside the corpus proper, `truth/sentinel-2-l2a.zarr` says for every optical chip (same rows as the pixels) which
    pixels are clear (0), cloud (1) or shadow (2), and, if asked for, what they would be without clouds (`clear`).

    Raises:
        RecipeError: The region is too small for that many locations.
        CorpusError: The target holds another world, or something else.
    """
    _same_world(config, target)
    wanted = locations(config)
    with CorpusWriter(
        target,
        sensors=_layouts(config),
        chip_px=config.chip_px,
        labels={LAYER: label_layer(config)},
        provenance=_provenance(config),
        licences=["CC0-1.0"],
    ) as writer:
        missing = [location for location in wanted if location.uid not in writer.committed]
        groups = [missing[i : i + PART] for i in range(0, len(missing), PART)]
        made = (make(config, location) for location in track(missing, len(missing), "synthetic landscape"))
        for group in groups:
            writer.append(_part(config, [next(made) for _ in group]))
        corpus = writer.finish()
        if config.dates_optical:
            _write_truth(config, corpus, wanted)


def label_layer(config: Config) -> LabelLayer:
    """Names and colours of the land-cover codes."""
    lands = _lands(config)
    return LabelLayer(
        classes={i: land.name for i, land in enumerate(lands)}, colours={i: land.colour for i, land in enumerate(lands)}
    )


def _layouts(config: Config) -> dict[str, SensorLayout]:
    ten = len(_spectra.BANDS)
    optical = SensorLayout(
        bands=_spectra.BANDS,
        gsd_m=PIXEL,
        dtype="uint16",
        scale=(OPTICAL_SCALE,) * ten,
        offset=(OPTICAL_OFFSET,) * ten,
        nodata=0,
    )
    radar = SensorLayout(bands=POLARISATIONS, gsd_m=PIXEL, dtype="int16", scale=(RADAR_SCALE,) * 2, offset=(0.0,) * 2)
    dates = {OPTICAL: config.dates_optical, RADAR: config.dates_radar}
    layouts = {sensor: layout for sensor, layout in ((OPTICAL, optical), (RADAR, radar)) if dates[sensor]}
    return layouts | {name: _other.layout(name, PIXEL) for name in config.others}


def _provenance(config: Config) -> dict:
    return {"source": config.name, "swath": swath.__version__, "config": config.model_dump(mode="json")}


def _same_world(config: Config, target: Path) -> None:
    """Refuse to mix two worlds in one corpus."""
    if not (target / "corpus.json").exists():
        return
    for entry in CorpusInfo.read(target).provenance:
        # a setting that is newer than the corpus has its default there
        other = Config.model_validate({}).model_dump(mode="json") | entry.get("config", {})
        now = config.model_dump(mode="json")
        changed = [key for key in {**other, **now} if other.get(key) != now.get(key)]
        if changed:
            raise CorpusError(
                f"the corpus that is there was made with another {', '.join(changed)}",
                where=str(target),
                remedy="continue with the same settings, or give another folder",
            )


def _part(config: Config, scenes: Sequence[RenderedLocation]) -> Part:
    chips = [chip for scene in scenes for chip in _chips(config, scene)]
    layer = np.stack([scene.landcover for scene in scenes])
    return Part([_location(config, scene) for scene in scenes], chips, {LAYER: layer})


def _location(config: Config, scene: RenderedLocation) -> Location:
    """Scalar labels: the class that covers most, its share, and the share of every class."""
    lands, location = _lands(config), scene.location
    share = np.bincount(scene.landcover.ravel(), minlength=len(lands)) / scene.landcover.size
    dominant = int(share.argmax())
    shares = {f"share_{land.name.replace('-', '_')}": float(s) for land, s in zip(lands, share, strict=True)}
    return Location(
        uid=location.uid,
        lonlat=(location.lon, location.lat),
        crs=location.crs,
        transform=location.transform,
        group=location.group,
        scalars={"dominant": lands[dominant].name, "dominant_share": float(share[dominant]), **shares},
    )


def _chips(config: Config, scene: RenderedLocation) -> Iterator[Chip]:
    location = scene.location
    for when, pixels, truth in zip(scene.optical.passes, scene.optical.pixels, scene.truth, strict=True):
        yield Chip(
            uid=location.uid,
            sensor=OPTICAL,
            pixels=pixels,
            valid=truth == CLEAR if config.mask_clouds else None,
            datetime=when.time,
            cloud=float((truth == CLOUD).mean()),
            source=_item("S2", location, when),
            orbit=when.orbit,
        )
    for name, seen in scene.others.items():
        for when, pixels, truth in zip(seen.series.passes, seen.series.pixels, seen.truth, strict=True):
            yield Chip(
                uid=location.uid,
                sensor=name,
                pixels=pixels,
                valid=truth == CLEAR if config.mask_clouds else None,
                datetime=when.time,
                cloud=float((truth == CLOUD).mean()),
                source=_item(name, location, when),
                orbit=when.orbit,
            )
    for when, pixels in zip(scene.radar.passes, scene.radar.pixels, strict=True):
        yield Chip(
            location.uid, RADAR, pixels, datetime=when.time, source=_item("S1", location, when), orbit=when.orbit
        )


def _item(mission: str, location: LandscapeLocation, when: Pass) -> str:
    return f"synthetic-{mission}-{location.tile}-{when.time:%Y%m%dT%H%M%S}"


def _write_truth(config: Config, corpus: Corpus, wanted: Sequence[LandscapeLocation]) -> None:
    """Store the truth. It is computed again rather than kept while building, so that an interrupted build needs
    no second index.
    """
    final = truth_path(corpus.path, OPTICAL)
    if final.exists():
        return
    beside = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    chips = corpus.chips.query(f"sensor == '{OPTICAL}'").sort_values("row")
    location, date = chips["location"].to_numpy(), chips.groupby("location").cumcount().to_numpy()
    uids, by_uid = corpus.locations["uid"].tolist(), {location.uid: location for location in wanted}
    meaning = {"classes": {"clear": CLEAR, "cloud": CLOUD, "shadow": SHADOW}}
    shape = (len(chips), config.chip_px, config.chip_px)
    made = {cloud_truth: _arrays.create(beside, "truth", shape, "uint8", ("chip", "y", "x"), meaning)}
    if config.clear:
        shape = (len(chips), len(_spectra.BANDS), config.chip_px, config.chip_px)
        made[clear_counts] = _arrays.create(beside, "clear", shape, "uint16", ("chip", "band", "y", "x"), {})
    starts = range(0, len(chips), TRUTH_ROWS)
    for start in track(starts, len(starts), "cloud truth"):
        some = slice(start, min(start + TRUTH_ROWS, len(chips)))
        for make_one, array in made.items():
            truths = {i: make_one(config, by_uid[uids[i]]) for i in np.unique(location[some])}
            rows = [truths[i][k] for i, k in zip(location[some], date[some], strict=True)]
            array[some].write(np.stack(rows)).result()
    beside.replace(final)
