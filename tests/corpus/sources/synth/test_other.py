"""Further optical sensors over the synthetic landscape."""

import numpy as np
import pytest
from pydantic import ValidationError

from swath import sensors
from swath.corpus.physics.spectra import WAVELENGTH
from swath.corpus.sources.synth import _build as synth
from swath.corpus.sources.synth import _other
from swath.corpus.store.format import Corpus
from swath.errors import CorpusError, RecipeError

SMALL = {"locations": 2, "chip_px": 16, "dates_optical": 2, "dates_radar": 0, "extent_km": 4.0}
OLI = "landsat-oli-sr"


@pytest.fixture(scope="module")
def config():
    return synth.Config(**SMALL, others=(OLI,))


@pytest.fixture(scope="module")
def scene(config):
    return synth.make(config, synth.locations(config)[0])


def test_a_band_is_the_mean_of_the_spectrum_over_its_width():
    """By integrals of the broken line through the ten wavelengths. OLI's blue begins below the first of them."""
    spectrum = np.random.default_rng(0).uniform(0, 0.5, 10).astype(np.float32)
    seen = np.broadcast_to(spectrum[None, :, None, None], (1, 10, 4, 4))
    found = _other.resolved(seen, OLI)[0, :, 2, 2]
    bands = _other.bands_of(OLI)
    assert [band.name for band in bands] == ["SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"]
    for band, value in zip(bands, found, strict=True):
        fine = np.linspace(band.centre_um - band.width_um / 2, band.centre_um + band.width_um / 2, 20_001)
        assert value == pytest.approx(np.interp(fine, WAVELENGTH, spectrum).mean(), abs=1e-3)


def test_it_resolves_its_own_pixels():
    """One bright pixel of 10 m becomes a square of nine at 30 m, and stays one for a sensor of 10 m."""
    point = np.zeros((1, 10, 9, 9), dtype=np.float32)
    point[:, :, 4, 4] = 0.9
    blurred = _other.resolved(point, OLI)[0, 2]
    np.testing.assert_allclose(blurred[3:6, 3:6], 0.1, atol=1e-6)
    assert blurred.sum() == pytest.approx(0.9, abs=1e-5)


def test_counts_are_those_of_the_provider_and_never_its_mark_of_missing_pixels():
    """Collection 2: 2.75e-5 and -0.2; 0 is missing. HLS: 1e-4; -9999 is missing."""
    seen = np.array([-0.2, 0.0, 0.3], dtype=np.float32)[None, None, None].repeat(6, axis=1)
    np.testing.assert_array_equal(_other.counts(seen, OLI)[0, 0, 0], [1, round(0.2 / 2.75e-5), round(0.5 / 2.75e-5)])
    assert _other.counts(seen - 0.8, "hls")[0, 0, 0].tolist() == [-10000, -8000, -5000]
    low = np.full((1, 6, 1, 1), -0.9999)
    assert _other.counts(low, "hls")[0, 0, 0, 0] == -9998


def test_it_sees_the_same_ground_on_days_of_its_own(config, scene):
    """What is green for Sentinel-2 is so for Landsat; the days are others, and all else of the world as without it."""
    series = scene.others[OLI].series
    assert series.pixels.shape == (2, 6, 16, 16)
    assert {p.day for p in series.passes} != {p.day for p in scene.optical.passes}
    plain = synth.make(synth.Config(**SMALL), synth.locations(config)[0])
    assert np.array_equal(plain.optical.pixels, scene.optical.pixels)
    assert plain.others == {}
    red, nir = (series.pixels[:, k].mean(axis=0) * 2.75e-5 - 0.2 for k in (2, 3))
    own = scene.optical.pixels.mean(axis=0) * 1e-4 - 0.1
    theirs, ours = ((a - b) / (a + b) for a, b in ((nir, red), (own[6], own[2])))
    assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.7


def test_a_corpus_of_it(config, tmp_path):
    synth.build(config, tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.info.sensors[OLI].dtype == "uint16"
    chips = corpus.chips[corpus.chips["sensor"] == OLI]
    assert len(chips) == 4
    assert chips["cloud"].between(0, 1).all()
    assert 0.01 < corpus.statistics[OLI]["SR_B4"].mean < 0.5
    with pytest.raises(CorpusError, match="another others"):
        synth.build(synth.Config(**SMALL), tmp_path / "corpus")


def test_worlds_without_others_say_nothing_of_them():
    assert "others" not in synth.Config().model_dump(mode="json")
    assert synth.Config(others=(OLI,)).model_dump(mode="json")["others"] == [OLI]


def test_sensors_that_cannot_be_painted():
    with pytest.raises(ValidationError, match="is there already"):
        synth.Config(others=("sentinel-2-l2a",))
    with pytest.raises(RecipeError, match="no spectrum for any band of sentinel-1-rtc"):
        synth.Config(others=("sentinel-1-rtc",))
    with pytest.raises(RecipeError, match="modis resolves more than 30 m in sur_refl_b01"):
        synth.Config(others=("modis",))
    with pytest.raises(RecipeError, match="unknown sensor"):
        synth.Config(others=("landsat-oli",))
    assert all(band.centre_um for band in _other.bands_of("hls"))
    assert "B9" not in {band.name for band in _other.bands_of("landsat-oli-toa")}  # cirrus
    assert sensors.get(OLI).band("SR_B1").centre_um < _other.PAINTED_UM[0]
