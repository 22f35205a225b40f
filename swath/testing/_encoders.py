"""The promises of an encoder."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from swath import encoders
from swath.batch import NO_DAY
from swath.encoders import Encoder
from swath.testing._data import OPTICAL, contract, image


def made(settings: Any) -> Encoder:
    """Build the encoder, always with the same weights; the settings should describe a small one."""
    torch.manual_seed(0)
    return encoders.build(settings, contract())


def embeddings_have_the_promised_shape(settings: Any) -> None:
    """One finite float32 vector of length `dim` a location, which differs between locations that differ."""
    encoder = made(settings)
    for dates in (1, 3):
        embedding = encoder.embed(image(OPTICAL, t=dates))
        assert embedding.shape == (4, encoder.dim), f"{tuple(embedding.shape)} instead of (4, {encoder.dim})"
        assert embedding.dtype == torch.float32, f"embeddings are {embedding.dtype}"
        assert bool(embedding.isfinite().all()), "an embedding is not finite"
        assert bool((embedding[0] != embedding[1]).any()), "two locations that differ have one embedding"


def the_same_seed_gives_the_same_network(settings: Any) -> None:
    """All randomness of its weights comes from torch's seed."""
    given = image(OPTICAL)
    assert torch.equal(made(settings).embed(given), made(settings).embed(given)), "two builds of one seed differ"


def samples_do_not_depend_on_their_neighbours(settings: Any) -> None:
    """What is embedded of a location does not depend on the rest of the batch."""
    encoder, given, order = made(settings), image(OPTICAL, t=2), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(encoder.embed(given)[order], encoder.embed(given.take(order)), rtol=1e-4, atol=1e-5)


def invalid_pixels_change_nothing(settings: Any) -> None:
    """Whatever stands in pixels that are not valid, and in padding dates, is never seen."""
    encoder, clean = made(settings), image(OPTICAL, t=2, invalid=0.2)
    dirty = replace(clean, pixels=torch.where(clean.valid[:, :, None], clean.pixels, torch.tensor(3e30)))
    assert torch.equal(encoder.embed(clean), encoder.embed(dirty)), "invalid pixels change an embedding"
    padded = replace(
        clean,
        pixels=torch.cat([clean.pixels, torch.full_like(clean.pixels, 7.0)], dim=1),
        valid=torch.cat([clean.valid, torch.zeros_like(clean.valid)], dim=1),
        days=torch.cat([clean.days, torch.full_like(clean.days, NO_DAY)], dim=1),
    )
    torch.testing.assert_close(encoder.embed(clean), encoder.embed(padded), rtol=1e-4, atol=1e-5)


def forward_does_not_wait_for_the_device(settings: Any) -> None:
    """On torch's meta device there is no data: whatever needs a value on the host fails."""
    encoder = made(settings).to("meta")
    given = image(OPTICAL, t=2)
    # as from a reader: whoever makes images tells the host which bands all samples have
    given = replace(given, common_ids=given.first_ids())
    assert encoder(given.to("meta")).shape == (4, encoder.dim)


def it_comes_back_from_disk(settings: Any) -> None:
    """Saved and loaded it gives the same embedding."""
    encoder, given = made(settings), image(OPTICAL)
    with tempfile.TemporaryDirectory() as folder:
        encoders.save(encoder, settings, Path(folder) / "encoder", provenance={})
        again = encoders.load(Path(folder) / "encoder")
    torch.testing.assert_close(encoder.embed(given), again.embed(given))


CHECKS = (
    embeddings_have_the_promised_shape,
    the_same_seed_gives_the_same_network,
    samples_do_not_depend_on_their_neighbours,
    invalid_pixels_change_nothing,
    forward_does_not_wait_for_the_device,
    it_comes_back_from_disk,
)
