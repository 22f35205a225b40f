"""Pixels of an acquisition on a location's grid: counts or physical values, validity and cloud."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus import eight_bit
from swath.corpus.dates import Window
from swath.corpus.sources.landsat import physical
from swath.corpus.sources.stac import _cloudless as cloudless
from swath.corpus.sources.stac import _level_1 as level_1
from swath.corpus.sources.stac import _section as sections
from swath.corpus.sources.stac._read import Access
from swath.corpus.sources.stac._scenes import Acquisition, File, Scene, rescaled
from swath.corpus.sources.stac._section import Product
from swath.corpus.sources.stac._signing import signer
from swath.corpus.sources.stac._site import Clouds, Site, UnusableError
from swath.corpus.store import Chip, SensorLayout
from swath.sensors import Scaling


@dataclass(slots=True)
class Mosaic:
    """The scenes of an acquisition laid over one another, the best on top."""

    pixels: Shaped[ndarray, "c y x"]
    empty: Bool[ndarray, "y x"]
    """True where no scene has data in all bands."""
    used: list[Scene]
    problems: list[str]
    """Reasons for which scenes were left out."""


def chip_of(site: Site, product: Product, acquisition: Acquisition, window: Window) -> Chip:
    """Read an acquisition as a chip of the location's grid.

    Raises:
        UnusableError: too little data, too much cloud, no mask where the product asks for one, or a band that no scene
            has.
        CorpusError: its metadata are not what they should be.
        TransientError: a host failed in spite of all retries.
        GoneError: a file is not there.
    """
    clouds = _clouds(site, product, acquisition)
    share = None if clouds is None else clouds.share
    layout = _shipped(site, product, site.layouts[product.sensor].bands)
    mosaic = _mosaic(site, product, acquisition, layout)
    valid = 1 - mosaic.empty.mean()
    if not mosaic.used or valid < product.min_valid:
        problems = mosaic.problems or [f"{acquisition.name}: {valid:.0%} of the chip has data"]
        raise UnusableError("; ".join(problems))
    good = ~mosaic.empty
    if clouds is not None and product.mask_clouds:
        good &= ~clouds.cloudy & ~clouds.unknown
    if not good.any():
        raise UnusableError(f"{acquisition.name}: all of the chip is cloud")
    return Chip(
        uid=site.location.uid,
        sensor=product.sensor,
        pixels=eight_bit.encode(mosaic.pixels, product.sensor, layout) if product.uint8 else mosaic.pixels,
        valid=good,
        datetime=mosaic.used[0].when,
        tag=window.tag,
        cloud=share,
        source=" ".join(scene.id for scene in mosaic.used),
        orbit=mosaic.used[0].orbit,
    )


def _shipped(site: Site, product: Product, bands: tuple[str, ...]) -> SensorLayout:
    return sections.shipped(sensors.get(product.sensor), bands, site.layouts[product.sensor].gsd_m)


def _mosaic(site: Site, product: Product, acquisition: Acquisition, layout: SensorLayout) -> Mosaic:
    px = site.grid.px
    pixels = np.full((len(layout.bands), px, px), layout.nodata or 0, layout.dtype)
    mosaic = Mosaic(pixels, np.ones((px, px), bool), [], [])
    for scene in acquisition.scenes:
        if scene.missing:
            mosaic.problems.append(f"{scene.id} has no {', '.join(scene.missing)}")
            continue
        values, missing = _values(site, product, scene, layout)
        fresh = mosaic.empty & ~missing
        if fresh.any():
            pixels[:, fresh] = values[:, fresh]
            mosaic.empty &= missing
            mosaic.used.append(scene)
        if not mosaic.empty.any():
            break
    return mosaic


def _values(
    site: Site, product: Product, scene: Scene, layout: SensorLayout
) -> tuple[Shaped[ndarray, "c y x"], Bool[ndarray, "y x"]]:
    """A scene in this layout, and which pixels lack a band: counts in its scaling, or level-1 counts calibrated."""
    calibration = None
    dtype, nodata = layout.dtype, layout.nodata
    if scene.metadata is not None:
        calibration = level_1.calibration(scene.id, scene.metadata, product.sensor, layout.bands, site.patience)
        dtype, nodata = level_1.DTYPE, level_1.FILL
    bands = []
    missing = np.zeros((site.grid.px, site.grid.px), bool)
    for position, band in enumerate(layout.bands):
        file = scene.files[band]
        raw = _read(site, product, scene, file, dtype, nodata)
        absent = ~np.isfinite(raw) if nodata is None else (raw == nodata) | ~np.isfinite(raw)
        missing |= absent
        if missing.all():
            return np.full((len(layout.bands), *missing.shape), layout.nodata or 0, layout.dtype), missing
        stored = Scaling(layout.scale[position], layout.offset[position])
        bands.append(raw if calibration else rescaled(raw, absent, file.scaling, stored))
    values = np.stack(bands)
    if calibration is None:
        return values, missing
    values = physical(values, layout.bands, calibration)
    # the darkest thermal counts have no radiance, hence no temperature
    missing |= ~np.isfinite(values).all(axis=0)
    return np.nan_to_num(values), missing


def _read(
    site: Site, product: Product, scene: Scene, file: File, dtype: str, nodata: float | None
) -> Shaped[ndarray, "y x"]:
    if file.href not in site.counts:
        counts = access(site, product).read(file, scene.crs, site.grid, dtype, nodata, product.resampling)
        if product.cloud_mask is None:
            return counts
        site.counts[file.href] = counts
    return site.counts[file.href]


# -- clouds ------------------------------------------------------------------------------------------------------------


def _clouds(site: Site, product: Product, acquisition: Acquisition) -> Clouds | None:
    """The mask's statement about clouds; None if there is no mask and the product asks for none.

    Raises:
        UnusableError: too much of it is cloud, or nobody can say.
    """
    clouds = mask_of(site, product, acquisition)
    asked = product.mask_clouds or product.max_chip_cloud < 1
    if clouds is None and asked and sections.has_mask(product):
        raise UnusableError(f"{acquisition.name} has no mask that says what is cloud")
    if clouds is not None and clouds.share > product.max_chip_cloud:
        raise UnusableError(f"{acquisition.name}: {clouds.share:.0%} of the chip is cloud")
    return clouds


def mask_of(site: Site, product: Product, acquisition: Acquisition) -> Clouds | None:
    """Cloudy pixels by the product's rule, or None if it has none or one of the scenes lacks what it needs."""
    key = product.sensor, acquisition.name
    if key not in site.masks:
        by = _by_s2cloudless if product.cloud_mask else _by_quality_layer
        site.masks[key] = by(site, product, acquisition)
    return site.masks[key]


def _by_s2cloudless(site: Site, product: Product, acquisition: Acquisition) -> Clouds | None:
    assert product.cloud_mask is not None
    layout = _shipped(site, product, cloudless.BANDS)
    mosaic = _mosaic(site, product, acquisition, layout)
    if not mosaic.used:
        return None
    reflectance = np.stack([layout.physical(counts, band) for band, counts in enumerate(mosaic.pixels)])
    cloudy = cloudless.mask(reflectance, ~mosaic.empty, product.cloud_mask, layout.gsd_m)
    return Clouds(cloudy, mosaic.empty)


def _by_quality_layer(site: Site, product: Product, acquisition: Acquisition) -> Clouds | None:
    """A pixel counts by the first scene that has data there; where none has, it is not known."""
    rule = sensors.get(product.sensor).cloud
    files = [(scene, scene.quality) for scene in acquisition.scenes]
    if rule is None or any(file is None for _, file in files):
        return None
    cloud = np.zeros((site.grid.px, site.grid.px), bool)
    open_ = np.ones_like(cloud)
    for scene, file in files:
        assert file is not None
        layer = access(site, product).read(file, scene.crs, site.grid, rule.dtype, float(rule.fill), "nearest")
        absent = layer == rule.fill
        cloud |= open_ & ~absent & rule.unusable(layer)
        open_ &= absent
        if not open_.any():
            break
    return Clouds(cloud, open_)


# -- addresses ---------------------------------------------------------------------------------------------------------


def access(site: Site, product: Product) -> Access:
    """How a product's files are opened: with signed addresses, within the limits."""
    catalogue = sections.catalogue_of(product, site.section)
    collection = next(iter(sections.entries(product, site.section).values()))
    tokens = catalogue.tokens and catalogue.tokens.replace("{collection}", collection)
    return Access(signer(tokens, catalogue.token_hosts, site.patience), site.patience)
