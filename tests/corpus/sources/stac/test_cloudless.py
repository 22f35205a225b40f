"""s2cloudless on level 1C: the package's own masks, on pixels that are offset, coarse and missing; and its refusals."""

import sys

import numpy as np
import pytest

from swath import sensors
from swath.corpus.sources.stac import _cloudless as cloudless
from swath.corpus.sources.stac import build
from swath.corpus.sources.stac._cloudless import BANDS, S2Cloudless
from swath.corpus.sources.stac._read import Access
from swath.errors import RecipeError
from tests.corpus.sources.stac.conftest import World
from tests.corpus.sources.stac.test_place import reasons
from tests.corpus.sources.stac.world import L1C, Scene, at, moment, spectra

CLEAR = Scene(moment("2021-03-14 10:10:00"), L1C, cloud=30.0)
WEST, NORTH = CLEAR.west, CLEAR.north
CLOUDY = at(CLEAR, when=moment("2021-03-19 10:10:00"), cloud=3.0, cloudy=(WEST, NORTH - 4800, WEST + 4800, NORTH))
RULE = {"name": "s2cloudless"}
SERIES = {"name": "every", "start": "2021-03-01", "end": "2021-03-31"}


def level_1c(**changes) -> dict:
    return {"sensor": L1C, "bands": ["B02", "B05"], "max_cloud": 50, "cloud_mask": RULE, **changes}


def take(served: World, **changes):
    return served.take(**{"products": [level_1c()], "chip_px": 60} | changes)


def from_the_package(location, px: int, average: int, dilation: int, *, baseline_pixels: np.ndarray) -> np.ndarray:
    from s2cloudless import S2PixelCloudDetector

    detector = S2PixelCloudDetector(threshold=0.4, average_over=average, dilation_size=dilation)
    return detector.get_cloud_masks(baseline_pixels[np.newaxis])[0].astype(bool)


def reflectance(scene: Scene, location, px: int) -> np.ndarray:
    """(y, x, band) as the instrument saw it, every band at its own resolution."""
    west, north = location.transform[2], location.transform[5]
    layers = []
    for band in BANDS:
        gsd = sensors.get(L1C).pixel_m(band)
        x = np.floor((west + 10 * (np.arange(px) + 0.5)) / gsd) * gsd + gsd / 2
        y = np.floor((north - 10 * (np.arange(px) + 0.5)) / gsd) * gsd + gsd / 2
        layers.append(spectra(scene, band, x, y) / 10_000)
    return np.stack(layers, axis=-1)


def test_the_model_sees_cloud_and_cirrus_and_leaves_plants_alone(other):
    """A chip on the border of each: clouds of the right side, grown and no more."""
    pytest.importorskip("s2cloudless")
    served = other(CLEAR)
    location = served.location(served.section(products=[level_1c()], chip_px=60))
    middle = 60 * round((location.transform[2] + 300) / 60)
    thick = at(CLEAR, cloudy=(WEST, NORTH - 4800, middle, NORTH))
    thin = at(thick, cirrus=True)
    for scene in (thick, thin):
        outcome = take(other(scene), products=[level_1c(mask_clouds=True)])
        assert outcome.failures == ()
        (chip,) = outcome.chips
        border = round((middle - location.transform[2]) / 10)
        assert not chip.valid[:, :border].any()
        assert chip.valid[:, border + 22 :].all()
        assert 0.5 <= chip.cloud < 0.9


@pytest.mark.parametrize("baseline", ["02.09", "05.09"])
@pytest.mark.parametrize(("average_m", "dilate_m", "radii"), [(220.0, 110.0, (22, 11)), (40.0, 0.0, (4, 0))])
def test_masks_are_the_packages_to_the_pixel(other, baseline, average_m, dilate_m, radii):
    """Whatever the baseline: with and without the offset in the files, the model gets the same reflectance."""
    pytest.importorskip("s2cloudless")
    probe = other(CLEAR)
    place = probe.location(probe.section(products=[level_1c()], chip_px=60))
    x, y = place.transform[2], place.transform[5]
    scene = at(CLEAR, baseline=baseline, cloudy=(x + 60, y - 420, x + 240, y - 120))
    rule = RULE | {"average_m": average_m, "dilate_m": dilate_m}
    outcome = take(other(scene), products=[level_1c(mask_clouds=True, cloud_mask=rule)])
    (chip,) = outcome.chips
    wanted = from_the_package(outcome.location, 60, *radii, baseline_pixels=reflectance(scene, outcome.location, 60))
    assert 0 < wanted.mean() < 1
    np.testing.assert_array_equal(~chip.valid, wanted)
    assert chip.cloud == pytest.approx(wanted.mean())


def test_cloud_over_the_chip_decides(other):
    """The tile with 3 % has all its cloud here; the one with 30 % has none."""
    pytest.importorskip("s2cloudless")
    served = other(CLEAR, CLOUDY)
    assert take(served).chips[0].source == CLEAR.id
    blind = take(served, products=[level_1c(cloud_mask=None)]).chips[0]
    assert (blind.source, blind.cloud) == (
        CLOUDY.id,
        None,
    )  # without a mask, what the catalogue says of the tile counts
    assert take(served, products=[level_1c(max_cloud=10)]).chips[0].cloud == 1.0
    refused = take(served, products=[level_1c(max_cloud=10, max_chip_cloud=0.5)])
    assert "100% of the chip is cloud" in reasons(refused)


def test_bands_of_the_mask_are_read_once(other, monkeypatch):
    pytest.importorskip("s2cloudless")
    served = other(at(CLEAR, when=moment("2021-03-15 10:10:00")))
    opened: list[str] = []
    read = Access.read

    def counted(access, file, *arguments):
        opened.append(file.href[-7:-4])
        return read(access, file, *arguments)

    monkeypatch.setattr(Access, "read", counted)
    assert len(take(served, products=[level_1c(bands=["B03", "B02"])]).chips) == 1
    assert sorted(opened) == sorted([*BANDS, "B03"])


def test_a_scene_without_the_cirrus_band_is_passed_over(other):
    pytest.importorskip("s2cloudless")
    broken = at(CLEAR, without=("cirrus",), cloud=0.0, when=moment("2021-03-22 10:10:00"))
    assert take(other(broken, CLEAR)).chips[0].source == CLEAR.id
    assert f"{broken.id} has no cirrus" in reasons(take(other(broken)))


def test_pixels_without_data_are_no_cloud_and_make_none():
    pytest.importorskip("s2cloudless")
    scene = at(CLEAR, cloudy=(WEST, NORTH - 4800, WEST + 100_000, NORTH))
    x = np.full(40, WEST + 50)
    clear, cloud = (
        np.stack([spectra(one, band, x, x * 0 + NORTH - 50) / 10_000 for band in BANDS]) for one in (CLEAR, scene)
    )
    seen = np.ones((40, 40), bool)
    seen[:, :20] = False
    pixels = np.where(seen, clear, 0.0)
    assert not cloudless.mask(pixels, seen, S2Cloudless(), 10.0).any()
    assert not cloudless.mask(np.where(seen, cloud, 1.0), seen, S2Cloudless(), 10.0)[:, :20].any()


def test_series_have_a_mask_a_date(other):
    pytest.importorskip("s2cloudless")
    outcome = take(other(CLEAR, CLOUDY), when=SERIES)
    assert [(chip.source, chip.cloud) for chip in outcome.chips] == [(CLEAR.id, 0.0), (CLOUDY.id, 1.0)]


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_other_products_are_refused_and_told_what_they_have(served):
    with pytest.raises(ValueError, match=r"needs reflectance at the top .* B10, so sentinel-2-l1c, not sentinel-2-l2a; "
                       "leave cloud_mask out: SCL says what is cloud"):  # fmt: skip
        served.section(products=[served.optical(cloud_mask=RULE)])
    with pytest.raises(ValueError, match=r"so sentinel-2-l1c, not sentinel-1-rtc"):
        served.section(products=[served.radar(cloud_mask=RULE)])


def test_without_the_package_a_build_says_which_extra_it_needs(other, tmp_path, monkeypatch):
    for name in ("s2cloudless", "s2cloudless.cloud_detector"):
        monkeypatch.setitem(sys.modules, name, None)
    served = other(CLEAR)
    section = served.section(products=[level_1c()])
    with pytest.raises(RecipeError, match="s2cloudless is not installed") as error:
        build(section, tmp_path / "corpus")
    assert "swath[s2cloudless]" in str(error.value.remedy)
    assert not (tmp_path / "corpus").exists()
