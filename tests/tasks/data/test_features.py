"""How inputs are fed to encoders: a truth table, and equivalences on a real corpus."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath.corpus import Corpus, Selection
from swath.errors import ContractError
from swath.tasks.data import (
    BandMatch,
    BandReader,
    Request,
    contract_of,
    extract,
    extract_all,
    match_bands,
    with_corpus_statistics,
)
from tests.tasks.fakes import ALL, OPTICAL, PX, RADAR, contract, small_encoder

B2, B3, B4, VV, VH = ALL


@pytest.mark.parametrize(
    ("channels", "bands", "passes", "note"),
    [
        (3, (B4, B3, B2), ((B4, B3, B2),), ""),
        (3, (VV,), ((VV, VV, VV),), "VV, VV, VV as its 3 channels"),
        (3, (VV, VH), ((VV, VH, VV),), "VV, VH, VV as its 3 channels"),
        (1, (VV,), ((VV,),), ""),
        (1, (B2, VV), ((B2,), (VV,)), "2 single-band embeddings concatenated"),
    ],
)
def test_encoders_with_free_channels(channels, bands, passes, note):
    assert match_bands(contract(ALL, channels), bands) == BandMatch(passes, note)


def test_more_bands_than_free_channels_do_not_fit():
    with pytest.raises(ContractError, match="has 3 channels, the input 4 bands"):
        match_bands(contract(ALL, 3), ALL[:4])


def test_encoders_with_fixed_bands_take_these_in_any_order_and_no_others():
    fixed = contract((B2, B3, B4), fixed=True)
    assert match_bands(fixed, (B4, B2, B3)) == BandMatch(((B2, B3, B4),))
    with pytest.raises(ContractError, match="together and nothing else"):
        match_bands(fixed, (B2, B3))


def test_bands_without_statistics_are_named():
    with pytest.raises(ContractError, match=f"no statistics of {RADAR}/VV"):
        match_bands(contract((B2, B3), 1), (B2, VV))


ROWS = np.array([2, 7, 30, 5])


def test_features_are_the_embeddings_in_the_order_of_the_locations(corpus):
    encoder = small_encoder(0)
    found = extract(encoder, corpus, ROWS, (B3,), batch_size=3)
    assert found.shape == (4, 8)
    assert found.dtype == np.float32
    reader = BandReader(corpus, (B3,), Selection())
    one = encoder.embed(reader.compose(reader.read(ROWS[2:3]), (B3,)))
    assert found[2] == pytest.approx(one[0].numpy(), abs=1e-6)


def test_the_batch_size_changes_nothing(corpus):
    encoder = small_encoder(0)
    whole, single = (extract(encoder, corpus, ROWS, ALL, batch_size=size) for size in (64, 1))
    assert whole == pytest.approx(single, abs=1e-5)


def test_single_band_embeddings_are_concatenated_in_the_inputs_order(corpus):
    encoder = small_encoder(0)
    joined = extract(encoder, corpus, ROWS, (VV, B2))
    assert joined == pytest.approx(
        np.concatenate([extract(encoder, corpus, ROWS, (key,)) for key in (VV, B2)], axis=1), abs=1e-6
    )


def test_a_fixed_encoder_gets_its_own_order_whatever_the_inputs(corpus):
    encoder = small_encoder(0, (B2, B3, B4), 3, fixed=True)
    one, other = (extract(encoder, corpus, ROWS, bands) for bands in ((B2, B3, B4), (B4, B2, B3)))
    assert (one == other).all()


def test_sensors_mix_as_channels(corpus):
    reader = BandReader(corpus, ALL, Selection())
    images = reader.read(ROWS)
    mixed = reader.compose(images, (VH, B4))
    assert mixed.pixels.shape == (4, 1, 2, PX, PX)
    assert torch.equal(mixed.pixels[:, :, 0], images[RADAR].pixels[:, :, 1])
    assert torch.equal(mixed.pixels[:, :, 1], images[OPTICAL].pixels[:, :, 2])
    assert torch.equal(mixed.valid, images[RADAR].valid & images[OPTICAL].valid)
    encoder = small_encoder(0, channels=2)
    assert extract(encoder, corpus, ROWS, (VH, B4)).shape == (4, 8)


def test_sensors_with_different_numbers_of_dates_do_not_mix(corpus):
    reader = BandReader(corpus, ALL, Selection())
    images = reader.read(ROWS)
    radar = images[RADAR]
    doubled = [values.repeat(1, 2, *[1] * (values.ndim - 2)) for values in (radar.pixels, radar.valid, radar.days)]
    images[RADAR] = type(radar)(*doubled, radar.band_ids, 10.0)
    with pytest.raises(ContractError, match="differ in dates or size"):
        reader.compose(images, (VH, B4))


def test_an_embedding_that_two_inputs_share_is_made_once(corpus, monkeypatch):
    encoder = small_encoder(0)
    calls = []
    embed = encoder.embed
    monkeypatch.setattr(encoder, "embed", lambda image, **how: (calls.append(how), embed(image, **how))[1])
    reader = BandReader(corpus, ALL, Selection())
    both, alone = extract_all([Request(encoder, (VV, B2)), Request(encoder, (VV,))], reader, ROWS)
    assert calls == [{"trusted": False}] * 2
    assert (both[:, :8] == alone).all()


def test_units_are_looked_at_in_the_first_batch_alone_and_a_wrong_one_is_refused(corpus, monkeypatch):
    encoder, calls = small_encoder(0), []
    monkeypatch.setattr(encoder, "check", lambda image, *, trusted: calls.append(trusted))
    extract_all([Request(encoder, (VV,))], BandReader(corpus, (VV,), Selection()), np.arange(2, 12), batch_size=4)
    assert calls == [False, True, True]
    own = small_encoder(0, ALL[:3], 3, fixed=True)
    own.contract = replace(own.contract, gsd_m=(30.0,) * 3)
    with pytest.raises(ContractError, match="pixels are 10 m wide, the encoder was trained on 30 m"):
        extract(own, corpus, ROWS, ALL[:3])
    assert contract_of(corpus, ALL[2:4]).gsd_m == (10.0, 10.0)


def test_locations_that_a_sensor_never_saw_are_not_complete(corpus: Corpus):
    rows = np.arange(4)
    assert list(BandReader(corpus, (VV, B2), Selection()).complete(rows)) == [0, 2, 3]
    assert list(BandReader(corpus, (B2,), Selection()).complete(rows)) == [0, 1, 2, 3]


def test_asking_for_a_misfit_fails_before_anything_is_read(corpus):
    with pytest.raises(ContractError):
        extract(small_encoder(0, channels=3), corpus, ROWS, ALL)


def test_statistics_are_lent_to_encoders_that_take_any_band(corpus):
    optical = small_encoder(0, (B2, B3), 1)
    with pytest.raises(ContractError):
        extract(optical, corpus, ROWS, (VV,))
    lent = with_corpus_statistics(optical, corpus, ALL)
    assert lent.contract.bands == ALL[:2] + ALL[2:]
    assert lent.contract.mean[3] == corpus.statistics[RADAR]["VV"].mean
    assert optical.contract.bands == (B2, B3)
    assert np.isfinite(extract(lent, corpus, ROWS, (VV,))).all()
    # the same network: what it knew it embeds as before, and no weight was copied
    assert (extract(lent, corpus, ROWS, (B2,)) == extract(optical, corpus, ROWS, (B2,))).all()
    assert lent.network is optical.network
    with pytest.raises(ContractError):
        extract(optical, corpus, ROWS, (VV,))


def test_nothing_is_lent_to_fixed_encoders_or_without_need(corpus):
    fixed, whole = small_encoder(0, (B2, B3), 2, fixed=True), small_encoder(0)
    assert with_corpus_statistics(fixed, corpus, ALL) is fixed
    assert with_corpus_statistics(whole, corpus, ALL) is whole
