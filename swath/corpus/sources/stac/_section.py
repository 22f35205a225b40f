"""The section of a recipe that states where, when and from which catalogue chips are taken."""

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from swath import plugins, sensors
from swath.corpus import eight_bit
from swath.corpus.ground.utm import Footprint
from swath.corpus.places import PlacesConfig
from swath.corpus.sources._shapes import ShapeLayer
from swath.corpus.sources.stac import _cloudless as cloudless
from swath.corpus.sources.stac._catalogue import Catalogue
from swath.corpus.sources.stac._cloudless import S2Cloudless
from swath.corpus.sources.stac._hosts import Limits
from swath.corpus.store import SensorLayout
from swath.corpus.store.arrays import Compression
from swath.errors import RecipeError
from swath.sensors import Sensor
from swath.settings import PluginSettings, Settings

if TYPE_CHECKING:
    PlacesSettings: TypeAlias = PlacesConfig
    DatesSettings: TypeAlias = PluginSettings
else:
    PlacesSettings = plugins.union("swath.corpus.places", PlacesConfig)
    DatesSettings = plugins.union("swath.corpus.dates")


class Product(Settings):
    """What is wanted of one sensor."""

    sensor: str
    bands: tuple[str, ...] | None = None
    """Bands in the order in which they are stored; by default all that the catalogue has."""
    catalogue: Catalogue | None = None
    """Catalogue, if another than the section's."""
    collection: str | None = None
    """Collection, if another than the sensor's own, such as `sentinel-2-c1-l2a`."""
    when: DatesSettings | None = None
    """Rule for dates, if another than the section's."""
    only: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Properties that an item must have, such as `landsat:collection_category: T1`."""
    max_cloud: float | None = Field(default=20, ge=0, le=100)
    """Largest cloud cover of a scene in percent, as the catalogue states it; null for no limit. Ignored for radar."""
    max_chip_cloud: float = Field(default=1.0, ge=0, le=1)
    """Largest share of cloud in a chip, where the sensor has a mask; below 1, scenes without a mask are left
    out as well."""
    min_valid: float = Field(default=1.0, ge=0, le=1)
    """Least share of a chip's pixels that hold data."""
    look: int = Field(default=3, ge=1)
    """Number of a window's clearest scenes that are compared by the cloud over the chip itself."""
    mask_clouds: bool = False
    """Mark pixels as invalid that are cloudy, or about which the mask says nothing; scenes without a mask are
    then left out. By default they are data, and their share is in the index."""
    cloud_mask: S2Cloudless | None = None
    """How cloudy pixels are recognised; by default by the sensor's quality layer. Sentinel-2 L1C has none."""
    uint8: bool = False
    """Store one byte per value, by the tables of SSL4EO-L for Landsat; values outside their ranges are lost."""
    resampling: Literal["nearest", "bilinear", "cubic", "average"] = "nearest"
    """Resampling of files on another grid than the chip's: coarser bands, and scenes of a neighbouring UTM zone."""
    orbit: Literal["ascending", "descending"] | None = None
    """Only acquisitions of this pass."""
    same_dates_as: str | None = None
    """Sensor of another product of the section: only scenes (platform, day and tile, or path and row) that both have
    are taken, so that two product levels are parallel."""

    @model_validator(mode="after")
    def _known(self) -> "Product":
        try:
            sensor = sensors.get(self.sensor)
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.remedy}") from None
        names = [band.name for band in sensor.bands]
        for band in self.bands or ():
            if band not in names:
                raise ValueError(f"{self.sensor} has no band {band!r}; known: {', '.join(names)}")
        if self.uint8:
            try:
                eight_bit.limits(self.sensor, names[0])
            except RecipeError as error:
                raise ValueError(f"{error.what}; {error.remedy}") from None
        return self

    @model_validator(mode="after")
    def _maskable(self) -> "Product":
        if self.cloud_mask is not None and self.sensor != cloudless.SENSOR:
            rule = sensors.get(self.sensor).cloud
            own = f"; leave cloud_mask out: {rule.layer} says what is cloud" if rule else ""
            raise ValueError(
                f"s2cloudless needs reflectance at the top of the atmosphere and B10, so {cloudless.SENSOR}, "
                f"not {self.sensor}{own}"
            )
        return self


class StacSection(Settings):
    """A corpus from STAC catalogues."""

    where: PlacesSettings
    """The strategy that chooses locations, with its settings."""
    when: DatesSettings
    """The rule for dates: periods, and whether one acquisition of each is wanted or all."""
    products: tuple[Product, ...] = Field(min_length=1)
    """The products to store, one per sensor; the first defines the pixel grid."""
    chip_px: int = Field(default=264, gt=0)
    """Width and height of all chips."""
    gsd_m: float | None = Field(default=None, gt=0)
    """Pixel size of all chips; by default the finest of the first product's bands."""
    catalogue: Catalogue = Catalogue()
    require: Literal["all", "any"] = "all"
    """`all`: a location without a chip of every product and window is left out, as in SSL4EO-L. `any`: one is enough.
    What is missing is in `failures.parquet` either way."""
    on_failure: Literal["stop", "leave-out"] = "stop"
    """What to do when hosts did not answer despite all retries. `stop`: the corpus stays unfinished, and the
    same command tries those locations again. `leave-out`: it is finished without them."""
    retries: int = Field(default=6, ge=0)
    """How often a request that failed is repeated, at growing distances in time."""
    backoff_s: float = Field(default=1.0, gt=0)
    """First pause after a failure of a host, doubled with each further one."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Longest time of a request, from its start to the last byte of the answer."""
    limits: Limits = Limits()
    """How much a catalogue and the hosts of its files may send."""
    shapes: tuple[ShapeLayer, ...] = ()
    """Label layers from polygons or points in vector files."""
    licences: tuple[str, ...] = ()
    """Names of the data's licences, kept with the corpus."""
    compression: Compression = "fast"
    """How pixels are packed: `none`, `fast` to read, or `small` on disk (Zstandard), several times slower to read."""

    @field_validator("products")
    @classmethod
    def _once(cls, products: tuple[Product, ...]) -> tuple[Product, ...]:
        named = [product.sensor for product in products]
        if len(set(named)) < len(named):
            raise ValueError("a sensor is listed twice")
        for number, product in enumerate(products):
            if product.same_dates_as is not None and product.same_dates_as not in named[:number]:
                raise ValueError(
                    f"same_dates_as of {product.sensor}: no product before it is {product.same_dates_as!r}"
                )
        return products

    @model_validator(mode="after")
    def _offered(self) -> "StacSection":
        for product in self.products:
            if not entries(product, self):
                sensor, name = sensors.get(product.sensor), catalogue_of(product, self).name
                offers = {key.partition(":")[0] for key in sensor.collections} or {"no catalogue"}
                raise ValueError(f"{name} has no {product.sensor}; {' and '.join(sorted(offers))} has")
            if missing := [band for band in product.bands or () if band not in bands_of(product, self)]:
                raise ValueError(f"{catalogue_of(product, self).name} has no file of {product.sensor}/{missing[0]}")
            keys = asset_keys(product, self)[0]
            if product.cloud_mask and (lacking := [band for band in cloudless.BANDS if band not in keys]):
                raise ValueError(
                    f"s2cloudless needs {', '.join(lacking)}, which {catalogue_of(product, self).name} lacks"
                )
        return self


def catalogue_of(product: Product, section: StacSection) -> Catalogue:
    """The catalogue that a product is looked for in: its own, or the section's."""
    return product.catalogue or section.catalogue


def entries(product: Product, section: StacSection) -> dict[str, str]:
    """Collection by key of `Sensor.assets`: several where the catalogue keeps a sensor in more than one."""
    name, sensor = catalogue_of(product, section).name, sensors.get(product.sensor)
    return {key: product.collection or c for key, c in sensor.collections.items() if key.partition(":")[0] == name}


def bands_of(product: Product, section: StacSection) -> tuple[str, ...]:
    """Bands that are stored, in order."""
    if product.bands is not None:
        offered = [band for keys in asset_keys(product, section) for band in keys]
        return tuple(band for band in product.bands if band in offered)
    keys = asset_keys(product, section)[0]
    return tuple(band.name for band in sensors.get(product.sensor).bands if band.name in keys)


def asset_keys(product: Product, section: StacSection) -> list[dict[str, str]]:
    """Asset keys by band, for each of the product's collections."""
    assets = sensors.get(product.sensor).assets
    return [assets[key] for key in entries(product, section)]


def bands_read(product: Product, section: StacSection) -> tuple[str, ...]:
    """Bands that are stored, and those that the cloud mask is made from."""
    stored = bands_of(product, section)
    masking = cloudless.BANDS if product.cloud_mask else ()
    return (*stored, *(band for band in masking if band not in stored))


def layouts(section: StacSection) -> dict[str, SensorLayout]:
    """How the products are stored."""
    gsd = pixel_size(section)
    return {
        p.sensor: eight_bit.layout(p.sensor, bands_of(p, section), gsd)
        if p.uint8
        else shipped(sensors.get(p.sensor), bands_of(p, section), gsd)
        for p in section.products
    }


def shipped(sensor: Sensor, bands: tuple[str, ...], gsd_m: float) -> SensorLayout:
    """The provider's counts; Sentinel-2's as shipped since baseline 04.00, so that dark pixels may be below zero."""
    layout = SensorLayout.of(sensor, bands, gsd_m)
    if sensor.has_baselines:
        layout = layout.model_copy(update={"offset": tuple(-(sensor.product_offset or 0.0) for _ in bands)})
    return layout


def sees_clouds(sensor: Sensor) -> bool:
    """Whether clouds hide what the product shows, so that clear scenes are looked for: not for radar."""
    return sensor.kind == "optical"


def has_mask(product: Product) -> bool:
    """Whether there is anything that tells cloudy pixels of the product."""
    return product.cloud_mask is not None or sensors.get(product.sensor).cloud is not None


def pixel_size(section: StacSection) -> float:
    """Size of a pixel of all chips, in metres."""
    if section.gsd_m is not None:
        return section.gsd_m
    product = section.products[0]
    sensor = sensors.get(product.sensor)
    return min(sensor.pixel_m(band) or 10.0 for band in bands_of(product, section))


def footprint(section: StacSection) -> Footprint:
    """The footprint of every location. Its corners lie on the grid of the first product's coarsest band whose
    pixels are whole multiples of the chip's.
    """
    gsd = pixel_size(section)
    product = section.products[0]
    sensor = sensors.get(product.sensor)
    sizes = {sensor.pixel_m(band) or gsd for band in bands_of(product, section)}
    step = max([size for size in sizes if size % gsd == 0], default=gsd)
    return Footprint(section.chip_px, float(gsd), float(step), sensor.anchor_m)
