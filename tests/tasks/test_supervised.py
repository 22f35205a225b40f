"""Supervised training: it learns classes of locations and of pixels, is seeded, and leaves the given encoder alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import log_loss

from swath import encoders
from swath.batch import Image
from swath.corpus import Selection
from swath.encoders import DenseEncoder, backbone_of, head_of, mmf
from swath.encoders.timm import Config as Timm
from swath.errors import ContractError, TrainingError
from swath.tasks import supervised
from swath.tasks._types import Prediction
from swath.tasks.data import BandReader, Labelled
from swath.tasks.supervised import LabelledInput, ScratchConfig, Supervision, drop_frames, flip, train_encoder
from tests.tasks.fakes import ALL, contract, dense_encoder, field_map, small_encoder

BANDS = ALL[2:4]
CONFIG = ScratchConfig(epochs=12, batch_size=16, learning_rate=5e-3)


@pytest.fixture(scope="module")
def parts():
    """Rows by part; class 1 has a brighter B04 and a rougher VV."""
    rows = np.arange(2, 96)
    y = (rows % 3 == 1).astype(np.int64)
    cuts = np.split(np.random.default_rng(0).permutation(len(rows)), [54, 70])
    return {part: Labelled(rows[cut], y[cut]) for part, cut in zip(("train", "val", "test"), cuts, strict=True)}


def run(corpus, parts, encoder=None, seed=0, config=CONFIG):
    pictures = BandReader(corpus, BANDS, Selection())
    encoder = encoder or small_encoder(0, channels=2)
    return train_encoder(config, encoder, LabelledInput(pictures, BANDS, parts, 2), seed)


def test_it_learns_what_the_labels_say(corpus, parts):
    encoder = small_encoder(0, channels=2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    found = run(corpus, parts, encoder)
    assert (found.y_pred == parts["test"].y).mean() > 0.9
    assert found.scores.sum(1) == pytest.approx(np.ones(len(found.y_pred)), abs=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_scores_of_the_validation_part_are_kept_unless_it_is_learnt_from(corpus, parts):
    config = ScratchConfig(epochs=1, batch_size=16)
    data = LabelledInput(BandReader(corpus, BANDS, Selection()), BANDS, parts | {"test": parts["val"]}, 2)
    encoder = small_encoder(0, channels=2)
    for use in ("tunes", "unused"):
        found = train_encoder(config, encoder, supervised.used(data, use), 0)
        np.testing.assert_array_equal(found.validation, found.scores)
    assert train_encoder(config, encoder, supervised.used(data, "fits"), 0).validation is None
    held_out = supervised.used(data, "unused")
    assert (len(held_out.parts["val"]), len(held_out.held_out)) == (0, 16)
    assert (held_out.held_out.locations == parts["val"].locations).all()


@pytest.mark.parametrize(("least", "epochs"), [(1, 4), (12, 4), (13, 5), (100, 34)])
def test_few_labels_get_as_many_steps_as_are_asked_for(corpus, parts, least, epochs):
    data = LabelledInput(BandReader(corpus, BANDS, Selection()), BANDS, parts, 2)
    model = supervised.Classifier(small_encoder(0, channels=2), data)
    config = ScratchConfig(epochs=4, batch_size=16, min_steps=least)
    loop = supervised._Loop(config, model, data, torch.device("cpu"), 0, supervised.by_layer(model, 1e-3, 1.0))
    assert (loop.steps, loop.epochs) == (3, epochs)  # 54 labels
    assert loop.schedule is not None
    assert loop.schedule.T_max == 3 * epochs


def test_between_epochs_that_are_equally_right_the_likelihood_of_the_labels_decides(corpus, parts, monkeypatch):
    data = LabelledInput(BandReader(corpus, BANDS, Selection()), BANDS, parts, 2)
    model = supervised.Classifier(small_encoder(0, channels=2), data)
    groups = supervised.by_layer(model, 1e-3, 1.0)
    loop = supervised._Loop(ScratchConfig(epochs=4, batch_size=16), model, data, torch.device("cpu"), 0, groups)
    right, likelihood = loop._quality(parts["val"])
    found = loop.predict(parts["val"], data.reader)
    assert right == pytest.approx((found.y_pred == parts["val"].y).mean())
    assert likelihood == pytest.approx(-log_loss(parts["val"].y, found.scores, normalize=False), rel=1e-4)
    qualities = iter([(0.5, -1.0), (1.0, -3.0), (1.0, -2.0), (1.0, -2.5)])
    states = []

    def quality(self, part):
        states.append({name: value.clone() for name, value in self.model.state_dict().items()})
        return next(qualities)

    monkeypatch.setattr(supervised._Loop, "_quality", quality)
    loop.run()
    assert all(torch.equal(value, states[2][name]) for name, value in model.state_dict().items())
    assert not all(torch.equal(value, states[1][name]) for name, value in model.state_dict().items())


def test_several_embeddings_are_trained_together(corpus, parts):
    found = run(corpus, parts, small_encoder(0, channels=1))
    assert (found.y_pred == parts["test"].y).mean() > 0.8


def test_a_seed_decides_and_the_global_random_numbers_do_not(corpus, parts):
    short = ScratchConfig(epochs=1, batch_size=16)
    torch.manual_seed(1)
    one = run(corpus, parts, config=short)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    same = run(corpus, parts, config=short)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (one.scores == same.scores).all()
    assert not (one.scores == run(corpus, parts, seed=1, config=short).scores).all()


def test_without_validation_the_last_epoch_is_taken(corpus, parts):
    empty = Labelled(np.empty(0, np.int64), np.empty(0, np.int64))
    found = run(corpus, parts | {"val": empty})
    assert (found.y_pred == parts["test"].y).mean() > 0.9


def test_failures_say_why(corpus, parts):
    one = Labelled(parts["train"].locations, np.zeros_like(parts["train"].y))
    with pytest.raises(TrainingError, match="one class"):
        run(corpus, parts | {"train": one})
    with pytest.raises(ContractError):
        run(corpus, parts, small_encoder(0, ALL[:3], 3, fixed=True))
    with pytest.raises(TrainingError, match="non-finite"):
        run(corpus, parts, config=ScratchConfig(epochs=3, batch_size=16, learning_rate=1e30))


def test_flips_move_pixels_and_validity_of_all_sensors_together():
    pixels = torch.arange(2 * 3 * 4, dtype=torch.float32).view(1, 1, 2, 3, 4).repeat(64, 1, 1, 1, 1)
    image = Image(
        pixels, pixels[:, :, 0] > 3, torch.zeros(64, 1, dtype=torch.int32), torch.zeros(64, 2, dtype=torch.int32), 10.0
    )
    labels = pixels[:, 0, 0].long()
    found, y = flip({"a": image, "b": image}, torch.Generator().manual_seed(0), labels)
    assert torch.equal(y, found["a"].pixels[:, 0, 0].long())
    assert torch.equal(found["a"].pixels, found["b"].pixels)
    assert torch.equal(found["a"].valid, found["a"].pixels[:, :, 0] > 3)
    corners = {int(v) for v in found["a"].pixels[:, 0, 0, 0, 0]}
    assert corners == {0, 3, 8, 11}
    assert (found["a"].pixels.flatten(1).sort(dim=1).values == pixels.flatten(1)).all()


def image_of(valid, channels=2):
    b, t = valid.shape[:2]
    days = torch.zeros(b, t, dtype=torch.int32)
    ids = torch.zeros(b, channels, dtype=torch.int32)
    return Image(torch.ones(b, t, channels, *valid.shape[2:]), valid, days, ids, 10.0)


def test_single_pixels_are_not_flipped():
    one = image_of(torch.ones(4, 2, 1, 1, dtype=torch.bool))
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    found, _ = flip({"a": one}, generator, torch.zeros(4, dtype=torch.int64))
    assert found["a"] is one
    assert torch.equal(generator.get_state(), state)


def test_dropped_dates_are_invalid_and_one_that_was_there_stays():
    valid = torch.ones(200, 5, 1, 1, dtype=torch.bool)
    valid[:, 3:] = False
    found = drop_frames(image_of(valid), 0.6, torch.Generator().manual_seed(0))
    left = found.valid[:, :, 0, 0]
    assert left.any(dim=1).all()
    assert not left[:, 3:].any()
    # 0.4 of the dates stay, and one where all three went
    assert left[:, :3].float().mean().item() == pytest.approx(0.4 + 0.6**3 / 3, abs=0.06)
    assert torch.equal(found.pixels[:, :, 0, 0, 0] > 0, left)


@pytest.fixture(scope="module")
def field_parts():
    rows = np.arange(2, 40)
    maps = np.stack([np.where(field_map(i) == 255, -1, field_map(i).astype(np.int16)) for i in rows])
    cuts = np.split(np.arange(len(rows)), [22, 30])
    return {part: Labelled(rows[cut], maps[cut]) for part, cut in zip(("train", "val", "test"), cuts, strict=True)}


def segment(fields, parts, encoder=None, bands=ALL[:3], dates="all", **settings):
    config = Supervision.model_validate({"epochs": 8, "batch_size": 4, "learning_rate": 1e-2} | settings)
    pictures = BandReader(fields, bands, Selection(dates=dates))
    return train_encoder(config, encoder or dense_encoder(0, bands), LabelledInput(pictures, bands, parts, 3), 0)


def test_pixels_keep_the_entropy_of_their_classes(fields, field_parts):
    found = segment(fields, field_parts, epochs=1)
    assert found.uncertainty.shape == found.y_pred.shape
    data = LabelledInput(BandReader(fields, ALL[:3], Selection(dates="all")), ALL[:3], field_parts, 3)
    loop = supervised._Loop(CONFIG, torch.nn.Identity(), data, torch.device("cpu"), 0, [{"params": [torch.ones(1)]}])
    logits = torch.randn(2, 3, 4, 5) * 3
    said = loop._unsure(logits, field_parts["test"])
    expected = stats.entropy(logits.softmax(1).numpy(), axis=1, base=3)
    assert said.uncertainty / 255 == pytest.approx(expected, abs=0.5 / 255 + 1e-6)
    assert Prediction.joined([said, said]).uncertainty.shape == (4, 4, 5)


def test_pixels_of_ragged_series_are_learnt_and_void_is_ignored(fields, field_parts):
    found = segment(fields, field_parts)
    truth = field_parts["test"].y
    there = truth != -1
    assert found.scores is None
    assert (found.y_pred[there] == truth[there]).mean() > 0.9
    # what void pixels are said to be changes nothing: they are not learnt from
    assert set(np.unique(found.y_pred)) <= {0, 1, 2}


def test_sensors_are_paired_into_one_input(fields, field_parts):
    both = (*ALL[:3], *ALL[3:])
    found = segment(fields, field_parts, dense_encoder(0, both), both, dates="paired")
    there = field_parts["test"].y != -1
    assert (found.y_pred[there] == field_parts["test"].y[there]).mean() > 0.9


def test_a_location_that_is_all_void_teaches_nothing(fields, field_parts):
    void = Labelled(field_parts["train"].locations[:4], np.full_like(field_parts["train"].y[:4], -1))
    with pytest.raises(TrainingError, match="one class"):
        segment(fields, field_parts | {"train": void})


def test_segmentation_needs_features_of_pixels(fields, field_parts):
    with pytest.raises(ContractError, match="no features of single pixels"):
        segment(fields, field_parts, small_encoder(0, ALL[:3], 3, fixed=True))


def resnet(bands=ALL[:3]):
    torch.manual_seed(3)
    return encoders.build(Timm(model="test_resnet"), contract(bands, 3, fixed=True))


def test_a_resnet_of_single_dates_gets_a_temporal_model_and_a_decoder(fields, field_parts):
    encoder = resnet()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    found = segment(fields, field_parts, encoder, epochs=8)
    there = field_parts["test"].y != -1
    assert (found.y_pred[there] == field_parts["test"].y[there]).mean() > 0.8
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    with pytest.raises(ContractError, match="no statistics of sentinel-1"):
        segment(fields, field_parts, encoder, ALL[3:])


def test_a_frozen_resnet_stays_as_it_is_under_its_decoder(fields, field_parts, monkeypatch):
    trained = []
    take = supervised.Reference.__init__
    monkeypatch.setattr(supervised.Reference, "__init__", lambda self, *a: (take(self, *a), trained.append(self))[0])
    encoder = resnet()
    data = LabelledInput(BandReader(fields, ALL[:3], Selection(dates="all")), ALL[:3], field_parts, 3)
    train_encoder(Supervision(epochs=2, batch_size=4), encoder, data, 0, frozen=True)
    own = trained[0].segmenter.encoder.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in encoder.state_dict().items())


def test_a_dense_encoder_classifies_by_the_mean_over_valid_pixels(fields, field_parts):
    whole = {
        name: Labelled(part.locations, (part.locations % 3).astype(np.int64)) for name, part in field_parts.items()
    }
    found = segment(fields, whole, epochs=12)
    assert (found.y_pred == whole["test"].y).mean() > 0.6
    assert found.scores.shape == (len(whole["test"]), 3)


def test_a_frozen_encoder_keeps_its_weights_and_its_statistics(fields, field_parts, monkeypatch):
    seen = {}
    monkeypatch.setattr("swath.tasks.supervised.flip", lambda images, _, y: (images, y))
    encoder = dense_encoder(0)
    encoder.network.insert(1, torch.nn.BatchNorm2d(8))

    def keep(module, *_):
        seen["weights"] = [p.detach().clone() for p in module.network.parameters()]
        seen["mean"] = module.network[1].running_mean.clone()

    monkeypatch.setattr(type(encoder), "dense", _after(type(encoder).dense, keep))
    pictures = BandReader(fields, ALL[:3], Selection(dates="all"))
    data = LabelledInput(pictures, ALL[:3], field_parts, 3)
    train_encoder(Supervision(epochs=2), encoder, data, 0, frozen=True)
    assert all(torch.equal(a, b) for a, b in zip(seen["weights"], encoder.network.parameters(), strict=True))
    assert torch.equal(seen["mean"], encoder.network[1].running_mean)
    train_encoder(Supervision(epochs=2), encoder, data, 0)
    assert not torch.equal(seen["mean"], encoder.network[1].running_mean)
    assert not torch.equal(seen["weights"][0], next(encoder.network.parameters()))


@pytest.mark.parametrize("frozen", [False, True])
def test_labels_change_nothing_of_what_an_encoder_holds_frozen(fields, field_parts, monkeypatch, frozen):
    seen = {}
    encoder = encoders.build(mmf.Config(width=2), replace(contract(ALL, 3, fixed=True), branches=(3, 2)))

    def keep(module):
        seen.update({name: value.clone() for name, value in module.network.state_dict().items()})

    monkeypatch.setattr(mmf.Mmf, "dense", _after(mmf.Mmf.dense, keep))
    data = LabelledInput(BandReader(fields, ALL[:3], Selection(dates="all")), ALL[:3], field_parts, 3)
    train_encoder(Supervision(epochs=2), encoder, data, 0, frozen=frozen)
    same = {name: torch.equal(value, seen[name]) for name, value in encoder.network.state_dict().items()}
    assert all(same[name] for name in same if name.startswith("generators."))
    assert not any(same[name] for name in same if name.startswith("fusion.") and name.endswith("conv.weight"))


def _after(method, keep):
    def wrapped(self, image):
        keep(self)
        return method(self, image)

    return wrapped


def test_an_encoder_may_bring_its_own_head_and_say_what_is_frozen():
    class Own(DenseEncoder):
        dense_dim = 4

        def __init__(self):
            super().__init__(torch.nn.Identity(), contract(ALL), dim=1)
            self.decoder = torch.nn.Linear(1, 1)

        @property
        def backbone(self):
            return self.decoder

        def dense(self, image):
            return image.pixels[:, 0]

        def head(self, classes):
            return torch.nn.Conv2d(4, classes, 3, padding=1)

    assert head_of(Own(), 5).kernel_size == (3, 3)
    assert head_of(Own(), 5, 2).weight.shape == (5, 8, 1, 1)
    own = Own()
    assert backbone_of(own) is own.decoder
    assert backbone_of(small := small_encoder(0)) is small
