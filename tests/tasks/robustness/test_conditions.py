"""Conditions of test images against the same things done with NumPy."""

import datetime as dt

import numpy as np
import pytest
import torch

from swath.batch import NO_BAND, NO_DAY
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.corpus.splits import SplitConfig, split
from swath.errors import RecipeError
from swath.tasks import TaskConfig
from swath.tasks.robustness import SHIFTS, Asked, conditions, unseen
from swath.tasks.task import Task

S2, HLS, RADAR = "sentinel-2-l2a", "hls", "sentinel-1-grd"
PX, N = 6, 12
OPTICAL = (f"{S2}/B02", f"{S2}/B04", f"{S2}/B08")
BOTH = (*OPTICAL, f"{RADAR}/VV", f"{RADAR}/VH")
LAYOUTS = {
    S2: SensorLayout(bands=("B02", "B04", "B08"), gsd_m=10, dtype="uint16", scale=(1e-4,) * 3, nodata=0),
    HLS: SensorLayout(bands=("BLUE", "RED", "NIR"), gsd_m=10, dtype="int16", scale=(1e-4,) * 3, nodata=-9999),
    RADAR: SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32"),
}


def about(i: int) -> dict[str, float | int | str | bool | None]:
    return {"kind": f"k{i % 2}", "country": "far" if i == N - 1 else "near"}


def series(i: int, rng: np.random.Generator) -> list[Chip]:
    """Three dates, May to July (two for every third location), one of which is partly cloudy."""
    found, uid = [], f"u{i}"
    for k in range(2 if i % 3 == 0 else 3):
        when = dt.datetime(2020, 5 + k, 1 + i)
        cloudy = rng.random((PX, PX)) < 0.3
        counts = rng.integers(1, 4000, (3, PX, PX))
        found.append(Chip(uid, S2, counts.astype(np.uint16), ~cloudy if k == 1 else None, datetime=when))
        found.append(Chip(uid, HLS, (counts + 100).astype(np.int16), datetime=when))
        found.append(Chip(uid, RADAR, rng.normal(-12, 2, (2, PX, PX)).astype(np.float32), datetime=when))
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("corpus") / "series", np.random.default_rng(0)
    with CorpusWriter(path, LAYOUTS, PX) as writer:
        places = [Location(uid=f"u{i}", group=f"g{i}", scalars=about(i)) for i in range(N)]
        writer.append(Part(places, [chip for i in range(N) for chip in series(i, rng)]))
        writer.finish()
    return Corpus.open(path)


def task_of(corpus, bands=BOTH, dates: int | str = "paired") -> Task:
    config = TaskConfig.model_validate(
        {"target": {"rule": "scalar", "column": "kind"}, "inputs": {"own": bands}, "dates": dates}
    )
    fold = SplitConfig(fractions=(0.5, 0.0, 0.5))
    return Task("kinds", config, corpus, split(corpus, fold), fold)


@pytest.fixture(scope="module")
def made(corpus):
    """The task, its images as they are, and under every condition."""
    task = task_of(corpus)
    (found,), _ = conditions([task], BOTH, Asked())
    rows = task.parts["test"].locations
    return task, task.reader.read(rows), found, lambda key: found[key].reader(task.reader, hidden=False).read(rows)


def same(one, other, sensor):
    return torch.equal(one[sensor].pixels, other[sensor].pixels) and torch.equal(one[sensor].valid, other[sensor].valid)


def test_all_bands_and_named_ones_are_left_out_together(made):
    task, _, found, _ = made
    pair = f"{S2}/B02,{S2}/B08"
    usual = {key for key in found if key.split("|")[0] in {"band", "bands", "sensor"}}
    for groups, wanted in (
        (("all",), usual),
        ((pair,), {f"bands|{pair}|1"}),
        (("all", pair), usual | {f"bands|{pair}|1"}),
    ):
        (own,), _ = conditions([task], BOTH, Asked(groups=groups, dates=False, shifts=()))
        assert set(own) == wanted
    with pytest.raises(RecipeError, match="no bands are left out, and some are named"):
        Asked(bands=False, groups=("B02",))


def test_a_band_left_out_shows_the_mean_of_the_training_part_and_its_neighbours_stay(made):
    task, plain, found, seen = made
    image = seen(f"band|{S2}/B04|1")[S2]
    train = task.reader.read(task.parts["train"].locations)[S2]
    mean = train.pixels[:, :, 1][train.valid].double().mean()
    assert image.pixels[:, :, 1][image.valid].numpy() == pytest.approx(float(mean), rel=1e-6)
    assert not image.pixels[:, :, 1][~image.valid].any()
    assert torch.equal(image.pixels[:, :, [0, 2]], plain[S2].pixels[:, :, [0, 2]])
    assert {key.split("|")[1] for key in found if key.startswith("bands|")} == {f"{S2} visible"}
    assert {key.split("|")[1] for key in found if key.startswith("sensor|")} == {S2, RADAR}
    hidden = found[f"band|{S2}/B04|1"].reader(task.reader, hidden=True).read(task.parts["test"].locations)[S2]
    assert (hidden.band_ids == NO_BAND).tolist() == [[False, True, False]] * len(hidden)
    assert torch.equal(hidden.pixels, plain[S2].pixels)


def test_named_bands_are_left_out_together_and_unknown_ones_are_refused_with_the_nearest(corpus):
    task = task_of(corpus)
    (found,), _ = conditions([task], BOTH, Asked(groups=("B02,B08", "VV"), dates=False, shifts=()))
    assert list(found) == ["bands|B02,B08|1", f"band|{RADAR}/VV|1"]
    assert found["bands|B02,B08|1"].without == (f"{S2}/B02", f"{S2}/B08")
    with pytest.raises(RecipeError, match="no band 'B05'") as error:
        conditions([task], BOTH, Asked(groups=("B05",), dates=False, shifts=()))
    assert f"{S2}/B02" in str(error.value)
    with pytest.raises(RecipeError, match="no shift 'hazy'") as error:
        Asked(shifts=("hazy",))
    assert "haze" in str(error.value)


def test_the_first_dates_are_those_that_were_there_first_and_the_others_become_padding(made):
    _, plain, found, seen = made
    assert [key for key in found if key.startswith("first-dates")] == ["first-dates||1", "first-dates||2"]
    assert found["first-dates||1"].about.startswith("2020-05-")
    for sensor, image in seen("first-dates||2").items():
        assert (image.days != NO_DAY).sum(dim=1).tolist() == [2] * len(image)
        assert torch.equal(image.days[:, :2], plain[sensor].days[:, :2])
        assert torch.equal(image.pixels[:, :2], plain[sensor].pixels[:, :2])
        assert not image.valid[:, 2:].any()
        assert not image.pixels[:, 2:].any()


def test_the_chips_of_a_month_are_dealt_anew_and_no_others(made):
    _, plain, found, seen = made
    assert [key.split("|")[1] for key in found if key.startswith("month")] == ["May", "June", "July"]
    for sensor, image in seen("month|June|6").items():
        own = plain[sensor]
        assert torch.equal(image.days, own.days)
        assert torch.equal(image.pixels[:, [0, 2]], own.pixels[:, [0, 2]])
        june, was = (sorted(one.pixels[:, 1].flatten(1).sum(1).tolist()) for one in (image, own))
        assert june == was
        assert not torch.equal(image.pixels[:, 1], own.pixels[:, 1])


def test_haze_is_chavez_path_reflectance_and_leaves_radar_alone(made):
    _, plain, _, seen = made
    hazy, own = seen("haze||0.05"), plain[S2]
    added = 0.05 * (np.array([0.4927, 0.6646, 0.8328]) / 0.49) ** -0.7
    expected = (own.pixels + torch.tensor(added, dtype=torch.float32).view(3, 1, 1)) * own.valid[:, :, None]
    np.testing.assert_allclose(hazy[S2].pixels, expected, atol=2e-4)
    assert same(hazy, plain, RADAR)


def test_noise_is_white_in_the_bands_own_deviations_and_ends_where_counts_end(made):
    task, plain, _, seen = made
    std = task.corpus.statistics
    weak, strong = seen("noise||0.1"), seen("noise||0.5")
    for sensor, at, name in ((RADAR, 0, "VV"), (S2, 2, "B08")):
        own = plain[sensor]
        added = [(one[sensor].pixels[:, :, at] - own.pixels[:, :, at])[own.valid] for one in (weak, strong)]
        free = (strong[sensor].pixels[:, :, at][own.valid] - 1e-4).abs() > 1e-7
        assert torch.allclose(added[1][free], 5 * added[0][free], atol=1e-4)
        assert float(added[0].std()) == pytest.approx(0.1 * std[sensor][name].std, rel=0.12)
    assert float(strong[S2].pixels[plain[S2].valid[:, :, None].expand_as(plain[S2].pixels)].min()) >= 1e-4 - 1e-9


def test_coarser_pixels_are_means_of_the_valid_ones(made):
    _, plain, _, seen = made
    own, image = plain[S2], seen("resampling||2")[S2]
    pixels, valid = own.pixels.numpy(), own.valid.numpy()
    for y, x in ((0, 0), (2, 4)):
        there = valid[:, :, y : y + 2, x : x + 2]
        total = (pixels[:, :, :, y : y + 2, x : x + 2] * there[:, :, None]).sum(axis=(3, 4))
        mean = total / np.maximum(there.sum(axis=(2, 3)), 1)[:, :, None]
        for dy, dx in ((0, 0), (1, 1)):
            expected = mean * valid[:, :, None, y + dy, x + dx]
            np.testing.assert_allclose(image.pixels[:, :, :, y + dy, x + dx], expected, atol=1e-6)


def test_coarser_radar_is_the_mean_of_its_power_as_a_coarser_radar_would_measure(made):
    _, plain, _, seen = made
    decibel = plain[RADAR].pixels[:, :, :, :2, :2].double().numpy()
    assert plain[RADAR].valid[:, 0].all()
    expected = 10 * np.log10((10 ** (decibel / 10)).mean(axis=(3, 4)))
    np.testing.assert_allclose(seen("resampling||2")[RADAR].pixels[:, 0, :, 1, 0], expected[:, 0], atol=1e-4)


def test_out_of_register_is_a_pixel_to_one_side_of_the_image_a_band_a_date_or_a_sensor(made):
    _, plain, _, seen = made
    image, own = seen("misregistration|image|1"), plain
    sides = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    for i in range(len(own[RADAR])):
        pixels = own[RADAR].pixels[i].numpy()
        padded = np.pad(pixels, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="edge")
        moved = [padded[:, :, 1 - y : PX + 1 - y, 1 - x : PX + 1 - x] for y, x in sides]
        fit = [np.array_equal(image[RADAR].pixels[i].numpy(), one) for one in moved]
        assert sum(fit) == 1
    band = seen("misregistration|band|1")[S2]
    changed = (band.pixels != own[S2].pixels).flatten(3).any(dim=3).any(dim=1)
    assert changed.sum(dim=1).tolist() == [1] * len(band)
    assert torch.equal(band.valid, own[S2].valid)
    date = seen("misregistration|date|1")[RADAR]
    assert (date.pixels != own[RADAR].pixels).flatten(2).any(2).sum(dim=1).tolist() == [1] * len(date)
    alone = seen(f"misregistration|{RADAR}|1")
    assert same(alone, plain, S2)
    assert not same(alone, plain, RADAR)


def test_clouds_are_painted_over_the_share_or_lent_from_other_chips(made):
    _, plain, _, seen = made
    painted, masked = seen("painted-clouds||0.3"), seen("cloud-masks||1")
    for i in range(len(plain[S2])):
        own, valid = plain[S2].pixels[i], plain[S2].valid[i]
        over = (painted[S2].pixels[i] != own).any(dim=1)
        assert int(over.sum()) == round(0.3 * int(valid.sum()))
        lent = masked[S2].valid[i]
        assert not (lent & ~valid).any()
        assert lent.sum() < valid.sum()
        assert torch.equal(masked[S2].pixels[i], own * lent[:, None])
    assert same(painted, plain, RADAR)
    assert same(masked, plain, RADAR)


def test_another_sensor_stands_in_by_common_names(corpus):
    task = task_of(corpus, OPTICAL, dates="all")
    (found,), said = conditions([task], OPTICAL, Asked(bands=False, dates=False, shifts=("other-sensor",)))
    assert said == []
    rows = task.parts["test"].locations
    (one,) = found.values()
    assert one.key == f"other-sensor|{HLS} for {S2}|1"
    image, own = one.reader(task.reader, hidden=False).read(rows), task.reader.read(rows)
    there = own[S2].valid & image[S2].valid
    apart = (image[S2].pixels - own[S2].pixels).permute(0, 1, 3, 4, 2)[there]
    np.testing.assert_allclose(apart, 0.01, atol=1e-6)
    assert torch.equal(image[S2].band_ids, own[S2].band_ids)


def small(path, layouts, chips_of) -> Corpus:
    """A corpus of chips of two pixels."""
    with CorpusWriter(path, layouts, 2) as writer:
        places = [Location(uid=f"u{i}", group=f"g{i}", scalars=about(i)) for i in range(N)]
        writer.append(Part(places, [chip for i in range(N) for chip in chips_of(i)]))
        writer.finish()
    return Corpus.open(path)


def test_another_sensor_stands_in_on_the_date_that_is_shown_whichever_sensor_leads(tmp_path):
    def chip(uid, sensor, bands, day):
        return Chip(uid, sensor, np.full((bands, 2, 2), day, LAYOUTS[sensor].dtype), datetime=dt.datetime(2020, 5, day))

    def chips_of(i):
        optical = [chip(f"u{i}", name, 3, day + late) for name, late in ((S2, 0), (HLS, 1)) for day in (1, 11, 21)]
        return [*optical, chip(f"u{i}", RADAR, 2, 10)]

    corpus = small(tmp_path / "c", LAYOUTS, chips_of)
    for dates in (1, "paired"):
        task = task_of(corpus, (*BOTH[3:], *OPTICAL), dates=dates)
        (found,), _ = conditions([task], OPTICAL, Asked(bands=False, dates=False, shifts=("other-sensor",)))
        (one,), rows = found.values(), task.parts["test"].locations
        image, own = one.reader(task.reader, hidden=False).read(rows)[S2], task.reader.read(rows)[S2]
        assert own.pixels.shape == image.pixels.shape
        np.testing.assert_allclose(own.pixels, 11e-4, rtol=1e-5)
        np.testing.assert_allclose(image.pixels, 12e-4, rtol=1e-5)


def test_the_day_of_the_curve_is_that_of_all_test_parts(corpus):
    rows, config = [np.arange(6), np.arange(6, N)], task_of(corpus).config
    folds = [
        Task("kinds", config, corpus, {"train": one, "val": np.arange(0), "test": other})
        for one, other in (rows, rows[::-1])
    ]
    made, _ = conditions(folds, BOTH, Asked(bands=False, shifts=()))
    # the first dates are the first twelve days of May
    assert [of_fold["first-dates||1"].about for of_fold in made] == ["2020-05-06"] * 2


def test_series_of_one_date_are_images_whatever_the_recipe_asks_for(tmp_path):
    def chips_of(i):
        # one location alone has a cloud
        counts, valid = np.full((3, 2, 2), 500 + i, np.uint16), np.array([[i > 0, True], [True, True]])
        return [Chip(f"u{i}", S2, counts, valid, datetime=dt.datetime(2020, 5, 1))]

    task = task_of(small(tmp_path / "c", {S2: LAYOUTS[S2]}, chips_of), OPTICAL, dates="all")
    (found,), said = conditions([task], OPTICAL, Asked(bands=False))
    assert [key.split("|")[1] for key in found if key.startswith("misregistration")] == ["image", "band"]
    # a tenth of four pixels is none
    assert [one.level for one in found.values() if one.kind == "painted-clouds"] == [0.3, 0.5]
    assert "no masks of real clouds: no two locations of the corpus have a chip that is partly invalid" in said


def test_what_there_cannot_be_is_said(corpus):
    task = task_of(corpus, BOTH[3:4], dates=1)
    (found,), said = conditions([task], BOTH[3:4], Asked())
    assert {key.split("|")[0] for key in found} == {"noise", "resampling", "misregistration"}
    assert said == [
        "it has a single band, so none can be left out",
        "it has a single date, so there is no curve over time and no date to exchange",
        "no haze: no band is in reflectance",
        "no painted clouds: no sensor has reflectance alone",
        "no masks of real clouds: no two locations of the corpus have a chip that is partly invalid",
        "no other sensor of the corpus has all of the bands",
    ]


def test_every_condition_is_the_same_twice_whatever_the_batch(made):
    task, _, found, seen = made
    rows = task.parts["test"].locations
    assert {key.split("|")[0] for key in found} >= set(SHIFTS) - {"other-sensor"}
    for key, one in found.items():
        alone, together = one.reader(task.reader, hidden=False).read(rows[2:3]), seen(key)
        for sensor in (S2, RADAR):
            dates = alone[sensor].pixels.shape[1]
            assert torch.equal(alone[sensor].pixels[0], together[sensor].pixels[2, :dates])


def test_locations_of_unseen_regions_are_told_from_the_others_by_fold(corpus):
    task = task_of(corpus)
    rows = {"train": np.arange(6), "val": np.arange(0), "test": np.arange(6, N)}
    apart = Task("kinds", task.config, corpus, rows)
    name, is_new, said = unseen([apart], "other-region")
    assert (name, said) == ("country", [])
    assert [uid for uid, new in is_new.items() if new] == [f"u{N - 1}"]
    assert len(is_new) == len(rows["test"])
    name, is_new, said = unseen([apart], "other-year")
    assert (name, is_new) == ("year", {})
    assert said == ["no test location is of a year without training locations: compare splits instead"]
