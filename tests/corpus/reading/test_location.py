"""Any corpus can be asked where its locations lie, as an image of longitude and latitude."""

import numpy as np
import pytest
import torch

from swath import sensors
from swath.corpus import Loader, Reader, Selection
from swath.errors import RecipeError
from swath.tasks.data import BandReader, contract_of
from tests.corpus import fakes

BANDS = ("location/lon", "location/lat")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return fakes.make(tmp_path_factory.mktemp("corpus") / "it")


def coordinates(corpus):
    return corpus.locations[["lon", "lat"]].to_numpy(np.float32)


def losing(corpus, rows):
    """A reader that does not know where these locations lie."""
    sensor = next(iter(corpus.info.sensors))
    reader = Reader(corpus, {sensor: corpus.info.sensors[sensor].bands[:1], "location": ("lon", "lat")})
    reader._lonlat = reader._lonlat.copy()
    reader._lonlat[rows] = np.nan
    return reader


def test_the_pixel_of_a_location_is_its_coordinates(corpus):
    rows = np.array([7, 2, 5])
    reader = BandReader(corpus, BANDS, Selection())
    images = reader.read(rows)
    image = reader.compose(images, BANDS)
    assert image.pixels.shape == (3, 1, 2, 1, 1)
    assert image.pixels.dtype == torch.float32
    np.testing.assert_array_equal(image.pixels[:, 0, :, 0, 0].numpy(), coordinates(corpus)[rows])
    assert image.valid.all()
    assert image.first_ids() == tuple(sensors.band_id(key) for key in BANDS)
    assert image.band_ids.tolist() == [list(image.first_ids())] * 3
    back = reader.compose(images, BANDS[::-1])
    np.testing.assert_array_equal(back.pixels[:, 0, 0, 0, 0].numpy(), coordinates(corpus)[rows, 1])


def test_it_stands_beside_pixels_and_does_not_choose_dates(corpus):
    sensor = next(iter(corpus.info.sensors))
    bands = corpus.info.sensors[sensor].bands[:1]
    alone = Reader(corpus, {sensor: bands}).batch(np.arange(4))
    both = Reader(corpus, {"location": ("lon", "lat"), sensor: bands}).batch(np.arange(4))
    assert torch.equal(alone.images[sensor].pixels, both.images[sensor].pixels)
    assert both.images["location"].pixels.shape == (4, 1, 2, 1, 1)


def test_locations_without_coordinates_are_not_complete(corpus):
    reader = losing(corpus, [1, 4])
    assert set(reader.complete(np.arange(6), Selection())) == {0, 2, 3, 5}
    image = reader.batch(np.arange(6)).images["location"]
    np.testing.assert_array_equal(image.valid.flatten().numpy(), [True, False, True, True, False, True])
    assert image.pixels.isfinite().all()


def test_training_reads_it_and_counts_what_it_leaves_out(corpus):
    loader = Loader(corpus, {"location": ("lon", "lat")}, np.arange(6), 2)
    batches = list(loader.epoch(0))
    seen = np.concatenate([batch.images["location"].pixels[:, 0, :, 0, 0].numpy() for batch in batches])
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(coordinates(corpus)[:6], axis=0))
    assert loader.left_out == 0


def test_its_statistics_are_those_of_the_whole_sphere(corpus):
    contract = contract_of(corpus, BANDS)
    assert contract.units == ("degree", "degree")
    assert contract.mean == (0.0, 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    latitude = np.sqrt((weights / 2 * np.degrees(np.arcsin(nodes)) ** 2).sum())
    np.testing.assert_allclose(contract.std, [360 / np.sqrt(12), latitude], rtol=1e-5)


def test_beside_other_bands_it_is_the_same_at_every_pixel(corpus):
    sensor = next(iter(corpus.info.sensors))
    keys = (f"{sensor}/{corpus.info.sensors[sensor].bands[0]}", *BANDS)
    reader = BandReader(corpus, keys, Selection())
    images = reader.read(np.arange(4))
    image, alone = reader.compose(images, keys), images[sensor]
    assert image.pixels.shape == (4, 1, 3, *alone.pixels.shape[3:])
    assert torch.equal(image.pixels[:, :, :1], alone.pixels)
    np.testing.assert_array_equal(image.pixels[:, 0, 1:].amax((2, 3)).numpy(), coordinates(corpus)[:4])
    np.testing.assert_array_equal(image.pixels[:, 0, 1:].amin((2, 3)).numpy(), coordinates(corpus)[:4])
    assert torch.equal(image.valid, alone.valid)
    assert image.gsd_m == alone.gsd_m


def test_there_is_no_other_band_of_it(corpus):
    with pytest.raises(RecipeError, match="unknown band 'location/height'"):
        Reader(corpus, {"location": ("lon", "height")})
