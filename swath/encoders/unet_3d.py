"""A 3-D U-Net over series: Rustowicz et al. 2019, in the size of PASTIS' benchmark (Garnot & Landrieu 2021), as in S4.

Çiçek et al. 2016, https://arxiv.org/abs/1606.06650. With 10 bands, 20 classes and a width of 8 it has PASTIS' 1,553,796
parameters. What differs is only what the original loses: no date is dropped where their number is no multiple of 4
(halves are rounded up, and the expanding path returns to the exact size), padded dates influence nothing, and series of
single pixels and single dates work, with the same parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from swath.batch import Image
from swath.encoders._contract import InputContract
from swath.encoders._norm import FrameBatchNorm, as_rows, as_series, is_pixels
from swath.encoders._plugin import StartableSettings
from swath.encoders._series import SeriesEncoder, halved, masked_mean, seen_frames

Frames = Bool[Tensor, "b _"] | None
"""True for dates that have a valid pixel; None: all dates count."""


class Config(StartableSettings):
    """The 3-D U-Net of PASTIS (Rustowicz et al. 2019; Garnot and Landrieu 2021): its width, and whether it can
    expand.
    """

    name: Literal["unet-3d"] = "unet-3d"
    width: int = Field(default=8, ge=1)
    """f: the first block has 4 f channels, the embedding 8 f. PASTIS: 8; Rustowicz et al.: 16."""
    expanding: bool = True
    """Include the expanding path, which S4's reconstruction trains and segmentation starts from. Methods that
    compare embeddings only do not reach it: false for those."""
    init: Literal["torch", "pastis"] = "torch"
    """Initial weights: torch's, or those of PASTIS' code (`pastis_init`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Contracted:
    """Output of the contracting path; halved sizes are rounded up."""

    features: Float[Tensor, "b d u i j"]
    """At a quarter of the resolution in time and space; 0 at dates that have no valid pixel."""
    valid: Bool[Tensor, "b u i j"]
    """True where any pixel below is valid."""
    skips: tuple[Tensor, Tensor]
    """Features at full and at half resolution, "b c t h w"."""
    frames: tuple[Tensor | None, Tensor | None, Tensor | None]
    """Dates that have a valid pixel, bool "b t", at full, half and a quarter of the resolution; None: all have."""
    valid_half: Bool[Tensor, "b u2 i2 j2"]
    """As `valid`, at half of the resolution."""

    @property
    def half(self) -> tuple[Tensor, Tensor]:
        """Features and validity at half of the resolution."""
        return self.skips[1], self.valid_half


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, leaky ReLU; 0 at dates that have no valid pixel."""

    def __init__(self, conv: nn.Module, norm: FrameBatchNorm):
        super().__init__()
        self.conv, self.norm = conv, norm

    @classmethod
    def of(cls, channels: int, out: int) -> "ConvUnit":
        """A unit whose convolution has a kernel of 3 along every axis."""
        return cls(nn.Conv3d(channels, out, 3, padding=1), FrameBatchNorm(out))

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        frames: Frames,
        size: tuple[int, ...] | None = None,
        norm: FrameBatchNorm | None = None,
    ) -> Float[Tensor, "b d t2 h2 w2"]:
        """Features of the same size, or of `size` for a transposed convolution; perhaps by another one's norm."""
        out = convolve(cast(nn.Conv3d, self.conv), x, size)
        return (norm or self.norm).activated(out, frames)


def contract(
    units: Sequence[Callable[..., Tensor]], x: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"]
) -> Contracted:
    """Four units, in blocks of two, each block followed by max-pooling by 2: what S4 calls f.

    Args:
        units: called with features and the dates that count; wherever they come from.
        x: standardised series, whose invalid pixels are 0.
        valid: True where a pixel is valid.
    """
    frames, skips, seen = [_known(seen_frames(valid))], [], [valid]
    for first in (0, 2):
        for unit in units[first : first + 2]:
            x = unit(x, frames[-1])
        skips.append(x)
        x, below = _pooled(x, frames[-1])
        frames.append(below)
        seen.append(halved(seen[-1]))
    return Contracted(x, seen[2], (skips[0], skips[1]), (frames[0], frames[1], frames[2]), seen[1])


class Contracting(nn.Module):
    """The contracting path of one sensor."""

    def __init__(self, channels: int, width: int = 8):
        super().__init__()
        sizes = [channels, 4 * width, 4 * width, 8 * width, 8 * width]
        self.units = nn.ModuleList(ConvUnit.of(*pair) for pair in pairwise(sizes))

    def forward(self, x: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"]) -> Contracted:
        """Contract standardised series, whose invalid pixels are 0."""
        return contract(list(self.units), x, valid)


class Expanding(nn.Module):
    """From the centre back to full resolution: what S4 calls h. The final convolution is not part of it."""

    def __init__(self, width: int = 8):
        super().__init__()
        w2, w4, w8, w16 = 2 * width, 4 * width, 8 * width, 16 * width
        self.centre_in = ConvUnit.of(w8, w16)
        self.centre_out = ConvUnit.of(w16, w16)
        self.up4 = nn.ConvTranspose3d(w16, w8, 3, stride=2, padding=1)
        self.dc4 = nn.ModuleList([ConvUnit.of(w16, w8), ConvUnit.of(w8, w8)])
        self.up3 = ConvUnit(nn.ConvTranspose3d(w8, w4, 3, stride=2, padding=1), FrameBatchNorm(w4))
        self.dc3 = nn.ModuleList([ConvUnit.of(w8, w4), ConvUnit.of(w4, w2)])
        self.out_channels = w2

    def forward(self, contracted: Contracted) -> Float[Tensor, "b k t h w"]:
        """One feature map per date: of exactly the size that was contracted; 0 at dates that have no valid pixel."""
        (fine, coarse), (full, half, quarter) = contracted.skips, contracted.frames
        x = self.centre_out(self.centre_in(contracted.features, quarter), quarter)
        x = _kept(convolve(self.up4, x, tuple(coarse.shape[2:])), half)
        x = torch.cat([x, coarse], dim=1)
        for unit in self.dc4:
            x = unit(x, half)
        x = torch.cat([self.up3(x, full, tuple(fine.shape[2:])), fine], dim=1)
        for unit in self.dc3:
            x = unit(x, full)
        return x


class UNet3d(nn.Module):
    """Both paths. `contract` and `expand` are its interface; the parts may be shared between networks."""

    def __init__(self, channels: int, width: int = 8, *, expanding: bool = True):
        super().__init__()
        self.contracting = Contracting(channels, width)
        self.expanding = Expanding(width) if expanding else None
        self.out_channels = 2 * width
        """Channels of what `expand` returns."""

    def contract(self, x: Float[Tensor, "b c t h w"], valid: Bool[Tensor, "b t h w"]) -> Contracted:
        """Features at a quarter of the resolution, 8 f channels, and what the way back needs."""
        return self.contracting(x, valid)

    def expand(self, contracted: Contracted) -> Float[Tensor, "b k t h w"]:
        """2 f channels at full resolution, for every date."""
        assert self.expanding is not None, "built without the expanding path"
        return self.expanding(contracted)


class Convolution(nn.Conv3d):
    """A convolution with a kernel of 3 along every axis, computed by `convolve`."""

    def __init__(self, channels: int, out: int):
        super().__init__(channels, out, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h w"]:
        """Features of the same size."""
        return convolve(self, x)


def final_convolution(width: int, out: int) -> Convolution:
    """The last layer: from `expand`'s 2 f channels to bands or classes, per date."""
    return Convolution(2 * width, out)


class UNet3dEncoder(SeriesEncoder):
    """The network behind an input contract; its embedding is the mean of the contracted features."""

    network: UNet3d

    def contracted(self, image: Image) -> Contracted:
        """The contracting path."""
        return self.network.contract(self.standard(image), image.valid)

    def volumes(self, image: Image) -> Float[Tensor, "b d t h w"]:
        """Features at a quarter of the resolution in time and space, halves rounded up."""
        return self.contracted(image).features

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked: the mean over positions that have a valid pixel."""
        contracted = self.contracted(image)
        return masked_mean(contracted.features, contracted.valid)


def build(config: Config, contract: InputContract) -> UNet3dEncoder:
    """A randomly initialised network for a contract's channels."""
    network = UNet3d(contract.channels, config.width, expanding=config.expanding)
    if config.init == "pastis":
        network.apply(pastis_init)
    return UNet3dEncoder(network, contract, dim=8 * config.width, example_px=8)


@torch.no_grad()
def pastis_init(module: nn.Module) -> None:
    """Initial weights as in PASTIS' code (`weight_init.py`); give it to `nn.Module.apply`.

    Xavier-normal kernels; N(0, 1) for their biases and, oddly, for the weights of batch norms, whose biases are 0.
    """
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.normal_(module.bias)
    elif isinstance(module, FrameBatchNorm | nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        nn.init.normal_(module.weight)
        nn.init.zeros_(module.bias)


def convolve(
    conv: nn.Conv3d | nn.ConvTranspose3d, x: Float[Tensor, "b c t h w"], size: tuple[int, ...] | None = None
) -> Float[Tensor, "b d t2 h2 w2"]:
    """`conv(x)` for kernels of 3 with a padding of 1, to an output of `size` if transposed.

    Along an axis of one position all but the kernel's middle meets padding. There it is left out: the same numbers, and
    for series of pixels a convolution in time, several times faster.
    """
    before, after = tuple(x.shape[2:]), tuple(x.shape[2:]) if size is None else size
    if torch.compiler.is_exporting():
        return _of_any_size(conv, x, after)
    axes = [a for a in range(3) if after[a] > 1] or [0]
    kernel = _middle(conv.weight, axes)
    if axes == [0] and is_pixels(x):
        rows = as_rows(x)
        out = _in_time(rows, kernel, conv.bias) if isinstance(conv, nn.Conv3d) else _twice(rows, kernel, conv.bias)
        return as_series(out[:, : after[0]])
    x = x.reshape(*x.shape[:2], *(before[a] for a in axes))
    if isinstance(conv, nn.Conv3d):
        operation = (F.conv1d, F.conv2d, F.conv3d)[len(axes) - 1]
        out = operation(x, kernel, conv.bias, padding=1)
    else:
        operation = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(axes) - 1]
        rest = tuple(after[a] - (2 * before[a] - 1) for a in axes)
        out = operation(x, kernel, conv.bias, stride=2, padding=1, output_padding=rest)
    return out.reshape(*out.shape[:2], *after)


def _middle(kernel: Float[Tensor, "d c 3 3 3"], axes: list[int]) -> Float[Tensor, "d c *k"]:
    """The part of a kernel along some axes that lies in the middle of the others."""
    if len(axes) == 1:
        # one slice instead of two: each has a gradient of the whole kernel's size
        step = 3 ** (2 - axes[0])
        return kernel.flatten(2)[..., 13 - step : 14 + step : step]
    for axis in reversed(range(3)):
        if axis not in axes:
            kernel = kernel.select(axis + 2, 1)
    return kernel


def _in_time(
    rows: Float[Tensor, "b t c"], kernel: Float[Tensor, "d c 3"], bias: Tensor | None
) -> Float[Tensor, "b t d"]:
    """A convolution in time, as one product of matrices."""
    padded, t = F.pad(rows, (0, 0, 1, 1)), rows.shape[1]
    beside = torch.cat([padded[:, i : i + t] for i in range(3)], dim=2)
    return F.linear(beside, kernel.transpose(1, 2).flatten(1), bias)


def _twice(
    rows: Float[Tensor, "b t c"], kernel: Float[Tensor, "c d 3"], bias: Tensor | None
) -> Float[Tensor, "b t2 d"]:
    """A transposed convolution in time, of stride 2: even dates are of one date, odd ones between two."""
    before, same, after = kernel.unbind(2)
    beside = torch.cat([rows, F.pad(rows[:, 1:], (0, 0, 0, 1))], dim=2)
    even = F.linear(rows, same.T, bias)
    odd = F.linear(beside, torch.cat([after, before]).T, bias)
    return torch.stack([even, odd], dim=2).flatten(1, 2)


def _of_any_size(
    conv: nn.Conv3d | nn.ConvTranspose3d, x: Float[Tensor, "b c t h w"], size: tuple[int | torch.SymInt, ...]
) -> Float[Tensor, "b d t2 h2 w2"]:
    """`convolve` by the same operations whatever the sizes are, as a graph needs it."""
    if isinstance(conv, nn.Conv3d):
        return F.conv3d(x, conv.weight, conv.bias, padding=1)
    twice = F.conv_transpose3d(x, conv.weight, conv.bias, stride=2, padding=1, output_padding=1)
    t, h, w = size
    return twice[:, :, :t, :h, :w]


def _known(frames: Bool[Tensor, "b t"]) -> Frames:
    """The mask of dates that count, or None where all are known to count, so that nothing is masked. Asking a
    GPU would mean to wait for it, and a graph has to fit any series.
    """
    known = frames.device.type == "cpu" and not torch.compiler.is_exporting() and bool(frames.all())
    return None if known else frames


def _kept(x: Float[Tensor, "b c t h w"], frames: Frames, value: float = 0.0) -> Float[Tensor, "b c t h w"]:
    return x if frames is None else x.masked_fill(~frames[:, None, :, None, None], value)


def _pooled(x: Float[Tensor, "b c t h w"], frames: Frames) -> tuple[Tensor, Tensor | None]:
    """Maxima over pairs along each axis, and over the dates that count only; a last odd one stays alone."""
    below = None if frames is None else halved(frames)
    x = _kept(x, frames, -torch.inf)
    if is_pixels(x):
        pooled = F.max_pool2d(as_rows(x)[:, None], (2, 1), ceil_mode=True)
        return _kept(as_series(pooled[:, 0]), below), below
    return _kept(F.max_pool3d(x, 2, ceil_mode=True), below), below
