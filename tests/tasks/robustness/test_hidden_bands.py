"""Encoders that know missing bands are told of them; all others see the training mean."""

from dataclasses import replace

import numpy as np
import pytest

from swath import encoders
from swath.corpus.splits import SplitConfig, split
from swath.encoders import any_sensor, series_transformer
from swath.tasks import Features, TaskConfig, extract, probes
from swath.tasks.data import contract_of
from swath.tasks.robustness import Asked, conditions
from swath.tasks.supervised import Supervision, train_encoder
from swath.tasks.task import Task
from tests.tasks.fakes import ALL, small_encoder

BANDS = ALL[:3]
KEY = f"band|{BANDS[1]}|1"


@pytest.fixture(scope="module")
def task(corpus):
    config = TaskConfig.model_validate(
        {
            "target": {"rule": "scalar", "column": "kind"},
            "inputs": {"optical": BANDS},
            "probes": [{"name": "knn", "k": 3}],
        }
    )
    fold = SplitConfig(fractions=(0.5, 0.25, 0.25))
    task = Task("kinds", config, corpus, split(corpus, fold), fold)
    (found,), _ = conditions([task], BANDS, Asked(dates=False, shifts=()))
    task.conditions = tuple(found.values())
    return task


def any_number(corpus):
    contract = replace(contract_of(corpus, BANDS, fixed=False), any_number=True)
    return encoders.build(any_sensor.Config(patch=8, width=16, depth=1, heads=2), contract)


def groups(corpus):
    settings = series_transformer.Config(dim=16, depth=1, heads=2, patch=8, groups="band")
    return encoders.build(settings, contract_of(corpus, BANDS))


@pytest.mark.parametrize("build", [any_number, groups])
def test_an_encoder_that_knows_missing_bands_is_not_shown_others_in_their_place(task, build):
    encoder = build(task.corpus)
    (outcome,) = task.outcomes(encoder, task.panels, 0)
    altered = outcome.prediction.altered[KEY]
    assert altered.hidden
    x = {part: extract(encoder, task.corpus, task.parts[part].locations, BANDS) for part in ("train", "val", "test")}
    y = {part: task.parts[part].y for part in x}
    seen = Features(x["train"], y["train"], x["val"], y["val"], x["test"], len(task.classes))
    left = extract(encoder, task.corpus, task.parts["test"].locations, (BANDS[0], BANDS[2]))
    expected = probes.fit(task.config.probes[0], seen, 0)(left)
    np.testing.assert_allclose(altered.prediction.scores, expected.scores, atol=1e-4)
    assert not np.allclose(altered.prediction.scores, outcome.prediction.scores, atol=1e-4)


def test_an_encoder_of_fixed_bands_is_shown_the_mean(task):
    (outcome,) = task.outcomes(small_encoder(0, BANDS, 3, fixed=True), task.panels, 0)
    assert not any(altered.hidden for altered in outcome.prediction.altered.values())


@pytest.mark.slow  # a network is trained
def test_a_fine_tuned_encoder_of_any_bands_is_told_so_too(task):
    data = task.labelled(task.panels[0].input)
    said = train_encoder(Supervision(epochs=1, batch_size=32, flips=False), any_number(task.corpus), data, 0)
    assert said.altered[KEY].hidden
    assert np.isfinite(said.altered[KEY].prediction.scores).all()
    assert not np.allclose(said.altered[KEY].prediction.scores, said.scores, atol=1e-6)
