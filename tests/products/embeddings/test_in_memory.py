"""Embeddings of a corpus, a folder and an array are the encoder's own of the same pixels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from affine import Affine
from torch import nn

import swath
from swath.batch import Image
from swath.corpus import Reader
from swath.encoders import Encoder, any_sensor, build
from swath.encoders.cross_modal_unet_3d import Config
from swath.errors import ContractError, CorpusError
from swath.products.embeddings import embed, write
from swath.sensors import band_id
from tests.tasks.fakes import ALL, OPTICAL, contract, make, small_encoder

RGB = ALL[:3]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("corpus") / "c", 8)


def means(fixed=True):
    """The mean of each band in units of its deviation."""
    return Encoder(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), contract(RGB, 3, fixed), dim=3)


def write_image(path, counts, names=(), **more):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=counts.shape[2],
        height=counts.shape[1],
        count=len(counts),
        dtype=counts.dtype,
        crs="EPSG:32632",
        transform=Affine(10, 0, 5e5, 0, -10, 5.6e6),
        **more,
    ) as file:
        file.write(counts)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)


def test_a_corpus_by_itself_or_by_its_folder(corpus):
    found = embed(means(), corpus)
    pixels = Reader(corpus, {OPTICAL: ("B02", "B03", "B04")}).batch(np.arange(8)).images[OPTICAL].pixels
    expected = (pixels.mean(dim=(1, 3, 4)) - 0.2) / 0.1
    assert list(found.index) == list(corpus.locations["uid"])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    pd.testing.assert_frame_equal(embed(means(), str(corpus.path)), found)


def test_locations_that_lack_a_sensor_are_left_out(corpus):
    both = small_encoder(0, ALL, 5, fixed=True)
    assert "place-001" not in embed(both, corpus).index
    assert len(embed(both, corpus)) == 7


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_an_array_with_gaps_of_one_date_or_of_several(kind):
    values = np.random.default_rng(0).uniform(0.1, 0.3, (5, 3, 4, 4)).astype(np.float32)
    found = embed(means(), kind(values), batch_size=2)
    np.testing.assert_allclose(found, (values.mean(axis=(2, 3)) - 0.2) / 0.1, atol=1e-5)
    assert found.to_numpy().dtype == np.float32
    values[:, :, 0] = np.nan  # invalid: the band's mean
    expected = (np.nan_to_num(values - 0.2).mean(axis=(2, 3))) / 0.1
    np.testing.assert_allclose(embed(means(), kind(values)), expected, atol=1e-5)
    twice = kind(np.stack([values, values], axis=1))
    np.testing.assert_allclose(embed(means(), twice), expected, atol=1e-5)
    assert embed(means(), kind(values[:0])).shape == (0, 3)


def test_what_is_said_of_other_data_is_refused(corpus):
    for data, said, message in (
        (corpus, {"gsd_m": 10.0}, "a corpus or folder takes no gsd_m"),
        (corpus, {"days": np.zeros(1, "datetime64[D]")}, "a corpus or folder takes no days"),
        (np.zeros((1, 3, 4, 4)), {"images": {}}, "an array takes no images"),
        (corpus, {"images": {"files": "*.tif"}}, "a corpus says itself what its pixels are"),
    ):
        with pytest.raises(ContractError, match=message):
            embed(means(), data, **said)


def test_an_array_in_other_units_shape_or_size_is_refused():
    values = np.full((2, 3, 4, 4), 0.2)
    with pytest.raises(ContractError, match="10,000 times too large"):
        embed(means(), (values * 10_000).astype(np.uint16))
    with pytest.raises(ContractError, match=r"shape \(2, 4, 4, 3\), which is neither \(n, 3, h, w\)"):
        embed(means(), np.moveaxis(values, 1, -1))
    with pytest.raises(ContractError, match="are not finite"):
        embed(means(), np.where(np.eye(4) > 0, np.inf, values))


def test_an_array_of_series_for_an_encoder_that_goes_by_days_needs_them():
    encoder = build(Config(width=2, collapse="months"), contract(RGB, 3, fixed=True))
    series = np.random.default_rng(0).uniform(0.1, 0.3, (3, 4, 3, 8, 8)).astype(np.float32)
    with pytest.raises(ContractError, match="of 3 of 3 samples none is known"):
        embed(encoder, series)
    days = np.array(["2020-01-05", "2020-02-05", "2020-06-01", "2020-09-09"], "M8[D]")
    found = embed(encoder, series, days=days, batch_size=2)
    assert found.std().max() > 0
    image = Image(
        pixels=torch.from_numpy(series),
        valid=torch.ones(3, 4, 8, 8, dtype=torch.bool),
        days=torch.from_numpy(np.tile(days.astype(np.int32), (3, 1))),
        band_ids=torch.tensor([[band_id(key) for key in RGB]] * 3, dtype=torch.int32),
        gsd_m=10.0,
    )
    np.testing.assert_allclose(found, encoder.embed(image), atol=1e-5)
    each = np.tile(days, (3, 1)).astype("M8[us]") + np.timedelta64(11, "h")
    pd.testing.assert_frame_equal(embed(encoder, series, days=each), embed(encoder, series, days=days))
    with pytest.raises(ContractError, match=r"shape \(3,\) and type datetime64\[D\], the array has 3 samples of 4"):
        embed(encoder, series, days=days[:3])
    with pytest.raises(ContractError, match="type int32"):
        embed(encoder, series, days=days.astype(np.int32))
    with pytest.raises(ContractError, match="not ascending"):
        embed(encoder, series, days=days[::-1])


def test_an_encoder_of_any_bands_is_told_which():
    values = np.random.default_rng(0).uniform(0.1, 0.3, (2, 3, 4, 4))
    found = embed(means(fixed=False), values, bands=RGB[::-1])
    np.testing.assert_allclose(found, (values.mean(axis=(2, 3)) - 0.2) / 0.1, atol=1e-5)
    with pytest.raises(ContractError, match="takes any 3 of"):
        embed(means(fixed=False), values)


def test_an_encoder_of_any_bands_drops_those_that_a_sample_lacks():
    """A band of NaN alone is left out of that sample, while others lose a pixel where any band has none."""
    contract = replace(means().contract, mean=(0.2,) * 3)
    encoder = build(any_sensor.Config(patch=2, width=16, depth=1, heads=2), contract)
    values = np.random.default_rng(0).uniform(0.1, 0.3, (3, 3, 4, 4))
    lacking = values.copy()
    lacking[1, 2], lacking[2, 0, 0, 0] = np.nan, np.nan
    found, without = embed(encoder, lacking), embed(encoder, values[:, :2], bands=RGB[:2])
    np.testing.assert_allclose(found.loc[1], without.loc[1], atol=1e-5)
    np.testing.assert_allclose(found.loc[0], embed(encoder, values).loc[0], atol=1e-5)
    assert np.abs(found.loc[2] - embed(encoder, values).loc[2]).max() > 1e-4
    lacking[0] = np.nan
    with pytest.raises(ContractError, match="all bands of a sample are missing"):
        embed(encoder, lacking)


def test_a_folder_of_counts_in_the_encoders_order_or_by_their_names(tmp_path):
    counts = np.random.default_rng(0).integers(1000, 3000, (2, 3, 8, 8)).astype(np.uint16)
    counts[1, :, 0] = 0  # nodata of the sensor
    for name, one in zip("ab", counts, strict=True):
        write_image(tmp_path / f"{name}.tif", one)
    physical = np.where(counts == 0, 0.2, counts / 1e4)
    found = embed(means(), tmp_path)
    assert list(found.index) == ["a", "b"]
    np.testing.assert_allclose(found, (physical.mean(axis=(2, 3)) - 0.2) / 0.1, atol=1e-4)
    (tmp_path / "named").mkdir()
    write_image(tmp_path / "named" / "a.tif", counts[0, ::-1], ("B04", "B03", "B02"))
    np.testing.assert_allclose(embed(means(), tmp_path / "named"), found.iloc[:1], atol=1e-5)
    write_image(tmp_path / "named" / "b.tif", counts[1], ("B02", "B03", "B04"))
    with pytest.raises(CorpusError, match=r"another order than those of a\.tif: B02, B03, B04; B04, B03, B02"):
        embed(means(), tmp_path / "named")
    lifted = embed(means(), tmp_path, images={"scaling": {"scale": 1e-4, "offset": -0.1}})
    np.testing.assert_allclose(lifted.loc["a"], found.loc["a"] - 1, atol=1e-4)


def test_a_folder_that_cannot_be_embedded_says_why(tmp_path):
    with pytest.raises(CorpusError, match="no corpus and no GeoTIFF"):
        embed(means(), tmp_path)
    write_image(tmp_path / "a.tif", np.ones((4, 8, 8), np.uint16))
    with pytest.raises(CorpusError, match=r"4 channel.*wanted are 3 of sentinel-2-l2a: B02, B03, B04"):
        embed(means(), tmp_path)
    write_image(tmp_path / "a.tif", np.full((3, 8, 8), 1500, np.uint16))
    with pytest.raises(CorpusError, match="scaling"):
        embed(means(), tmp_path, images={"scaling": {"factor": 1}})
    write_image(tmp_path / "b.tif", np.full((3, 8, 6), 1500, np.uint16))
    with pytest.raises(CorpusError, match=r"not squares of one size: a\.tif: 8 x 8; b\.tif: 6 x 8"):
        embed(means(), tmp_path)


def test_embeddings_are_written_whole(corpus, tmp_path):
    found = embed(means(), corpus)
    table = pd.read_parquet(write(found, tmp_path / "new" / "e.parquet"))
    assert list(table["uid"]) == list(found.index)
    np.testing.assert_array_equal(np.stack(table["embedding"]), found.to_numpy())
    assert swath.embed is embed
