import base64
import io

import numpy as np
import pytest
from PIL import Image

from swath.corpus import Corpus
from swath.products.draw.pictures import Pictures, class_map, stretch, uri


def test_physical_values_become_grey_levels():
    pixels = np.array([[[0.0, 0.15, 0.3, 0.9]]]).repeat(3, axis=0)
    levels = stretch("sentinel-2-l2a", pixels, np.ones((1, 4), bool))
    assert levels.shape == (1, 4, 3)
    assert levels[0, :, 0].tolist() == [0, 128, 255, 255]


def test_invalid_pixels_are_black():
    pixels = np.full((1, 2, 2), -8.0)
    valid = np.array([[True, False], [True, True]])
    levels = stretch("sentinel-1-rtc", pixels, valid)
    assert levels[0, 1] == 0
    assert levels[0, 0] > 0


def test_a_picture_that_would_be_white_is_stretched_by_itself():
    pixels = np.linspace(5, 6, 100).reshape(1, 10, 10)
    levels = stretch("sentinel-2-l2a", pixels, np.ones((10, 10), bool))
    assert np.ptp(levels) == 255


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_a_picture_survives_its_address(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = base64.b64decode(uri(pixels).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_classes_have_their_colours_and_what_has_no_label_is_grey():
    shown = class_map(np.array([[0, 1, -1]]), ["#0000ff", "#010203"], "classes")
    data = base64.b64decode(shown.uri.removeprefix("data:image/png;base64,"))
    assert np.asarray(Image.open(io.BytesIO(data))).tolist() == [[[0, 0, 255], [1, 2, 3], [128, 128, 128]]]


def test_the_clearest_chip_is_shown(finished_run):
    corpus = Corpus.open(finished_run / "corpus")
    pictures = Pictures(corpus)
    best = pictures._best_chips("sentinel-2-l2a", [3, 7])
    for row, chip in best.items():
        own = corpus.chips[(corpus.chips["location"] == row) & (corpus.chips["sensor"] == "sentinel-2-l2a")]
        assert corpus.chips.loc[chip, "valid"] == own["valid"].max()
    assert set(best) == {3, 7}


def test_optical_stands_before_radar_and_unknown_locations_are_left_out(finished_run):
    found = Pictures(Corpus.open(finished_run / "corpus")).of(["field-001", "no such place", "field-001"])
    assert list(found) == ["field-001"]
    assert [shot.alt for shot in found["field-001"]] == [
        "sentinel-2-l2a B04, B03, B02 of field-001",
        "sentinel-1-rtc VV of field-001",
    ]
