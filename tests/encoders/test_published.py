"""Cards of published checkpoints, against their authors' own preparation of pixels, written down again in NumPy."""

import numpy as np
import pytest
import torch

from swath import encoders
from swath.encoders import Standardize, published_card
from swath.errors import RecipeError
from swath.sensors import band_id, get

rng = np.random.default_rng(0)
S12_MEAN = [1612.9, 1397.6, 1322.3, 1373.1, 1561.0, 2108.4, 2390.7, 2318.7, 2581.0, 837.7, 22.0, 2195.2, 1537.4]
S12_STD = [791.0, 854.3, 878.7, 1144.9, 1127.5, 1164.2, 1276.0, 1249.5, 1345.9, 577.5, 47.5, 1340.0, 1142.9]


def prepared(card, physical):
    """What swath's encoder makes of physical values "c h w" before its network."""
    contract = card.contract
    ids = torch.tensor([[band_id(key) for key in card.bands]], dtype=torch.int32)
    pixels = torch.from_numpy(np.asarray(physical, np.float32))[None, None]
    return Standardize(contract)(pixels, torch.ones(1, 1, *pixels.shape[-2:], dtype=torch.bool), ids)[0, 0].numpy()


@pytest.mark.parametrize("name", encoders.published_names())
def test_every_card_can_be_used(name):
    card = published_card(name)
    assert card.contract.channels == len(card.bands) == len(card.contract.units)
    assert {get(key.partition("/")[0]).name for key in card.bands} == {card.bands[0].partition("/")[0]}
    assert (
        np.abs(prepared(card, np.broadcast_to(np.array(card.mean)[:, None, None], (len(card.bands), 2, 2)))).max()
        < 1e-4
    )


@pytest.mark.parametrize("product", ["tm-toa", "etm-toa", "etm-sr", "oli-toa", "oli-sr"])
def test_landsat_goes_in_as_ssl4eo_ls_bytes_over_255(product):
    """A byte is trunc(255 (x - low) / (high - low)), as compress_dataset.py writes it; its network sees byte / 255."""
    card = published_card(f"ssl4eo-l-{product}")
    hot = np.array([unit == "K" for unit in card.contract.units])[:, None, None]
    low, high = np.where(hot, 248.15, 0.0), np.where(hot, 318.15, 0.3 if product.endswith("sr") else 0.4)
    physical = low + (high - low) * rng.random((len(card.bands), 8, 8))
    byte = np.trunc(np.clip(255 * (physical - low) / (high - low), 0, 255))
    difference = prepared(card, physical) - byte / 255
    assert difference.min() > -1e-4
    assert difference.max() < 1 / 255 + 1e-4


def test_sentinel_2_goes_in_as_counts_over_10_000():
    counts = rng.integers(1, 9000, (13, 8, 8))
    np.testing.assert_allclose(prepared(published_card("ssl4eo-s12-s2"), counts / 1e4), counts / 1e4, rtol=1e-6)
    np.testing.assert_allclose(
        prepared(published_card("ssl4eo-s12-s2-rgb"), counts[:3] / 1e4), counts[:3] / 1e4, rtol=1e-6
    )
    mean, std = (np.array(values)[:, None, None] for values in (S12_MEAN, S12_STD))
    np.testing.assert_allclose(prepared(published_card("softcon-s2"), counts / 1e4), (counts - mean) / std, atol=2e-4)


def test_radar_goes_in_as_decibels_standardised():
    decibels = rng.uniform(-30, 0, (2, 8, 8))
    expected = (decibels - np.array([-12.59, -20.26])[:, None, None]) / np.array([5.26, 5.91])[:, None, None]
    np.testing.assert_allclose(prepared(published_card("ssl4eo-s12-s1"), decibels), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["seco", "caco"])
def test_rgb_goes_in_as_secos_dataset_reads_it(name):
    """seco_dataset.py: stretched by quantiles of each band, then ImageNet's statistics; here without its rounding."""
    quantiles = {"B04": (0.0, 129.0), "B03": (2.0, 103.0), "B02": (3.0, 88.0)}
    reflectance = rng.uniform(0.02, 0.34, (3, 8, 8))
    expected = []
    for key, one, mean, std in zip(
        published_card(name).bands, reflectance, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
    ):
        low, high = quantiles[key.partition("/")[2]]
        expected.append(((one * 255 - low) / (high - low) - mean) / std)
    np.testing.assert_allclose(prepared(published_card(name), reflectance), expected, atol=1e-5)


def test_photographs_go_in_as_imagenets():
    display = rng.random((3, 8, 8))
    expected = (display - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array([0.229, 0.224, 0.225])[
        :, None, None
    ]
    for name in ("gassl", "imagenet-rgb"):
        np.testing.assert_allclose(prepared(published_card(name), display), expected, atol=1e-5)
    assert not published_card("imagenet-rgb").of_the_earth


def test_an_unknown_card_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="no card 'ssl4eo-l-oli'") as error:
        published_card("ssl4eo-l-oli")
    assert "did you mean ssl4eo-l-oli-" in error.value.remedy


OWN = """
title: Mine
source: here
models: []
bands: [sentinel-2-l2a/B04, sentinel-2-l2a/B08]
mean: [0.1, 0.2]
std: [0.1, 0.1]
size_px: 64
prepared: as it is
"""


def test_a_card_of_ones_own_is_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN)
    assert published_card(str(tmp_path / "mine.yaml")).contract.mean == (0.1, 0.2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[0.1, 0.2]", "[0.1]"), "2 bands, 1 means and 2 deviations"),
        (("sentinel-2-l2a/B08", "sentinel-2-l2a/B4"), "unknown band 'sentinel-2-l2a/B4'"),
        (("sentinel-2-l2a/B08", "sentinel-2-l2a/B04"), "a band is listed twice"),
        (("[0.1, 0.1]", "[0.1, 0.0]"), "a deviation is not positive"),
        (("title: Mine\n", ""), "title"),
        (("[0.1, 0.2]", "[0.1, x]"), "mean"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(tmp_path, change, said):
    (tmp_path / "mine.yaml").write_text(OWN.replace(*change))
    with pytest.raises(RecipeError, match=said) as error:
        published_card(str(tmp_path / "mine.yaml"))
    assert "mine.yaml" in error.value.where
    with pytest.raises(RecipeError, match="cannot read the card"):
        published_card(str(tmp_path / "none.yaml"))


@pytest.mark.slow  # torchgeo takes seconds to import
def test_bands_and_scalings_are_those_that_torchgeo_states():
    from torchgeo.models import ResNet18_Weights, ResNet50_Weights, ViTSmall16_Weights

    cards = {
        "LANDSAT_TM_TOA": "ssl4eo-l-tm-toa",
        "LANDSAT_ETM_TOA": "ssl4eo-l-etm-toa",
        "LANDSAT_ETM_SR": "ssl4eo-l-etm-sr",
        "LANDSAT_OLI_TIRS_TOA": "ssl4eo-l-oli-toa",
        "LANDSAT_OLI_SR": "ssl4eo-l-oli-sr",
    }
    wanted = {f"{sensor}_{method}": card for sensor, card in cards.items() for method in ("MOCO", "SIMCLR")}
    wanted |= {
        "SENTINEL2_ALL_MOCO": "ssl4eo-s12-s2",
        "SENTINEL2_ALL_DINO": "ssl4eo-s12-s2",
        "SENTINEL2_ALL_MAE": "ssl4eo-s12-s2",
    }
    wanted |= {
        "SENTINEL2_RGB_MOCO": "ssl4eo-s12-s2-rgb",
        "SENTINEL2_ALL_SOFTCON": "softcon-s2",
        "SENTINEL1_GRD_SOFTCON": "ssl4eo-s12-s1",
    }
    wanted |= {"SENTINEL1_GRD_MAE": "ssl4eo-s12-s1", "FMOW_RGB_GASSL": "gassl"}
    seen = set()
    for weights in (*ResNet18_Weights, *ResNet50_Weights, *ViTSmall16_Weights):
        if weights.name not in wanted:
            continue
        card = published_card(wanted[weights.name])
        seen.add(weights.name)
        assert weights.meta["model"] in card.models
        theirs = [name.upper().replace("B0", "B") for name in weights.meta.get("bands", ["red", "green", "blue"])]
        ours = [key.partition("/")[2].upper().replace("B0", "B") for key in card.bands]
        assert ours == theirs, weights
        raw = torch.rand(1, len(ours), 264, 264)
        physical, stored = as_stored(raw, card)
        middle = weights.transforms(stored.clone())[0, :, 100:110, 100:110].numpy()
        np.testing.assert_allclose(prepared(card, physical.numpy()), middle, atol=2e-3, err_msg=str(weights))
    assert seen == set(wanted)


def as_stored(raw, card):
    """The middle of a picture in physical units, and the picture in torchgeo's numbers.

    Pictures are the same everywhere, band by band, so that no resampling matters.
    """
    flat = raw[:, :, :1, :1].expand_as(raw)
    at = flat[0, :, :10, :10]
    low, scale = (torch.tensor(values)[:, None, None] for values in (card.mean, card.std))
    sensor = card.bands[0].partition("/")[0]
    if sensor.startswith("landsat"):
        return low + scale * at, 255 * flat
    if sensor == "sentinel-1-grd":
        return -25 * at, -25 * flat
    return (at, 255 * flat) if sensor.startswith("display") else (at, 1e4 * flat)
