"""The probe `segment`: what it trains and what it leaves, beside what it stands, and what it refuses."""

import copy
import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn import metrics as sk

from swath import encoders
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders.timm import Config as Timm
from swath.encoders.vit import Config as VitConfig
from swath.errors import ContractError, TrainingError
from swath.tasks import Task, TaskConfig, supervised
from swath.tasks.data import Labelled
from swath.tasks.probes.segment import Config
from swath.tasks.run.jobs import jobs_of
from swath.tasks.run.networks import Networks
from swath.tasks.run.results import output_of
from swath.tasks.supervised import Decoding, LabelledInput, Supervision, by_layer, plain, train_encoder
from tests.tasks.fakes import ALL, contract, dense_encoder, judged, judged_floors, small_encoder

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
UNET = {"name": "unet", "channels": [16, 8, 8, 8, 8]}
SHORT = {"name": "segment", "decoder": UNET, "epochs": 2, "batch_size": 8, "learning_rate": 1e-2}


def encoder(seed=0, model="test_resnet"):
    torch.manual_seed(seed)
    return encoders.build(Timm(model=model), contract(ALL[:3], 3, fixed=True))


def task(corpus, **changes):
    settings = {
        "target": {"rule": "pixels", "layer": "crops"},
        "inputs": {"optical": ALL[:3]},
        "probes": [SHORT],
        "metric": "miou",
        "more_metrics": ["accuracy", "balanced_accuracy", "micro_jaccard"],
        "floors": ["majority", "random-encoder", "scratch", "pixel-random-forest"],
    }
    config = TaskConfig.model_validate(settings | changes)
    return Task("crops", config, corpus, split(corpus, SPLIT), SPLIT)


@pytest.fixture(scope="module")
def data(fields):
    made = task(fields)
    return made.labelled(made.panels[0].input)


def trained(monkeypatch, config, data, on=None, **how):
    """The model that training made."""
    kept = []
    monkeypatch.setattr(supervised._Loop, "run", _then_keep(supervised._Loop.run, kept))
    train_encoder(config, on or encoder(), data, 0, **how)
    return kept[0]


def _then_keep(function, kept):
    def run(self):
        function(self)
        kept.append(self.model)

    return run


def decoding(**changes):
    return Decoding.model_validate({name: value for name, value in (SHORT | changes).items() if name != "name"})


def test_it_stands_beside_its_floors_and_its_table_is_the_locations_matrices(fields):
    made = task(fields)
    (cell,) = judged(made, encoder())
    cells = [cell, *judged_floors(made, encoder)]
    assert {c.probe for c in cells} == {"segment (unet, frozen)"}
    assert [c.row for c in cells] == ["arm", "majority", "random encoder (frozen)", "scratch", "random forest (pixel)"]
    assert all(c.prediction is not None and c.prediction.y_pred.shape == made.units.y_true.shape for c in cells)
    # the twin is what was judged, as its seed is the same
    np.testing.assert_array_equal(cells[2].prediction.y_pred, cell.prediction.y_pred)
    assert (cells[3].prediction.y_pred != cell.prediction.y_pred).any()
    table = output_of(cell.outcome, made.units).to_pandas()
    there = made.units.y_true != -1
    assert table["count"].sum() == there.sum()
    truth, said = (table[name].repeat(table["count"]) for name in ("y_true", "y_pred"))
    expected = sk.confusion_matrix(made.units.y_true[there], cell.prediction.y_pred[there])
    np.testing.assert_array_equal(sk.confusion_matrix(truth, said), expected)


def test_a_frozen_backbone_keeps_its_weights_and_its_statistics(monkeypatch, data):
    on = encoder()
    before = copy.deepcopy(on.network.state_dict())
    model = trained(monkeypatch, decoding(), data, on, frozen=True)
    after = model.encoder.backbone.network.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    norms = [value for name, value in model.encoder.decoder.state_dict().items() if "running_mean" in name]
    assert norms
    assert all(value.any() for value in norms)
    model = trained(monkeypatch, decoding(epochs=1), data, on)
    after = model.encoder.backbone.network.state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in after.items() if "running_mean" in name)
    assert all(torch.equal(value, before[name]) for name, value in on.network.state_dict().items())


def test_learning_rates_fall_by_layer_as_the_formula_says(data):
    on = encoder(model="test_vit")
    model = supervised.Classifier(supervised.segmenters.around(decoding().decoder, on), data)
    groups = by_layer(model, 0.1, 0.8)
    rates = {id(p): group.get("lr", 0.1) for group in groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    depth = len(on.network.blocks)
    layer = {"patch_embed": 0, "cls_token": 0, "pos_embed": 0, "norm": depth}
    for name, parameter in on.network.named_parameters():
        first, _, rest = name.partition(".")
        i = int(rest.split(".")[0]) + 1 if first == "blocks" else layer[first]
        assert rates[id(parameter)] == pytest.approx(0.1 * 0.8 ** (depth + 1 - i)), name
    assert all(rates[id(p)] == 0.1 for part in (model.encoder.decoder, model.head) for p in part.parameters())
    assert len(by_layer(model, 0.1, 1.0)) == 1
    with pytest.raises(ContractError, match="in no order"):
        by_layer(supervised.Classifier(dense_encoder(0), data), 0.1, 0.8)


VIT = {"name": "vit", "patch": 4, "width": 12, "depth": 3, "heads": 3}


@pytest.mark.parametrize(
    ("config", "last"), [(VitConfig(**VIT), "blocks.2."), (Timm(model="test_convnext"), "stages.3.blocks.1.")]
)
def test_the_last_block_learns_one_factor_below_the_decoder_whatever_norm_comes_after(config, last):
    on = encoders.build(config, contract(ALL[:3], 3, fixed=True))
    rates = {id(p): round(group.get("lr", 0.1), 9) for group in by_layer(on, 0.1, 0.8) for p in group["params"]}
    named = dict(on.network.named_parameters())
    assert {rates[id(p)] for name, p in named.items() if name.startswith(last)} == {0.08}
    assert {rates[id(p)] for name, p in named.items() if name.startswith(("norm.", "head."))} == {0.08}
    assert len(rates) == len(named)


def test_scratch_trains_as_the_probe_but_all_layers_alike():
    probe = Config(backbone="trained", layer_decay=0.8, loss="dice")
    assert probe.label() == "segment (unet)"
    assert type(probe.supervision()) is Decoding
    assert probe.supervision() == plain(Config(loss="dice"))
    assert probe.supervision() != plain(Config(loss="dice", decoder="fpn"))


def _qualities(monkeypatch, data, values, **changes):
    """How many epochs are trained where validation is worth these, and the last learning rate."""
    said, epochs, loops = iter(values), [], []
    monkeypatch.setattr(supervised._Loop, "_epoch", lambda self: (epochs.append(1), loops.append(self)))
    monkeypatch.setattr(supervised._Loop, "_quality", lambda self, part: next(said) if len(part) else (0.0, 0.0))
    train_encoder(decoding(epochs=20, **changes), encoder(), data, 0, frozen=True)
    return len(epochs), loops[-1].optimiser.param_groups[0]["lr"]


def test_it_stops_after_as_many_epochs_without_a_better_one_as_it_has_patience(monkeypatch, data):
    rising = [(0.1 * i, 0.0) for i in range(4)]
    flat = [(0.2, 0.0)] * 30
    assert _qualities(monkeypatch, data, rising + flat, patience=3)[0] == 7
    assert _qualities(monkeypatch, data, rising + flat, patience=3, min_epochs=12)[0] == 12
    assert _qualities(monkeypatch, data, rising + flat)[0] == 20
    unvalidated = supervised.used(data, "unused")
    assert _qualities(monkeypatch, unvalidated, [], patience=3)[0] == 20


def test_a_plateau_of_the_validation_labels_likelihood_makes_steps_smaller(monkeypatch, data):
    falling = [(0.5, -1.0)] * 8
    assert _qualities(monkeypatch, data, falling + [(0.5, -2.0)] * 30, schedule="plateau")[1] == pytest.approx(1e-4)
    better = [(0.5, -1.0 + 0.01 * i) for i in range(30)]
    assert _qualities(monkeypatch, data, better, schedule="plateau")[1] == pytest.approx(1e-2)


def test_a_class_that_no_training_pixel_has_is_said_and_never_right(fields):
    made = task(fields, probes=[SHORT | {"class_weights": "balanced", "epochs": 1}])
    train = made.parts["train"]
    without = train.y.copy()
    without[without == 2] = -1
    made.parts = made.parts | {"train": Labelled(train.locations, without)}
    assert made.unseen == f"no training label of {made.classes[2]}"
    (cell,) = judged(made, encoder())
    assert cell.prediction is not None
    beet = made.units.y_true == 2
    assert beet.any()


def test_encoders_without_maps_are_a_note(fields):
    made = task(fields)
    (cell,) = judged(made, small_encoder(0, ALL[:3], 3, fixed=True))
    assert cell.prediction is None
    assert "no maps of features" in cell.note
    (cell,) = judged(made, dense_encoder(0))
    assert "a decoder of its own" in cell.note


def test_any_band_encoders_see_each_band_by_itself(fields):
    torch.manual_seed(0)
    one = encoders.build(Timm(model="test_resnet"), contract(ALL, 1))
    (cell,) = judged(task(fields, probes=[SHORT | {"epochs": 1}]), one)
    assert cell.prediction is not None, cell.note
    assert cell.note == "3 single-band embeddings concatenated"


@pytest.mark.parametrize("decoder", ["fpn", UNET])
def test_settings_come_back_from_a_recipe_and_from_a_run(decoder):
    made = Config.model_validate_json(json.dumps({"name": "segment", "decoder": decoder}), strict=True)
    assert made.decoder.name == (decoder if isinstance(decoder, str) else "unet")
    assert Config.model_validate_json(made.model_dump_json(), strict=True) == made


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decoder": "unett"}, "unknown segmenter 'unett'; did you mean 'unet'"),
        ({"decoder": {"name": "unet", "width": 3}}, "width"),
        ({"decoder": "u-tae"}, "u-tae stands alone"),
        ({"decoder": {"name": "unet", "encoder": {"name": "timm"}}}, "it is the encoder that is judged"),
        ({"layer_decay": 0.8}, "a frozen backbone has no learning rates"),
        ({"loss": "dice", "class_weights": "balanced"}, "to Dice all classes are worth the same"),
        ({"backbone": "melted"}, "'frozen' or 'trained'"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"name": "segment", **settings})


def test_it_is_for_pixels_and_its_losses_for_single_classes(corpus, fields):
    with pytest.raises(ValidationError, match="here locations have the classes"):
        task(corpus, target={"rule": "scalar", "column": "kind"}, metric="accuracy", more_metrics=[])
    several = Labelled(np.arange(4), np.array([[0, 1], [1, 0], [1, 1], [0, 0]]))
    data = LabelledInput(task(fields).reader, ALL[:3], dict.fromkeys(("train", "val", "test"), several), 2)
    with pytest.raises(TrainingError, match="one class a location or pixel"):
        train_encoder(Supervision(loss="focal"), small_encoder(0, ALL[:3], 3, fixed=True), data, 0)


def test_digests_of_what_was_finished_stay_and_new_settings_count(fields):
    def digest(**settings):
        made = task(fields, probes=[{"name": "fine-tune", **settings}], floors=["majority"])
        (job,) = jobs_of({0: made}, {}, Networks([], lambda *_: encoder(), [0]))
        return job.digests()["optical", "fine-tune"]

    same = {"loss": "cross-entropy", "class_weights": "none", "patience": None, "min_epochs": 1}
    assert digest() == digest(**same)
    others = [digest(loss="dice"), digest(class_weights="balanced"), digest(patience=3), digest(min_epochs=2)]
    assert len({digest(), *others}) == 5
