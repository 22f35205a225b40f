"""The synthetic landscape: its truth is true, its physics has the right signs and sizes, and it is reproducible."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import zarr
from pydantic import ValidationError
from pyproj import Transformer
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swath.corpus import Reader, Selection
from swath.corpus.physics import clouds as _clouds
from swath.corpus.physics import noise as _noise
from swath.corpus.physics import phenology as _phenology
from swath.corpus.physics import radar as _radar
from swath.corpus.physics import spectra as _spectra
from swath.corpus.physics import weather as _weather
from swath.corpus.sources.synth import _build as synth
from swath.corpus.sources.synth import _calendar, _render
from swath.corpus.sources.synth._classes import (
    BUILT_CODE,
    CROPS,
    FIRST_CROP,
    FOREST_CODE,
    GRASS_CODE,
    WATER_CODE,
    classes,
)
from swath.corpus.sources.synth._landscape import MARGIN, Landscape, Window, window
from swath.corpus.sources.synth._render import Plants
from swath.corpus.store.format import Corpus
from swath.errors import CorpusError, RecipeError

RED, NIR = 2, 6


@pytest.fixture(scope="module")
def config():
    return synth.Config(locations=25, seed=7)


@pytest.fixture(scope="module")
def scenes(config):
    return [synth.make(config, place) for place in synth.locations(config)]


def ndvi(reflectance):
    red, nir = reflectance[..., RED, :, :], reflectance[..., NIR, :, :]
    return (nir - red) / (nir + red)


def reflectance(series):
    return series.pixels * synth.OPTICAL_SCALE + synth.OPTICAL_OFFSET


# --- noise ----------------------------------------------------------------------------------------------------------


def test_uniform_is_uniform_and_independent_between_streams():
    i = np.arange(20_000)
    a, b = _noise.uniform(_noise.stream(0, "a"), i), _noise.uniform(_noise.stream(0, "b"), i)
    assert stats.kstest(a, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.03
    assert stats.kstest(_noise.normal(5, i), "norm").pvalue > 1e-3


def test_negative_coordinates_are_coordinates():
    values = _noise.uniform(1, np.arange(-5, 5))
    assert len(set(values.tolist())) == 10


def test_smooth_on_a_grid_equals_smooth_at_points():
    x, y = 32e6 + np.linspace(-700, 900, 23), 5.8e6 + np.linspace(400, -800, 17)
    grid = _noise.smooth(3, x, y, 130.0)
    xx, yy = np.meshgrid(x, y)
    np.testing.assert_allclose(grid.ravel(), _noise.smooth_at(3, xx.ravel(), yy.ravel(), 130.0), atol=1e-9)


def test_smooth_has_mean_zero_and_variance_one():
    axis = np.arange(0, 60_000, 40.0)
    values = _noise.fractal(11, axis, axis, 400.0, 3)
    assert abs(values.mean()) < 0.05
    assert values.var() == pytest.approx(1.0, abs=0.06)


# --- the ground -----------------------------------------------------------------------------------------------------


def test_neighbouring_chips_agree_where_they_overlap():
    land = Landscape(3, 5)
    left = land.ground(window(32, 500_000.0, 5_700_000.0, 64))
    right = land.ground(window(32, 500_640.0, 5_700_000.0, 64))
    a, b = np.s_[:, -2 * MARGIN :], np.s_[:, : 2 * MARGIN]
    np.testing.assert_array_equal(left.code[a], right.code[b])
    np.testing.assert_array_equal(left.unit_key[left.unit[a]], right.unit_key[right.unit[b]])
    for name in ("brightness", "texture", "built", "scatterers", "turbidity"):
        np.testing.assert_allclose(getattr(left, name)[..., a[1]], getattr(right, name)[..., b[1]], atol=1e-6)


def test_a_big_chip_is_the_mosaic_of_small_ones():
    land = Landscape(0, 6)
    big = land.ground(window(33, 400_000.0, 5_800_000.0, 128)).code[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for row in (0, 1):
        for column in (0, 1):
            small = land.ground(window(33, 400_000.0 + 640 * column, 5_800_000.0 - 640 * row, 64)).code
            part = big[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
            np.testing.assert_array_equal(small[MARGIN:-MARGIN, MARGIN:-MARGIN], part)


def test_every_class_occurs_and_none_takes_over():
    config = synth.Config(locations=150)
    land = Landscape(0, 5)
    codes = [land.ground(window(p.zone, p.west, p.north, 16)).code.ravel() for p in synth.locations(config)]
    share = np.bincount(np.concatenate(codes), minlength=9) / np.concatenate(codes).size
    assert share.min() > 0.03
    assert share.max() < 0.35


@pytest.fixture(scope="module")
def structured():
    """Four large windows of a world with structures, and of the same world without them."""
    windows = [window(32, east, 5_790_000.0, 260) for east in (600e3, 610e3, 620e3, 670e3)]
    with_structures, without = Landscape(0, 4, structures=True), Landscape(0, 4)
    return [(with_structures.ground(at), without.ground(at)) for at in windows]


CONIFER_CODE, ORCHARD_CODE, VINEYARD_CODE, INDUSTRY_CODE = range(FIRST_CROP + 4, FIRST_CROP + 8)
"""In a landscape of four crops with structures."""


def test_structures_change_what_they_are_and_nothing_else(structured):
    """Orchards and vineyards take fields, needle trees forest, industry settlements; all else stays as it is."""
    code, plain = (np.stack([pair[i].code for pair in structured]) for i in (0, 1))
    unchanged = code < CONIFER_CODE
    np.testing.assert_array_equal(code[unchanged], plain[unchanged])
    assert set(plain[code == CONIFER_CODE]) == {FOREST_CODE}
    assert set(plain[code == INDUSTRY_CODE]) == {BUILT_CODE}
    assert set(plain[(code == ORCHARD_CODE) | (code == VINEYARD_CODE)]) <= set(range(GRASS_CODE, FIRST_CROP + 4))


def test_only_structure_tells_orchards_from_vineyards(structured):
    """Means and deviations of the bands hardly tell the two apart; where the energy of a spectrum lies does."""
    assert [classes(4, structures=True)[code].name for code in (ORCHARD_CODE, VINEYARD_CODE)] == ["orchard", "vineyard"]
    statistics, structure, labels = [], [], []
    frequency = np.hypot(np.fft.fftfreq(16)[:, None], np.fft.rfftfreq(16)[None])
    for ground, _ in structured:
        plants = Plants(ground, classes(4, structures=True))
        image = _render.optical(plants, plants.state(np.array([190.0])), np.array([0.2]))[0]
        for row, column in itertools.product(range(0, 256, 16), repeat=2):
            tile = np.s_[row : row + 16, column : column + 16]
            share = [(ground.code[tile] == code).mean() for code in (ORCHARD_CODE, VINEYARD_CODE)]
            if max(share) < 0.8:
                continue
            pixels = image[:, *tile]
            statistics.append([*pixels.mean((1, 2)), *pixels.std((1, 2))])
            energy = np.abs(np.fft.rfft2(pixels[NIR] - pixels[NIR].mean())) ** 2
            ring = [energy[(frequency >= f) & (frequency < f + 0.1)].sum() for f in np.arange(0.05, 0.5, 0.1)]
            structure.append(ring / np.sum(ring))
            labels.append(int(np.argmax(share)))
    assert min(np.bincount(labels)) > 20
    told = [
        cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), x, labels, cv=4).mean()
        for x in (statistics, structure)
    ]
    assert told[1] > 0.9
    assert told[0] < told[1] - 0.15


def test_rows_and_trees_share_their_leaf_area_out(structured):
    """Both have the same two leaf areas half of the time; rows do not vary along the direction they run in."""
    ground = structured[0][0]
    plants = Plants(ground, classes(4, structures=True))
    factor = plants.planted(ground.unit.ravel()).reshape(ground.code.shape)
    for code in (ORCHARD_CODE, VINEYARD_CODE):
        values, count = np.unique(factor[ground.code == code], return_counts=True)
        np.testing.assert_allclose(values, [1 - _render.CONTRAST, 1 + _render.CONTRAST])
        assert abs(count[0] - count[1]) < 0.1 * count.sum()
    assert set(factor[~np.isin(ground.code, (ORCHARD_CODE, VINEYARD_CODE))]) == {1.0}
    row = np.floor(ground.across / 20 + 0.5).astype(int)[ground.code == VINEYARD_CODE]
    own = factor[ground.code == VINEYARD_CODE]
    assert all(len(set(own[row == one])) == 1 for one in np.unique(row))


def test_a_corpus_of_before_structures_is_continued(tmp_path):
    config = synth.Config(locations=2, chip_px=8, dates_optical=1, dates_radar=0)
    synth.build(config, tmp_path / "corpus")
    said = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    for entry in said["provenance"]:
        entry["config"].pop("structures")
    del said["digest"]  # which versions of then did not write
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps(said))
    synth.build(config, tmp_path / "corpus")
    with pytest.raises(CorpusError, match="another structures"):
        synth.build(config.model_copy(update={"structures": True}), tmp_path / "corpus")


def test_crop_mix_is_regional():
    """Neighbouring chips are more alike than distant ones: spatial blocks mean something."""
    config = synth.Config(locations=225, seed=1)
    land, places = Landscape(1, 5), synth.locations(config)
    shares = np.array(
        [np.bincount(land.ground(window(p.zone, p.west, p.north, 16)).code.ravel(), minlength=9) for p in places]
    )
    shares = shares / shares.sum(axis=1, keepdims=True)
    where = np.array([[p.zone * 1e6 + p.west, p.north] for p in places])
    distance = np.hypot(*(where[:, None] - where[None]).transpose(2, 0, 1))
    difference = np.abs(shares[:, None] - shares[None]).sum(axis=2)
    near, far = (distance > 0) & (distance < 3000), (distance > 15_000) & (distance < 60_000)
    assert difference[near].mean() < 0.93 * difference[far].mean()


# --- phenology and optics -------------------------------------------------------------------------------------------


def test_leaf_area_is_the_formula():
    crop = CROPS[1].phenology
    (cycle,) = crop.cycles
    t = np.linspace(60, 340, 50)
    expected = crop.base + cycle.amplitude * (
        1 / (1 + np.exp(-(t - cycle.start) / cycle.rise)) - 1 / (1 + np.exp(-(t - cycle.end) / cycle.fall))
    )
    np.testing.assert_allclose(_phenology.leaf_area(crop, t), expected, atol=1e-5)


def test_leaf_area_is_periodic_and_never_negative():
    day = np.linspace(0, 365.25, 400)
    for land in CROPS:
        lai = _phenology.leaf_area(land.phenology, day)
        assert lai.min() >= 0
        assert lai[0] == pytest.approx(lai[-1], abs=0.03)


@pytest.mark.parametrize("land", CROPS, ids=lambda land: land.name)
def test_ndvi_over_the_year_is_a_double_logistic(land):
    """Noise-free NDVI of one field, from the mixing model, is close to a double logistic in its season."""
    zero = np.zeros(1)
    main = land.phenology.cycles[-1]
    day = np.arange(main.start - 55, main.end + 25, 2.0)
    plain = replace(land.phenology, flower=None)
    state = _phenology.state(plain, day % 365.25, zero, np.ones(1), zero)
    leaf = _spectra.LEAVES[land.leaf][None]
    green = _spectra.cover(state.lai)[..., None]
    soil = _spectra.soil(np.full(1, 0.4), np.full((len(day), 1), 0.2), state.residue)
    curve = ndvi((green * _spectra.canopy(state, leaf, np.ones(1)) + (1 - green) * soil)[..., None, None]).ravel()

    def double_logistic(t, base, amplitude, start, rise, end, fall):
        return base + amplitude * (_phenology.logistic((t - start) / rise) - _phenology.logistic((t - end) / fall))

    end = min(main.end, land.phenology.ripe or main.end)
    guess = (0.2, 0.6, main.start - 10, 8, end, 6)
    fitted, _ = optimize.curve_fit(double_logistic, day, curve, p0=guess, maxfev=20_000)
    residual = curve - double_logistic(day, *fitted)
    assert 1 - residual.var() / curve.var() > 0.97
    if len(land.phenology.cycles) == 1:  # crops that overwinter are green before their main cycle begins
        assert abs(fitted[2] - main.start) < 25


def test_a_late_field_is_the_same_field_later():
    day, ones = np.arange(100.0, 200.0), np.ones(1)
    late = _phenology.state(CROPS[1].phenology, day, np.full(1, 8.0), ones, 0 * ones)
    early = _phenology.state(CROPS[1].phenology, day - 8, np.zeros(1), ones, 0 * ones)
    np.testing.assert_allclose(late.lai, early.lai)


def test_meadows_are_mown():
    grass = classes(1)[GRASS_CODE].phenology
    state = _phenology.state(grass, np.arange(120.0, 250.0), np.zeros(1), np.ones(1), np.full(1, 0.5))
    assert (np.diff(state.lai[:, 0]) < -1).sum() == 2


def test_wet_soil_is_darker():
    dry, wet = _spectra.soil(np.full(1, 0.5), np.array([[0.05], [0.40]]), np.zeros((2, 1)))
    assert (wet < 0.75 * dry).all()


def test_water_is_dark_in_the_near_infrared_and_forest_is_green_in_summer():
    config = synth.Config(locations=60, seed=2, cloud_fraction=0.0)
    water, forest = [], []
    for place in synth.locations(config):
        at = window(place.zone, place.west, place.north, 64)
        plants = Plants(Landscape(2, 5).ground(at), classes(5))
        image = _render.optical(plants, plants.state(np.array([190.0])), np.array([0.2]))[0]
        water.append(image[NIR][plants.ground.code == WATER_CODE])
        forest.append(ndvi(image)[plants.ground.code == FOREST_CODE])
    assert np.concatenate(water).max() < 0.05
    assert np.concatenate(forest).mean() > 0.7


def test_coarse_bands_are_constant_on_20_m_and_fine_ones_are_not(scenes):
    pixels = scenes[0].optical.pixels
    blocks = pixels.reshape(*pixels.shape[:2], 32, 2, 32, 2)
    spread = np.ptp(blocks, axis=(3, 5)).max(axis=(0, 2, 3))
    coarse = np.isin(np.arange(10), _spectra.COARSE)
    assert (spread[coarse] == 0).all()
    assert (spread[~coarse] > 0).all()


def test_coarsen_keeps_the_mean():
    image = np.random.default_rng(0).random((3, 8, 8))
    np.testing.assert_allclose(_spectra.coarsen(image).mean(axis=(1, 2)), image.mean(axis=(1, 2)))


def test_blur_keeps_a_constant_image():
    np.testing.assert_allclose(_spectra.blur(np.full((2, 9, 9), 0.3)), 0.3)


def test_reflectance_is_plausible(scenes):
    values = np.concatenate([reflectance(scene.optical).ravel() for scene in scenes])
    assert values.min() > -0.05
    assert values.max() < 1.1
    assert min(scene.optical.pixels.min() for scene in scenes) > 0, "0 counts would mean nodata"


# --- radar ----------------------------------------------------------------------------------------------------------


def test_speckle_is_gamma_with_the_stated_looks():
    noise = _radar.speckle(np.full(200_000, 0.2), 4.4, np.random.default_rng(0))
    assert noise.mean() == pytest.approx(0.2, rel=0.01)
    assert noise.var() == pytest.approx(0.2**2 / 4.4, rel=0.02)
    assert stats.kstest(noise[:20_000], stats.gamma(4.4, scale=0.2 / 4.4).cdf).pvalue > 1e-3


def test_speckle_of_a_scene_has_the_configured_looks(config):
    place = synth.locations(config)[3]
    speckled = synth.make(config, place).radar.pixels
    smooth = synth.make(config.model_copy(update={"looks": 1e7}), place).radar.pixels
    ratio = _radar.power((speckled.astype(float) - smooth) * synth.RADAR_SCALE)
    ratio /= ratio.mean(axis=(2, 3), keepdims=True)
    assert ratio.var() == pytest.approx(1 / config.looks, rel=0.05)


def test_cross_polarised_return_is_weaker(scenes):
    for scene in scenes:
        vv, vh = scene.radar.pixels[:, 0].mean(axis=(1, 2)), scene.radar.pixels[:, 1].mean(axis=(1, 2))
        assert (vv - vh > 300).all(), "VH lies more than 3 dB below VV"


def test_water_cloud_model_limits():
    soil = np.full((1, 2, 1), 0.08)
    albedo, extinction, angle = np.array([[0.1], [0.03]]), np.full((2, 1), 0.2), np.array([0.6])
    bare = _radar.vegetated(soil, np.zeros((1, 1)), albedo, extinction, angle)
    dense = _radar.vegetated(soil, np.full((1, 1), 1e3), albedo, extinction, angle)
    np.testing.assert_allclose(bare, soil)
    np.testing.assert_allclose(dense[0], albedo * np.cos(0.6))


def test_rain_brightens_bare_fields_more_than_forest():
    place = synth.locations(synth.Config(locations=9, seed=4))[0]
    plants = Plants(Landscape(4, 5).ground(window(place.zone, place.west, place.north, 64)), classes(5))
    two, winter = np.full(2, 0.65), np.full(2, 40.0)
    power = _render.radar(plants, plants.state(winter), np.array([0.10, 0.32]), np.zeros(2), two)
    change = _radar.decibel(power[1, 0]) - _radar.decibel(power[0, 0])
    code = plants.ground.code
    bare = np.isin(code, [5, 7, 8])  # maize, sugar beet, spring barley: not sown yet
    assert bare.any()
    assert np.median(change[bare]) > 4
    if (code == FOREST_CODE).any():
        assert np.median(change[code == FOREST_CODE]) < 1


def test_soil_is_wetter_after_rain_and_dries():
    rain, water = _weather.rain(0), _weather.moisture(0)
    change, today = np.diff(water), rain[_weather.SPIN_UP + 1 :]
    assert (change[today > 8] > 0).all()
    assert (change[today == 0] < 0).all()
    assert 0.05 < water.min() < water.max() < 0.41


# --- clouds ---------------------------------------------------------------------------------------------------------


def test_clouds_are_in_optical_images_only_and_bright():
    clear = synth.Config(locations=20, seed=5, cloud_fraction=0.0, dates_optical=6, dates_radar=3)
    cloudy = clear.model_copy(update={"cloud_fraction": 0.5})
    seen = 0
    for place in synth.locations(clear):
        a, b = synth.make(clear, place), synth.make(cloudy, place)
        np.testing.assert_array_equal(a.radar.pixels, b.radar.pixels)
        assert not a.truth.any()
        blue, without = reflectance(b.optical)[:, 0], reflectance(a.optical)[:, 0]
        cloud = b.truth == synth.CLOUD
        if cloud.any() and (b.truth == synth.SHADOW).any():
            seen += 1
            assert blue[cloud].mean() > without[cloud].mean() + 0.15
            nir, plain = reflectance(b.optical)[:, NIR], reflectance(a.optical)[:, NIR]
            assert nir[b.truth == synth.SHADOW].mean() < plain[b.truth == synth.SHADOW].mean()
    assert seen > 5


def test_shadows_fall_away_from_the_sun():
    """A northern morning: the sun stands in the south-east, shadows lie north-west of their clouds."""
    at = Window(32e6 + np.arange(400) * 40.0, 5.8e6 - np.arange(400) * 40.0)
    _elevation, azimuth = _weather.sun(np.array([170.0]), 50.0)
    assert 90 < np.rad2deg(azimuth[0]) < 180
    sky = _clouds.sky(1, at, np.array([18_000]), np.array([170.0]), np.array([0.3]), 50.0)
    cloud, shadow = (a - a.mean() for a in (sky.cloud[0], sky.shadow[0]))
    spectrum = np.fft.rfft2(shadow) * np.conj(np.fft.rfft2(cloud))
    peak = np.unravel_index(np.fft.irfft2(spectrum, s=cloud.shape).argmax(), cloud.shape)
    down, right = ((p + 200) % 400 - 200 for p in peak)
    assert down < 0
    assert right < 0
    assert np.arctan2(-right, -down) == pytest.approx(np.pi - azimuth[0], abs=0.15)


def test_sun_at_the_equator_on_the_equinox():
    elevation, azimuth = _weather.sun(np.array([81.0]), 0.0)
    assert np.rad2deg(elevation[0]) == pytest.approx(67.5, abs=0.5)
    assert np.rad2deg(azimuth[0]) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("cover", [0.1, 0.4, 0.8])
def test_cloud_cover_is_what_was_asked_for(cover):
    at = Window(32e6 + np.arange(150) * 400.0, 5.8e6 - np.arange(150) * 400.0)
    days = np.arange(18_000, 18_012)
    sky = _clouds.sky(0, at, days, np.full(12, 180.0), np.full(12, cover), 50.0)
    assert sky.cloudy.mean() == pytest.approx(cover, abs=0.06)


def test_cloud_truth_can_be_had_alone(config, scenes):
    for scene in scenes[:4]:
        np.testing.assert_array_equal(synth.cloud_truth(config, scene.location), scene.truth)


# --- dates ----------------------------------------------------------------------------------------------------------


def test_calendars_are_irregular_and_differ():
    s2 = _calendar.optical_passes(0, 2021, 1, 12.0, 52.0, 0.2)
    s1 = _calendar.radar_passes(0, 2021, 1, 12.0, 12)
    assert len({b.day - a.day for a, b in itertools.pairwise(s2)}) > 3
    assert len({b.day - a.day for a, b in itertools.pairwise(s1)}) > 1
    assert {p.orbit for p in s1} == {"ascending", "descending"}
    assert {p.time for p in s1}.isdisjoint({p.time for p in s2})
    assert len({p.time.time() for p in s2}) > len(s2) // 2, "times of day jitter"
    assert all(p.time.year == 2021 or abs(p.time - datetime(2021, 7, 2, tzinfo=UTC)).days < 185 for p in s2)


def test_one_orbit_repeats():
    for revisit in (6, 12):
        days = [p.day for p in _calendar.radar_passes(0, 2022, 5, 0.0, revisit) if p.orbit == "ascending"]
        assert {d % revisit for d in days} == {days[0] % revisit}
    for orbit in ("R022", "R065"):
        days = [p.day for p in _calendar.optical_passes(0, 2022, 5, 0.0, 50.0, 0.2) if p.orbit == orbit]
        assert len({d % 5 for d in days}) <= 1


def test_clouds_cost_more_passes_in_winter():
    passes = [p for tile in range(40) for p in _calendar.optical_passes(3, 2021, tile, 10.0, 50.0, 0.2)]
    doy = np.array([p.day_of_year for p in passes])
    assert (np.abs(doy - 196) < 60).sum() > 1.2 * ((doy < 60) | (doy > 305)).sum()
    assert np.mean([p.cover for p in passes]) == pytest.approx(0.2, abs=0.02)


def test_chosen_dates_cover_the_seasons_and_pair_up():
    rng = np.random.default_rng(0)
    s2 = _calendar.optical_passes(0, 2021, 1, 12.0, 52.0, 0.2)
    s1 = _calendar.radar_passes(0, 2021, 1, 12.0, 12)
    chosen = _calendar.choose(s2, 4, rng)
    assert np.ptp([p.day for p in chosen]) > 120
    near = _calendar.choose_near(s1, 6, chosen, rng)
    assert len({p.time for p in near}) == 6
    assert all(min(abs(p.time - q.time).days for q in near) <= 12 for p in chosen)
    assert _calendar.choose(s2, 999, rng) == list(s2)
    assert len(_calendar.choose_near(s1, 999, chosen, rng)) == len(s1)


def test_seasons_are_reversed_in_the_south():
    north, south = (synth.Config(lat=lat, locations=1) for lat in (45.0, -45.0))
    january = [_calendar.Pass(datetime(2021, 1, 10, tzinfo=UTC), "R022")]
    days = [synth._season(synth.locations(c)[0], january)[0] for c in (north, south)]
    assert days[0] == 10
    assert 180 < days[1] < 200
    assert synth.locations(south)[0].crs.startswith("EPSG:327")


# --- places ---------------------------------------------------------------------------------------------------------


def test_the_default_region_lies_in_two_utm_zones():
    assert {place.crs for place in synth.locations(synth.Config(locations=50))} == {"EPSG:32632", "EPSG:32633"}


def test_georeference_agrees_with_proj():
    config = synth.Config(locations=30, lon=20.0, lat=-33.0)
    for place in synth.locations(config):
        a, _, west, _, e, north = place.transform
        lon, lat = Transformer.from_crs(place.crs, "EPSG:4326", always_xy=True).transform(
            west + a * config.chip_px / 2, north + e * config.chip_px / 2
        )
        assert (lon, lat) == pytest.approx((place.lon, place.lat), abs=1e-9)
        assert abs(lat + 33) < 0.3


def test_locations_do_not_overlap_and_can_tile_the_region():
    config = synth.Config(locations=36, extent_km=3.84, lon=9.0)
    places = synth.locations(config)
    assert len(places) == 36
    assert len({p.west for p in places}) == 6
    assert np.diff(sorted({p.west for p in places})) == pytest.approx(640)
    assert np.diff(sorted({p.north for p in places})) == pytest.approx(640)


def test_groups_are_spatial_blocks():
    config = synth.Config(locations=100, block_km=10, lon=9.0)
    places = synth.locations(config)
    groups = {}
    for place in places:
        groups.setdefault(place.group, []).append((place.west, place.north))
    assert 9 <= len(groups) <= 36
    assert all(np.ptp(np.array(members), axis=0).max() <= 10_000 for members in groups.values())


def test_too_many_locations_say_how_large_the_region_must_be():
    with pytest.raises(RecipeError, match=r"do not fit") as error:
        synth.locations(synth.Config(locations=10_000, extent_km=20))
    assert "64" in str(error.value)
    assert synth.locations(synth.Config(locations=10_000, extent_km=64))


def test_a_corpus_without_dates_is_refused():
    with pytest.raises(ValidationError, match="nothing to see"):
        synth.Config(dates_optical=0, dates_radar=0)


# --- reproducibility and the corpus ---------------------------------------------------------------------------------


def test_a_place_is_a_pure_function_of_seed_and_place(config, scenes):
    for scene in (scenes[17], scenes[4]):
        again = synth.make(config, scene.location)
        np.testing.assert_array_equal(again.optical.pixels, scene.optical.pixels)
        np.testing.assert_array_equal(again.radar.pixels, scene.radar.pixels)
        np.testing.assert_array_equal(again.landcover, scene.landcover)
        assert again.optical.passes == scene.optical.passes


def test_another_seed_is_another_world(config, scenes):
    other = synth.make(config.model_copy(update={"seed": 8}), scenes[0].location)
    assert (other.landcover != scenes[0].landcover).any()


@pytest.fixture(scope="module")
def small():
    return synth.Config(locations=9, chip_px=16, extent_km=10, seed=7, cloud_fraction=0.4, dates_optical=3)


@pytest.fixture(scope="module")
def corpus(small, tmp_path_factory):
    target = tmp_path_factory.mktemp("synth") / "corpus"
    synth.build(small, target)
    return Corpus.open(target)


def test_the_corpus_holds_what_was_made(small, corpus):
    assert corpus.info.complete
    assert len(corpus.locations) == 9
    assert set(corpus.info.sensors) == {synth.OPTICAL, synth.RADAR}
    places = {place.uid: place for place in synth.locations(small)}
    optical = zarr.open_group(corpus.path / "pixels" / f"{synth.OPTICAL}.zarr", mode="r")
    values = next(iter(optical.arrays()))[1]
    for row, location in corpus.locations.iterrows():
        scene = synth.make(small, places[location["uid"]])
        np.testing.assert_array_equal(corpus.labels("landcover", [row])[0], scene.landcover)
        chips = corpus.chips[(corpus.chips["location"] == row) & (corpus.chips["sensor"] == synth.OPTICAL)]
        for i, chip in enumerate(chips.sort_values("datetime").itertuples()):
            np.testing.assert_array_equal(values[chip.row], scene.optical.pixels[i])
            assert chip.cloud == pytest.approx((scene.truth[i] == synth.CLOUD).mean())
        names = list(corpus.label_layers["landcover"].classes.values())
        assert location["dominant"] == names[np.bincount(scene.landcover.ravel()).argmax()]
        shares = [location[f"share_{name.replace('-', '_')}"] for name in names]
        assert sum(shares) == pytest.approx(1)


def test_cloud_truth_lies_beside_the_pixels(small, corpus):
    truth = zarr.open_group(corpus.path / "truth" / f"{synth.OPTICAL}.zarr", mode="r")["truth"][:]
    chips = corpus.chips[corpus.chips["sensor"] == synth.OPTICAL]
    assert truth.shape == (len(chips), 16, 16)
    np.testing.assert_allclose((truth[chips["row"]] == synth.CLOUD).mean(axis=(1, 2)), chips["cloud"], atol=1e-9)


def test_a_killed_build_continues_to_the_same_corpus(small, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(synth, "PART", 2)
    monkeypatch.setattr(synth, "TRUTH_ROWS", 5)
    real, made = synth.make, []

    def dying(config, place):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(place.uid)
        return real(config, place)

    monkeypatch.setattr(synth, "make", dying)
    target = tmp_path / "corpus"
    with pytest.raises(KeyboardInterrupt):
        synth.build(small, target)
    partial = Corpus.open(target)
    assert len(partial.locations) == 4
    assert not partial.info.complete
    monkeypatch.setattr(synth, "make", real)
    synth.build(small, target)
    assert Corpus.open(target).content_hash == corpus.content_hash
    a, b = (zarr.open_group(c / "truth" / f"{synth.OPTICAL}.zarr", mode="r")["truth"][:] for c in (target, corpus.path))
    np.testing.assert_array_equal(a, b)


def test_two_worlds_do_not_mix(small, corpus):
    with pytest.raises(CorpusError, match="another seed"):
        synth.build(small.model_copy(update={"seed": 1}), corpus.path)


def test_masked_clouds_are_invalid(small, corpus, tmp_path):
    synth.build(small.model_copy(update={"mask_clouds": True}), tmp_path / "masked")
    masked = Corpus.open(tmp_path / "masked")
    truth = zarr.open_group(corpus.path / "truth" / f"{synth.OPTICAL}.zarr", mode="r")["truth"][:]
    chips = masked.chips[masked.chips["sensor"] == synth.OPTICAL]
    np.testing.assert_allclose((truth[chips["row"]] == synth.CLEAR).mean(axis=(1, 2)), chips["valid"], atol=1e-9)
    assert (corpus.chips["valid"] == 1).all()


@pytest.mark.parametrize("mask_clouds", [False, True])
def test_clear_chips_are_the_same_but_for_clouds_and_shadows(small, corpus, tmp_path, mask_clouds):
    synth.build(small.model_copy(update={"clear": True, "mask_clouds": mask_clouds}), tmp_path / "clear")
    made = Corpus.open(tmp_path / "clear")
    reads, rows = {synth.OPTICAL: _spectra.BANDS, synth.RADAR: ("VV", "VH")}, np.arange(len(made))
    seen, clear = (
        Reader(made, reads, clear=sensors).batch(rows, Selection(dates="all")).images
        for sensors in ((), (synth.OPTICAL,))
    )
    assert torch.equal(seen[synth.RADAR].pixels, clear[synth.RADAR].pixels)
    pixels, other = clear[synth.OPTICAL].pixels.numpy(), seen[synth.OPTICAL].pixels.numpy()
    there = clear[synth.OPTICAL].valid.flatten(2)
    assert torch.equal(there.all(2), there.any(2))  # a date that is all cloud is no date of a masked corpus
    if mask_clouds:
        return
    truth = zarr.open_group(corpus.path / "truth" / f"{synth.OPTICAL}.zarr", mode="r")["truth"][:]
    chips = made.chips[made.chips["sensor"] == synth.OPTICAL].sort_values(["location", "datetime"])
    truth = truth[chips["row"]].reshape(*pixels.shape[:2], *pixels.shape[3:])
    assert pixels[:, :, NIR][truth == synth.CLOUD].mean() < 0.35
    assert other[:, :, NIR][truth == synth.CLOUD].mean() > 0.4
    # thin rims, blur and the 20 m grid reach a little beyond the mask
    open_sky = (truth == synth.CLEAR).all(axis=(2, 3))
    assert open_sky.any()
    np.testing.assert_allclose(pixels[open_sky].mean(), other[open_sky].mean(), rtol=0.01)


def test_one_sensor_alone(small, tmp_path):
    synth.build(small.model_copy(update={"dates_optical": 0}), tmp_path / "radar")
    assert set(Corpus.open(tmp_path / "radar").info.sensors) == {synth.RADAR}
    assert not (tmp_path / "radar" / "truth").exists()
