"""Floors on raw series: the calendar against pandas, and what the classifiers find."""

import datetime as dt
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.ensemble import RandomForestClassifier

from swath.batch import NO_DAY, Image
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part
from swath.corpus.splits.partition import SplitConfig, split
from swath.errors import TrainingError
from swath.tasks import Task, TaskConfig, floors
from swath.tasks.data import Labelled
from swath.tasks.floors import image_statistics
from swath.tasks.floors._monthly import Calendar, by_month, month, monthly
from swath.tasks.floors._pixels import predict
from swath.tasks.probes import linear
from swath.tasks.supervised import LabelledInput
from tests.tasks.fakes import ALL, LAYOUTS, OPTICAL, RADAR, dense_encoder, judged, judged_floors, small_encoder

EPOCH = dt.date(1970, 1, 1)


TREES = 60


def forest(trees):
    """A random forest as the floor fits it."""

    def learn(train, val, classes):
        return linear.scored(RandomForestClassifier(trees, random_state=0).fit(*linear.joined(train, val)), classes)

    return learn


FOREST, REGRESSION = forest(TREES), partial(linear.learn, linear.Config())


def image(days, values, valid=None):
    """One pixel, one band."""
    valid = np.ones(len(days), bool) if valid is None else np.array(valid)
    return Image(
        torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1, 1),
        torch.from_numpy(valid).reshape(1, -1, 1, 1),
        torch.tensor([days], dtype=torch.int32),
        torch.zeros(1, 1, dtype=torch.int32),
        10.0,
    )


def test_months_are_those_of_the_calendar():
    days = np.array([(dt.date(2020, 2, 29) - EPOCH).days, 0, -1])
    assert month(days).tolist() == [50 * 12 + 1, 0, -1]


def test_monthly_means_and_gaps_are_pandas(tmp_path):
    rng = np.random.default_rng(0)
    dates = pd.to_datetime("2020-01-15") + pd.to_timedelta(np.sort(rng.integers(0, 300, 9)), unit="D")
    values, valid = rng.normal(size=9), np.array([True] * 4 + [False] * 2 + [True] * 3)
    days = [(date.date() - EPOCH).days for date in dates]
    found = monthly(image([*days, NO_DAY], [*values, 99.0], [*valid, False]), Calendar(50 * 12 - 1, 14))[0, :, 0, 0, 0]
    series = pd.Series(values[valid], pd.PeriodIndex(dates[valid], freq="M")).groupby(level=0).mean()
    series = series.reindex(pd.period_range("2019-12", periods=14, freq="M")).reset_index(drop=True)
    expected = series.interpolate(limit_direction="both")
    assert found == pytest.approx(expected.to_numpy(), abs=1e-6)


def test_a_pixel_that_is_never_valid_has_no_value():
    assert np.isnan(monthly(image([0, 40], [1.0, 2.0], [False, False]), Calendar(0, 3))).all()


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """Series of single pixels: the radar tells class 1 in spring, the optical sensor class 2 in summer."""
    rng = np.random.default_rng(0)
    with CorpusWriter(tmp_path_factory.mktemp("pixels") / "c", LAYOUTS, 1) as writer:
        places, chips = [], []
        for i in range(90):
            uid, kind = f"p{i:02d}", i % 3
            places.append(Location(uid, group=f"g{i // 3}", scalars={"kind": "abc"[kind]}))
            for m in range(3, 9 if i else 4):
                when = dt.datetime(2020, m, 1 + i % 25)
                optical = 0.2 + 0.1 * (kind == 2) * (m > 5) + rng.normal(0, 0.03, (3, 1, 1))
                chips.append(Chip(uid, OPTICAL, optical.astype(np.float32), datetime=when))
                radar = -12 + 3 * (kind == 1) * (m < 6) + rng.normal(0, 0.8, (2, 1, 1))
                chips.append(Chip(uid, RADAR, radar.astype(np.float32), datetime=when))
        writer.append(Part(places, chips))
        writer.finish()
    return Corpus.open(writer.path)


def task(corpus, **changes):
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"optical": ALL[:3], "radar": ALL[3:], "both": ALL},
        "dates": "all",
        "floors": ["majority", "random-forest", "logistic-regression"],
    }
    config = SplitConfig(fractions=(0.5, 0.2, 0.3))
    return Task("kinds", TaskConfig.model_validate(settings | changes), corpus, split(corpus, config), config)


def test_each_sensor_tells_its_class_and_both_tell_all(pixels):
    made = task(pixels)
    cells = judged_floors(made, small_encoder)
    assert [(c.row, c.input) for c in cells[3:]] == [
        (row, name) for row in ("random forest", "logistic regression") for name in ("optical", "radar", "both")
    ]
    right = {(c.row, c.input): (c.prediction.y_pred == made.units.y_true).mean() for c in cells}
    for row in ("random forest", "logistic regression"):
        assert right[row, "both"] > 0.9
        assert 0.5 < right[row, "optical"] < right[row, "both"]
        assert 0.5 < right[row, "radar"] < right[row, "both"]
    for cell in cells:
        assert cell.prediction.scores.sum(1) == pytest.approx(np.ones(len(made.units)), abs=1e-5)


def test_a_teacher_of_both_sensors_labels_what_has_no_label(pixels):
    distil = {"name": "distil", "teacher": ["optical", "radar"]}
    probes = [{"name": "linear", "choose_by": "likelihood"}, distil]
    few_trees = [{"name": "random-forest", "trees": TREES}, "logistic-regression"]
    made = task(pixels, probes=probes, label_fraction=0.2, floors=few_trees)
    used = set(made.parts["train"].locations) | set(made.parts["val"].locations)
    rows = split(pixels, made.split_config)
    assert set(made.parts["pool"].locations) == (set(rows["train"]) | set(rows["val"])) - used
    assert not set(made.parts["pool"].locations) & set(made.parts["test"].locations)
    cells = judged_floors(made, small_encoder)
    found = {(c.row, c.input, c.probe): c.prediction for c in cells}
    assert not any(key[1:] == ("both", "distil") for key in found)
    for row in ("random forest", "logistic regression"):
        own, taught = found[row, "optical", "linear"], found[row, "optical", "distil"]
        assert (own.scores != taught.scores).any()
        data = made.labelled(made.inputs["optical"])
        teacher = replace(data, bands=ALL)
        settings = linear.Config(choose_by="likelihood")
        learn = FOREST if row == "random forest" else partial(linear.learn, settings)
        again = predict(learn, data, 0, 20_000, by_month, teacher)
        assert (again.scores == taught.scores).all()
    with pytest.raises(ValidationError, match="no input 'sar' for the teacher"):
        task(pixels, probes=[{"name": "distil", "teacher": ["sar"]}])


def test_a_teacher_that_cannot_be_made_leaves_the_cell_out(pixels):
    made = task(pixels, probes=[{"name": "distil", "teacher": ["optical", "radar"]}])
    optical_alone = image_statistics.build(pixels, ALL[:3])
    cells = judged(made, optical_alone)
    assert [(c.input, c.prediction) for c in cells] == [("optical", None), ("radar", None)]
    assert all("statistics of sentinel-1" in c.note or "takes" in c.note for c in cells)


@pytest.mark.parametrize("learn", [FOREST, REGRESSION], ids=["forest", "regression"])
def test_validation_labels_are_learnt_from_as_the_linear_probe_does(pixels, learn):
    made = task(pixels)
    data = made.labelled(made.inputs["both"])
    train, last = data.parts["train"], 2
    assert last in data.parts["val"].y
    without = Labelled(train.locations[train.y != last], train.y[train.y != last])
    known = predict(learn, replace(data, parts=data.parts | {"train": without}), 0, 20_000, by_month)
    assert (known.scores[:, last] > 0).any()
    none = Labelled(train.locations[:0], train.y[:0])
    alone = predict(learn, replace(data, parts=data.parts | {"train": without, "val": none}), 0, 20_000, by_month)
    assert not (alone.scores[:, last] > 0).any()


def test_validation_scores_are_kept_where_their_labels_are_not_learnt_from(pixels):
    several = [{"name": "linear"}, {"name": "linear", "refit": False}, {"name": "knn"}]
    made = [task(pixels, inputs={"radar": ALL[3:]}, probes=[one], floors=["logistic-regression"]) for one in several]
    fits, tunes, unused = (judged_floors(one, small_encoder)[0].prediction for one in made)
    assert fits.validation is None
    data = made[0].labelled(made[0].inputs["radar"])
    val, none = data.parts["val"], data.parts["val"].take(np.empty(0, np.int64))
    for found, learnt, config in ((tunes, val, linear.Config(refit=False)), (unused, none, linear.Config())):
        asked = replace(data, parts=data.parts | {"test": val, "val": learnt, "held out": none})
        expected = predict(partial(linear.learn, config), asked, 0, 20_000, by_month)
        np.testing.assert_array_equal(found.validation, expected.scores)


def test_a_network_is_fine_tuned_on_single_pixels_too(pixels):
    made = task(
        pixels,
        inputs={"optical": ALL[:3]},
        probes=[{"name": "fine-tune", "epochs": 4, "batch_size": 8, "learning_rate": 0.02}],
        floors=list(floors.USUAL),
    )
    cells = judged(made, dense_encoder(0))
    cells += judged_floors(made, dense_encoder)
    rows = [c.row for c in cells]
    of_classes = [name for name in floors.USUAL if name not in ("random-encoder", "training-mean")]
    assert rows == ["arm", *(floors.find(name).row for name in of_classes)]
    assert not any(c.prediction is None for c in cells)
    assert (cells[0].prediction.y_pred == made.units.y_true).mean() > 0.5


def test_pixels_of_images_are_read_as_series(fields):
    settings = {
        "target": {"rule": "pixels", "layer": "crops"},
        "inputs": {"both": ALL},
        "probes": [{"name": "fine-tune", "epochs": 1}],
        "dates": "all",
        "floors": ["random-forest", "logistic-regression"],
    }
    config = SplitConfig(fractions=(0.5, 0.25, 0.25))
    made = Task("crops", TaskConfig.model_validate(settings), fields, split(fields, config), config)
    for cell in judged_floors(made, dense_encoder):
        there = made.units.y_true != -1
        assert cell.prediction.y_pred.shape == made.units.y_true.shape
        assert (cell.prediction.y_pred[there] == made.units.y_true[there]).mean() > 0.95


def test_images_of_one_label_have_no_such_floor(corpus):
    made = Task(
        "kinds",
        TaskConfig.model_validate({"target": {"rule": "scalar", "column": "kind"}, "inputs": {"x": ALL[:1]}}),
        corpus,
        split(corpus, SplitConfig()),
    )
    for name in ("random-forest", "logistic-regression"):
        assert not any(floors.find(name).stands(made, panel) for panel in made.panels)


def test_what_cannot_be_fitted_says_why(pixels):
    made = task(pixels)
    data = made.labelled(made.inputs["radar"])
    one = Labelled(data.parts["train"].locations, np.zeros(len(data.parts["train"]), np.int64))
    broken = LabelledInput(data.reader, data.bands, data.parts | {"train": one}, 3)
    with pytest.raises(TrainingError, match="one class"):
        predict(FOREST, broken, 0, 20_000, by_month)
