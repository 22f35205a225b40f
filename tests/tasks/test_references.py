"""References: networks that no pre-training went into, which probes read or the labels train."""

import numpy as np
import pytest
from pydantic import ValidationError

from swath.corpus.splits.partition import SplitConfig, split
from swath.tasks import Task, TaskConfig, floors, references
from swath.tasks.config import ReferenceConfig
from tests.tasks.fakes import ALL

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
NORTH = {"rule": "value", "column": "lat", "unit": "degrees"}
NETWORKS = {
    "statistics": {"encoder": {"name": "image-statistics"}, "inputs": ["optical"]},
    "resnet": {"encoder": {"name": "timm", "model": "test_resnet"}, "inputs": ["optical"]},
}


@pytest.fixture(scope="module")
def task(corpus):
    config = TaskConfig.model_validate(
        {
            "target": NORTH,
            "inputs": {"optical": ALL[:3], "blue": ALL[:1]},
            "probes": [{"name": "ridge"}, {"name": "fine-tune", "epochs": 1, "batch_size": 16}],
            "metric": "r2",
            "floors": ["image-statistics"],
            "references": NETWORKS,
        }
    )
    return Task("north", config, corpus, split(corpus, SPLIT), SPLIT)


def outcome(task, name, seed=0):
    reference = task.config.references[name]
    (one,) = references.outcomes(reference, task, references.panels(reference, task), seed, "cpu")
    return one


def test_an_encoder_without_weights_is_read_by_probes_and_any_other_trained(task):
    panels = {name: references.panels(one, task) for name, one in task.config.references.items()}
    assert [panel.key for panel in panels["statistics"]] == [("optical", "ridge")]
    assert [panel.key for panel in panels["resnet"]] == [("optical", "fine-tune")]
    # the floor of that name is the same statistics, read by ridge regression
    (floor,) = floors.outcomes(task.config.floors[0], task, panels["statistics"], 0)
    np.testing.assert_array_equal(outcome(task, "statistics").prediction.y_pred, floor.prediction.y_pred)


def test_a_trained_encoder_begins_at_random_by_its_seed(task):
    first, again, other = (outcome(task, "resnet", seed).prediction.y_pred for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.isfinite(first).all()


def test_a_reference_is_one_network():
    unet = {"segmenter": {"name": "early-fusion"}, "inputs": ("x",)}
    assert ReferenceConfig.model_validate(unet).encoder is None
    for wrong in ({"inputs": ("x",)}, unet | {"encoder": {"name": "image-statistics"}}):
        with pytest.raises(ValidationError, match="give a segmenter or an encoder"):
            ReferenceConfig.model_validate(wrong)
