"""A task with a class per pixel: fine-tuned from dense encoders, its units are locations, its tables hold counts."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn import metrics as sk

from swath.corpus.splits.partition import SplitConfig, split
from swath.errors import TrainingError
from swath.tasks import LabelBudget, Task, TaskConfig, references
from swath.tasks.data import Labelled, subset
from swath.tasks.run.results import SHOWN, ResultStore, maps_of, output_of
from swath.tasks.schema import CLASS_MAP, UNCERTAINTY, completed
from tests.tasks.fakes import ALL, dense_encoder, judged, judged_floors, result_key, small_encoder

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
OPTICAL_BANDS = ALL[:3]


def config(**changes):
    settings = {
        "target": {"rule": "pixels", "layer": "crops"},
        "inputs": {"optical": OPTICAL_BANDS},
        "probes": ({"name": "fine-tune", "epochs": 3, "learning_rate": 2e-2},),
        "metric": "miou",
        "dates": "all",
        "floors": ["majority", "random-encoder", "scratch"],
    }
    return TaskConfig.model_validate(settings | changes)


def task(corpus, **changes):
    return Task("crops", config(**changes), corpus, split(corpus, SPLIT), SPLIT)


@pytest.fixture(scope="module")
def cells(fields):
    made = task(fields)
    return made.units, judged(made, dense_encoder(0))


def test_units_are_locations_with_a_map_each_and_all_void_is_left_out(fields):
    made = task(fields)
    rows = np.concatenate([made.parts[part].locations for part in made.parts])
    assert sorted(rows) == list(range(1, 40))
    assert made.units.y_true.shape == (len(made.units), 8, 8)
    assert made.classes == ["grass", "maize", "beet"]
    assert made.parts["train"].labels == 56 * len(made.parts["train"])
    assert [said for said in made.remarks if "left out" in said] == []


def test_a_location_without_a_sensor_is_left_out_and_counted(fields):
    made = task(fields, inputs={"both": ALL}, dates="paired")
    assert made.incomplete == 1
    assert made.remarks[0] == (
        "1 labelled locations are left out: some sensor has no chip of them, or none with enough valid pixels"
    )


def test_the_table_is_the_units_confusion_matrices(cells):
    units, (cell,) = cells
    table = output_of(cell.outcome, units).to_pandas()
    there = units.y_true != -1
    assert table["count"].sum() == there.sum()
    truth, said = (table[name].repeat(table["count"]) for name in ("y_true", "y_pred"))
    assert sk.jaccard_score(truth, said, average="macro") == pytest.approx(
        sk.jaccard_score(units.y_true[there], cell.prediction.y_pred[there], average="macro")
    )
    one = table[table.uid == units.uid[2]]
    expected = sk.confusion_matrix(units.y_true[2][there[2]], cell.prediction.y_pred[2][there[2]], labels=[0, 1, 2])
    found = np.zeros((3, 3))
    found[one.y_true, one.y_pred] = one["count"]
    np.testing.assert_array_equal(found, expected)
    assert sk.accuracy_score(truth, said) > 0.8


def test_maps_of_the_best_and_worst_units_are_kept(cells, tmp_path):
    units, (cell,) = cells
    maps = maps_of(cell.outcome, units).to_pandas()
    assert len(maps) == min(2 * SHOWN, len(units))
    first = maps.iloc[0]
    i = units.uid.index(first.uid)
    np.testing.assert_array_equal(np.reshape(first.y_true, (first.height, -1)), units.y_true[i])
    np.testing.assert_array_equal(np.reshape(first.y_pred, (first.height, -1)), cell.prediction.y_pred[i])
    np.testing.assert_array_equal(first.uncertainty, cell.prediction.uncertainty[i].ravel())
    # an earlier version kept none
    old = CLASS_MAP.empty_table().drop_columns("uncertainty")
    assert completed(old, CLASS_MAP, UNCERTAINTY).schema.equals(CLASS_MAP)
    store, key = ResultStore(tmp_path), result_key()
    store.write("digest", {}, cell.outcome, units)
    read = store.read("digest", key)
    assert read.key is key
    pd.testing.assert_frame_equal(read.maps.to_pandas(), maps)
    pd.testing.assert_frame_equal(read.output.to_pandas(), output_of(cell.outcome, units).to_pandas())


def test_beside_fine_tuning_stand_majority_and_the_same_network_from_scratch(fields):
    made = task(fields)
    cells = judged_floors(made, dense_encoder, (0, 1))
    assert [(c.row, c.seed) for c in cells] == [("majority", 0), ("scratch", 0), ("scratch", 1)]
    assert not any(c.prediction is None for c in cells)
    # the paired control: the network that `build_random` gives, by the probe's own settings
    same = judged(made, dense_encoder(1), 1)[0]
    np.testing.assert_array_equal(same.prediction.y_pred, cells[2].prediction.y_pred)


def test_a_frozen_encoder_has_its_random_twin_again(fields):
    made = task(fields, probes=[{"name": "fine-tune", "epochs": 1, "frozen": True}])
    rows = [c.row for c in judged_floors(made, dense_encoder)]
    assert rows == ["majority", "random encoder (frozen)", "scratch"]


def test_an_encoder_without_features_of_pixels_is_a_note(fields):
    (cell,) = judged(task(fields), small_encoder(0, OPTICAL_BANDS, 3, fixed=True))
    assert cell.prediction is None
    assert "no features of single pixels" in cell.note


def test_chips_are_fine_tuned_too_and_the_frozen_floors_stay(corpus):
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"optical": ALL[:3]},
        "probes": [{"name": "fine-tune", "epochs": 2, "batch_size": 16}],
        "floors": ["majority", "image-statistics", "random-convolutions", "random-encoder", "scratch"],
    }
    made = Task("kinds", TaskConfig.model_validate(settings), corpus, split(corpus, SPLIT), SPLIT)
    cells = judged(made, small_encoder(0, channels=1))
    cells += judged_floors(made, small_encoder)
    assert [c.row for c in cells] == [
        *("arm", "majority", "image statistics + linear", "random convolutions", "scratch")
    ]
    assert {c.probe for c in cells} == {"fine-tune"}
    assert all(c.prediction.y_pred.shape == (len(made.units),) for c in cells)


def test_one_control_serves_probes_that_train_alike(corpus, monkeypatch):
    trained = []

    def train(config, *_):
        trained.append(config)
        raise TrainingError("not now")

    monkeypatch.setattr("swath.tasks.floors.scratch.train_encoder", train)
    how = {"epochs": 2, "batch_size": 16, "weight_decay": 0.0, "schedule": "constant"}
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"optical": ALL[:3]},
        "floors": ["scratch"],
    }
    # what learns from the validation labels in the end needs a control that does too
    for scratch, refit, count in ((how, False, 1), ({**how, "schedule": "cosine"}, False, 2), (how, True, 2)):
        probes = [{"name": "linear", "refit": refit}, {"name": "fine-tune", **how}]
        config = TaskConfig.model_validate({**settings, "probes": probes, "scratch": scratch})
        cells = judged_floors(Task("kinds", config, corpus, split(corpus, SPLIT), SPLIT), small_encoder)
        assert [cell.probe for cell in cells] == ["linear", "fine-tune"]
        assert len(trained) == count
        trained.clear()


def test_supervised_references_stand_beside_on_their_inputs(fields):
    made = task(
        fields,
        inputs={"optical": OPTICAL_BANDS, "both": ALL},
        dates="paired",
        probes=[{"name": "fine-tune", "epochs": 1}],
        references={
            "3-D U-Net": {"segmenter": {"name": "unet-3d", "width": 2}, "inputs": ["optical"]},
            "early fusion": {"segmenter": {"name": "early-fusion", "network": "unet-3d"}, "inputs": ["both"]},
            "too few": {"segmenter": {"name": "late-fusion"}, "inputs": ["optical"]},
        },
    )
    cells = {
        name: one
        for name, config in made.config.references.items()
        for one in references.outcomes(config, made, references.panels(config, made), 0, "cpu")
    }
    assert {name: one.input for name, one in cells.items()} == {
        "3-D U-Net": "optical",
        "early fusion": "both",
        "too few": "optical",
    }
    assert [one.prediction is None for one in cells.values()] == [False, False, True]
    assert "late-fusion" in cells["too few"].note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probes": [{"name": "linear"}]}, "linear reads one class per location"),
        ({"more_metrics": ["roc_auc"]}, "not kept of pixels"),
        ({"dates": 1, "most": 3}, "most needs dates"),
        ({"references": {"x": {"segmenter": {"name": "u-tae"}, "inputs": ["radar"]}}}, "no input 'radar'"),
    ],
)
def test_settings_that_make_no_sense(changes, said):
    with pytest.raises(ValidationError, match=said):
        config(**changes)


def test_a_label_fraction_that_leaves_a_class_out_says_which(fields):
    """Locations are drawn by the class that most of their pixels have, so that a rare class may be in none of them."""
    made = task(fields)
    train = made.parts["train"]
    y = np.where(train.y < 0, train.y, np.arange(len(train))[:, None, None] % 2)
    y[0, 0, 0] = 2
    without = set()
    for draw in range(6):
        made.parts = made.parts | {"train": subset(Labelled(train.locations, y), LabelBudget(0.2), draw)}
        own = made.parts["train"]
        assert {0, 1} <= set(own.y[own.y >= 0]), "classes that some location has most of are kept"
        has_it = train.locations[0] in own.locations
        assert made.unseen == ("" if has_it else f"no training label of {made.classes[2]}")
        assert has_it or made.unseen in made.remarks
        without.add(has_it)
    assert without == {True, False}
