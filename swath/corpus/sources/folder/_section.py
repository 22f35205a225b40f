"""The section of a recipe that describes a folder of images."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from swath import sensors
from swath.corpus.sources._raster import MAX_IMAGE_GB, NARROWER
from swath.corpus.sources._shapes import ShapeLayer
from swath.corpus.store.arrays import Compression
from swath.corpus.store.codes import check_declared
from swath.errors import RecipeError, nearest
from swath.settings import Settings

ID_PARTS = ("id", "id2", "id3")
"""Named groups whose texts, joined by underscores, form a location's id."""

RESERVED = {*ID_PARTS, "date", "band", "split", "parent"}
"""Named groups of an id expression with a fixed meaning; any other becomes a scalar label of that name."""

COMPLEX = (
    "complex numbers (single-look radar) cannot be stored: convert them to intensity in decibels, "
    "10 * log10(abs(z) ** 2), as float32"
)

Part = Literal["train", "val", "test"]

Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]

SPLIT_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Common names for the parts of a split, by the name that the corpus uses."""


def _expression(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"'{text}' is no regular expression: {error}") from None
    if "id" not in groups:
        raise ValueError(f"'{text}' has no group (?P<id>...), which says what part of a name is the location's id")
    return text


def _not_zero(scale: float) -> float:
    if scale == 0:
        raise ValueError("a scale of 0 makes all counts equal")
    return scale


class Scale(Settings):
    """How stored counts become physical values: `counts * scale + offset`."""

    scale: float = 1.0
    offset: float = 0.0
    against_tags: bool = False
    """Use this scaling even where a file's own tags state another one, which is otherwise an error."""

    _not_zero = field_validator("scale")(_not_zero)


class ScaleByName(Settings):
    """Scalings that differ from file to file, told by a named group of the id expression."""

    group: str
    """Name of the group, such as `baseline` for `(?P<baseline>...)`."""
    values: dict[str, Scale] = Field(default_factory=dict)
    """Scaling by the text that the group finds. If not given, the group finds Sentinel-2's processing baseline
    (N0301, N0509)."""


def _kind_of_scaling(value: Any) -> str:
    if isinstance(value, dict | Settings):
        return "by-name" if {"group", "values"} & dict(value).keys() else "numbers"
    return "tags"


AnyScaling = Annotated[
    Annotated[Scale, Tag("numbers")] | Annotated[ScaleByName, Tag("by-name")] | Annotated[Literal["tags"], Tag("tags")],
    Discriminator(_kind_of_scaling),
]


def _date_format(text: str) -> str:
    """Refuse formats that state too little: without a year all dates are in 1900, and a week without its day is
    ignored.
    """
    if not re.search("%[YyGcx]", text):
        raise ValueError(f"'{text}' says no year")
    if re.search("%[UW]", text) and not re.search("%[aAuw]", text):
        raise ValueError(f"'{text}' has a week without its day, such as %u")
    return text


class _Named(Settings):
    """Files whose names state which location and date they belong to."""

    files: str
    """Glob relative to the data folder, such as `images/*.tif` or `**/S2_*.png`."""
    id: str
    """Regular expression, searched in the file's path relative to the data folder. The group `(?P<id>...)` is the
    location's id (where its parts stand apart: `id2` and `id3`, joined by underscores); optional are `date`, `band`
    (where every band is a file), `split` (train, val or test) and `parent` (what a split must not part). Any other
    named group becomes a scalar label."""
    date_format: str = "%Y%m%d"
    """How the group `date` is written, in strftime codes."""

    _checked = field_validator("id")(_expression)
    _dated = field_validator("date_format")(_date_format)

    def date(self, text: str) -> datetime:
        """The date that a file's name says; ValueError if it is written otherwise."""
        return datetime.strptime(text, self.date_format)


class ImageEntry(_Named):
    """The images of one sensor."""

    sensor: str
    """Name of the sensor."""
    bands: tuple[str | None, ...] | dict[str, int | str]
    """The file's channels in order, with `-` or null for one to leave out; or channel numbers (from 1) by band; or,
    where the id has a group `band`, the bands' names there: all alike, or by band."""
    tag: str | None = None
    """Tag of the images where dates are unknown, such as `before`."""
    dtype: str | None = None
    """NumPy type of the counts; the sensor's own if not given. 64 bits are stored as 32."""
    scaling: AnyScaling | None = None
    """How counts become physical values: one scaling for all files, one by a group of the id expression, or
    `tags` for each file's own scale and offset; by default the sensor's. Files of different scalings are
    converted to one."""
    nodata: float | Literal["sensor"] | None = "sensor"
    """Count that marks a missing pixel; null for none."""
    invalid_values: tuple[float, ...] = ()
    """A pixel is missing if all its channels have one of these values, such as the black border of a picture."""
    gsd_m: float | None = Field(default=None, gt=0)
    """Pixel size in metres; by default the files' own by their georeference, else the sensor's."""

    @property
    def by_file(self) -> bool:
        """Whether every band is a file of its own."""
        return "band" in re.compile(self.id).groupindex

    @property
    def channels(self) -> dict[str, int | str]:
        """Where each band is: channel number, or what the group `band` says."""
        if isinstance(self.bands, dict):
            return self.bands
        kept = {band: k for k, band in enumerate(self.bands, 1) if band not in (None, "-")}
        return {str(band): str(band) if self.by_file else k for band, k in kept.items()}

    @field_validator("dtype")
    @classmethod
    def _storable(cls, dtype: str | None) -> str | None:
        try:
            numpy_type = None if dtype is None else np.dtype(dtype)
        except TypeError:
            raise ValueError(f"{dtype!r} is no NumPy type, such as uint16") from None
        if numpy_type is None or numpy_type.kind in "iuf":
            return None if numpy_type is None else NARROWER.get(numpy_type.name, numpy_type.name)
        if numpy_type.kind == "c":
            raise ValueError(f"{dtype}: {COMPLEX}")
        raise ValueError(f"{dtype} is no type of pixels: use integers or floating point numbers, such as uint16")

    @model_validator(mode="after")
    def _known(self) -> "ImageEntry":
        try:
            sensor = sensors.get(self.sensor)
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.remedy}") from None
        for band in self.channels:
            if band not in (known := [b.name for b in sensor.bands]):
                raise ValueError(f"{self.sensor} has no band {band!r}; {nearest(band, known)}")
        if not self.channels:
            raise ValueError("no band is named")
        for band, where in self.channels.items():
            if isinstance(where, str) != self.by_file or (isinstance(where, int) and where < 1):
                wanted = "what the id's group `band` says" if self.by_file else "a channel number from 1"
                raise ValueError(f"band {band} needs {wanted}, not {where!r}")
        if self.dtype and self.dtype != sensor.dtype and self.scaling is None:
            raise ValueError(f"{self.sensor} counts are {sensor.dtype}; with dtype {self.dtype}, say the scaling too")
        return self

    @model_validator(mode="after")
    def _scaled_by_a_group(self) -> "ImageEntry":
        if isinstance(self.scaling, ScaleByName):
            if self.scaling.group in RESERVED or self.scaling.group not in re.compile(self.id).groupindex:
                raise ValueError(f"the id expression has no group (?P<{self.scaling.group}>...) that says the scaling")
            if not self.scaling.values and not sensors.get(self.sensor).has_baselines:
                raise ValueError(f"{self.sensor} has no processing baselines: give scaling.values")
        return self


class LabelEntry(Settings):
    """Label maps: one map of class codes per location."""

    layer: str
    """Name of the layer."""
    files: str | None = None
    """Glob of the label files, as for images; if not given, the map is a channel of the image files."""
    id: str | None = None
    """Regular expression with a group `id`, as for images."""
    raster: str | None = None
    """One file for all locations instead, relative to the data folder: a raster of class codes in any reference system,
    such as NLCD. Each pixel of an image takes the code that lies nearest; needs a code of void, for what lies outside
    of it or has its nodata."""
    images: int = Field(default=0, ge=0)
    """Position in `images` of the entry whose files hold the map, where it has no files of its own."""
    channel: int | None = Field(default=None, ge=1)
    """Channel number from 1; may be omitted where the label files have one channel."""
    classes: dict[int, str] = Field(min_length=1)
    """Name of every code that occurs, apart from `void`."""
    colours: dict[int, Colour] = Field(default_factory=dict)
    """Colour of a code, `#rrggbb`."""
    void: int | None = None
    """Code of pixels without a label; locations without a map have it everywhere."""

    @model_validator(mode="after")
    def _findable(self) -> "LabelEntry":
        if (self.files is None) != (self.id is None):
            raise ValueError("files and id belong together")
        if self.raster is not None and (self.files is not None or self.void is None):
            raise ValueError("a raster is one file for all locations, without files and id, and needs a code of void")
        if self.files is None and self.channel is None and self.raster is None:
            raise ValueError("give files and id, a raster, or the channel of the image files that holds the map")
        if self.id is not None:
            _expression(self.id)
        check_declared(self.classes, self.void)
        return self


class QualityEntry(Settings):
    """A quality layer that says which pixels are cloudy."""

    sensor: str
    """Sensor whose images it judges."""
    channel: int = Field(default=1, ge=1)
    """Channel number from 1, in the image files or in the layer's own files."""
    files: str | None = None
    """Glob of the layer's files, as for images; if not given, the layer is a channel of the image files."""
    id: str | None = None
    """Regular expression with the groups `id` and, if the images have it, `date`."""
    date_format: str = "%Y%m%d"
    tag: str | None = None
    """Tag of the images that the files belong to; if not given, all images of an id and date, which then share
    one tag."""
    bits: tuple[Annotated[int, Field(ge=0, lt=63)], ...] | None = None
    """Bits of which any one means unusable; the sensor's own rule applies if neither bits nor classes are given."""
    classes: tuple[int, ...] | None = None
    """Values that mean unusable."""
    mask: bool = True
    """Treat such pixels as invalid; otherwise only their share is recorded."""

    _dated = field_validator("date_format")(_date_format)

    def judges(self, sensor: str, tag: str | None) -> bool:
        """Whether the layer applies to images of this sensor and tag."""
        return sensor == self.sensor and self.tag in (None, tag)

    @model_validator(mode="after")
    def _complete(self) -> "QualityEntry":
        if (self.files is None) != (self.id is None):
            raise ValueError("files and id belong together")
        if self.id is not None:
            _expression(self.id)
        if self.bits is None and self.classes is None and sensors.get(self.sensor).cloud is None:
            raise ValueError(f"{self.sensor} has no cloud rule of its own: give bits or classes")
        return self


class Ground(Settings):
    """Keep images of the same or touching ground together, found from pixels (`swath.corpus.ground.adjacency`)."""

    images: int = Field(default=0, ge=0)
    """Position in `images` of the files to compare; channel numbers below are theirs, from 1."""
    overlap: tuple[int, ...] = ()
    """Channels in which the same ground has exactly the same values: elevation or land cover, or any channel of images
    cut from one scene."""
    match: tuple[int, ...] = ()
    """Channels in which the same ground looks the same on every date, though resampled: elevation. Slow: about a
    millisecond a pair of images of 128 by 128 pixels."""
    seam: tuple[int, ...] = ()
    """Channels in which images cut side by side continue one another."""


class Group(Settings):
    """What a split must keep together."""

    by: Literal["id", "id-block", "parent"] = "id"
    """`id`: chips of one image. `id-block`: ids that are alike but for their last number, which lies in one block of
    `size`: for collections numbered along the ground. `parent`: the group `parent` of the id expression."""
    size: int = Field(default=10, ge=1)
    """Numbers in a block."""
    ground: Ground | None = None
    """Also keep images together that show the same ground."""


class FolderSection(Settings):
    """A folder of GeoTIFF, PNG or JPEG images of one's own."""

    chip_px: int = Field(gt=0)
    """Side in pixels of the chips that images are cut into; what is left over at the right and lower edge is
    not used."""
    images: tuple[ImageEntry, ...] = Field(min_length=1)
    labels: tuple[LabelEntry, ...] = ()
    shapes: tuple[ShapeLayer, ...] = ()
    """Label layers from polygons or points in vector files."""
    quality: tuple[QualityEntry, ...] = ()
    group: Group = Group()
    on_bad_file: Literal["error", "skip"] = "error"
    """What to do about files that cannot be read or do not fit: stop, or leave them out and name them in the
    corpus's log."""
    max_image_gb: float = Field(default=MAX_IMAGE_GB, gt=0)
    """Gigabytes of all stored bands of an image on the finest grid above which it is an error, before it is read."""
    split_names: dict[str, Part] = Field(default_factory=lambda: dict(SPLIT_NAMES))
    """Names that the group `split` uses for the parts of the split."""
    licences: tuple[str, ...] = ()
    compression: Compression = "fast"
    """How pixels are packed: `none`, `fast` to read, or `small` on disk (Zstandard), several times slower to read."""

    @model_validator(mode="after")
    def _consistent(self) -> "FolderSection":
        for k, entry in enumerate(self.images):
            first = next(e for e in self.images if e.sensor == entry.sensor)
            for name in ("dtype", "nodata", "gsd_m"):
                if getattr(entry, name) != getattr(first, name):
                    raise ValueError(f"images.{k}.{name} differs from that of an entry before of {entry.sensor}")
            linear = [one.scaling in (None, "tags") for one in (entry, first)]
            if sensors.get(entry.sensor).scaling.decibel and linear[0] != linear[1]:
                raise ValueError(f"images.{k}.scaling: {entry.sensor} is linear power in one entry and not in another")
            if list(entry.channels) != list(first.channels):
                raise ValueError(f"images.{k}.bands differ from those of an entry before of {entry.sensor}")
        referred = [entry.images for entry in self.labels] + ([self.group.ground.images] if self.group.ground else [])
        if referred and max(referred) >= len(self.images):
            raise ValueError(f"there is no images.{max(referred)}: positions go from 0 to {len(self.images) - 1}")
        inside = [self.images[e.images] for e in self.labels if not (e.files or e.raster)]
        inside += [image for e in self.quality if not e.files for image in self.images if image.sensor == e.sensor]
        if any(image.by_file for image in inside):
            raise ValueError("where every band is a file, labels and quality need files and id of their own")
        for entry in self.quality:
            if not any(entry.judges(image.sensor, image.tag) for image in self.images):
                tagged = "" if entry.tag is None else f" with the tag {entry.tag!r}"
                raise ValueError(f"quality of {entry.sensor}{tagged}, of which there are no images")
        return self
