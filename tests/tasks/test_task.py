"""A task on a small corpus: which units, which inputs, and what every row leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from swath import encoders
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders import any_sensor, nearest_band
from swath.errors import RecipeError, TrainingError
from swath.tasks import LabelBudget, Task, TaskConfig, floors, remarks_on_test
from swath.tasks.data import Labelled, contract_of, subset
from swath.tasks.floors import USUAL
from swath.tasks.probes import linear
from swath.tasks.run.jobs import jobs_of
from swath.tasks.run.networks import Networks
from swath.tasks.supervised import used
from tests.tasks.fakes import ALL, OPTICAL, judged, judged_floors, small_encoder

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))


ROWS = [floors.find(name).row for name in floors.USUAL]


def config(**changes):
    few = {"name": "linear", "c_count": 5}
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"optical": ALL[:3], "both": (ALL[2], ALL[3])},
        "probes": (few, {"name": "knn"}, {"name": "band-wise", "probe": few}),
        "scratch": {"epochs": 1, "batch_size": 16},
    }
    return TaskConfig.model_validate(settings | changes)


def task(corpus, split_config=SPLIT, **changes):
    return Task("kinds", config(**changes), corpus, split(corpus, split_config), split_config)


def test_units_are_labelled_and_complete_and_of_one_part(corpus):
    made = task(corpus)
    rows = np.concatenate([made.parts[part].locations for part in ("train", "val", "test")])
    # the first place has no label, the second no radar chip
    assert sorted(rows) == list(range(2, 96))
    assert made.classes == ["class 0", "class 1", "class 2"]
    assert list(made.units.y_true) == [row % 3 for row in made.parts["test"].locations]
    assert made.units.uid == tuple(f"place-{row:03d}" for row in made.parts["test"].locations)
    groups = [{made.groups[row] for row in made.parts[part].locations} for part in ("train", "val", "test")]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]


def test_blocks_are_the_groups_where_the_split_is_by_block(corpus):
    made = task(corpus, SplitConfig(by="block", block_km=8, fractions=(0.5, 0.25, 0.25)))
    assert not any(group.startswith("cluster") for group in made.units.group)
    assert 1 < len(set(made.units.group)) <= len(made.units)


def test_rare_classes_and_few_groups_are_said(corpus):
    made = task(corpus, metric="macro_f1")
    groups = made.groups[made.parts["test"].locations]
    assert len(set(groups)) < 20
    assert any(f"in {len(set(groups))} groups: with fewer than 30" in said for said in remarks_on_test([made]))
    each = [len(set(groups[np.array(made.units.y_true) == k])) for k in range(3)]
    rare = [f"class {k} ({n})" for k, n in enumerate(each) if n < 5]
    assert any(
        f"{', '.join(rare)}; without some group they are gone" in said for said in remarks_on_test([made])
    ) == bool(rare)
    # a class of which one group of the test part is left
    y, locations = made.parts["test"].y, made.parts["test"].locations
    kept = (y != 1) | (groups == groups[y == 1][0])
    made.parts["test"] = Labelled(locations[kept], y[kept])
    assert any("class 1 (1)" in said and "macro F1" in said for said in remarks_on_test([made]))
    made.parts["test"] = Labelled(locations[y != 1], y[y != 1])
    assert "no test label of class 1: not judged" in remarks_on_test([made])
    # accuracy is no mean over classes
    assert not any("resample" in said for said in remarks_on_test([task(corpus)]))


def test_folds_that_rotate_are_tested_together(corpus):
    folds = [task(corpus, SplitConfig(folds=3, fold=fold), metric="macro_f1") for fold in range(3)]
    groups = np.concatenate([one.tested_groups for one in folds])
    said = remarks_on_test(folds)
    assert f"in {len(set(groups))} groups: with fewer than 30" in said[0]
    assert len(set(groups)) == sum(len(set(one.tested_groups)) for one in folds)
    assert sum("with fewer than 30" in one for one in said) == 1
    each = [len(set(groups[np.concatenate([one.units.y_true for one in folds]) == k])) for k in range(3)]
    rare = [f"class {k} ({n})" for k, n in enumerate(each) if n < 5]
    assert any(f"{', '.join(rare)}; without" in one for one in said) == bool(rare)


def test_inputs_are_the_named_ones_then_the_probes_own(corpus):
    made = task(corpus)
    assert list(made.inputs) == ["optical", "both", *ALL[:4]]
    assert [panel.key for panel in made.panels if panel.input.name in {"both", ALL[3]}] == [
        *(("both", "linear"), ("both", "knn"), (ALL[3], "band-wise linear"))
    ]
    rules = made.config.rules
    assert rules.metrics == ("accuracy",)
    assert rules.band_groups["band-wise linear"]["radar"] == (ALL[3],)


def test_running_an_encoder_fills_every_place(corpus):
    made = task(corpus)
    cells = judged(made, small_encoder(0))
    assert [(c.input, c.probe) for c in cells] == [panel.key for panel in made.panels]
    for cell in cells:
        assert cell.prediction.y_pred.shape == (len(made.units),)
    assert cells[0].note == "3 single-band embeddings concatenated"
    assert cells[-1].note == ""


def test_what_cannot_be_fed_is_a_note_not_silence(corpus):
    made = task(corpus)
    cells = judged(made, small_encoder(0, ALL[:3], 3, fixed=True))
    by_input = {cell.input: cell for cell in cells}
    assert by_input["optical"].prediction is not None
    assert by_input["both"].prediction is None
    assert by_input["both"].note == f"the encoder has no statistics of {ALL[3]}"
    assert by_input[f"{OPTICAL}/B02"].note.endswith("together and nothing else")


def test_features_that_are_all_the_same_are_said_to_be(corpus):
    collapsed = small_encoder(0)
    for weights in collapsed.parameters():
        torch.nn.init.zeros_(weights)
    notes = [cell.note for cell in judged(task(corpus), collapsed)]
    assert all("nothing can be read out of them" in note for note in notes)
    assert not any("nothing can be read" in cell.note for cell in judged(task(corpus), small_encoder(0)))


def test_a_band_that_an_encoder_never_saw_is_said_to_be(corpus):
    made = task(corpus)
    cells = {(c.input, c.probe): c for c in judged(made, small_encoder(0, ALL[:3]))}
    assert all(cell.prediction is not None for cell in cells.values())
    said = f"never saw {ALL[3]}: standardised by the corpus"
    assert cells[ALL[3], "band-wise linear"].note == said
    assert cells["both", "knn"].note == f"2 single-band embeddings concatenated; {said}"
    assert cells["optical", "knn"].note == "3 single-band embeddings concatenated"


def test_of_an_encoder_of_any_bands_is_said_how_far_a_band_is(corpus):
    made = task(corpus)
    contract = contract_of(corpus, ALL[:2])
    encoder = encoders.build(any_sensor.Config(patch=4, width=16, depth=1, heads=2), contract)
    wanted = [panel for panel in made.panels if panel.key in {("optical", "knn"), ("both", "knn")}]
    cells = {(c.input, c.probe): c for c in judged(made, encoder, panels=wanted)}
    assert all(cell.prediction is not None for cell in cells.values())
    um = nearest_band(contract, ALL[2]).um
    said = f"never saw {ALL[2]} ({um:.3g} um from {ALL[1]}): standardised by the corpus"
    assert cells["optical", "knn"].note == said
    assert f"{ALL[3]} (5.55e+04 um from {ALL[1]})" in cells["both", "knn"].note


def test_only_the_wanted_panels_are_computed(corpus):
    made = task(corpus)
    (one,) = judged(made, small_encoder(0), panels=made.panels[:1])
    assert (one.input, one.probe) == made.panels[0].key
    assert judged(made, small_encoder(0), panels=[]) == []


def test_the_floors_stand_everywhere_but_scratch_under_no_band(corpus):
    made = task(corpus)
    cells = judged_floors(made, small_encoder, (0, 1))
    keys = [panel.key for panel in made.panels]
    seeds = {row: sorted({c.seed for c in cells if c.row == row}) for row in ROWS}
    assert seeds["majority"] == seeds["image statistics + linear"] == [0]
    assert seeds["random convolutions"] == seeds["random encoder (frozen)"] == seeds["scratch"] == [0, 1]
    for row in ("majority", "image statistics + linear", "random convolutions", "random encoder (frozen)"):
        assert [(c.input, c.probe) for c in cells if (c.row, c.seed) == (row, 0)] == keys
    scratch = [c for c in cells if (c.row, c.seed) == ("scratch", 0)]
    assert [(c.input, c.probe) for c in scratch] == [(i, p) for i in ("optical", "both") for p in ("linear", "knn")]
    # beside a probe that learns from validation labels, so does the training from scratch
    assert not (scratch[0].prediction.scores == scratch[1].prediction.scores).all()
    assert not any(c.prediction is None for c in cells)


def test_statistics_of_the_image_tell_the_known_truth(corpus):
    made = task(corpus, floors=["image-statistics"])
    cells = judged_floors(made, small_encoder)
    right = {c.input: (c.prediction.y_pred == made.units.y_true).mean() for c in cells if c.probe != "knn"}
    assert right["optical"] > 0.9
    assert right[ALL[0]] < 0.6


def test_fewer_labels_are_part_of_more(corpus):
    sizes = {}
    previous = set()
    for fraction in (0.05, 0.2, 0.5, 1.0):
        part = task(corpus, label_fraction=fraction).parts["train"]
        assert previous <= set(part.locations)
        assert set(part.y) == {0, 1, 2}
        previous, sizes[fraction] = set(part.locations), len(part.y)
    assert sizes[0.5] == pytest.approx(0.5 * sizes[1.0], abs=2)


def test_a_subset_keeps_every_class():
    part = subset(Labelled(np.arange(100), np.r_[np.zeros(99, int), 1]), LabelBudget(0.1))
    assert np.bincount(part.y).tolist() == [10, 1]


def test_tasks_that_cannot_be_are_refused_with_what_to_do(corpus):
    with pytest.raises(RecipeError, match="no statistics of sentinel-2-l2a/B08") as caught:
        task(corpus, inputs={"x": (f"{OPTICAL}/B08",)})
    assert "task kinds, input x" in str(caught.value)
    parted = split(corpus, SPLIT)
    with pytest.raises(RecipeError, match="test part holds no labelled location"):
        Task("kinds", config(), corpus, parted | {"test": np.array([0, 1])})
    with pytest.raises(RecipeError, match="means two things"):
        task(corpus, inputs={ALL[0]: (ALL[1],), "y": ALL[:1]})
    with pytest.raises(RecipeError, match=r"labels_per_class 1 and label_fraction 0\.1 are tasks of their own"):
        task(corpus, labels_per_class=[1], label_fractions=[0.1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"probes": [{"name": "knn"}, {"name": "knn"}]}, "called the same"),
        ({"inputs": {"x": [ALL[0], ALL[0]]}}, "give each band once"),
        ({"inputs": {"x": []}}, "at least one"),
        ({"inputs": {}}, "at least 1"),
        (
            {"metric": "roc_auc"},
            "'macro_ap', 'macro_f1', 'mae', 'micro_ap', 'micro_f1', 'micro_jaccard', 'miou', 'r2' or 'rmse'",
        ),
        ({"label_fraction": 0.0}, "greater than 0"),
        ({"floors": ["imagenet"]}, "floors"),
        ({"probes": [{"name": "liner"}]}, "liner"),
        ({"colour": 1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense(changes, said):
    with pytest.raises(ValidationError, match=said):
        config(**changes)


def test_replicates_draw_other_labels_and_all_rows_of_one_the_same(corpus):
    made = task(corpus, label_fraction=0.2)
    other = made.drawn(1)
    for part in ("train", "val"):
        assert len(other.parts[part]) == len(made.parts[part])
        assert set(other.parts[part].y) == {0, 1, 2}
    assert set(other.parts["train"].locations) != set(made.parts["train"].locations)
    assert (other.parts["test"].locations == made.parts["test"].locations).all()
    assert (made.drawn(1).parts["train"].locations == other.parts["train"].locations).all()
    assert other.drawn(0).parts["train"].locations.tolist() == made.parts["train"].locations.tolist()
    every = task(corpus)
    assert every.drawn(1) is every, "of all labels there is one draw"


def test_classes_with_fewer_labels_than_were_asked_for_are_said(corpus):
    every, made = task(corpus), task(corpus, labels_per_class=12)
    there = {part: np.bincount(every.parts[part].y, minlength=3) for part in ("train", "val")}
    for part, n in there.items():
        assert np.bincount(made.parts[part].y, minlength=3).tolist() == np.minimum(n, 12).tolist()
    assert (there["train"] >= 12).all(), "no remark on the training part"
    assert (there["val"] < 12).all()
    listed = ", ".join(f"class {k} ({n})" for k, n in enumerate(there["val"]))
    (said,) = [remark for remark in made.remarks if "fewer than" in remark and "groups" not in remark]
    assert said == f"fewer than 12 labelled validation locations have {listed}: all of these are used"
    most = int(there["train"].max())
    short = [f"class {k} ({n})" for k, n in enumerate(there["train"]) if n < most + 1]
    said = f"fewer than {most + 1} labelled training locations have {', '.join(short)}: all of these are used"
    assert said in task(corpus, labels_per_class=most + 1).remarks
    assert not any("labelled training locations" in remark for remark in task(corpus, labels_per_class=1).remarks)
    assert every.drawn(1) is every
    assert made.drawn(1) is not made


@pytest.mark.parametrize(
    ("probe", "use"),
    [
        ({"name": "knn"}, "unused"),
        ({"name": "mlp"}, "unused"),
        ({"name": "linear"}, "fits"),
        ({"name": "linear", "refit": False}, "tunes"),
        ({"name": "fine-tune"}, "tunes"),
        ({"name": "distil", "teacher": ["both"]}, "fits"),
        ({"name": "band-wise", "probe": {"name": "knn"}}, "unused"),
    ],
)
def test_what_probes_use_validation_labels_for(probe, use):
    assert config(probes=[probe], floors=["majority"]).probes[0].validation() == use


def test_what_is_learnt_from_beside_a_probe(corpus):
    made = task(corpus)
    data = made.labelled(made.inputs["optical"])
    train, val = data.parts["train"], data.parts["val"]
    unused, tunes, fits = (used(data, use).parts for use in ("unused", "tunes", "fits"))
    assert tunes is data.parts
    assert (len(unused["train"]), len(unused["val"])) == (len(train), 0)
    assert fits["train"].locations.tolist() == [*train.locations, *val.locations]
    assert fits["train"].y.tolist() == [*train.y, *val.y]
    assert len(fits["val"]) == 0
    assert fits["test"] is unused["test"] is data.parts["test"]


def test_image_statistics_learn_from_the_labels_that_the_probe_beside_them_does(corpus, monkeypatch):
    seen = []

    def fit(settings, features, seed):
        train, val = (features.train_x, features.train_y), (features.val_x, features.val_y)
        seen.append((len(linear.learnt_from(settings, train, val)[1]), len(val[1])))
        raise TrainingError("not now")

    monkeypatch.setattr(linear, "fit", fit)
    probes = [{"name": "linear"}, {"name": "linear", "refit": False}, {"name": "knn"}, {"name": "mlp"}]
    for probe in probes:
        made = task(corpus, inputs={"optical": ALL[:3]}, probes=[probe], floors=["image-statistics"])
        judged_floors(made, small_encoder)
    n, m = (len(made.parts[part]) for part in ("train", "val"))
    assert seen == [(n + m, m), (n, m), (n, 0), (n, 0)]


def test_results_that_used_the_labels_otherwise_are_computed_anew_and_no_others(corpus):
    """Beside knn, statistics were read by a probe that learnt from validation labels, and scratch beside linear not."""
    made = task(corpus, floors=list(USUAL))
    networks = Networks(["arm"], lambda _, seed: small_encoder(seed), [0])
    for job in jobs_of({0: made}, {}, networks):
        now, before = job.digests(), replace(job, once=lambda _: None).digests()
        changed = {probe for (_, probe), digest in now.items() if before[_, probe] != digest}
        expected = {"image statistics + linear": {"knn"}, "scratch": {"linear", "knn"}}
        assert changed == expected.get(job.row, set()), job.row
