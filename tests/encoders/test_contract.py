from dataclasses import replace

import pytest

from swath.errors import ContractError


def test_the_right_bands_pass_in_any_allowed_order(contract, image):
    contract().check(image())
    contract(fixed=False).check(image().channels([2, 1, 0]))
    contract(channels=1, fixed=False).check(image().channels([1]))


def test_wrong_number_of_channels_names_both(contract, image):
    with pytest.raises(ContractError, match=r"takes 3 channel\(s\), the image has 2") as error:
        contract().check(image().channels([0, 1]))
    assert error.value.where == "sentinel-2-l2a/B04, sentinel-1-grd/VV"
    assert "landsat-oli-sr/ST_B10" in error.value.remedy


def test_wrong_order_of_fixed_bands_is_refused_even_in_one_sample(contract, image):
    batch = image(b=3)
    batch.band_ids[1] = batch.band_ids[1][[1, 0, 2]]
    with pytest.raises(ContractError, match="it has sentinel-1-grd/VV, sentinel-2-l2a/B04"):
        contract().check(batch)


def test_bands_without_statistics_are_named(contract, image):
    from swath.sensors import band_id

    batch = image()
    batch.band_ids[0, 1] = band_id("hls/NIR")
    with pytest.raises(ContractError, match="no statistics for hls/NIR") as error:
        contract(fixed=False).check(batch)
    assert "sentinel-1-grd/VV" in error.value.remedy


def test_a_network_with_branches_takes_any_one_of_its_inputs(contract, image):
    branched = replace(contract(), channels=2, branches=(2, 1))
    assert branched.inputs == (contract().bands[:2], contract().bands[2:])
    for branch, channels in enumerate(([0, 1], [2])):
        one = image().channels(channels)
        branched.check(one)
        assert branched.branch(one) == branch
    with pytest.raises(ContractError, match="are not the encoder's") as error:
        branched.check(image())
    assert "; or " in error.value.remedy
    assert contract().inputs == (contract().bands,)


def test_only_an_encoder_with_branches_is_built_for_several_inputs(contract):
    from swath import encoders
    from swath.encoders.random_convolutions import Config
    from swath.errors import RecipeError

    with pytest.raises(RecipeError, match="2 sensors in turn"):
        encoders.build(Config(), replace(contract(), channels=2, branches=(2, 1)))


def test_one_input_of_several_is_a_contract_of_its_own(contract):
    branched = replace(contract(), channels=2, branches=(2, 1))
    first, second = (branched.alone(position) for position in range(2))
    assert first.bands + second.bands == branched.bands
    assert first.mean + second.mean == branched.mean
    assert (first.channels, second.channels, second.std, second.units) == (2, 1, branched.std[2:], branched.units[2:])
    assert contract().alone(0) == contract()
