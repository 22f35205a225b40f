"""A corpus as an input of maps: locations side by side are a mosaic, the others stand alone, with their own pixels."""

import datetime as dt
import pickle

import numpy as np
import pytest
import rasterio
import torch
import xarray
from affine import Affine
from rasterio.windows import from_bounds
from torch import nn

from swath.corpus import Chip, CorpusWriter, Location, Part, SensorLayout
from swath.corpus.sources.published import worldcereal_cubes
from swath.errors import CorpusError
from swath.products.scene_maps import Dense, How, Numbers, map_scene
from swath.products.windows import Input, Span, open_zones
from swath.sensors import get

S2, PX = "sentinel-2-l2a", 8
BANDS = [f"{S2}/B08", f"{S2}/B04"]
PLACES = {
    "west": ("EPSG:32631", 0, 0),
    "east": ("EPSG:32631", PX, 0),
    "south": ("EPSG:32631", PX, PX),
    "far": ("EPSG:32631", 100, 0),
    "askew": ("EPSG:32631", 2.5 * PX, 0),
    "other/zone": ("EPSG:32632", 0, 0),
    "nowhere": (None, 0, 0),
}
"""Reference system, and column and row in pixels of a common lattice."""
JUNE, JULY = dt.datetime(2020, 6, 1, 10), dt.datetime(2020, 7, 1, 10)


def counts(uid, when):
    return np.random.default_rng([len(uid), ord(uid[0]), when.month]).integers(1, 9000, (2, PX, PX), dtype=np.uint16)


def physical(uid, when):
    """B08 and B04 as they are asked for."""
    return counts(uid, when)[::-1] * np.float32(1e-4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus"
    places = [
        Location(
            uid,
            lonlat=(3.0, 45.0),
            crs=crs,
            transform=None if crs is None else (10.0, 0.0, 500_000.0 + 10 * x, 0.0, -10.0, 5_000_000.0 - 10 * y),
        )
        for uid, (crs, x, y) in PLACES.items()
    ]
    days = {uid: [JUNE, JULY] if uid in {"west", "far"} else [JUNE] for uid in PLACES}
    chips = [Chip(uid, S2, counts(uid, when), datetime=when) for uid in PLACES for when in days[uid]]
    with CorpusWriter(path, {S2: SensorLayout.of(get(S2), ("B04", "B08"), gsd_m=10.0)}, PX) as writer:
        writer.append(Part(places, chips, {}))
        writer.finish()
    return path


def whole(zone):
    image = zone.read(Span(0, 0, *zone.shape))[S2]
    return image.pixels[0].numpy(), image.valid[0].numpy()


def test_locations_side_by_side_are_a_mosaic_and_the_others_stand_alone(corpus, capsys):
    found = {zone.name: zone for zone in open_zones(Input(corpus, date=JUNE.date()), BANDS)}
    assert list(found) == ["west", "far", "askew", "other/zone"]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 7 locations are left out: they have no reference system" in said
    west = found["west"]
    assert (west.crs, west.shape, west.transform.c, west.dates) == ("EPSG:32631", (16, 16), 500_000, (JUNE.date(),))
    expected, there = np.zeros((2, 16, 16), np.float32), np.zeros((16, 16), bool)
    for uid in ("west", "east", "south"):
        _, x, y = PLACES[uid]
        expected[:, y : y + PX, x : x + PX], there[y : y + PX, x : x + PX] = physical(uid, JUNE), True
    pixels, valid = whole(west)
    np.testing.assert_array_equal(valid[0], there)
    np.testing.assert_allclose(pixels[0], expected, atol=1e-6)
    sent = pickle.loads(pickle.dumps(west))  # as to processes side by side
    part = sent.read(Span(5, 6, 7, 4))[S2].pixels[0, 0].numpy()
    np.testing.assert_array_equal(part, pixels[0][:, 5:12, 6:10])
    assert (found["far"].transform.c, found["other/zone"].crs) == (501_000, "EPSG:32632")


def test_a_network_of_series_sees_all_dates_of_a_location(corpus):
    (far,) = (zone for zone in open_zones(Input(corpus), BANDS, series=True) if zone.name == "far")
    pixels, _ = whole(far)
    np.testing.assert_allclose(pixels, np.stack([physical("far", JUNE), physical("far", JULY)]), atol=1e-6)
    assert far.dates == (JUNE.date(), JULY.date())


def test_what_a_day_or_the_corpus_lacks_is_said(corpus, capsys):
    assert [zone.name for zone in open_zones(Input(corpus, date=JULY.date()), BANDS)] == ["west", "far"]
    said = " ".join(capsys.readouterr().err.split())
    assert "5 of 7 locations are left out: they lack a chip of sentinel-2-l2a of 2020-07-01" in said
    with pytest.raises(CorpusError, match="no location of it can be mapped"):
        open_zones(Input(corpus, date=dt.date(2021, 1, 1)), BANDS)
    with pytest.raises(CorpusError, match="a corpus says itself what its pixels are"):
        open_zones(Input(corpus, {"images": [{"sensor": S2}]}), BANDS)
    with pytest.raises(CorpusError, match="B11"):
        open_zones(Input(corpus), [f"{S2}/B11"])


class Same(nn.Module):
    """Says the pixels themselves."""

    def forward(self, images):
        return torch.log(next(iter(images.values())).pixels[:, 0].clamp_min(1e-9))


def test_each_group_has_a_map_where_it_lies_and_one_of_all(corpus, tmp_path):
    network = Dense(Same(), tuple(BANDS), series=False, check=lambda images: None)
    given, how = Input(corpus, date=JUNE.date()), How(window=16, overlap=4, device="cpu")
    written = map_scene(network, Numbers(("nir", "red")), given, tmp_path / "m.tif", about={}, how=how)
    maps = [path.name for path in written if path.suffix == ".tif"]
    assert maps == ["m_west.tif", "m_far.tif", "m_askew.tif", "m_other%2Fzone.tif"]
    with rasterio.open(tmp_path / "m_far.tif") as file:
        assert (file.crs.to_epsg(), file.transform) == (32631, Affine(10, 0, 501_000, 0, -10, 5_000_000))
        shares = physical("far", JUNE)
        np.testing.assert_allclose(file.read(), shares / shares.sum(axis=0), atol=1e-5)
    with rasterio.open(tmp_path / "m.vrt") as all_of_it, rasterio.open(tmp_path / "m_west.tif") as west:
        inside = from_bounds(*west.bounds, all_of_it.transform)
        np.testing.assert_array_equal(all_of_it.read(1, window=inside), west.read(1))


def test_a_real_cube_that_was_cut_into_chips_is_whole_again(shared_data, tmp_path):
    """A year of Belgium's fields in four chips, against the file itself."""
    name = "belgium_good_2020-12-01_2021-11-30.nc"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to(shared_data / "worldcereal_cubes" / name)
    worldcereal_cubes.build(worldcereal_cubes.Config(chip_px=50), tmp_path / "corpus", tmp_path / "data")
    (zone,) = open_zones(Input(tmp_path / "corpus"), BANDS, series=True)
    with xarray.open_dataset(shared_data / "worldcereal_cubes" / name, mask_and_scale=False) as cube:
        stored = np.stack([cube[band].values.view("uint16") for band in worldcereal_cubes.BANDS], axis=1)
        stored = stored[..., :100, :100]  # what whole chips cover of 101
        dates, x, y = cube["t"].dt.date.values.tolist(), cube["x"].values, cube["y"].values
    assert (zone.shape, zone.transform.c, zone.transform.f) == ((100, 100), x[0] - 5, y[0] + 5)
    there = (stored != 65535).all(axis=1)
    seen = [k for k in range(len(dates)) if there[k].any()]
    assert list(zone.dates) == [dates[k] for k in seen]
    pixels, valid = whole(zone)
    np.testing.assert_array_equal(valid, there[seen])
    own = [worldcereal_cubes.BANDS.index(band) for band in ("B08", "B04")]
    expected = np.where(there[seen][:, None], stored[seen][:, own] * np.float32(1e-4), 0)
    np.testing.assert_allclose(pixels, expected, atol=1e-6)
