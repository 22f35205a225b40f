"""Image, View and Batch: the only types that travel between packages."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Float64, Int32
from torch import Tensor

NO_DAY = -(2**31)
"""`Image.days` of a padding date, and of a chip whose acquisition date is unknown."""


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

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def to(self, device: torch.device | str, *, non_blocking: bool = True) -> "Image":
        """The same image on another device."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=non_blocking)
            for name in ("pixels", "valid", "days", "band_ids")
        }
        return replace(self, **moved)

    def channels(self, index: Sequence[int] | Tensor) -> "Image":
        """The image with only the channels at these positions, in this order; the same for all samples."""
        index = torch.as_tensor(index, dtype=torch.long, device=self.pixels.device)
        return replace(self, pixels=self.pixels[:, :, index], band_ids=self.band_ids[:, index])

    def take(self, index: Sequence[int] | Tensor) -> "Image":
        """The samples at these positions, in this order."""
        index = torch.as_tensor(index, dtype=torch.long, device=self.pixels.device)
        return replace(
            self,
            pixels=self.pixels[index],
            valid=self.valid[index],
            days=self.days[index],
            band_ids=self.band_ids[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a method's encoder sees: an image after selection and augmentation."""

    image: Image
    role: str
    """What the method uses it for, such as `query`, `key`, `optical` or `radar`."""
    affine: Float[Tensor, "b 2 3"]
    """Maps view pixel centres (x, y) to chip pixel centres: `chip = A[:, :2] @ (x, y) + A[:, 2]`."""
    lonlat: Float64[Tensor, "b 2"] | None = None
    """Where the chips lie, as in `Batch`; None: not told."""
    uid: tuple[str, ...] | None = None
    """Which locations they are of, as in `Batch`; None: not told."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A number of locations: images by sensor, where they are, and what is known of them."""

    images: dict[str, Image]
    """By sensor name; all of the same length."""
    lonlat: Float64[Tensor, "b 2"]
    """Centre of the footprint in degrees, WGS 84; NaN where the source had no georeference."""
    uid: list[str]
    """The locations' ids in the corpus."""
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
