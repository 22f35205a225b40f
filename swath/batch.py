"""Image, View and Batch: the only types that travel between packages."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Float64, Int, Int32, Shaped, UInt8
from torch import Tensor

from swath._device import send
from swath.sensors import calibrate

NO_DAY = -(2**31)
"""`Image.days` of a padding date, and of a chip whose acquisition date is unknown."""
NO_BAND = -1
"""`Image.band_ids` of a channel that a sample lacks; its pixels are never looked at. For encoders of any bands."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Chips of one sensor, with everything needed to read them: units, validity, dates and bands."""

    pixels: Float[Tensor, "b t c h w"]
    """Physical units (reflectance, dB, K, or 0..1 for display imagery); finite everywhere."""
    valid: Bool[Tensor, "b t h w"]
    """False where a pixel is nodata, cloud (if asked for) or belongs to a padding date."""
    days: Int32[Tensor, "b t"]
    """Days since 1970-01-01 UTC; NO_DAY for padding and unknown dates."""
    band_ids: Int32[Tensor, "b c"]
    """Ids in the global band table (`swath.sensors.bands()`), per sample: channels may differ between samples."""
    gsd_m: float
    """Ground sampling distance of the pixels, in metres."""
    common_ids: tuple[int, ...] | None = None
    """Band ids common to all samples, known on the host so that nobody has to wait for the device; None: see
    `band_ids`."""

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __post_init__(self) -> None:
        if self.common_ids is not None and len(self.common_ids) != self.band_ids.shape[1]:
            raise ValueError(f"{len(self.common_ids)} common band ids for {self.band_ids.shape[1]} channels")

    def first_ids(self) -> tuple[int, ...]:
        """Band ids of the first sample."""
        return self.common_ids or tuple(self.band_ids[0].tolist())

    def to(self, device: torch.device | str, *, non_blocking: bool = True) -> "Image":
        """The same image on another device; the copy does not block the host unless asked to."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=non_blocking)
            for name in ("pixels", "valid", "days", "band_ids")
        }
        return replace(self, **moved)

    def channels(self, index: Sequence[int]) -> "Image":
        """The image with only the channels at these positions, in this order; the same for all samples."""
        chosen = send(torch.tensor(index, dtype=torch.long), self.pixels.device)
        ids = self.common_ids and tuple(self.common_ids[i] for i in index)
        return replace(self, pixels=self.pixels[:, :, chosen], band_ids=self.band_ids[:, chosen], common_ids=ids)

    def take(self, index: Sequence[int] | Tensor) -> "Image":
        """The samples at these positions, in this order."""
        index = send(torch.as_tensor(index, dtype=torch.long), self.pixels.device)
        return replace(
            self,
            pixels=self.pixels[index],
            valid=self.valid[index],
            days=self.days[index],
            band_ids=self.band_ids[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How the counts of some bands become physical values: `counts * scale + offset`, then decibels where stored as
    power.
    """

    scale: Float[Tensor, "c 1 1"] | None
    """Factor per band; None where all are 1."""
    offset: Float[Tensor, "c 1 1"] | None
    """Added per band; None where all are 0."""
    decibel: bool
    """Whether the scaled counts are a linear power that is to be turned into decibels."""

    @classmethod
    def of(cls, scale: Sequence[float], offset: Sequence[float], *, decibel: bool) -> "Calibration":
        """The calibration of bands with these factors and offsets."""
        return cls(_unless(scale, neutral=1.0), _unless(offset, neutral=0.0), decibel)

    def apply(self, values: Float[Tensor, "*n c h w"]) -> None:
        """Turn counts into physical values in place; counts that have none, such as a negative power, become
        non-finite.
        """
        calibrate(values, self.scale, self.offset, torch.log10 if self.decibel else None)

    def to(self, device: torch.device) -> "Calibration":
        """The same calibration on another device."""
        scale, offset = (None if numbers is None else send(numbers, device) for numbers in (self.scale, self.offset))
        return replace(self, scale=scale, offset=offset)


def _unless(values: Sequence[float], neutral: float) -> Float[Tensor, "c 1 1"] | None:
    """One number per band, or None where all are the neutral one and would change nothing."""
    if all(value == neutral for value in values):
        return None
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Chips of one sensor as the corpus stores them. Counts travel to the device, and become an `Image` there."""

    stored: Shaped[Tensor, "b t c h w"]
    """Stored counts of the wanted bands; padding dates hold arbitrary values."""
    known: UInt8[Tensor, "b t n"] | None
    """Validity packed to one bit a pixel, row after row, the highest bit first; None: every pixel is valid."""
    days: Int32[Tensor, "b t"]
    """`days`, `band_ids` and `gsd_m` are those of `Image`."""
    band_ids: Int32[Tensor, "b c"]
    gsd_m: float
    calibration: Calibration
    common_ids: tuple[int, ...]

    @property
    def real(self) -> bool:
        """Whether decoded values may be non-finite, as floating-point counts and decibels can be."""
        return self.calibration.decibel or self.stored.is_floating_point()

    @property
    def nbytes(self) -> int:
        """Total bytes of the tensors that travel with each batch."""
        return sum(t.nbytes for t in (self.stored, self.known, self.days, self.band_ids) if t is not None)

    def to(self, device: torch.device) -> "Counts":
        """Copy to another device while the host goes on."""
        moved = {name: send(getattr(self, name), device) for name in ("stored", "days", "band_ids")}
        known = None if self.known is None else send(self.known, device)
        return replace(self, **moved, known=known, calibration=self.calibration.to(device))

    def decode(self) -> Image:
        """The image in physical units, on the same device. Invalid pixels are 0, and non-finite values are invalid."""
        pixels = self.stored.to(torch.float32, copy=True)
        self.calibration.apply(pixels)
        valid = self.validity()
        if self.real:
            valid &= pixels.isfinite().all(dim=2)
        if self.real or self.known is not None:
            pixels.masked_fill_(~valid[:, :, None], 0.0)
        return Image(pixels, valid, self.days, self.band_ids, self.gsd_m, self.common_ids)

    def validity(self) -> Bool[Tensor, "b t h w"]:
        """Which pixels are said to be valid; `decode` takes those away whose physical value is not finite."""
        b, t, _, h, w = self.stored.shape
        if self.known is None:
            return torch.ones((b, t, h, w), dtype=torch.bool, device=self.stored.device)
        bit = 2 ** torch.arange(7, -1, -1, dtype=torch.uint8, device=self.stored.device)
        return ((self.known[..., None] & bit) != 0).flatten(2)[:, :, : h * w].unflatten(2, (h, w))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a method's encoder sees: an image after selection and augmentation."""

    image: Image
    role: str
    """What the method uses it for, such as `query`, `key`, `optical` or `radar`."""
    affine: Float[Tensor, "b 2 3"]
    """Maps view pixel centres (x, y) to chip pixel centres: `chip = A[:, :2] @ (x, y) + A[:, 2]`."""
    lonlat: Float64[Tensor, "b 2"] | None = None
    """Centre of each chip, as in `Batch`; None where the policy does not say."""
    uid: tuple[str, ...] | None = None
    """Location id of each chip, as in `Batch`; None where the policy does not say."""
    local: bool = False
    """Whether this is a small crop beside larger ones of the same chip, which a teacher network does not see."""
    kept: Int[Tensor, "b k"] | None = None
    """Where the method hides the rest: the square cells that the encoder sees, row by row."""
    targets: dict[str, Tensor] = field(default_factory=dict)
    """As in `Batch`, label layers cut and turned like the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some locations: their images by sensor, their positions and ids, and their labels."""

    images: dict[str, Image]
    """Images by sensor name, all of the same number of samples."""
    lonlat: Float64[Tensor, "b 2"]
    """Centre of the footprint in degrees, WGS 84; NaN where the source had no georeference."""
    uid: list[str]
    """Location ids in the corpus."""
    targets: dict[str, Tensor] = field(default_factory=dict)
    """Label layers `b h w` or scalar labels `b`, by name."""

    def __len__(self) -> int:
        return len(self.uid)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return replace(
            self,
            images={name: image.to(device) for name, image in self.images.items()},
            lonlat=self.lonlat.to(device),
            targets={name: target.to(device) for name, target in self.targets.items()},
        )


def pad_dates(images: Sequence[Image]) -> Image:
    """Join samples whose series differ in length: shorter ones are padded with invalid dates at the end.

    Args:
        images: one or more images of any batch size that agree in channels, height, width and GSD.

    Raises:
        ValueError: they do not agree; the message names the first that differs.
    """
    first = images[0]
    for i, image in enumerate(images):
        if image.pixels.shape[2:] != first.pixels.shape[2:] or image.gsd_m != first.gsd_m:
            raise ValueError(
                f"sample {i} has (c, h, w) = {tuple(image.pixels.shape[2:])} at {image.gsd_m} m, "
                f"sample 0 has {tuple(first.pixels.shape[2:])} at {first.gsd_m} m"
            )
    longest = max(image.pixels.shape[1] for image in images)
    return Image(
        pixels=torch.cat([_pad(image.pixels, longest, 0.0) for image in images]),
        valid=torch.cat([_pad(image.valid, longest, value=False) for image in images]),
        days=torch.cat([_pad(image.days, longest, NO_DAY) for image in images]),
        band_ids=torch.cat([image.band_ids for image in images]),
        gsd_m=first.gsd_m,
    )


def _pad(tensor: Tensor, length: int, value: int | float) -> Tensor:
    missing = length - tensor.shape[1]
    if missing == 0:
        return tensor
    filler = tensor.new_full((tensor.shape[0], missing, *tensor.shape[2:]), value)
    return torch.cat([tensor, filler], dim=1)


def collate(batches: Sequence[Batch]) -> Batch:
    """Join batches of the same sensors and targets into one, padding ragged series.

    Raises:
        ValueError: sensors or targets differ; the message names the first batch that does.
    """
    first = batches[0]
    for i, batch in enumerate(batches):
        if batch.images.keys() != first.images.keys() or batch.targets.keys() != first.targets.keys():
            raise ValueError(
                f"batch {i} holds {sorted(batch.images)} with targets {sorted(batch.targets)}, "
                f"batch 0 holds {sorted(first.images)} with targets {sorted(first.targets)}"
            )
    return Batch(
        images={name: pad_dates([batch.images[name] for batch in batches]) for name in first.images},
        lonlat=torch.cat([batch.lonlat for batch in batches]),
        uid=[uid for batch in batches for uid in batch.uid],
        targets={name: torch.cat([batch.targets[name] for batch in batches]) for name in first.targets},
    )
