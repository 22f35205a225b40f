"""A vision transformer of any bands of any sensor: what makes tokens of pixels is itself made from what a band is.

DOFA (Xiong et al. 2024, https://arxiv.org/abs/2403.15356). Of every band the global band table knows centre and width,
or frequency and polarisation; a small transformer turns these into the weights by which a patch of the band enters a
token, and a second one, in the decoder of `mae`, into those that say the band's pixels. So one checkpoint takes any
subset of any sensor's bands, in any order. A band that is missing is left out of the sum; it is never filled up.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import model_validator
from torch import Tensor, nn

from swath._device import send
from swath._progress import console
from swath.batch import NO_BAND, Image
from swath.encoders import _dofa
from swath.encoders._base import Standardize
from swath.encoders._contract import InputContract
from swath.encoders._spectrum import WIDTH, NearestBand, check_known, code, nearest_band, published_code
from swath.encoders._tokens import Patches, cut, picked, take
from swath.encoders._units import check_values
from swath.encoders.vit import SpatialVit, Transformer, TransformerSettings, check_reference
from swath.errors import ContractError
from swath.sensors import band, band_id, bands, is_constant

QUERIES = 128
"""Learnt tokens that the generator's transformer sees beside those of the bands."""
SCALE = 0.01
"""Factor on all generated weights (the official code's)."""


class Config(TransformerSettings):
    """A vision transformer that takes any bands of any sensor (Xiong et al. 2024, DOFA): its size."""

    TAKES_FOREIGN_WEIGHTS: ClassVar[bool] = True
    OF_FOREIGN_WEIGHTS: ClassVar[tuple[str, ...]] = ("prefix_of_names",)
    HAS_BRANCHES: ClassVar[bool] = True
    TAKES_ANY_NUMBER: ClassVar[bool] = True

    name: Literal["any-sensor"] = "any-sensor"
    published: Literal["dofa", "dofa-first"] | None = None
    """Compute as DOFA's published code does, whose weights `weights` may then name: bands are their centres alone, each
    patch begins a pixel further up and left, and what is normalised is the mean of the tokens. `dofa-first`: as the
    code of the first weights did, whose generated numbers stand in another order."""
    prefix_of_names: str | None = None
    """What stands before the names of the network's tensors in a published file; null: whatever does."""

    @model_validator(mode="after")
    def _is_as_published(self) -> "Config":
        if self.published is not None and (self.registers or not self.class_token):
            raise ValueError("DOFA's published network has a class token and no registers")
        if self.prefix_of_names is not None and self.weights is None:
            raise ValueError("prefix_of_names speaks of weights: give weights, or leave it out")
        return self

    @property
    def saw_the_earth(self) -> bool:
        """Published weights of such a network were trained on Earth observation, nobody knows where."""
        return self.weights is not None


PUBLISHED = {
    "dofa_base_patch16_224": {"patch": 16, "width": 768, "depth": 12, "heads": 12},
    "dofa_large_patch16_224": {"patch": 16, "width": 1024, "depth": 24, "heads": 16},
}
"""Sizes of DOFA's published networks, by torchgeo's names."""


def published(model: str, weights: Path, prefix: str | None = None, *, first: bool = False) -> Config:
    """The settings of one of DOFA's published networks.

    Args:
        model: its name, of `PUBLISHED`.
        weights: the file.
        prefix: what stands before the names of its tensors; None: whatever does.
        first: whether the weights are of DOFA's first release, which the file does not say.
    """
    said = {**PUBLISHED[model], "weights": weights, "prefix_of_names": prefix}
    return Config.model_validate({**said, "published": "dofa-first" if first else "dofa"})


class Generator(nn.Module):
    """Makes the weights of a linear layer from what each band is: a transformer over the bands (DOFA)."""

    def __init__(self, weights: int, biases: int = 0):
        """Random weights.

        Args:
            weights: how many each band gets.
            biases: how many all bands together get; 0: none.
        """
        super().__init__()
        self.residual = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.queries = nn.Parameter(torch.empty(QUERIES, WIDTH).normal_(std=0.02))
        self.query_of_bias = nn.Parameter(torch.empty(1, WIDTH).normal_(std=0.02))
        self.mix = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=2048, dropout=0.0, activation="gelu")
        self.weights = nn.Linear(WIDTH, weights)
        self.biases = nn.Linear(WIDTH, biases) if biases else None

    def forward(self, codes: Float[Tensor, "c e"]) -> tuple[Float[Tensor, "c w"], Float[Tensor, " d"] | None]:
        """Weights of each band, and what is added to all of them together."""
        waves = codes + self.residual(codes)
        mixed = self.mix(torch.cat([self.queries, waves, self.query_of_bias]))
        biases = None if self.biases is None else SCALE * self.biases(mixed[-1])
        return SCALE * self.weights(mixed[QUERIES:-1] + waves), biases


class Embedding(nn.Module):
    """Makes tokens of patches by generated weights."""

    def __init__(self, patch: int, width: int, *, mixed: bool):
        """Random weights.

        Args:
            patch: height and width of a patch in pixels.
            width: of a token.
            mixed: read the generated numbers as the official code did at first: as if those of all bands were token
                after token.
        """
        super().__init__()
        self.generator, self.width, self.mixed = Generator(patch**2 * width, width), width, mixed

    def kernel(self, codes: Float[Tensor, "c e"]) -> tuple[Float[Tensor, "p d"], Float[Tensor, " d"]]:
        """The linear layer for patches of these bands: band by band, each row by row."""
        weights, biases = self.generator(codes)
        assert biases is not None
        if self.mixed:
            return weights.reshape(self.width, -1).T, biases
        return weights.reshape(-1, self.width), biases

    def forward(self, patches: Float[Tensor, "b n c p"], codes: Float[Tensor, "c e"]) -> Float[Tensor, "b n d"]:
        """Tokens of patches."""
        weights, biases = self.kernel(codes)
        return F.linear(patches.flatten(2), weights.T, biases)


class GeneratedPrediction(nn.Module):
    """The last layer of a decoder, with generated weights: says the pixels of whatever bands are asked for."""

    def __init__(self, patch: int, width: int):
        super().__init__()
        self.generator, self.area, self.width = Generator(patch**2 * width), patch**2, width

    def forward(self, rows: Float[Tensor, "b n w"], image: Image) -> Float[Tensor, "b n p"]:
        """Pixels of all patches of the image; 0 of bands that a sample lacks."""

        def said(ids: tuple[int, ...], samples: slice | Tensor) -> Tensor:
            there = [at for at, i in enumerate(ids) if i != NO_BAND]
            codes = torch.stack([code(bands()[ids[at]].key) for at in there])
            weights = self.generator(send(codes, rows.device))[0].reshape(-1, self.area, self.width)
            if len(there) < len(ids):
                none = weights.new_zeros(self.area, self.width)
                weights = torch.stack([weights[there.index(at)] if at in there else none for at in range(len(ids))])
            return F.linear(rows[samples], weights.flatten(0, 1))

        return of_each_set(image, said)


def of_each_set(image: Image, make: Callable[[tuple[int, ...], slice | Tensor], Tensor]) -> Tensor:
    """What `make` gives of the samples that have the same bands, in the order of all samples.

    Args:
        image: whose samples may have different bands. Unless the host knows that they have not, it waits for the
            device.
        make: takes ids of bands, and which samples have them.
    """
    if image.common_ids is not None:
        return make(image.common_ids, slice(None))
    sets, which = image.band_ids.unique(dim=0, return_inverse=True)
    if len(sets) == 1:
        return make(tuple(sets[0].tolist()), slice(None))
    samples = [(which == i).nonzero()[:, 0] for i in range(len(sets))]
    made = [make(tuple(ids), own) for ids, own in zip(sets.tolist(), samples, strict=True)]
    return torch.cat(made)[torch.cat(samples).argsort()]


class AnySensor(SpatialVit):
    """Takes any number of any bands whose wavelength is known.

    Its contract lists those that it was trained on. Of others it says, once each, which trained band is nearest, and
    takes that one's statistics (`unseen` counts them); a task gives it the corpus's own instead.
    """

    config: Config

    def __init__(self, config: Config, contract: InputContract):
        check_known(contract.bands)
        embedding = Embedding(config.patch, config.width, mixed=config.published == "dofa-first")
        super().__init__(config, contract, Transformer(config, {"any": embedding}))
        self.unseen: Counter[NearestBand] = Counter()
        """How many samples had a band that it was never trained on."""
        self._known: dict[tuple[tuple[int, ...], torch.device], Tensor] = {}

    def check(self, image: Image, *, trusted: bool = False) -> None:
        """As `Encoder`; bands that it was never trained on are said, counted, and standardised like their nearest.

        Raises:
            ContractError: as for `Encoder`; or nobody knows the wavelength of a band, or it was trained on none in the
                band's unit, so that nothing says how to standardise it.
        """
        self.contract.check(image)
        ids, samples = image.band_ids.unique(return_counts=True)
        numbers = {bands()[i].key: n for i, n in zip(ids.tolist(), samples.tolist(), strict=True) if i != NO_BAND}
        foreign = {key: n for key, n in numbers.items() if key not in self.contract.bands}
        check_known([*foreign])
        contract = self.contract.with_more(_like_donors(self.contract, [*foreign])) if foreign else self.contract
        if not trusted:
            self.contract.check_gsd(image)
            check_values(contract, image)
        if foreign:
            self._take_in(foreign)
            self.standardize = Standardize(contract).to(image.pixels.device)

    def _take_in(self, foreign: dict[str, int]) -> None:
        """Say once of each band that it was never trained on, and count how many samples have it."""
        for key, samples in foreign.items():
            nearest, donor = nearest_band(self.contract, key), _donor(self.contract, key)
            if nearest not in self.unseen:
                console().print(f"{nearest}; it is standardised like {donor}", style="yellow", soft_wrap=True)
            self.unseen[nearest] += samples

    def patches(self, image: Image) -> Patches:
        """As `TokenEncoder`; bands that a sample lacks, and those that are the same everywhere, are not valid."""
        shown, ids = super().patches(image), image.band_ids
        there = (ids != NO_BAND) & (self.standardize.inverse_std[ids.clamp(min=0).long()] != 0)
        wide = there.repeat_interleave(self.patch_px**2, dim=1)[:, None]
        return Patches(shown.values.masked_fill(~wide, 0.0), shown.valid & wide)

    def prediction(self, width: int) -> nn.Module:
        """As `TokenEncoder`, with weights generated for each band as those of its tokens are."""
        return GeneratedPrediction(self.patch_px, width)

    def embedding(self, image: Image) -> Float[Tensor, "b d"]:
        """As `TokenEncoder`; published weights want the mean of the tokens normalised, and not each."""
        return super().embedding(image) if self.config.published is None else self._normed_mean(self._standard(image))

    def encode(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n d"]:
        """As `SpatialVit`, of the bands of its contract."""
        if self.config.published is None:
            return super().encode(pixels, valid)
        return self._normed_mean(self._picture(pixels, valid))

    def _normed_mean(self, image: Image) -> Float[Tensor, "b d"]:
        return self.network.norm(self.pooled(self.network.attended(*self._entering(image)), self.seen(image)))

    def _picture(self, pixels: Float[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]) -> Image:
        """Standardised pixels of the contract's bands, in their order, as an image."""
        ids = tuple(map(band_id, self.contract.bands))
        if len(ids) != pixels.shape[1]:
            raise ContractError(
                f"{pixels.shape[1]} channels came without their bands, and which of {len(ids)} they are nobody says",
                remedy="give an image instead of pixels",
            )
        of_all = send(torch.tensor([ids], dtype=torch.int32), pixels.device).expand(pixels.shape[0], -1)
        return replace(super()._picture(pixels, valid), band_ids=of_all, common_ids=ids)

    def _embedded(self, image: Image, keep: Int[Tensor, "b k"] | None) -> Float[Tensor, "b k d"]:
        """As `Vit`, by the weights of the bands that each sample has."""
        pixels = image.pixels
        if self.config.published is not None:  # the official convolution pads by a pixel
            pixels = F.pad(pixels, (1, -1, 1, -1))
        patches = cut(pixels, self.patch_px).flatten(1, 2)
        rows = patches if keep is None else take(patches, keep)

        def made(ids: tuple[int, ...], samples: slice | Tensor) -> Tensor:
            there, own = self._carrying(ids), rows[samples]
            if len(there) < len(ids):
                own = picked(own[:, None], there)[:, 0]
            return self.network.embeds["any"](own, self._codes(tuple(ids[at] for at in there), pixels.device))

        return of_each_set(image, made)

    def _carrying(self, ids: tuple[int, ...]) -> list[int]:
        """Channels of a sample that show something: their bands are there, and not the same everywhere."""
        constant = {
            band_id(key)
            for key, std in zip(self.contract.bands, self.contract.std, strict=True)
            if is_constant(key, std)
        }
        there = [at for at, i in enumerate(ids) if i != NO_BAND and i not in constant]
        if not there:
            raise ContractError("all bands are missing, or the same everywhere", remedy="leave such samples out")
        return there

    def _codes(self, ids: tuple[int, ...], device: torch.device) -> Float[Tensor, "c e"]:
        """What bands are, on a device."""
        if (ids, device) not in self._known:
            say = code if self.config.published is None else published_code
            made = send(torch.stack([say(bands()[i].key) for i in ids]), device)
            if torch.compiler.is_exporting():  # a tensor of the graph, which means nothing outside
                return made
            self._known[ids, device] = made
        return self._known[ids, device]


def _donor(contract: InputContract, key: str) -> str:
    """The trained band in the same unit whose centre is nearest.

    Raises:
        ContractError: there is none.
    """
    unit = band(key).unit
    alike = [other for other, its in zip(contract.bands, contract.units, strict=True) if its == unit]
    if not alike:
        raise ContractError(
            f"the encoder was trained on no band in {unit}, so that nothing says how to standardise {key}",
            remedy="judge it on a corpus with that band, whose own statistics are taken; or train it on such bands",
        )
    return nearest_band(contract.of(alike), key).nearest


def _like_donors(contract: InputContract, keys: list[str]) -> InputContract:
    """A contract of bands that lack statistics, with those of their donors."""
    of_donors = contract.of([_donor(contract, key) for key in keys])
    return replace(of_donors, bands=tuple(keys), gsd_m=())


def build(config: Config, contract: InputContract) -> AnySensor:
    """A network for any bands, that was trained on those of the contract; random, or from published weights.

    Raises:
        RecipeError: the weights are not such a network's, or nobody says by which code they were made.
        ContractError: nobody knows the wavelength of a band.
    """
    check_reference(config, contract)
    opened = replace(contract, channels=len(contract.bands), fixed=False, branches=(), groups=(), any_number=True)
    encoder = AnySensor(config, opened)
    if config.weights is not None:
        encoder.start = _dofa.fill(encoder.network, config.weights, config.prefix_of_names, config.published)
    return encoder
