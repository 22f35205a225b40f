"""Encoders as functions of plain tensors: what is fed, what comes out, and what happens to pixels in between."""

import copy
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int32, Shaped
from torch import Tensor, nn

from swath import sensors
from swath.batch import Image
from swath.encoders import DenseEncoder, Encoder, InputContract, MapEncoder, SeriesEncoder, sees_series
from swath.encoders.location import LOCATION, lonlat_of
from swath.errors import ContractError, RecipeError
from swath.sensors import band, band_id

Bands = tuple[str, ...]
Axes = dict[str, tuple[str, ...]]
"""Names of the axes of each input, in the order in which the graph takes them."""
FIXED = ("bands", "feature", "class")
"""Axes whose length is always the same."""
SPACE = ("height", "width")
OUTPUT_AXES = {
    2: ("batch", "feature"),
    4: ("batch", "feature", *SPACE),
    5: ("batch", "feature", "time", *SPACE),
}
"""Names of the axes of an output, by their number."""


class Decoding(nn.Module):
    """Stored counts to physical values, by each band's sensor."""

    scale: Tensor
    offset: Tensor
    is_power: Tensor
    nodata: Tensor

    def __init__(self, bands: Bands):
        super().__init__()
        rules = [sensors.get(band(key).sensor).scaling_of(band(key).name) for key in bands]
        missing = [sensors.get(band(key).sensor).nodata for key in bands]
        tables = {
            "scale": torch.tensor([rule.scale for rule in rules]),
            "offset": torch.tensor([rule.offset for rule in rules]),
            "is_power": torch.tensor([rule.decibel for rule in rules]),
            # nothing equals NaN: where every count is data, none is missing
            "nodata": torch.tensor([torch.nan if count is None else count for count in missing]),
        }
        for name, table in tables.items():
            self.register_buffer(name, table[:, None, None], persistent=False)
        kinds = {sensors.get(band(key).sensor).dtype for key in bands}
        self.stored_as = kinds.pop() if len(kinds) == 1 else "float32"
        """The type of counts, by its name; float32 where sensors have several."""

    def forward(self, counts: Shaped[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Physical values; not finite where a count is nodata, or a power that has no decibels."""
        stored = counts.to(torch.float32)
        values = stored * self.scale + self.offset
        values = torch.where(self.is_power, 10 * values.log10(), values)
        return torch.where(stored == self.nodata, torch.nan, values)

    def counts(self, image: Image) -> Shaped[Tensor, "b t c h w"]:
        """The nearest counts of physical values, of the type that the sensors ship; nodata where invalid."""
        values = torch.where(self.is_power, 10 ** (image.pixels / 10), image.pixels)
        stored = (values - self.offset) / self.scale
        kind: torch.dtype = getattr(torch, self.stored_as)
        if not kind.is_floating_point:
            stored = stored.round().clamp(torch.iinfo(kind).min, torch.iinfo(kind).max)
        missing = torch.where(self.nodata.isnan(), stored, self.nodata)
        return torch.where(image.valid[:, :, None], stored, missing).to(kind)

    def seen(self, image: Image) -> Image:
        """The image in values that counts have."""
        values = self(self.counts(image))
        valid = image.valid & values.isfinite().all(dim=2)
        return replace(image, pixels=torch.where(valid[:, :, None], values, 0.0), valid=valid)


Given = TypeVar("Given")


class Graph(nn.Module, Generic[Given]):
    """What was trained, in evaluation mode, as a function of plain tensors to outputs by name."""

    bands: Bands
    """Band keys of all that it is fed."""

    @property
    def axes(self) -> Axes:
        """Names of the axes of each input, in the order in which it takes them."""
        raise NotImplementedError

    def arguments(self, given: Given) -> dict[str, Tensor]:
        """What the graph is fed instead of images."""
        raise NotImplementedError

    def by_argument(self, each: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is said of each input, as `forward` takes these."""
        return each

    def bands_of(self, name: str) -> Bands:
        """Band keys of the channels of an input; none of one that has no channels."""
        return self.bands if "bands" in self.axes[name] else ()

    def stored_as(self, name: str) -> str | None:
        """The type of the counts that an input takes; None where it takes physical values, or no pixels."""
        raise NotImplementedError


def contiguous(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode.

    Other libraries lay kernels out as they like; a layout of ours would be a condition on sizes.
    """
    own = copy.deepcopy(module).cpu().to(memory_format=torch.contiguous_format)
    return own.eval().requires_grad_(requires_grad=False)


class EncoderGraph(Graph[Image]):
    """A copy of an encoder as a graph: from an image to its embedding and maps."""

    AXES: ClassVar[Axes]
    encoder: Encoder
    ids: Tensor

    def __init__(self, encoder: Encoder, bands: Bands, *, dense: bool, counts: bool):
        """Copy the encoder.

        Args:
            encoder: what shall be computed.
            bands: what its channels hold, in order.
            dense: give maps of features as well.
            counts: take stored counts instead of physical values.
        """
        super().__init__()
        own = contiguous(encoder)
        assert isinstance(own, Encoder)
        self.encoder = own
        self.bands, self.dense = bands, dense
        self.common_ids = tuple(band_id(key) for key in bands)
        self.gsd_m = dict(zip(encoder.contract.bands, encoder.contract.gsd_m, strict=False)).get(bands[0], 1.0)
        self.register_buffer("ids", torch.tensor(self.common_ids, dtype=torch.int32), persistent=False)
        self.decoding = Decoding(bands) if counts else None

    @property
    def axes(self) -> Axes:
        """Names of the axes of each input, in the order in which it takes them."""
        return self.AXES

    def stored_as(self, name: str) -> str | None:
        """The type of the counts that an input takes; None where it takes physical values, or no pixels."""
        return self.decoding.stored_as if name == "pixels" and self.decoding is not None else None

    def _pixels(self, image: Image) -> Shaped[Tensor, "b t c h w"]:
        return image.pixels if self.decoding is None else self.decoding.counts(image)

    def _outputs(
        self,
        pixels: Shaped[Tensor, "b t c h w"],
        valid: Bool[Tensor, "b t h w"],
        days: Int32[Tensor, "b t"] | None = None,
    ) -> dict[str, Tensor]:
        values = pixels if self.decoding is None else self.decoding(pixels)
        there = valid & values.isfinite().all(dim=2)
        values = torch.where(there[:, :, None], values, 0.0)
        days = torch.zeros_like(there[:, :, 0, 0], dtype=torch.int32) if days is None else days
        ids = self.ids.expand(pixels.shape[0], -1)
        return outputs(self.encoder, Image(values, there, days, ids, self.gsd_m, self.common_ids), dense=self.dense)


class Pictures(EncoderGraph):
    """The graph of an encoder that looks at single dates."""

    AXES: ClassVar[Axes] = {"pixels": ("batch", "bands", *SPACE), "valid": ("batch", *SPACE)}

    def arguments(self, given: Image) -> dict[str, Tensor]:
        """Pixels and validity of the image's first date."""
        return {"pixels": self._pixels(given)[:, 0].contiguous(), "valid": given.valid[:, 0].contiguous()}

    def forward(self, pixels: Shaped[Tensor, "b c h w"], valid: Bool[Tensor, "b h w"]) -> dict[str, Tensor]:
        """The outputs by name."""
        return self._outputs(pixels[:, None], valid[:, None])


class UndatedSeries(EncoderGraph):
    """The graph of an encoder of series that does not look at their days."""

    AXES: ClassVar[Axes] = {"pixels": ("batch", "time", "bands", *SPACE), "valid": ("batch", "time", *SPACE)}

    def arguments(self, given: Image) -> dict[str, Tensor]:
        """Pixels and validity of all dates."""
        return {"pixels": self._pixels(given), "valid": given.valid}

    def forward(self, pixels: Shaped[Tensor, "b t c h w"], valid: Bool[Tensor, "b t h w"]) -> dict[str, Tensor]:
        """The outputs by name."""
        return self._outputs(pixels, valid)


class DatedSeries(EncoderGraph):
    """The graph of an encoder of series that goes by their days."""

    AXES: ClassVar[Axes] = {**UndatedSeries.AXES, "days": ("batch", "time")}

    def arguments(self, given: Image) -> dict[str, Tensor]:
        """Pixels, validity and days of all dates."""
        return {"pixels": self._pixels(given), "valid": given.valid, "days": given.days}

    def forward(
        self, pixels: Shaped[Tensor, "b t c h w"], valid: Bool[Tensor, "b t h w"], days: Int32[Tensor, "b t"]
    ) -> dict[str, Tensor]:
        """The outputs by name."""
        return self._outputs(pixels, valid, days)


class Locations(EncoderGraph):
    """The graph of an encoder of longitude and latitude."""

    AXES: ClassVar[Axes] = {"lonlat": ("batch", "bands")}

    def arguments(self, given: Image) -> dict[str, Tensor]:
        """Longitude and latitude in degrees."""
        return {"lonlat": lonlat_of(given)}

    def forward(self, lonlat: Float[Tensor, "b 2"]) -> dict[str, Tensor]:
        """The outputs by name."""
        pixels = lonlat[:, None, :, None, None]
        return self._outputs(pixels, torch.ones_like(pixels[:, :, 0], dtype=torch.bool))


def graph_of(encoder: Encoder, bands: Bands, *, dense: bool, counts: bool) -> EncoderGraph:
    """The encoder as a function of plain tensors.

    Raises:
        RecipeError: counts are asked of a place, or maps of an encoder that has none.
    """
    if dense and not has_maps(encoder):
        raise RecipeError("the encoder has no maps of features", remedy="leave --dense out")
    if bands == LOCATION:
        if counts or dense:
            raise RecipeError("a place has neither counts nor maps", remedy="leave --counts and --dense out")
        return Locations(encoder, bands, dense=False, counts=False)
    if not sees_series(encoder):
        return Pictures(encoder, bands, dense=dense, counts=counts)
    return (DatedSeries if encoder.needs_days else UndatedSeries)(encoder, bands, dense=dense, counts=counts)


def has_maps(encoder: Encoder) -> bool:
    """Whether an encoder has maps of features."""
    return isinstance(encoder, DenseEncoder | MapEncoder | SeriesEncoder)


def outputs(encoder: Encoder, image: Image, *, dense: bool) -> dict[str, Tensor]:
    """What an encoder gives: `embedding` and, if asked for, maps.

    Maps are `dense`, features of every pixel, of an encoder that is fine-tuned to segment; `map_1` and so on, from fine
    to coarse, of one of single dates; and `volumes`, features in space and time, of other encoders of series.
    """
    found = {"embedding": encoder(image).float()}
    if not dense:
        return found
    if isinstance(encoder, DenseEncoder):
        return found | {"dense": encoder.dense(image).float()}
    if isinstance(encoder, SeriesEncoder):
        return found | {"volumes": encoder.volumes(image).float()}
    assert isinstance(encoder, MapEncoder)
    standard = encoder.standardize(image.pixels, image.valid, image.band_ids)[:, 0]
    return found | {f"map_{i}": one.float() for i, one in enumerate(encoder.maps(standard), 1)}


def chosen(contract: InputContract, asked: Bands | None) -> Bands:
    """What the graph's channels hold: what is asked for, else the encoder's own bands.

    Raises:
        ContractError: the encoder takes several inputs and none is named, or takes no such bands.
    """
    if asked is not None:
        ids = torch.tensor([[band_id(key) for key in asked]], dtype=torch.int32)
        nothing = torch.zeros(1, 1, len(asked), 1, 1)
        contract.check(Image(nothing, nothing[:, :, 0] > 0, ids[:, :1], ids, 1.0))
        return asked
    if contract.groups:
        return contract.bands
    if contract.fixed and len(contract.inputs) > 1:
        choice = "; or ".join(",".join(keys) for keys in contract.inputs)
        raise ContractError("the encoder takes one of several inputs", remedy=f"say which: --bands {choice}")
    if not contract.fixed and contract.channels < len(contract.bands):
        raise ContractError(
            f"the encoder takes any {contract.channels} of {', '.join(contract.bands)}",
            remedy=f"say which: --bands {','.join(contract.bands[: contract.channels])}",
        )
    return contract.bands
