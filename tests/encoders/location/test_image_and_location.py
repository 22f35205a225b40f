"""Two towers behind one contract: the bands of an image say which of them embeds it."""

from dataclasses import replace

import pytest
import torch

from swath import encoders
from swath.encoders import image_and_location, location, random_convolutions
from swath.encoders.location.encodings import cartesian
from swath.errors import ContractError, RecipeError
from swath.testing import _data
from tests.encoders.location import test_encoder
from tests.methods import fakes

SMALL = {"encoding": {"name": "cartesian"}, "network": {"name": "fcnet", "blocks": 1}}


def config(image=None, **settings):
    image = image or {"name": "random-convolutions", "features": 6}
    return image_and_location.Config.model_validate({"image": image} | SMALL | settings)


def contract():
    return replace(fakes.contract_of_image_and_place(), gsd_m=(10.0,) * 3 + (1.0,) * 2)


def made(**settings):
    torch.manual_seed(0)
    return encoders.build(config(**settings), contract())


def test_each_image_goes_through_its_tower():
    encoder, pictures, places = made(), _data.image(fakes.BANDS), test_encoder.image()
    assert encoder.dim == 6
    torch.testing.assert_close(encoder.embed(pictures), encoder.network.image.embed(pictures))
    torch.testing.assert_close(encoder.embed(places), encoder.network.location.embed(test_encoder.PLACES))
    alone = encoders.build(random_convolutions.Config(features=6), contract().alone(0))
    torch.testing.assert_close(encoder.embed(pictures), alone.embed(pictures))


def test_an_embedding_of_places_is_as_long_as_one_of_images():
    assert made(network={"name": "siren"}).network.location.dim == 6
    with pytest.raises(RecipeError, match="has 7 numbers, the image's 6"):
        made(network={"name": "fcnet", "dim": 7})


def test_each_image_is_held_to_its_own_contract():
    encoder = made()
    with pytest.raises(ContractError, match="probably swapped"):
        encoder.embed(test_encoder.image(torch.tensor([[52.5, 113.4]])))
    pictures = _data.image(fakes.BANDS)
    with pytest.raises(ContractError, match="10,000 times too large"):
        encoder.embed(replace(pictures, pixels=1e4 * pictures.pixels))


def test_views_of_other_bands_are_refused():
    with pytest.raises(RecipeError, match="choose the view policy `image-and-location`"):
        encoders.build(config(), fakes.contract())
    with pytest.raises(RecipeError, match="choose the view policy `image-and-location`"):
        encoders.build(config(), fakes.contract_of_two())


def test_it_comes_back_from_disk_and_says_what_its_image_tower_saw(tmp_path):
    encoder = made()
    encoders.save(encoder, config(), tmp_path / "both", {})
    back = encoders.load(tmp_path / "both")
    torch.testing.assert_close(back.embed(test_encoder.image()), encoder.embed(test_encoder.image()))
    started = config(weights=tmp_path / "both")
    assert encoders.own_start(started) == tmp_path / "both"
    torch.testing.assert_close(
        encoders.build(started, contract()).embed(test_encoder.image()), encoder.embed(test_encoder.image())
    )


def test_a_start_of_the_image_tower_is_known_and_left_out_of_the_random_twin(tmp_path):
    settings = {"name": "location", "encoding": cartesian.Config(), "network": None}
    alone = location.build(location.Config.model_validate(settings), fakes.contract_of_places())
    encoders.save(alone, location.Config.model_validate(settings), tmp_path / "image", {})
    started = config(image={"name": "timm", "model": "test_resnet", "weights": tmp_path / "image"})
    assert encoders.own_start(started) == tmp_path / "image"
    assert encoders.untrained(started) == config(image={"name": "timm", "model": "test_resnet"})
    assert encoders.untrained(config()) == config()
