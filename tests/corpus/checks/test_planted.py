"""Faults planted into the synthetic landscape are found, one by one, and the landscape itself has none."""

import re
import shutil
import sys

import numpy as np
import pytest
from scipy.ndimage import shift

from swath.corpus import Corpus, CorpusInfo, check
from swath.corpus.checks import _register, _spectra, kinds
from swath.corpus.sources.synth import OPTICAL, RADAR, Config, build
from swath.corpus.store import arrays as _arrays
from swath.corpus.store.format import SensorLayout, pixel_path
from tests.corpus import fakes
from tests.corpus.fakes import resealed


@pytest.fixture(scope="module")
def landscape(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted") / "corpus"
    build(Config(locations=16, chip_px=48, extent_km=20, seed=2, dates_optical=3, dates_radar=3), path)
    return path


@pytest.fixture
def plant(landscape, tmp_path):
    """Change the stored counts or the layout of a sensor, as a build with that mistake would have stored them."""

    def planted(sensor: str, change=None, **layout) -> Corpus:
        path = shutil.copytree(landscape, tmp_path / "corpus")
        array = _arrays.open_array(pixel_path(path, sensor), "pixels")
        if change is not None:
            counts = array.read().result()
            array.write(change(counts).astype(counts.dtype)).result()
        info = CorpusInfo.read(path)
        new = SensorLayout.model_validate(info.sensors[sensor].model_dump() | layout)
        info.model_copy(update={"sensors": info.sensors | {sensor: new}}).write(path)
        return resealed(path)

    return planted


def errors(corpus: Corpus) -> list[str]:
    return [str(finding) for finding in check(corpus) if finding.level == "error"]


def test_the_landscape_has_no_findings(landscape):
    assert check(Corpus.open(landscape)) == []


@pytest.mark.parametrize("move", [(0, 1.5), (1.5, 0), (-1.1, 1.1)])
def test_a_shift_of_a_pixel_and_a_half_between_sensors(plant, move):
    corpus = plant(RADAR, lambda counts: shift(counts.astype(float), (0, 0, *move), order=1, mode="nearest"))
    (found,) = errors(corpus)
    down, right = (float(number) for number in _moved(found))
    assert np.allclose((down, right), move, atol=0.3)


def _moved(found: str) -> tuple[str, str]:
    inside = found.split("(")[1]
    return inside.split(" down")[0], inside.split(", ")[1].split(" right")[0]


def test_dates_that_do_not_lie_on_each_other(plant):
    def jitter(counts):
        moves = np.random.default_rng(0).choice([-2, 2], (len(counts), 2))
        return np.stack([np.roll(one, tuple(move), (1, 2)) for one, move in zip(counts, moves, strict=True)])

    assert any("dates are displaced by more than 1 pixel" in found for found in errors(plant(OPTICAL, jitter)))


BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


@pytest.mark.parametrize("pair", [("B02", "B04"), ("B04", "B08"), ("B08", "B11"), ("B03", "B12"), ("B11", "B12")])
def test_two_exchanged_bands(plant, pair):
    i, j = (BANDS.index(name) for name in pair)

    def exchange(counts):
        order = list(range(10))
        order[i], order[j] = j, i
        return counts[:, order]

    (found,) = errors(plant(OPTICAL, exchange))
    assert f"{pair[0]} like {pair[1]}" in found
    assert f"{pair[1]} like {pair[0]}" in found


def test_a_band_at_the_wrong_end(plant):
    """B8A at the end, as EuroSAT ships it, read as if it stood after B08."""
    order = [*range(7), 8, 9, 7]
    found = errors(plant(OPTICAL, lambda counts: counts[:, order]))
    assert len(found) == 1
    assert "exchanged" in found[0]


def test_exchanged_polarisations(plant):
    (found,) = errors(plant(RADAR, lambda counts: counts[:, ::-1]))
    assert "VH is" in found
    assert "stronger than VV" in found


def test_a_doubled_offset(plant):
    (found,) = errors(plant(OPTICAL, offset=(-0.2,) * 10))
    assert "an offset was doubled" in found


def test_a_missing_offset(plant):
    (found,) = errors(plant(OPTICAL, offset=(0.0,) * 10))
    assert "an offset of 0.1 was not subtracted" in found


@pytest.mark.parametrize(("scale", "said"), [(1e-8, "scaled down twice"), (1.0, "counts or percent")])
def test_a_scale_that_is_off(plant, scale, said):
    found = errors(plant(OPTICAL, scale=(scale,) * 10, offset=(-0.1 * scale / 1e-4,) * 10))
    assert any(said in one for one in found)


def some_dates(change, every: int = 3):
    """The last of a place's three dates is changed, or those of one place in so many."""

    def changed(counts):
        result = counts.astype(float)
        result[2::every] = change(result[2::every])
        return result

    return changed


@pytest.mark.parametrize("every", [3, 12])
def test_an_offset_that_some_dates_have(plant, every):
    (found,) = errors(plant(OPTICAL, some_dates(lambda counts: counts + 1000, every)))
    assert "pairs of dates differ by 0.1 in all bands" in found
    assert "scaling: {group: baseline}" in found


def test_dates_that_are_brighter_by_other_amounts_are_no_offset(plant):
    found = errors(plant(OPTICAL, some_dates(lambda counts: counts + 500)))
    assert not [one for one in found if "pairs of dates" in one]


def test_a_scale_that_some_dates_have(plant):
    found = check(plant(OPTICAL, some_dates(lambda counts: (counts - 1000) / 100 + 1000)))
    assert any("pairs of dates differ by a factor of" in one.what for one in found if one.level == "warning")


def test_linear_power_that_some_dates_have(plant):
    found = errors(plant(RADAR, some_dates(lambda counts: np.maximum(10 ** (counts / 1000) * 100, 1))))
    assert any("nearly all of one is above -1.0 dB: some are linear power" in one for one in found)


@pytest.mark.parametrize(("sensor", "value"), [(RADAR, 0), (RADAR, -32768), (OPTICAL, 65535)])
def test_a_value_of_nodata_that_nobody_marked(plant, sensor, value):
    def fill(counts):
        counts[:, 1, :12] = value
        return counts

    corpus = plant(sensor, fill)
    band = corpus.info.sensors[sensor].bands[1]
    warned = [finding for finding in check(corpus) if f"hold the count {value}" in finding.what]
    assert [(finding.level, finding.where) for finding in warned] == [("warning", f"{sensor}/{band}")]
    assert "25% of the valid pixels" in warned[0].what


def test_linear_power_taken_as_decibels(plant):
    corpus = plant(RADAR, lambda counts: np.rint(10 ** (counts / 1000) * 1e4), scale=(1e-4,) * 2)
    found = errors(corpus)
    assert len(found) == 2
    assert all("linear power taken as decibels" in one for one in found)


def test_decibels_taken_as_linear_power(plant):
    found = errors(plant(RADAR, decibel=True))
    assert any("decibels taken as linear power" in one for one in found)


def test_a_fit_is_perfect_for_the_right_order_and_order_is_restored():
    wavelengths = np.array([0.49, 0.56, 0.665, 0.705, 0.842, 1.61, 2.19])
    inverse = _spectra.expected(wavelengths)
    seen = np.linalg.inv(inverse)
    order, fit = _spectra.best_order(inverse, seen)
    assert fit == 1
    assert order.tolist() == list(range(7))
    mixed = np.random.default_rng(1).permutation(7)
    order, fit = _spectra.best_order(inverse, seen[np.ix_(mixed, mixed)])
    assert fit < 0.5
    assert mixed[order].tolist() == list(range(7))


def test_the_second_moment_is_that_of_unit_vectors():
    pixels = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    assert np.allclose(_spectra.second_moment(pixels), (np.outer([0.6, 0.8], [0.6, 0.8]) + np.diag([0, 1])) / 2)


@pytest.mark.parametrize("move", [(0.0, 0.0), (0.3, -0.6), (-2.25, 1.5), (5.0, -4.0)])
def test_phase_correlation_measures_parts_of_pixels(move):
    rng = np.random.default_rng(0)
    powers = []
    for _ in range(8):
        ground = shift(rng.standard_normal((2, 96, 96)), (0, 0, 0)).cumsum(1).cumsum(2)
        moved = shift(ground, (0, *move), order=3, mode="nearest")
        powers.append(_register.cross_power(*(_register.edges(one[:, 16:-16, 16:-16], 1.0) for one in (ground, moved))))
    found = _register.joint(powers)
    assert np.allclose((found.down, found.right), move, atol=0.12)
    assert found.confidence > 20
    assert found.error < 0.2


def test_noise_gives_no_confidence():
    rng = np.random.default_rng(0)
    powers = [_register.cross_power(*rng.standard_normal((2, 64, 64))) for _ in range(20)]
    assert _register.joint(powers).confidence < 8
    assert np.isnan(_register.joint(powers[:1]).error)


def test_kinds_run_in_stages():
    stages = [module.STAGE for module in kinds()]
    assert stages == sorted(stages)
    assert all(callable(module.inspect) for module in kinds())


BROKEN = {
    "cannot be imported: ModuleNotFoundError": "import nowhere_to_be_found",
    "STAGE and inspect": "STAGE = 5",
    "failed: ZeroDivisionError": "STAGE = 0\n\n\ndef inspect(sample):\n    return 1 / 0",
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_check_of_a_package_that_is_broken_is_named_and_stops_no_other(said, tmp_path, monkeypatch):
    (tmp_path / "their_check.py").write_text(BROKEN[said])
    metadata = tmp_path / "theirs-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[swath.checks]\nweather = their_check\n")
    corpus = fakes.make(tmp_path / "corpus", count=2)
    before = check(corpus)
    monkeypatch.syspath_prepend(tmp_path)
    (more,) = [finding for finding in check(corpus) if finding not in before]
    sys.modules.pop("their_check", None)
    assert more.level == "warning"
    assert re.search(said, more.what)
    assert "was not looked for" in more.remedy
