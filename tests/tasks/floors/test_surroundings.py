"""Floors on the bands of a pixel and of its surroundings, against scikit-learn on windows cut by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from swath.batch import Image
from swath.corpus.splits.partition import SplitConfig, split
from swath.tasks import Task, TaskConfig
from swath.tasks.floors import _pixels
from swath.tasks.floors._classifiers import forest_beside
from swath.tasks.floors._pixels import predict
from swath.tasks.floors._surroundings import pixel, surroundings, values
from swath.tasks.probes.fine_tune import Config as FineTune
from tests.tasks.fakes import ALL

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))


@pytest.fixture(scope="module")
def data(fields):
    settings = {
        "target": {"rule": "pixels", "layer": "crops"},
        "inputs": {"both": ALL[:4]},
        "probes": [{"name": "fine-tune"}],
        "metric": "miou",
    }
    made = Task("crops", TaskConfig.model_validate(settings), fields, split(fields, SPLIT), SPLIT)
    return made.labelled(made.panels[0].input)


def cut(bands, size):
    """Windows of one picture, pixel by pixel; coordinates beyond the edge are those of the edge."""
    _, height, width = bands.shape
    by = range(-(size // 2), size // 2 + 1)
    return np.array(
        [
            [
                [bands[:, min(max(i + a, 0), height - 1), min(max(j + b, 0), width - 1)] for a in by for b in by]
                for j in range(width)
            ]
            for i in range(height)
        ]
    )


@pytest.mark.parametrize(("describe", "size"), [(pixel, 1), (surroundings, 5)])
def test_the_numbers_are_the_bands_of_the_window(data, describe, size):
    images = data.reader.read(data.parts["train"].locations[:2])
    description = describe(data)
    found = description.of(images)
    bands = np.concatenate([values(image) for image in images.values()], axis=1)
    assert bands.shape == (2, 4, 8, 8)
    assert found.shape == (2, 8, 8, 4 * size**2)
    assert description.width == found.shape[-1]
    for row in range(2):
        expected = np.moveaxis(cut(bands[row], size), -1, -2).reshape(8, 8, -1)
        np.testing.assert_array_equal(found[row], expected)


def test_dates_are_averaged_where_valid_and_nan_where_there_is_none():
    pixels = torch.arange(1.0, 7.0).reshape(1, 3, 1, 1, 2)
    valid = torch.tensor([[[[True, False]], [[True, False]], [[False, False]]]])
    image = Image(pixels, valid, torch.zeros(1, 3, dtype=torch.int32), torch.zeros(1, 1, dtype=torch.int32), 10.0)
    found = values(image)[0, 0, 0]
    assert found[0] == 2
    assert np.isnan(found[1])


def test_a_forest_is_scikit_learns_and_says_the_same_however_many_are_read_at_a_time(data, monkeypatch):
    _, learn = forest_beside(5, 0)(FineTune())
    found = predict(learn, data, 0, 10**6, pixel).y_pred

    def flat(name):
        part = data.parts[name]
        bands = np.concatenate([values(i) for i in data.reader.read(part.locations).values()], axis=1)
        there = part.y != -1
        return np.moveaxis(bands, 1, -1), part.y, there

    x, y, there = flat("train")
    known = RandomForestClassifier(5, random_state=0).fit(x[there], y[there])
    x, y, _ = flat("test")
    np.testing.assert_array_equal(found, known.predict(x.reshape(-1, x.shape[-1])).reshape(y.shape))
    monkeypatch.setattr(_pixels, "_NUMBERS", 1)
    np.testing.assert_array_equal(predict(learn, data, 0, 10**6, pixel).y_pred, found)


def test_surroundings_say_more_than_a_pixel_where_texture_tells(data):
    """Neighbours average the noise away: with few trees and pixels the window is right more often."""
    right = {}
    for describe in (pixel, partial(surroundings, size=5)):
        _, learn = forest_beside(10, 0)(FineTune())
        found = predict(learn, data, 0, 400, describe).y_pred
        there = data.parts["test"].y != -1
        right[describe] = (found == data.parts["test"].y)[there].mean()
    assert list(right.values()) == sorted(right.values())
