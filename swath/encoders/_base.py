"""The encoder that everything else sees: physical pixels in, embedding out, statistics inside."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from swath.batch import NO_DAY, Image
from swath.encoders._contract import InputContract
from swath.encoders._foreign import StartReport
from swath.encoders._units import check_values
from swath.errors import ContractError
from swath.sensors import band_id, bands, is_constant


class Standardize(nn.Module):
    """Physical units to zero mean and unit variance, by each channel's own band; a constant band becomes 0.

    The statistics are looked up by global band id, sample by sample, so the order of channels never matters. They are
    rebuilt from the contract's band keys, never stored in a state dict: ids may differ in another version of swath.
    """

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, contract: InputContract):
        super().__init__()
        # A band without statistics yields NaN, which training notices; 0 and 1 would be silently wrong.
        mean, inverse_std = torch.full((2, len(bands())), torch.nan)
        for key, mu, sigma in zip(contract.bands, contract.mean, contract.std, strict=True):
            mean[band_id(key)] = mu
            # a band that is constant over the corpus carries nothing; what rounding left of it must not become huge
            inverse_std[band_id(key)] = 0.0 if is_constant(key, sigma) else 1 / sigma
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("inverse_std", inverse_std, persistent=False)

    def forward(
        self, pixels: Float[Tensor, "b t c h w"], valid: Bool[Tensor, "b t h w"], band_ids: Int[Tensor, "b c"]
    ) -> Float[Tensor, "b t c h w"]:
        """Standardised pixels; invalid ones are 0, the band's mean."""
        ids = band_ids.long()
        mean, scale = (table[ids][:, None, :, None, None] for table in (self.mean, self.inverse_std))
        # Subtract before scaling: kelvin minus its mean is exact, kelvin over its deviation is not. In place: three
        # passes over fresh memory took 4 % of a training step.
        return (pixels - mean).mul_(scale).masked_fill_(~valid[:, :, None], 0.0)

    def undo(self, standard: Float[Tensor, "b t c h w"], band_ids: Int[Tensor, "b c"]) -> Float[Tensor, "b t c h w"]:
        """Physical units of standardised pixels."""
        mean, scale = (table[band_ids.long()][:, None, :, None, None] for table in (self.mean, self.inverse_std))
        return standard * (1 / scale).masked_fill(scale == 0, 0.0) + mean


class Encoder(nn.Module):
    """A network behind the contract that says what it may be fed."""

    layout = torch.channels_last
    """Memory format of the network's kernels."""
    needs_days = False
    """Whether the network uses the day of each date, so that a series without any known day is refused."""
    patch_px: int = 0
    """Height and width in pixels of the patches that its tokens stand for; 0 where it has no tokens."""
    prefix: int = 0
    """How many tokens come before those of patches: a class token, registers."""

    def __init__(self, network: nn.Module, contract: InputContract, dim: int, example_px: int = 64):
        """Wrap a network.

        Args:
            network: maps standardised `n c h w` to `n d`.
            contract: bands, units and statistics of its input.
            dim: d.
            example_px: height and width of a picture that it certainly takes.
        """
        super().__init__()
        self.contract, self.dim, self.example_px = contract, dim, example_px
        self.start: StartReport | None = None
        """Report on the published weights that it started from; None where it started from none."""
        self.standardize = Standardize(contract)
        self.network = network.to(memory_format=self.layout)

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        """Embed for training, nothing checked: encode every date, average the dates that have a valid pixel."""
        b, t = image.valid.shape[:2]
        standard = self.standardize(image.pixels, image.valid, image.band_ids).flatten(0, 1)
        features = self.encode(laid_out(standard), image.valid.flatten(0, 1))
        return features if t == 1 else _mean_over_dates(features.unflatten(0, (b, t)), image.valid)

    def encode(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n d"]:  # noqa: ARG002 - for encoders that look at it
        """Features of standardised single-date pictures, whose invalid pixels are 0."""
        return self.network(pixels)

    def check(self, image: Image, *, trusted: bool = False) -> None:
        """Raise ContractError unless the image is what the encoder was made for; reads some of its pixels.

        Args:
            image: on any device.
            trusted: look at the bands alone, and at the dates where the encoder goes by them.
        """
        self.contract.check(image)
        if self.needs_days:
            _check_days(image)
        if not trusted:
            self.contract.check_gsd(image)
            check_values(self.contract, image)

    @torch.no_grad()
    def embed(self, image: Image, *, trusted: bool = False) -> Float[Tensor, "b d"]:
        """Embed for use: the contract is checked, the network is in evaluation mode, the result is float32.

        Args:
            image: in physical units, on the encoder's device.
            trusted: do not look at units and pixel size. For the batches after the first one; for an encoder that shall
                see another scale, or values that nobody ever measured.

        Raises:
            ContractError: the image's bands, its units or its pixel size are not those the encoder was made for; the
                message says what probably happened.
        """
        self.check(image, trusted=trusted)
        with evaluating(self):
            return self(image).float()


def _check_days(image: Image) -> None:
    """Raise ContractError if a sample has valid pixels, and no day is known of any of their dates."""
    there = image.valid.flatten(2).any(dim=2)
    lost = there.any(dim=1) & ~(there & (image.days != NO_DAY)).any(dim=1)
    if n := int(lost.sum()):
        raise ContractError(
            f"the encoder goes by the days of a series, and of {n} of {len(lost)} samples none is known",
            remedy="say when the images were taken: a date in the recipe's id expression, days=... of an array",
        )


def laid_out(pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Channels last; under autocast narrowed first, as the first layer would do, so that half as much is moved."""
    if torch.compiler.is_exporting():  # other libraries lay pixels out as they like
        return pixels
    device = pixels.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        pixels = pixels.to(torch.get_autocast_dtype(device))
    return pixels.contiguous(memory_format=torch.channels_last)


def _mean_over_dates(features: Float[Tensor, "b t d"], valid: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b d"]:
    seen = valid.flatten(2).any(dim=2)
    # where no date has a valid pixel all dates look alike (the band means), and any of them will do
    seen = seen | ~seen.any(dim=1, keepdim=True)
    weight = seen.to(features.dtype)
    return torch.einsum("btd,bt->bd", features, weight / weight.sum(dim=1, keepdim=True))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each part's own mode after: a part that was frozen in it stays so."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
