"""Values in another unit, told from unusual ones: on real images, and on what only looks wrong."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from swath import sensors
from swath.batch import Image
from swath.encoders import Encoder, InputContract
from swath.errors import ContractError

OPTICAL = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B08"))
RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")
HLS = tuple(f"hls/{name}" for name in ("COASTAL", "BLUE", "GREEN", "RED", "NIR", "SWIR1", "SWIR2"))


def encoder(bands, mean, std, gsd_m=10.0):
    """One that only averages."""
    units = tuple(sensors.band(key).unit for key in bands)
    sizes = (gsd_m,) * len(bands) if gsd_m else ()
    contract = InputContract(len(bands), tuple(bands), True, units, tuple(mean), tuple(std), gsd_m=sizes)
    return Encoder(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), contract, dim=len(bands))


def image(pixels, bands, gsd_m=10.0):
    """Physical values "n c h w", NaN where there are none."""
    pixels = torch.as_tensor(np.asarray(pixels, np.float32))[:, None]
    valid = pixels.isfinite().all(dim=2)
    return Image(
        pixels=pixels.nan_to_num(0.0),
        valid=valid,
        days=torch.zeros(len(pixels), 1, dtype=torch.int32),
        band_ids=torch.tensor([[sensors.band_id(key) for key in bands]] * len(pixels), dtype=torch.int32),
        gsd_m=gsd_m,
    )


def trained_on(pixels, bands):
    """An encoder with the statistics of these pixels."""
    flat = np.moveaxis(pixels, 1, 0).reshape(len(bands), -1).astype(np.float64)
    return encoder(bands, np.nanmean(flat, axis=1).tolist(), np.nanstd(flat, axis=1).tolist())


@pytest.fixture(scope="module")
def fields(shared_data):
    """Sentinel-2 reflectance over Belgian fields, clear dates and cloudy ones: "118 4 64 64"."""
    xarray = pytest.importorskip("xarray")
    file = min((shared_data / "worldcereal_patches").glob("S2_L2A_10m*"))
    with xarray.open_dataset(file, mask_and_scale=False) as found:
        counts = np.stack([found[key.partition("/")[2]].to_numpy() for key in OPTICAL], axis=1).astype(np.float32)
    counts[~((counts > 0).all(axis=1, keepdims=True) & (counts < 60_000).all(axis=1, keepdims=True)).repeat(4, 1)] = (
        np.nan
    )
    return counts / 1e4


@pytest.fixture(scope="module")
def clear(fields):
    """Those whose blue is dark, as it is without clouds."""
    return fields[np.nanmean(fields[:, 0].reshape(len(fields), -1), axis=1) < 0.08]


@pytest.fixture(scope="module")
def radar(shared_data):
    """Gamma nought in decibels: "5 2 264 264"."""
    chips = []
    for file in sorted((shared_data / "terramesh_examples" / "S1RTC").glob("*.tif")):
        with rasterio.open(file) as source:
            chips.append(source.read())
    decibels = np.stack(chips)
    decibels[~np.isfinite(decibels)] = np.nan
    return decibels


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_real_images_in_their_unit_pass_one_by_one_and_together(fields, clear, radar, shared_data):
    of_clear, of_all = trained_on(clear, OPTICAL), trained_on(fields, OPTICAL)
    for start in range(0, len(fields), 8):
        batch = image(fields[start : start + 8], OPTICAL)  # snow, clouds and haze as well
        assert of_all.embed(batch).shape == of_clear.embed(batch).shape == (len(batch), 4)
        of_clear.embed(batch.take([0]))
    of_radar = trained_on(radar, RADAR)
    for one in radar:
        of_radar.embed(image(one[None], RADAR))
    water = []
    for file in sorted((shared_data / "hls_water" / "images").glob("*.tif"))[::4]:
        with rasterio.open(file) as source:
            water.append(source.read(range(1, 8)) / np.float32(1e4))
    of_water = trained_on(np.stack(water), HLS)
    for one in water:
        of_water.embed(image(one[None], HLS))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda pixels: pixels * 10_000, "10,000 times too large, as counts"),
        (lambda pixels: pixels * 10_000 + 1000, "10,000 times too large, as counts"),
        (lambda pixels: pixels * 100, "100 times too large, as percent"),
        (lambda pixels: pixels / 10_000, "scaled down twice"),
        (lambda pixels: 10 * np.log10(pixels), "nothing reflects less than nothing: decibels"),
        (lambda pixels: pixels - 0.2, "an offset was subtracted twice"),
        (lambda pixels: pixels + 0.1, r"an offset of 0\.1 was not subtracted"),
    ],
    ids=["counts", "counts of a newer baseline", "percent", "scaled twice", "decibels", "twice", "offset"],
)
def test_real_reflectance_in_another_unit_is_refused_with_the_cause(clear, change, cause):
    trained = trained_on(clear, OPTICAL)
    for start in (0, 8, 24):
        with pytest.raises(ContractError, match=cause) as error:
            trained.embed(image(change(clear[start : start + 16]), OPTICAL))
        assert "sentinel-2-l2a/B02" in error.value.where
        assert "reflectance" in error.value.remedy


def test_a_single_picture_is_not_told_to_have_an_offset(clear):
    """Under thin haze it looks the same."""
    trained_on(clear, OPTICAL).embed(image(clear[:1] + 0.1, OPTICAL))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda decibels: 10 ** (decibels / 10), "linear power, not decibels"),
        (lambda decibels: 10 ** (decibels / 20) * 400, "not decibels|100 times too large"),
        (lambda decibels: decibels * 100, "100 times too large"),
    ],
    ids=["power", "amplitude", "hundredths"],
)
def test_real_radar_in_another_unit_is_refused_with_the_cause(radar, change, cause):
    with pytest.raises(ContractError, match=cause):
        trained_on(radar, RADAR).embed(image(change(radar), RADAR))


WARM = (("landsat-oli-sr/ST_B10",), (290.0,), (10.0,))


@pytest.mark.parametrize(
    ("shift", "scale", "cause"),
    [(-273.15, 1, "degrees Celsius"), (0, 100, "100 times too large"), (-149, 1 / 0.00341802, "too large, as")],
    ids=["Celsius", "hundredths", "counts"],
)
def test_temperatures_in_another_unit_are_refused_with_the_cause(shift, scale, cause):
    kelvin = np.random.default_rng(0).normal(285, 8, (2, 1, 8, 8))
    encoder(*WARM).embed(image(kelvin, WARM[0]))
    encoder(*WARM).embed(image(kelvin - 60, WARM[0]))  # the coldest clouds
    with pytest.raises(ContractError, match=cause):
        encoder(*WARM).embed(image((kelvin + shift) * scale, WARM[0]))


SHOWN = (("display-optical/red",), (0.4,), (0.2,))


def test_display_values_of_0_to_255_are_refused():
    values = np.random.default_rng(0).uniform(0, 1, (2, 1, 8, 8))
    encoder(*SHOWN).embed(image(values, SHOWN[0]))
    with pytest.raises(ContractError, match="255 times too large, as display values"):
        encoder(*SHOWN).embed(image(values * 255, SHOWN[0]))
    with pytest.raises(ContractError, match="divided by 255 twice"):
        encoder(*SHOWN).embed(image(values / 255, SHOWN[0]))


LAND = (OPTICAL, (0.05, 0.08, 0.07, 0.28), (0.02, 0.03, 0.03, 0.08))


@pytest.mark.parametrize(
    "reflectance",
    [(0.9, 0.92, 0.95, 0.9), (1.3, 1.3, 1.2, 1.1), (0.02, 0.015, 0.005, -0.005), (0.25, 0.33, 0.42, 0.5), (0.0,) * 4],
    ids=["snow", "cloud", "deep water", "desert", "nothing"],
)
def test_what_the_encoder_never_saw_is_not_refused(reflectance):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.004 * (max(reflectance) > 0), (16, 4, 8, 8))
    encoder(*LAND).embed(image(np.reshape(reflectance, (4, 1, 1)) + noise, OPTICAL))


@pytest.mark.parametrize(
    ("bands", "mean", "std"),
    [(OPTICAL, (1500.0,) * 4, (400.0,) * 4), (RADAR, (0.07, 0.02), (0.05, 0.02)), (WARM[0], (12.0,), (5.0,))],
)
def test_an_encoder_that_was_trained_in_another_unit_is_given_that(bands, mean, std):
    """Such as one of a corpus whose scale was never declared: what it makes of counts is what it was trained for."""
    shape = (len(mean), 1, 1)
    rng = np.random.default_rng(0)
    encoder(bands, mean, std).embed(
        image(rng.normal(0, 0.1, (9, len(mean), 8, 8)) * np.reshape(std, shape) + np.reshape(mean, shape), bands)
    )


REFLECTANCE, DECIBELS = ((0.2,) * 4, (0.05,) * 4), ((-12.0, -18.0), (2.0, 2.0))


@pytest.mark.parametrize(
    ("bands", "trained", "given"),
    [
        (OPTICAL, ((1500.0,) * 4, (400.0,) * 4), REFLECTANCE),
        (OPTICAL, ((15.0,) * 4, (4.0,) * 4), REFLECTANCE),
        (OPTICAL, ((2e-5,) * 4, (5e-6,) * 4), REFLECTANCE),
        (RADAR, ((0.07, 0.02), (0.05, 0.02)), DECIBELS),
        (RADAR, ((300.0, 150.0), (50.0, 20.0)), DECIBELS),
        (WARM[0], ((12.0,), (5.0,)), WARM[1:]),
        (SHOWN[0], ((120.0,), (50.0,)), SHOWN[1:]),
    ],
    ids=["counts", "percent", "scaled twice", "power", "amplitudes", "Celsius", "bytes"],
)
def test_an_encoder_that_was_trained_in_another_unit_is_not_given_the_right_one(bands, trained, given):
    """Its standardised values would all lie as far away as the units do, and nothing would tell."""
    mean, std = (np.reshape(numbers, (-1, 1, 1)) for numbers in given)
    pixels = np.random.default_rng(0).normal(0, 0.3, (9, len(bands), 8, 8)) * std + mean
    with pytest.raises(ContractError, match=r"these values are .*, and the encoder was trained on others") as error:
        encoder(bands, *trained).embed(image(pixels, bands))
    assert "train it anew" in error.value.remedy


@pytest.mark.parametrize(
    ("bands", "given"),
    [(OPTICAL, REFLECTANCE), (RADAR, DECIBELS), (WARM[0], WARM[1:])],
    ids=["optical", "radar", "warm"],
)
def test_an_encoder_that_only_scales_is_given_physical_units(bands, given):
    """As published ones do: a mean of 0 says nothing of what they were trained on."""
    mean, std = (np.reshape(numbers, (-1, 1, 1)) for numbers in given)
    pixels = np.random.default_rng(0).normal(0, 0.3, (9, len(bands), 8, 8)) * std + mean
    encoder(bands, (0.0,) * len(bands), (1.0,) * len(bands)).embed(image(pixels, bands))


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (1, 1, 0, 1), (300, 150, 40, 12)], ids=["nothing", "black", "water"])
def test_counts_of_dark_places_are_no_reflectance(counts):
    pixels = np.random.default_rng(0).poisson(np.reshape(counts, (4, 1, 1)), (9, 4, 8, 8))
    encoder(OPTICAL, (1500.0,) * 4, (400.0,) * 4).embed(image(pixels, OPTICAL))


def test_only_valid_pixels_are_looked_at_and_they_must_be_finite():
    pixels = np.full((1, 4, 4, 4), 0.1)
    batch = image(pixels, OPTICAL)
    hidden = replace(batch, pixels=torch.where(torch.eye(4) > 0, torch.nan, batch.pixels))
    with pytest.raises(ContractError, match="are not finite"):
        encoder(*LAND).embed(hidden)
    marked = replace(batch, pixels=torch.full_like(batch.pixels, 5e3), valid=torch.zeros_like(batch.valid))
    assert encoder(*LAND).embed(marked).isfinite().all()


def test_pixels_of_another_size_are_refused_unless_the_caller_says_so():
    pixels = np.full((1, 4, 4, 4), 0.1)
    trained = encoder(*LAND)
    trained.embed(image(pixels, OPTICAL, gsd_m=10.4))  # measured on the ground, in a corner of a zone
    wide = image(pixels, OPTICAL, gsd_m=30.0)
    with pytest.raises(ContractError, match="pixels are 30 m wide, the encoder was trained on 10 m"):
        trained.embed(wide)
    assert torch.equal(trained.embed(wide, trusted=True), trained.embed(image(pixels, OPTICAL)))
    assert encoder(*LAND, gsd_m=None).embed(wide).shape == (1, 4)  # swath before its format 2 did not write it down


def test_trust_in_units_is_no_trust_in_bands():
    with pytest.raises(ContractError, match="bands are not the encoder's"):
        encoder(*LAND).embed(image(np.ones((1, 4, 2, 2)), OPTICAL[::-1]), trusted=True)
