"""How an encoder is fed bands that it was not made for.

An input is a named list of bands; an encoder has channels. Where the two numbers differ the conventions of the papers
apply, and a table row says so in its note:

| encoder | input | what is done |
| --- | --- | --- |
| fixed bands | the same bands, in any order | its own order |
| groups of bands | whole groups | as they are; of several sensors each by itself, embeddings concatenated |
| image and location | bands of the image, and the location | the two embeddings one after the other |
| any number of any bands | any bands, of several sensors in one image | as they are |
| any bands, k channels | k bands | as they are |
| any bands, 1 channel | n bands | each band alone, embeddings concatenated |
| any bands, k channels | n < k bands | repeated cyclically: one band is copied, VV, VH becomes VV, VH, VV |
| otherwise | | left out, with the reason |
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from swath.corpus import Corpus
from swath.encoders import Encoder, InputContract, Standardize, nearest_band
from swath.errors import ContractError, nearest
from swath.sensors import LOCATION, band
from swath.tasks.data.reading import Bands


@dataclass(frozen=True, slots=True)
class BandMatch:
    """How an encoder is fed an input."""

    passes: tuple[Bands, ...]
    """For each call of the encoder, the bands in its channels; the embeddings are concatenated."""
    note: str = ""
    """What a reader of the tables must know about it; empty where the bands are taken as they are."""


ANYWHERE = {"lon": 360 / 12**0.5, "lat": math.degrees((math.pi**2 / 4 - 2) ** 0.5)}
"""Deviations of longitude and latitude, in degrees, of locations that are anywhere on the sphere."""


def match_bands(contract: InputContract, bands: Sequence[str]) -> BandMatch:
    """How an encoder with this contract takes these bands; see the table above.

    Raises:
        ContractError: it cannot; the message is fit for a table's note.
    """
    bands = tuple(bands)
    if contract.any_number:
        for key in bands:
            nearest_band(contract, key)  # refuses what has no wavelength: the location, elevation
        return BandMatch((bands,))
    if unknown := [key for key in bands if key not in contract.bands]:
        raise ContractError(f"the encoder has no statistics of {', '.join(unknown)}")
    if contract.groups:
        contract.check_groups(bands)
        passes = tuple(bands_by_sensor(bands).values())
        return BandMatch(passes, "an embedding of each sensor, concatenated" if len(passes) > 1 else "")
    if contract.fixed:
        for own in contract.inputs:
            if sorted(bands) == sorted(own):
                return BandMatch((own,))
        if joined := _with_location(contract, bands):
            return joined
        choice = " or ".join(", ".join(own) for own in contract.inputs)
        raise ContractError(f"the encoder takes {choice} together and nothing else")
    n, k = len(bands), contract.channels
    if n == k:
        return BandMatch((bands,))
    if k == 1:
        return BandMatch(tuple((key,) for key in bands), f"{n} single-band embeddings concatenated")
    if n > k:
        raise ContractError(f"the encoder has {k} channels, the input {n} bands")
    cycle = tuple(bands[i % n] for i in range(k))
    return BandMatch((cycle,), f"{', '.join(key.partition('/')[2] for key in cycle)} as its {k} channels")


def bands_by_sensor(bands: Sequence[str]) -> dict[str, Bands]:
    """Band keys of each sensor, in the order given."""
    found: dict[str, Bands] = {}
    for key in bands:
        sensor = key.partition("/")[0]
        found[sensor] = (*found.get(sensor, ()), key)
    return found


def _with_location(contract: InputContract, bands: Bands) -> BandMatch | None:
    """Bands of an image and the location beside them, for an encoder that takes each of the two alone."""
    location = tuple(key for key in bands if key.startswith(f"{LOCATION}/"))
    image = tuple(key for key in bands if key not in location)
    own = [next((own for own in contract.inputs if sorted(own) == sorted(part)), None) for part in (image, location)]
    passes = tuple(one for one in own if one is not None)
    return BandMatch(passes, "embeddings of image and location joined") if len(passes) == 2 else None


def contract_of(
    corpus: Corpus,
    bands: Sequence[str],
    *,
    channels: int | None = None,
    fixed: bool = True,
    branches: tuple[int, ...] = (),
) -> InputContract:
    """The input contract, with the corpus's statistics, of an encoder that takes these bands.

    Args:
        corpus: finished, so that it has statistics.
        bands: band keys, `sensor/band`.
        channels: as in `InputContract`; as many as there are bands if not given. `fixed` and `branches` likewise.
        fixed: the channels are exactly these bands, in order.
        branches: how many of the bands, one after the other, make an input each.

    Raises:
        ContractError: the corpus has none of some band.
    """
    known = {
        f"{sensor}/{name}": (s.mean, s.std, corpus.info.sensors[sensor].gsd_m)
        for sensor, by_band in corpus.statistics.items()
        for name, s in by_band.items()
    }
    known |= {f"{LOCATION}/{name}": (0.0, std, 1.0) for name, std in ANYWHERE.items()}
    for key in bands:
        if key not in known:
            raise ContractError(
                f"the corpus has no statistics of {key}", where=str(corpus.path), remedy=nearest(key, known)
            )
    return InputContract(
        channels=len(bands) if channels is None else channels,
        bands=tuple(bands),
        fixed=fixed,
        branches=branches,
        units=tuple(band(key).unit for key in bands),
        mean=tuple(known[key][0] for key in bands),
        std=tuple(known[key][1] for key in bands),
        gsd_m=tuple(known[key][2] for key in bands),
    )


def unseen(contract: InputContract, bands: Sequence[str]) -> list[str]:
    """Those of the bands whose statistics an encoder that takes any band does not know."""
    return [] if contract.fixed else [key for key in dict.fromkeys(bands) if key not in contract.bands]


def with_corpus_statistics(encoder: Encoder, corpus: Corpus, bands: Sequence[str]) -> Encoder:
    """The same network, with the corpus's statistics for bands that it could take but has never seen.

    RS-BYOL's question of what an encoder without radar makes of radar needs this. Weights are shared, not copied; an
    encoder of fixed bands, or one that lacks nothing, is returned as it is.

    Raises:
        ContractError: the corpus has no statistics of some band either.
    """
    own = encoder.contract
    missing = unseen(own, bands)
    if not missing:
        return encoder
    return _with_contract(encoder, own.with_more(contract_of(corpus, missing)))


def narrowed(encoder: Encoder, bands: Sequence[str]) -> Encoder:
    """An encoder of any number of bands as one of these alone, so that its maps can be decoded; any other as it is.

    Weights are shared, not copied.
    """
    return _with_contract(encoder, encoder.contract.of(bands)) if encoder.contract.any_number else encoder


def _with_contract(encoder: Encoder, contract: InputContract) -> Encoder:
    """The same network under another contract."""
    lent = copy.copy(encoder)
    # a shallow copy shares the table of parts, which is about to differ
    lent._modules = dict(encoder._modules)
    lent.contract = contract
    lent.standardize = Standardize(contract).to(device_of(encoder))
    return lent


def device_of(network: nn.Module) -> torch.device:
    """The device that an encoder, or a network with one, is on: known from its bands' statistics, which are buffers.

    The CPU where there are none.
    """
    return next(network.buffers(), torch.empty(0)).device
