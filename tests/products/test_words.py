import math

import pytest

from swath.products import words


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        (words.percent, (0.8123,), "81.2 %"),
        (words.percent, (math.nan,), "–"),
        (words.number, (-0.04,), "0.0"),
        (words.number, (-1.26,), "−1.3"),
        (words.points, (0.1234,), "+12.3"),
        (words.points, (-0.1234,), "−12.3"),
        (words.points, (0.0,), "0.0"),
        (words.points, (math.nan,), "–"),
        (words.interval, (0.781, 0.8414), "78.1–84.1"),
        (words.interval, (math.nan, 0.8), "–"),
        (words.gain_interval, ("accuracy", -0.012, 0.033), "−1.2 to +3.3"),
        (words.gain_interval, ("accuracy", math.nan, 0.033), "–"),
        (words.p_value, (0.0004,), "p < 0.001"),
        (words.p_value, (0.0123,), "p = 0.012"),
        (words.p_cell, (0.0004,), "< 0.001"),
        (words.p_cell, (0.0123,), "0.012"),
        (words.p_cell, (math.nan,), "–"),
        (words.duration, (8.04,), "8.0 s"),
        (words.duration, (59.7,), "1 min 00 s"),
        (words.duration, (200,), "3 min 20 s"),
        (words.duration, (3900,), "1 h 05 min"),
        (words.duration, (None,), "–"),
        (words.count, (12345,), "12,345"),
        (words.count, (None,), "–"),
        (words.listing, ([],), ""),
        (words.listing, (["a"],), "a"),
        (words.listing, (["a", "b", "c"],), "a, b and c"),
        (words.plural, (1, "class"), "1 class"),
        (words.plural, (2, "class"), "2 classes"),
        (words.plural, (1200, "seed"), "1,200 seeds"),
        (words.trainings, (1, 1), "1 training"),
        (words.trainings, (3, 1), "3 trainings"),
        (words.trainings, (3, 5), "3 trainings in each of 5 folds"),
        (words.metric, ("macro_f1",), "macro F1"),
        (words.score, ("macro_f1", 0.8123), "81.2 %"),
        (words.score_interval, ("macro_f1", 0.781, 0.8414), "78.1–84.1"),
        (words.gain, ("some_other", -0.1234), "−12.3"),
        (words.gain_with_unit, ("macro_f1", 0.1234), "+12.3 points"),
        (words.gain_with_unit, ("macro_f1", math.nan), "–"),
        (words.size, ("macro_f1", 0.031), "3.1 points"),
        (words.metric, ("some_other",), "some other"),
        (words.significant, (-0.012345,), "−0.0123"),
        (words.significant, (math.inf,), "–"),
        (words.class_name, (["a"], 0), "a"),
        (words.class_name, (["a"], 1), "class 1"),
    ],
)
def test_numbers_in_words(function, arguments, text):
    assert function(*arguments).replace(words.NO_BREAK, " ") == text


def test_a_metric_that_is_no_share_is_written_as_the_number_that_it_is(metric_in_kelvin):
    name = metric_in_kelvin
    said = [
        words.score(name, 12.345),
        words.score_interval(name, 11.9, 12.8),
        words.gain(name, 0.5),
        words.gain_interval(name, -0.25, 1.5),
        words.gain_with_unit(name, -0.5),
        words.size(name, 0.5),
        words.score_interval(name, math.nan, 1.0),
    ]
    assert said == ["12.3", "11.9–12.8", "+0.5", "−0.25 to +1.5", "−0.5", "0.5", "–"]
