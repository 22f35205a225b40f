"""A small corpus on a UTM grid with labels, and a saved encoder, shared by the tests of embeddings and of search."""

import datetime as dt

import numpy as np
import pytest
import torch

from swath import encoders
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part
from swath.encoders import image_statistics
from tests.tasks.fakes import ALL, CROPS, FIELD_PX, LAYOUTS, OPTICAL, contract, field_map

RGB = ALL[:3]
SIDE_M = 10 * FIELD_PX
"""Width of a footprint: a row of squares without gaps, each 80 m wide, in zone 32 N."""


def saved(path, bands=RGB, seed=0):
    """An encoder of image statistics (mean, deviation and two quantiles of each band), saved."""
    settings = image_statistics.Config()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = encoders.build(settings, contract(bands, fixed=True))
    encoders.save(encoder, settings, path, provenance={})
    return encoder


def square(i):
    """Where the i-th location lies: squares in a row, west to east."""
    return (10.0, 0.0, 500_000.0 + SIDE_M * i, 0.0, -10.0, 5_600_000.0)


def make_squares(path, n=12, located=True, dated=True):
    """A row of squares, two dates each, whose brightness rises with their number."""
    rng = np.random.default_rng(0)
    places = [
        Location(
            uid=f"square-{i:02d}",
            crs="EPSG:32632" if located else None,
            transform=square(i) if located else None,
            group=f"farm {i // 2}",
            scalars={"kind": f"class {i % 2}"},
        )
        for i in range(n)
    ]
    chips = [
        Chip(
            f"square-{i:02d}",
            OPTICAL,
            (0.1 + 0.02 * i + 0.05 * k + rng.normal(0, 0.02, (3, FIELD_PX, FIELD_PX))).astype(np.float32),
            datetime=dt.datetime(2020, 5 + k, 1 + i) if dated else None,
            valid=np.arange(FIELD_PX**2).reshape(FIELD_PX, FIELD_PX) >= 16 * (i == 3),
        )
        for i in range(n)
        for k in range(2)
    ]
    layouts = {OPTICAL: LAYOUTS[OPTICAL]}
    with CorpusWriter(path, layouts, FIELD_PX, {"crops": CROPS}) as writer:
        writer.append(Part(places, chips, {"crops": np.stack([field_map(i) for i in range(n)])}))
        writer.finish()
    return Corpus.open(path)


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    return make_squares(tmp_path_factory.mktemp("squares") / "corpus")


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder"
    saved(path)
    return path
