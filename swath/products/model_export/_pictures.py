"""What a graph is checked on: pictures that are made, or chips of a corpus."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from swath.batch import NO_DAY, Image
from swath.corpus import Corpus, Selection
from swath.encoders import Encoder, sees_series
from swath.encoders.location import LOCATION
from swath.errors import CorpusError, SwathError
from swath.products.model_export._graphs import Bands, EncoderGraph, Locations
from swath.sensors import band_id
from swath.tasks.data import BandReader

LEAST_PX = 16
"""Smallest side of a picture that is made."""
CHIPS = 8
"""Chips of a corpus."""


def sizes(encoder: Encoder, bands: Bands) -> list[tuple[int, int]]:
    """Heights and widths to check: two, of which one is no multiple of anything; one, where the network has its own."""
    if bands == LOCATION:
        return [(1, 1)]
    side = max(encoder.example_px, LEAST_PX)
    other = (side + 5, 2 * side - 3)
    return [(side, side), other] if _takes(encoder, bands, other) else [(encoder.example_px, encoder.example_px)]


def _takes(encoder: Encoder, bands: Bands, size: tuple[int, int]) -> bool:
    """Whether a network takes pictures of another size than its own; networks say it by whatever exception."""
    try:
        encoder.embed(picture(encoder, bands, 1, 1, size), trusted=True)
    except SwathError:
        raise
    except Exception:
        return False
    return True


def picture(encoder: Encoder, bands: Bands, b: int, t: int, size: tuple[int, int], seed: int = 0) -> Image:
    """Noise around each band's mean; a tenth of the pixels are invalid, and of several samples one lacks a date."""
    generator = torch.Generator().manual_seed(seed)
    rows = [encoder.contract.bands.index(key) for key in bands]
    mean, std = (torch.tensor(values)[rows][:, None, None] for values in (encoder.contract.mean, encoder.contract.std))
    pixels = mean + std * torch.randn(b, t, len(bands), *size, generator=generator)
    valid = torch.rand(b, t, *size, generator=generator) > 0.1
    days = (171 + 29 * torch.arange(t)).repeat(b, 1).to(torch.int32)
    if bands == LOCATION:
        pixels = (torch.rand(pixels.shape, generator=generator) - 0.5) * torch.tensor([360.0, 180.0])[:, None, None]
        valid = torch.ones_like(valid)
    elif b > 1 and t > 1:
        valid[-1, -1], days[-1, -1] = False, NO_DAY
    ids = tuple(band_id(key) for key in bands)
    return Image(pixels, valid, days, torch.tensor([ids] * b, dtype=torch.int32), 1.0, ids)


def made(encoder: Encoder, graph: EncoderGraph) -> list[Image]:
    """One picture, and a batch of three of another size; of series, one date and four."""
    found = [(1, 1), (3, 4 if sees_series(encoder) else 1)]
    shapes = sizes(encoder, graph.bands)
    images = [
        picture(encoder, graph.bands, b, t, shapes[min(i, len(shapes) - 1)], seed=i) for i, (b, t) in enumerate(found)
    ]
    return [as_the_graph_sees(graph, image) for image in images]


def as_the_graph_sees(graph: EncoderGraph, image: Image) -> Image:
    """The image at the pixel size of the graph; where that takes counts, in values that counts have."""
    image = replace(image, gsd_m=graph.gsd_m)
    if graph.decoding is None or isinstance(graph, Locations):
        return image
    return graph.decoding.seen(image)


def of_corpus(encoder: Encoder, graph: EncoderGraph, corpus: Corpus | Path | str) -> list[Image]:
    """Chips of a corpus, evenly from all of its locations.

    Raises:
        CorpusError: no location has chips of these bands.
        ContractError: they are not what the encoder was made for.
    """
    reader = reader_of(corpus, graph.bands, Selection(dates="all" if sees_series(encoder) else 1))
    image = reader.compose(chips(reader, np.arange(len(reader.corpus))), graph.bands)
    encoder.check(image)
    return [as_the_graph_sees(graph, image)]


def reader_of(corpus: Corpus | Path | str, bands: Bands, select: Selection) -> BandReader:
    """A reader of a corpus, open or not."""
    return BandReader(corpus if isinstance(corpus, Corpus) else Corpus.open(corpus), bands, select)


def chips(reader: BandReader, locations: Int[np.ndarray, " n"], count: int = CHIPS) -> dict[str, Image]:
    """Chips by sensor, evenly from all of these locations.

    Raises:
        CorpusError: no location has chips of the reader's bands.
    """
    rows = reader.complete(locations)
    if not len(rows):
        bands = [f"{sensor}/{name}" for sensor, names in reader.reads.items() for name in names]
        raise CorpusError(
            "no location has chips of the encoder's bands", where=", ".join(bands), remedy="name another corpus"
        )
    return reader.read(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)])
