"""One location: search, choose, read. This is what a Dask task does: a function of its argument and of what
hosts serve.
"""

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from pathlib import Path

from swath import sensors
from swath.corpus import dates
from swath.corpus.dates import Window
from swath.corpus.sources.stac import _section as sections
from swath.corpus.sources.stac._addresses import checked
from swath.corpus.sources.stac._catalogue import Catalogue
from swath.corpus.sources.stac._hosts import GoneError, Patience, TransientError
from swath.corpus.sources.stac._pixels import chip_of, mask_of
from swath.corpus.sources.stac._read import LocationGrid, configure
from swath.corpus.sources.stac._scenes import Acquisition, Scene, acquisitions, scene_of, twins
from swath.corpus.sources.stac._search import Item, items
from swath.corpus.sources.stac._section import Product, StacSection
from swath.corpus.sources.stac._site import Failure, Site, UnusableError
from swath.corpus.store import Chip, Location
from swath.errors import CorpusError
from swath.sensors import Sensor


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of building one location."""

    location: Location | None
    """The location; None if it is left out."""
    chips: tuple[Chip, ...]
    failures: tuple[Failure, ...]

    @property
    def transient(self) -> bool:
        """Whether another attempt may succeed."""
        return any(failure.transient for failure in self.failures)


UNUSABLE = (UnusableError, GoneError, CorpusError)
"""Errors for which another acquisition may make up."""


UNFORESEEN = "unforeseen"
"""First words of the reason for a failure that is a fault of swath or of one of its packages."""


def build(section: StacSection, location: Location) -> Outcome:
    """Everything about one location. Never raises for what hosts or catalogues do: that ends in the failures.

    Nor does what nobody foresaw cost more than the location: hours of building do not end for one odd file.
    """
    try:
        return _build(section, location)
    except MemoryError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = re.sub(r"\?[^\s'\"]*", "", str(error))[:300]  # without a query, which may hold a signature
        reason = f"{UNFORESEEN} {type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {said}"
        lon, lat = location.lonlat or (nan, nan)
        return Outcome(None, (), (Failure(location.uid, "", None, reason, transient=False, lon=lon, lat=lat),))


def _build(section: StacSection, location: Location) -> Outcome:
    configure(section.timeout_s)
    assert location.crs is not None
    assert location.transform is not None
    grid = LocationGrid(location.crs, location.transform, section.chip_px)
    patience = Patience(section.retries, section.backoff_s, section.timeout_s, section.limits)
    site = Site(section, sections.layouts(section), location, grid, patience)
    for leader, *followers in _groups(section):
        _take_group(site, leader, followers)
    waits = section.on_failure == "stop" and any(failure.transient for failure in site.failures)
    complete = not site.failures or section.require == "any"
    failures = (*site.failures, *site.malformed.values())
    if site.chips and complete and not waits:
        return Outcome(location, tuple(site.chips), failures)
    return Outcome(None, (), failures)


def _groups(section: StacSection) -> list[list[Product]]:
    """Products whose dates belong together: a leader and those that take the same."""
    groups: dict[str, list[Product]] = {}
    leader: dict[str, str] = {}
    for product in section.products:
        leader[product.sensor] = leader.get(product.same_dates_as or "", product.sensor)
        groups.setdefault(leader[product.sensor], []).append(product)
    return list(groups.values())


def _take_group(site: Site, leader: Product, followers: Sequence[Product]) -> None:
    windows = dates.windows(leader.when or site.section.when, site.location.uid)
    acquisitions: dict[str, list[Acquisition]] = {}
    for product in (leader, *followers):
        try:
            acquisitions[product.sensor] = _search(site, product, windows)
        except (TransientError, GoneError, CorpusError) as error:
            for window in windows:
                site.fail(product, window, f"search: {error}", transient=isinstance(error, TransientError))
            return
    groups = twins([acquisitions[product.sensor] for product in (leader, *followers)])
    for window in windows:
        inside = [one for one in acquisitions[leader.sensor] if window.holds(one.when)]
        candidates = [group for group in groups if window.holds(group[0].when)]
        _take_window(site, (leader, *followers), window, candidates, len(inside))


def _take_window(
    site: Site,
    products: tuple[Product, ...],
    window: Window,
    candidates: list[tuple[Acquisition, ...]],
    alone: int,
) -> None:
    """Store the window's best acquisition, or all of them; note why there is none."""
    leader = products[0]
    if not candidates:
        others = " and ".join(product.sensor for product in products[1:])
        try:
            reason = (
                f"none of {alone} acquisitions has its twin of {others}" if alone else _why_none(site, leader, window)
            )
        except (TransientError, GoneError, CorpusError) as error:
            site.fail(leader, window, f"search: {error}", transient=isinstance(error, TransientError))
        else:
            site.fail(leader, window, reason)
        return
    take = _take_every if window.every else _take_best
    take(site, products, window, candidates)


def _take_every(
    site: Site, products: tuple[Product, ...], window: Window, candidates: list[tuple[Acquisition, ...]]
) -> None:
    for group in sorted(candidates, key=lambda group: group[0].when):
        try:
            _take(site, products, window, group)
        except TransientError as error:
            site.fail(products[0], window, str(error), transient=True)
        except UNUSABLE as error:
            site.fail(products[0], window, str(error))
        site.counts.clear()


def _take_best(
    site: Site, products: tuple[Product, ...], window: Window, candidates: list[tuple[Acquisition, ...]]
) -> None:
    reasons: list[str] = []
    try:
        for group in _ranked(site, products, window, candidates):
            try:
                _take(site, products, window, group)
            except UNUSABLE as error:
                reasons.append(str(error))
            else:
                return
    except TransientError as error:
        # the next best scene would do, but then the corpus would depend on the network's mood
        site.fail(products[0], window, str(error), transient=True)
        return
    finally:
        site.counts.clear()
    site.fail(products[0], window, "; ".join(dict.fromkeys(reasons)))


def _take(site: Site, products: tuple[Product, ...], window: Window, group: tuple[Acquisition, ...]) -> None:
    """Store an acquisition of every product, or of none."""
    site.chips += [chip_of(site, product, one, window) for product, one in zip(products, group, strict=True)]
    site.chosen[products[0].sensor, window.tag] = group[0].when


def _why_none(site: Site, product: Product, window: Window) -> str:
    """Whether nothing was found at all, or nothing that the product allows: searches again without its limits."""
    sensor = sensors.get(product.sensor)
    limits = [f"{name} = {value}" for name, value in product.only.items()]
    if product.max_cloud is not None and sections.sees_clouds(sensor):
        limits.insert(0, f"cloud <= {product.max_cloud:g} %")
    if product.orbit is not None:
        limits.append(f"orbit {product.orbit}")
    platforms = _platforms(sensor, sections.catalogue_of(product, site.section))
    seen = [item for _, listed in _items(site, product, [window], _among(platforms)) for item in listed]
    # an API may not filter
    count = sum(not platforms or _properties(item).get("platform") in platforms for item in seen)
    useless = [one.reason for (name, _), one in site.malformed.items() if name == product.sensor]
    if useless:
        return f"{len(useless)} item{'s' if len(useless) > 1 else ''} cannot be used; first: {useless[0]}"
    if not (limits and count):
        return "no scene at all"
    return f"none of {count} scene{'s' if count > 1 else ''} has {' and '.join(limits)}"


# -- search ------------------------------------------------------------------------------------------------------------


def _search(site: Site, product: Product, windows: Sequence[Window]) -> list[Acquisition]:
    sensor = sensors.get(product.sensor)
    catalogue = sections.catalogue_of(product, site.section)
    bands = sections.bands_read(product, site.section)
    outline = site.location.footprint
    assert outline is not None
    check_address = partial(checked, home=catalogue.address, local=catalogue.local)
    scenes: list[Scene] = []
    for key, listed in _items(site, product, windows, _filters(product, sensor, catalogue)):
        for item in (item for item in listed if product.only.items() <= _properties(item).items()):
            try:
                scenes.append(scene_of(item, sensor, bands, sensor.assets[key], catalogue.alternate, check_address))
            except CorpusError as error:
                site.leave_out(product, error.what)
    wanted = [scene for scene in scenes if _wanted(scene, product, sensor)]
    return acquisitions(wanted, outline, site.grid.crs)


def _properties(item: Item) -> dict:
    """Properties of an item as the API sends it; none if what came is no item."""
    said = item.get("properties") if isinstance(item, dict) else None
    return said if isinstance(said, dict) else {}


def _items(site: Site, product: Product, windows: Sequence[Window], filters: dict) -> Iterator[tuple[str, list[Item]]]:
    """Items of a product in these windows, by the sensor's entry that names their assets."""
    address = sections.catalogue_of(product, site.section).address
    outline = site.location.footprint
    assert outline is not None
    for key, collection in sections.entries(product, site.section).items():
        yield key, items(address, collection, outline, dates.joined(windows), filters, site.patience)


def _filters(product: Product, sensor: Sensor, catalogue: Catalogue) -> dict:
    filters: dict = {name: {"eq": value} for name, value in product.only.items()}
    if product.max_cloud is not None and sections.sees_clouds(sensor):
        filters["eo:cloud_cover"] = {"lte": product.max_cloud}
    if product.orbit is not None:
        filters["sat:orbit_state"] = {"eq": product.orbit}
    return filters | _among(_platforms(sensor, catalogue))


def _platforms(sensor: Sensor, catalogue: Catalogue) -> list[str]:
    """The platforms that carry the sensor, in the catalogue's spelling; empty if all that it has qualify."""
    return [catalogue.platform(name) for name in sensor.platforms]


def _among(platforms: list[str]) -> dict:
    return {"platform": {"in": platforms}} if platforms else {}


def _wanted(scene: Scene, product: Product, sensor: Sensor) -> bool:
    if sensor.platforms and scene.platform not in sensor.platforms:
        return False
    if product.orbit is not None and scene.orbit != product.orbit:
        return False
    return product.max_cloud is None or not sections.sees_clouds(sensor) or (scene.cloud or 0.0) <= product.max_cloud


# -- choice ------------------------------------------------------------------------------------------------------------


def _ranked(
    site: Site, products: tuple[Product, ...], window: Window, candidates: list[tuple[Acquisition, ...]]
) -> Iterator[tuple[Acquisition, ...]]:
    """Candidates, the best first; those that only a later one would beat are not looked at."""
    leader = products[0]
    sensor = sensors.get(leader.sensor)
    if not sections.sees_clouds(sensor):
        first = site.section.products[0].sensor
        wanted = site.chosen.get((first, window.tag), window.middle)
        yield from sorted(candidates, key=lambda group: (abs(group[0].when - wanted), group[0].name))
        return
    ordered = sorted(candidates, key=lambda group: (group[0].cloud, group[0].when, group[0].name))
    for start in range(0, len(ordered), leader.look):
        yield from _by_cloud_over_the_chip(site, leader, ordered[start : start + leader.look])


def _by_cloud_over_the_chip(
    site: Site, product: Product, groups: list[tuple[Acquisition, ...]]
) -> Iterator[tuple[Acquisition, ...]]:
    """A few candidates ranked by their masks; a mask without any cloud ends the comparison."""
    if len(groups) == 1:
        yield from groups
        return
    clouds: list[tuple[float, int]] = []
    for position, group in enumerate(groups):
        try:
            cloud = mask_of(site, product, group[0])
        except GoneError:
            cloud = None
        share = 1.0 if cloud is None else cloud.share
        if share == 0:
            yield group
            clouds.append((2.0, position))  # has been given
        else:
            clouds.append((share, position))
    yield from (groups[position] for share, position in sorted(clouds) if share <= 1)
