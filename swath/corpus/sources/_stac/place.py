"""One location: search, choose, read. What a Dask task does; a function of its argument and of what the hosts serve."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus import dates
from swath.corpus._part import Chip, Location
from swath.corpus.dates import Window
from swath.corpus.format import SensorLayout
from swath.corpus.sources._stac import section as sections
from swath.corpus.sources._stac.hosts import GoneError, Patience, Signer, TokenSigner, TransientError, Unsigned
from swath.corpus.sources._stac.read import Access, Grid, configure
from swath.corpus.sources._stac.scenes import Acquisition, Scene, acquisitions, rescaled, scene_of
from swath.corpus.sources._stac.search import items
from swath.corpus.sources._stac.section import Product, StacSection
from swath.errors import CorpusError
from swath.sensors import Scaling, Sensor


@dataclass(frozen=True, slots=True)
class Failure:
    """A chip that the corpus lacks, and why."""

    uid: str
    sensor: str
    window: str | None
    """Season, month or other tag."""
    reason: str
    transient: bool
    """Another attempt may succeed: a host did not answer."""
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a location."""

    location: Location | None
    """None if it is left out."""
    chips: tuple[Chip, ...]
    failures: tuple[Failure, ...]

    @property
    def transient(self) -> bool:
        """Whether the location may do better another time."""
        return any(failure.transient for failure in self.failures)


class _UnusableError(Exception):
    """An acquisition that cannot become a chip, and why."""


@dataclass(slots=True)
class _Site:
    """A location and everything that is looked up for it."""

    section: StacSection
    layouts: dict[str, SensorLayout]
    location: Location
    grid: Grid
    patience: Patience
    chosen: dict[tuple[str, str | None], dt.datetime] = field(default_factory=dict)
    """When a sensor's chip of a window was taken: radar follows."""
    masks: dict[tuple[str, str], Bool[ndarray, "y x"]] = field(default_factory=dict)
    """By sensor and acquisition: a mask that was compared is not read again."""
    chips: list[Chip] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def fail(self, product: Product, window: Window, reason: str, *, transient: bool = False) -> None:
        """Note what is missing."""
        lon, lat = self.location.lonlat or (np.nan, np.nan)
        self.failures.append(Failure(self.location.uid, product.sensor, window.tag, reason, transient, lon, lat))


def build(section: StacSection, location: Location) -> Outcome:
    """Everything about one location. Never raises for what hosts or catalogues do: that ends in the failures."""
    configure(section.timeout_s)
    assert location.crs is not None
    assert location.transform is not None
    grid = Grid(location.crs, location.transform, section.chip_px)
    patience = Patience(section.retries, section.backoff_s, section.timeout_s)
    site = _Site(section, sections.layouts(section), location, grid, patience)
    for leader, *followers in _groups(section):
        _take_group(site, leader, followers)
    waits = section.on_failure == "stop" and any(failure.transient for failure in site.failures)
    complete = not site.failures or section.require == "any"
    if site.chips and complete and not waits:
        return Outcome(location, tuple(site.chips), tuple(site.failures))
    return Outcome(None, (), tuple(site.failures))


def _groups(section: StacSection) -> list[list[Product]]:
    """Products whose dates belong together: a leader and those that take the same."""
    groups: dict[str, list[Product]] = {}
    leader: dict[str, str] = {}
    for product in section.products:
        leader[product.sensor] = leader.get(product.same_dates_as or "", product.sensor)
        groups.setdefault(leader[product.sensor], []).append(product)
    return list(groups.values())


def _take_group(site: _Site, leader: Product, followers: Sequence[Product]) -> None:
    windows = dates.windows(leader.when or site.section.when, site.location.uid)
    found: dict[str, list[Acquisition]] = {}
    for product in (leader, *followers):
        try:
            found[product.sensor] = _search(site, product, windows)
        except (TransientError, GoneError, CorpusError) as error:
            for window in windows:
                site.fail(product, window, f"search: {error}", transient=isinstance(error, TransientError))
            return
    partners = [{one.key: one for one in found[product.sensor]} for product in followers]
    for window in windows:
        inside = [one for one in found[leader.sensor] if window.holds(one.when)]
        groups = [(one, *(partner[one.key] for partner in partners)) for one in inside
                  if all(one.key in partner for partner in partners)]  # fmt: skip
        _take_window(site, (leader, *followers), window, groups, len(inside))


def _take_window(
    site: _Site,
    products: tuple[Product, ...],
    window: Window,
    candidates: list[tuple[Acquisition, ...]],
    alone: int,
) -> None:
    """Store the window's best acquisition, or all of them; note why there is none."""
    leader = products[0]
    if not candidates:
        reason = _why_none(leader) if not alone else f"none of {alone} scenes has its twin of {products[1].sensor}"
        site.fail(leader, window, reason)
        return
    reasons: list[str] = []
    taken = False
    for group in _ranked(site, products, window, candidates):
        try:
            chips = [_chip(site, p, one, window) for p, one in zip(products, group, strict=True)]
        except TransientError as error:
            # the next best scene would do, but then the corpus would depend on the network's mood
            site.fail(leader, window, str(error), transient=True)
            if window.every:
                continue
            return
        except (_UnusableError, GoneError, CorpusError) as error:
            reasons.append(str(error))
            if window.every:
                site.fail(leader, window, str(error))
            continue
        site.chips += chips
        site.chosen[leader.sensor, window.tag] = group[0].when
        taken = True
        if not window.every:
            return
    if not taken and not window.every:
        site.fail(leader, window, "; ".join(dict.fromkeys(reasons)))


def _why_none(product: Product) -> str:
    sensor = sensors.get(product.sensor)
    limit = "" if product.max_cloud is None or sensor.cloud is None else f" with cloud <= {product.max_cloud:g} %"
    return f"no scene{limit}"


# -- search ------------------------------------------------------------------------------------------------------------


def _search(site: _Site, product: Product, windows: Sequence[Window]) -> list[Acquisition]:
    sensor = sensors.get(product.sensor)
    catalogue = sections.catalogue_of(product, site.section)
    bands = sections.bands_of(product, site.section)
    outline = site.location.footprint
    assert outline is not None
    scenes: list[Scene] = []
    for key, collection in sections.entries(product, site.section).items():
        keys = sensor.assets[key]
        found = items(
            catalogue.address, collection, outline, dates.joined(windows), _filters(product, sensor), site.patience
        )
        scenes += [scene_of(item, sensor, bands, keys) for item in found]
    wanted = [scene for scene in scenes if _wanted(scene, product, sensor)]
    return acquisitions(wanted, outline, site.grid.crs)


def _filters(product: Product, sensor: Sensor) -> dict:
    filters: dict = {}
    if product.max_cloud is not None and sensor.cloud is not None:
        filters["eo:cloud_cover"] = {"lte": product.max_cloud}
    if sensor.platforms:
        filters["platform"] = {"in": list(sensor.platforms)}
    if product.orbit is not None:
        filters["sat:orbit_state"] = {"eq": product.orbit}
    return filters


def _wanted(scene: Scene, product: Product, sensor: Sensor) -> bool:
    if sensor.platforms and scene.platform not in sensor.platforms:
        return False
    if product.orbit is not None and scene.orbit != product.orbit:
        return False
    return sensor.cloud is None or product.max_cloud is None or (scene.cloud or 0.0) <= product.max_cloud


# -- choice ------------------------------------------------------------------------------------------------------------


def _ranked(
    site: _Site, products: tuple[Product, ...], window: Window, candidates: list[tuple[Acquisition, ...]]
) -> Iterator[tuple[Acquisition, ...]]:
    """Candidates, the best first; those that only a later one would beat are not looked at."""
    leader = products[0]
    sensor = sensors.get(leader.sensor)
    if window.every:
        yield from sorted(candidates, key=lambda group: group[0].when)
        return
    if sensor.cloud is None:
        first = site.section.products[0].sensor
        wanted = site.chosen.get((first, window.tag), window.middle)
        yield from sorted(candidates, key=lambda group: (abs(group[0].when - wanted), group[0].name))
        return
    ordered = sorted(candidates, key=lambda group: (group[0].cloud, group[0].when, group[0].name))
    for start in range(0, len(ordered), leader.look):
        yield from _by_cloud_over_the_chip(site, leader, ordered[start : start + leader.look])


def _by_cloud_over_the_chip(
    site: _Site, product: Product, groups: list[tuple[Acquisition, ...]]
) -> Iterator[tuple[Acquisition, ...]]:
    """A few candidates by what their masks say; a mask without any cloud ends the comparison."""
    if len(groups) == 1:
        yield from groups
        return
    clouds: list[tuple[float, int]] = []
    for position, group in enumerate(groups):
        try:
            cloud = _mask(site, product, group[0])
        except GoneError:
            cloud = None
        share = 1.0 if cloud is None else float(cloud.mean())
        if share == 0:
            yield group
            clouds.append((2.0, position))  # has been given
        else:
            clouds.append((share, position))
    yield from (groups[position] for share, position in sorted(clouds) if share <= 1)


# -- pixels ------------------------------------------------------------------------------------------------------------


def _chip(site: _Site, product: Product, acquisition: Acquisition, window: Window) -> Chip:
    """Read an acquisition, its scenes laid over one another, the best on top.

    Raises:
        _UnusableError: too little data, too much cloud, or a band that no scene has.
    """
    layout = site.layouts[product.sensor]
    px = site.grid.px
    pixels = np.full((len(layout.bands), px, px), layout.nodata or 0, layout.dtype)
    empty = np.ones((px, px), bool)
    problems: list[str] = []
    used: list[Scene] = []
    cloud = _mask(site, product, acquisition)
    share = None if cloud is None else float(cloud.mean())
    if share is not None and share > product.max_chip_cloud:
        raise _UnusableError(f"{acquisition.name}: {share:.0%} of the chip is cloud")
    for scene in acquisition.scenes:
        if scene.missing:
            problems.append(f"{scene.id} has no {', '.join(scene.missing)}")
            continue
        counts, missing = _counts(site, product, scene, layout)
        fresh = empty & ~missing
        if fresh.any():
            pixels[:, fresh] = counts[:, fresh]
            empty &= missing
            used.append(scene)
        if not empty.any():
            break
    valid = 1 - empty.mean()
    if not used or valid < product.min_valid:
        problems = problems or [f"{acquisition.name}: {valid:.0%} of the chip has data"]
        raise _UnusableError("; ".join(problems))
    good = ~empty & ~cloud if cloud is not None and product.mask_clouds else ~empty
    if not good.any():
        raise _UnusableError(f"{acquisition.name}: all of the chip is cloud")
    return Chip(
        uid=site.location.uid,
        sensor=product.sensor,
        pixels=pixels,
        valid=good,
        datetime=used[0].when,
        tag=window.tag,
        cloud=share,
        source=" ".join(scene.id for scene in used),
        orbit=used[0].orbit,
    )


def _counts(
    site: _Site, product: Product, scene: Scene, layout: SensorLayout
) -> tuple[Shaped[ndarray, "c y x"], Bool[ndarray, "y x"]]:
    """A scene's counts in the corpus's scaling, and which pixels lack a band."""
    access = _access(site, product)
    bands = []
    missing = np.zeros((site.grid.px, site.grid.px), bool)
    for position, band in enumerate(layout.bands):
        file = scene.files[band]
        raw = access.read(file, scene.crs, site.grid, layout.dtype, layout.nodata, product.resampling)
        absent = ~np.isfinite(raw) if layout.nodata is None else (raw == layout.nodata) | ~np.isfinite(raw)
        stored = Scaling(layout.scale[position], layout.offset[position])
        bands.append(rescaled(raw, absent, file.scaling, stored))
        missing |= absent
        if missing.all():
            return np.full((len(layout.bands), *missing.shape), layout.nodata or 0, layout.dtype), missing
    return np.stack(bands), missing


def _mask(site: _Site, product: Product, acquisition: Acquisition) -> Bool[ndarray, "y x"] | None:
    """Cloudy pixels by the sensor's rule, or None if the sensor or its scenes have no mask.

    A pixel counts by the first scene that has data there; where none has, it is no cloud.
    """
    if (product.sensor, acquisition.name) in site.masks:
        return site.masks[product.sensor, acquisition.name]
    rule = sensors.get(product.sensor).cloud
    files = [(scene, scene.quality) for scene in acquisition.scenes if scene.quality is not None]
    if rule is None or not files:
        return None
    access = _access(site, product)
    cloud = np.zeros((site.grid.px, site.grid.px), bool)
    open_ = np.ones_like(cloud)
    for scene, file in files:
        layer = access.read(file, scene.crs, site.grid, rule.dtype, float(rule.fill), "nearest")
        absent = layer == rule.fill
        cloud |= open_ & ~absent & rule.unusable(layer)
        open_ &= absent
        if not open_.any():
            break
    site.masks[product.sensor, acquisition.name] = cloud
    return cloud


def _access(site: _Site, product: Product) -> Access:
    catalogue = sections.catalogue_of(product, site.section)
    collection = next(iter(sections.entries(product, site.section).values()))
    return Access(_signer(catalogue.tokens, collection, site.patience), site.patience)


@cache
def _signer(template: str | None, collection: str, patience: Patience) -> Signer:
    """One signer a process and collection, so that its tokens are shared."""
    return Unsigned() if template is None else TokenSigner(template.format(collection=collection), patience)
