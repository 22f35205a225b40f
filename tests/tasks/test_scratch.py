"""Supervised training from scratch: it learns, is seeded, and leaves the given encoder alone."""

import numpy as np
import pytest
import torch

from swath.batch import Image
from swath.corpus import Selection
from swath.errors import ContractError, TrainingError
from swath.tasks._scratch import Labelled, ScratchConfig, flip, train_and_predict
from swath.tasks.features import Pictures
from tests.tasks.fakes import ALL, small_encoder

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
    pictures = Pictures(corpus, BANDS, Selection())
    encoder = encoder or small_encoder(0, channels=2)
    return train_and_predict(config, encoder, pictures, BANDS, parts, 2, seed)


def test_it_learns_what_the_labels_say(corpus, parts):
    encoder = small_encoder(0, channels=2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    found = run(corpus, parts, encoder)
    assert (found.y_pred == parts["test"].y).mean() > 0.9
    assert found.scores.sum(1) == pytest.approx(np.ones(len(found.y_pred)), abs=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


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
    found = flip({"a": image, "b": image}, torch.Generator().manual_seed(0))
    assert torch.equal(found["a"].pixels, found["b"].pixels)
    assert torch.equal(found["a"].valid, found["a"].pixels[:, :, 0] > 3)
    corners = {int(v) for v in found["a"].pixels[:, 0, 0, 0, 0]}
    assert corners == {0, 3, 8, 11}
    assert (found["a"].pixels.flatten(1).sort(dim=1).values == pixels.flatten(1)).all()
