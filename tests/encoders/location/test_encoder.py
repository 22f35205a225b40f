"""A location encoder is an encoder: it takes an image of longitude and latitude, and comes back from disk."""

from dataclasses import replace

import pytest
import torch

from swath import encoders
from swath.encoders import location
from swath.encoders.location.encodings import cartesian
from swath.encoders.location.networks import siren
from swath.errors import CheckpointError, ContractError, RecipeError
from swath.testing import _data

PLACES = torch.tensor([[13.4, 52.5], [-180.0, -17.0], [100.0, -90.0]])


def config(**settings):
    return location.Config.model_validate(
        {"encoding": {"name": "spherical-harmonics", "degrees": 4}, "network": {"name": "siren", "dim": 8}} | settings
    )


def contract():
    return encoders.InputContract(2, location.LOCATION, True, ("degree",) * 2, (0.0, 0.0), (1.0, 1.0), gsd_m=(1.0, 1.0))


def made(**settings):
    torch.manual_seed(0)
    return encoders.build(config(**settings), contract())


def image(places=PLACES):
    plain = _data.image(location.LOCATION, b=len(places), px=1)
    return replace(plain, pixels=places.view(-1, 1, 2, 1, 1), gsd_m=1.0)


def test_it_embeds_the_pixel_of_an_image_as_its_tower_embeds_degrees():
    encoder = made().eval()
    embedded = encoder.embed(image())
    assert embedded.shape == (3, encoder.dim) == (3, 8)
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded, encoder.network.embed(PLACES.double()))
    again = location.tower(config().encoding, config().network)
    again.load_state_dict(encoder.network.state_dict())
    torch.testing.assert_close(again.embed(PLACES), embedded)


def test_without_a_network_the_features_are_the_embedding():
    encoder = made(network=None)
    assert encoder.dim == 16
    torch.testing.assert_close(encoder.embed(image()), encoder.network.encoding(PLACES).float())
    assert not list(encoder.parameters())


def test_it_comes_back_from_disk_with_its_encoding(tmp_path):
    encoder = made(encoding={"name": "random-fourier", "waves": 4, "seed": 5})
    encoders.save(encoder, config(encoding={"name": "random-fourier", "waves": 4, "seed": 5}), tmp_path / "it", {})
    back = encoders.load(tmp_path / "it")
    torch.testing.assert_close(back.embed(image()), encoder.embed(image()))
    assert back.network.encoding.waves.dtype == torch.float64
    (tmp_path / "it.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        encoders.load(tmp_path / "it")


def test_it_starts_from_what_was_saved(tmp_path):
    encoder = made()
    encoders.save(encoder, config(), tmp_path / "it", {})
    torch.manual_seed(1)
    started = encoders.build(config(weights=tmp_path / "it"), contract())
    torch.testing.assert_close(started.embed(image()), encoder.embed(image()))


def test_its_precision_is_that_of_its_network_under_autocast_too():
    encoder = made().eval()
    plain = encoder(image())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(encoder(image()), plain, rtol=0, atol=0)


def test_nothing_waits_for_the_device():
    assert made().to("meta")(image().to("meta")).shape == (3, 8)


def test_images_of_no_location_are_refused_even_if_trusted():
    encoder = made()
    lost = image()
    lost.valid[1] = False
    with pytest.raises(ContractError, match="1 of 3 locations have no coordinates"):
        encoder.embed(lost)
    with pytest.raises(ContractError, match="probably swapped"):
        encoder.embed(image(torch.tensor([[52.5, 113.4]])), trusted=True)
    with pytest.raises(ContractError, match="the image's bands are not the encoder's"):
        encoder.embed(image().channels([1, 0]))


def test_other_bands_are_refused():
    with pytest.raises(RecipeError, match="the encoder location takes location/lon and location/lat"):
        encoders.build(config(), _data.contract())


def test_settings_find_encodings_and_networks_by_name():
    found = config(encoding={"name": "cartesian"}, network={"name": "siren"})
    assert isinstance(found.encoding, cartesian.Config)
    assert isinstance(found.network, siren.Config)
    assert isinstance(location.Config().network, siren.Config)
    with pytest.raises(ValueError, match="spherical-harmonics"):
        config(encoding={"name": "harmonics"})
