"""What a planned run would see, from the variances of a run that there is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from swath.tasks import metrics, schema
from swath.tasks.power import needed_for
from swath.tasks.statistics.jackknife import Source, Spread


def line(spread, **changes):
    plain = dict.fromkeys(["task", "input", "probe", "better", "than", "advice", "note"], "x")
    plain |= dict.fromkeys(["role_better", "of_arm_better", "role_than", "of_arm_than"], "") | {"metric": "accuracy"}
    numbers = dict.fromkeys(
        ["difference", "low", "high", "p", "p_conditional", "p_holm", "equal_groups", "largest_share"], 0.1
    )
    return plain | numbers | {
        "verdict": "tie",
        "detectable": spread.detectable(),
        "trainings": 3,
        "folds": 1,
        "groups": 20,
        "groups_variance": spread.places.variance,
        "groups_freedom": spread.places.freedom,
        "trainings_variance": spread.trainings.variance,
        "trainings_freedom": spread.trainings.freedom,
        "interaction": spread.both,
    } | changes  # fmt: skip


def asked(folder, *lines, difference=3.0):
    schema.CLAIMS.write(folder, schema.CLAIMS.frame(lines))
    return needed_for(folder, difference)


def test_what_is_needed_is_the_first_number_that_does(tmp_path):
    spread = Spread(0.1, Source(1e-4, 19.0), Source(1e-4, 2.0), 0.0)
    (found,) = asked(tmp_path, line(spread))
    assert found.detectable == pytest.approx(spread.detectable())
    assert (found.trainings, found.groups) == (3, 20)

    def seen(groups, trainings):
        """The same by hand: Cochran's quantiles at the level and the power, times the standard error."""
        a, b = 1e-4 * 20 / groups, 1e-4 * 3 / trainings
        both = sum(
            (a * stats.t.ppf(tail, groups - 1) + b * stats.t.ppf(tail, trainings - 1)) / (a + b)
            for tail in (0.975, 0.8)
        )
        return both * np.sqrt(a + b)

    assert found.trainings_needed == next(n for n in range(3, 200) if seen(20, n) <= 0.03)
    assert found.groups_needed is None, "trainings alone vary by more than that"
    assert seen(20 * 64, 3) > 0.03


def test_a_metric_that_is_no_share_is_asked_in_its_own_unit(tmp_path, monkeypatch):
    (share,) = asked(tmp_path, line(Spread(0.1, Source(1e-4, 19.0), Source(1e-4, 2.0), 0.0)), difference=3.0)
    kelvin = replace(metrics.find("accuracy"), unit="number")
    monkeypatch.setattr(metrics, "find", lambda name: kelvin)
    spread = Spread(10.0, Source(1.0, 19.0), Source(1.0, 2.0), 0.0)
    (found,) = asked(tmp_path, line(spread), difference=3.0)
    assert found.trainings_needed == share.trainings_needed
    assert found.detectable == pytest.approx(100 * share.detectable)


def test_the_level_is_that_of_the_strictest_claim(tmp_path):
    spread = Spread(0.1, Source(1e-4, 19.0), Source(1e-5, 2.0), 0.0)
    found = asked(tmp_path, line(spread), line(spread), line(spread, verdict="untested"))
    assert found[0].detectable == pytest.approx(spread.detectable(alpha=0.05 / 2))


def test_of_one_training_nothing_is_known(tmp_path):
    (found,) = asked(tmp_path, line(Spread(0.1, Source(1e-4, 19.0), Source(0.0, 0.0), 0.0), trainings=1))
    assert np.isnan(found.detectable)
    assert (found.trainings_needed, found.groups_needed) == (None, None)
