"""Painted clouds: a share that is exact, the same again, larger ones around smaller ones, and nothing else."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swath.batch import NO_DAY, Image
from swath.corpus import Corpus
from swath.corpus.painting import knows_clear, opacity, paint
from swath.corpus.physics.clouds import OPAQUE
from swath.corpus.sources import synth
from swath.sensors import band_id

DAYS = np.array([18_900, 18_930, 18_975, NO_DAY], np.int32)
KEYS = [f"sentinel-2-l2a/{name}" for name in ("B02", "B08", "B12")]


def valid(px=12):
    there = np.ones((4, px, px), bool)
    there[1, :, :5] = False
    there[3] = False
    return there


def image(px=12):
    there = torch.from_numpy(valid(px))[None].repeat(2, 1, 1, 1)
    pixels = torch.full((2, 4, 3, px, px), 0.2).masked_fill(~there[:, :, None], 0.0)
    ids = torch.tensor([[band_id(key) for key in KEYS]] * 2, dtype=torch.int32)
    return Image(pixels, there, torch.from_numpy(DAYS)[None].repeat(2, 1), ids, 10.0)


@given(st.floats(0, 1), st.text(max_size=8))
def test_the_share_is_exact_and_only_valid_pixels_are_painted(share, uid):
    found = opacity(uid, DAYS, valid(), 10.0, share)
    assert (found > OPAQUE).sum() == (found > 0).sum() == round(share * valid().sum())
    assert not found[~valid()].any()
    assert 0 <= found.min() <= found.max() <= 1


def test_more_clouds_hold_the_fewer_and_are_no_thinner_there():
    levels = [opacity("here", DAYS, valid(), 10.0, share) for share in (0.1, 0.3, 0.6, 0.9)]
    assert all((more >= fewer).all() for fewer, more in itertools.pairwise(levels))


def test_place_and_date_decide_and_nothing_else():
    one = opacity("here", DAYS, valid(), 10.0, 0.4)
    np.testing.assert_array_equal(one, opacity("here", DAYS, valid(), 10.0, 0.4))
    assert (one != opacity("there", DAYS, valid(), 10.0, 0.4)).any()
    assert (one[0] != one[2]).any()


def test_clouds_are_bright_and_nothing_says_that_they_are_there():
    clear, uids = image(), ["here", "there"]
    found = paint(clear, uids, 0.5)
    assert torch.equal(found.valid, clear.valid)
    hidden = torch.from_numpy(np.stack([opacity(uid, DAYS, valid(), 10.0, 0.5) for uid in uids]))
    moved = (found.pixels != clear.pixels).any(2)
    assert torch.equal(moved, hidden > OPAQUE)
    thick = hidden > 0.9
    # about the cloud's own spectrum: white, darker at 2.2 um
    blue, infrared, far = (found.pixels[:, :, k][thick].mean().item() for k in range(3))
    assert 0.5 < far + 0.2 < blue < 0.85
    assert blue == pytest.approx(infrared, abs=0.05)
    assert torch.equal(paint(clear, uids, 0.0).pixels, clear.pixels)


def test_only_a_generated_world_knows_its_clear_chips(tmp_path):
    config = synth.Config(locations=2, chip_px=8, extent_km=4, dates_optical=2)
    for name, clear in (("with", True), ("without", False)):
        synth.build(config.model_copy(update={"clear": clear}), tmp_path / name)
    assert knows_clear(Corpus.open(tmp_path / "with"), synth.OPTICAL)
    assert not knows_clear(Corpus.open(tmp_path / "with"), synth.RADAR)
    assert not knows_clear(Corpus.open(tmp_path / "without"), synth.OPTICAL)
