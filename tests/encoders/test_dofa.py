"""DOFA's published layout: files like those of its authors, and torchgeo's model as the oracle of what they compute."""

import importlib.util
import sys
from dataclasses import replace
from types import MethodType

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from swath import cli, encoders
from swath.encoders import _positions, any_sensor
from swath.encoders._spectrum import published_um
from swath.encoders.any_sensor import Config
from swath.errors import RecipeError, SwathError
from swath.testing._data import contract, image

BANDS = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08", "sentinel-2-l2a/B12", "sentinel-1-grd/VV")
WAVELENGTHS = [0.665, 0.842, 2.19, 5.405]
"""What the authors feed for these (README of the repository DOFA)."""
AUTHORS = [0.665, 0.56, 0.49, 0.705, 0.74, 0.783, 0.842, 1.61, 2.19]
BYTES_MEAN = [114.11, 114.82, 126.64, 84.34, 97.85, 103.94, 101.44, 72.33, 56.67]
BYTES_STD = [77.84, 69.97, 67.42, 64.57, 61.73, 61.34, 60.30, 47.89, 42.56]
"""Wavelengths of nine bands of Sentinel-2, and the statistics of SatlasPretrain's bytes, in the authors' code."""
SIZE = {"patch": 8, "width": 32, "depth": 2, "heads": 2}
PX = 32


@pytest.fixture(scope="module")
def dofa():
    """torchgeo's module, without the rest of torchgeo, which takes seconds."""
    found = importlib.util.find_spec("torchgeo")
    if found is None or not found.submodule_search_locations:
        pytest.skip("torchgeo is not installed")
    path = f"{found.submodule_search_locations[0]}/models/dofa.py"
    spec = importlib.util.spec_from_file_location("torchgeos_dofa", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def theirs(dofa):
    """A network of theirs, as after training: biases and norms are not what they start as."""
    torch.manual_seed(0)
    model = dofa.DOFA(img_size=PX, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0)
    positions = _positions.of_grid(4, 4, 32, torch.device("cpu"))
    model.pos_embed.data = torch.cat([torch.zeros(1, 1, 32), positions], dim=1)
    model.cls_token.data.normal_(std=0.02)
    for name, parameter in model.named_parameters():
        if "blocks" in name and parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    # weights that tell bands apart; fresh ones hardly do beside the positions
    model.patch_embed.weight_generator.fc_weight.weight.data *= 10
    return model.eval()


def as_published(model):
    """The state as the authors ship it: what pre-training had beside, and no last norm."""
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("fc_norm")}
    beside = {"mask_token": torch.zeros(1, 1, 16), "norm.weight": torch.full((32,), 3.0), "norm.bias": torch.ones(32)}
    return {**state, **beside, "projector.weight": torch.zeros(8, 32), "projector.bias": torch.zeros(8)}


@pytest.fixture
def file(theirs, tmp_path):
    torch.save(as_published(theirs), tmp_path / "DOFA_ViT_base_e100.pth")
    return tmp_path / "DOFA_ViT_base_e100.pth"


def ours(weights, **said):
    return encoders.build(Config(**{**SIZE, "published": "dofa", **said}, weights=weights), contract(BANDS)).eval()


def standard(given, encoder):
    return encoder._standard(given).pixels[:, 0]


def test_bands_are_fed_the_wavelengths_of_the_authors():
    assert [published_um(key) for key in BANDS] == pytest.approx(WAVELENGTHS, abs=1e-4)
    assert published_um("landsat-oli-sr/SR_B5") == 0.865


def test_features_are_those_of_the_published_code(theirs, file):
    encoder, given = ours(file), image(BANDS, b=2, px=PX)
    expected = theirs.forward_features(standard(given, encoder), WAVELENGTHS)
    torch.testing.assert_close(encoder.embed(given), expected, rtol=1e-5, atol=1e-5)
    two = given.channels([2, 0])
    expected = theirs.forward_features(standard(two, encoder), [2.19, 0.665])
    torch.testing.assert_close(encoder.embed(two), expected, rtol=1e-5, atol=1e-5)
    # the quirks are of that code alone
    torch.manual_seed(0)
    usual = encoders.build(Config(**SIZE), contract(BANDS)).eval()
    usual.load_state_dict(encoder.state_dict())
    assert (usual.embed(given) - encoder.embed(given)).abs().max() > 1e-2


def test_the_first_release_reads_generated_numbers_in_another_order(theirs, file):
    """`weight.view(embed_dim, inplanes, kernel, kernel)` of what is band by band (wave_dynamic_layer.py until 2025)."""

    def first(self, x, wavelengths):
        waves = self.fclayer(torch.cat([torch.sin(angles := wavelengths[:, None] * 1000 * OMEGA), angles.cos()], 1))
        weight, bias = self.weight_generator(waves)
        kernels = weight.view(self.embed_dim, len(wavelengths), self.kernel_size, self.kernel_size) * 0.01
        out = F.conv2d(x, kernels, bias.view(-1) * 0.01, stride=self.kernel_size, padding=1)
        return out.flatten(2).transpose(1, 2), waves

    encoder, given, embed = ours(file, published="dofa-first"), image(BANDS, b=2, px=PX), theirs.patch_embed.forward
    theirs.patch_embed.forward = MethodType(first, theirs.patch_embed)
    expected = theirs.forward_features(standard(given, encoder), WAVELENGTHS)
    theirs.patch_embed.forward = embed
    torch.testing.assert_close(encoder.embed(given), expected, rtol=1e-5, atol=1e-5)


OMEGA = 1 / 10_000 ** (torch.arange(64) / 64)


def test_the_report_accounts_for_every_tensor(file):
    start = ours(file).start
    assert (start.share, start.missing) == (1.0, ())
    assert start.left_over == ()
    said = str(start)
    assert "fc_norm: not in the file" in said
    assert "mask_token, norm.bias, norm.weight, projector.bias, projector.weight" in said
    assert "pos_embed" in said


def test_a_saved_copy_computes_the_same_without_the_file(file, tmp_path):
    encoder, given = ours(file), image(BANDS, b=2, px=PX)
    encoders.save(encoder, Config(**SIZE, published="dofa", weights=file), tmp_path / "e", provenance={})
    file.unlink()
    torch.testing.assert_close(encoders.load(tmp_path / "e").embed(given), encoder.embed(given))
    card = encoders.load_card(tmp_path / "e")
    assert card.encoder["published"] == "dofa"
    assert card.provenance["start"]["file"] == "DOFA_ViT_base_e100.pth"
    assert encoders.saw_unknown_places(Config(published="dofa", weights=file))


def test_weights_under_a_prefix_and_two_networks(theirs, tmp_path):
    state = as_published(theirs)
    torch.save({"model": {f"backbone.{name}": tensor for name, tensor in state.items()}}, tmp_path / "one.pth")
    assert ours(tmp_path / "one.pth").start.share == 1
    torch.save({f"{part}.{name}": tensor for part in "ab" for name, tensor in state.items()}, tmp_path / "two.pth")
    with pytest.raises(RecipeError, match="holds 2 networks like DOFA's"):
        ours(tmp_path / "two.pth")
    assert ours(tmp_path / "two.pth", prefix_of_names="b.").start.share == 1


def test_weights_that_are_not_such_a_networks(theirs, file, tmp_path):
    with pytest.raises(RecipeError, match="want its code, which differs from swath's") as error:
        ours(file, published=None)
    assert "set published to dofa" in str(error.value)
    with pytest.raises(RecipeError, match=r"the weights are not this model's.*instead of"):
        ours(file, width=64)
    with pytest.raises(RecipeError, match=r"the weights are not this model's.*blocks\.1"):
        ours(file, depth=1)
    state = as_published(theirs)
    torch.save({**state, "pos_embed": state["pos_embed"] + 0.01}, tmp_path / "learnt.pth")
    with pytest.raises(RecipeError, match="not DOFA's sines and cosines"):
        ours(tmp_path / "learnt.pth")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(RecipeError, match="holds 0 networks like DOFA's"):
        ours(tmp_path / "other.pth")


def test_a_class_token_may_be_the_embedding(theirs, file):
    """What `global_pool=False` gives, but for the norm, which the file lacks."""
    encoder, given = ours(file, pooling="class"), image(BANDS, b=2, px=PX)
    x = theirs.patch_embed(standard(given, encoder), torch.tensor(WAVELENGTHS))[0] + theirs.pos_embed[:, 1:]
    x = torch.cat([theirs.cls_token.expand(2, -1, -1), x], dim=1)
    for block in theirs.blocks:
        x = block(x)
    expected = F.layer_norm(x, (32,), eps=1e-6)[:, 0]
    torch.testing.assert_close(encoder.embed(replace(given)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow  # two commands: some seconds of imports
def test_a_published_file_is_adopted_and_embeds_an_image_by_two_commands(theirs, file, tmp_path, monkeypatch):
    """Counts of Sentinel-2 go in as the bytes of the pre-training did, standardised by the authors' statistics."""
    monkeypatch.setitem(any_sensor.PUBLISHED, "dofa_base_patch16_224", SIZE)
    card = encoders.published_card("dofa-s2")
    words = [str(file), "--model", "dofa_base_patch16_224", "--card", "dofa-s2", "--to", str(tmp_path / "e")]
    came = CliRunner().invoke(cli.app, ["adopt", *words], catch_exceptions=False)
    assert came.stdout.strip() == str(tmp_path / "e.safetensors")
    assert "(100 % of the numbers) used" in came.stderr
    assert encoders.load_card(tmp_path / "e").provenance["published"] == card.title
    counts = np.random.default_rng(0).integers(500, 3000, (9, PX, PX)).astype(np.uint16)
    where = {"crs": "EPSG:32632", "transform": rasterio.transform.from_origin(5e5, 5e6, 10, 10)}
    (tmp_path / "images").mkdir()
    profile = {"driver": "GTiff", "count": 9, "height": PX, "width": PX, "dtype": "uint16", **where}
    with rasterio.open(tmp_path / "images" / "one.tif", "w", **profile) as image_file:
        image_file.write(counts)
    out = tmp_path / "found.parquet"
    words = [str(tmp_path / "e"), str(tmp_path / "images"), "--bands", ",".join(card.bands), "--to", str(out)]
    CliRunner().invoke(cli.app, ["embed", *words], catch_exceptions=False)
    byte = counts / 1e4 / np.array([0.3558 / 255] * 3 + [32 / 1e4] * 6)[:, None, None]
    given = (byte - np.array(BYTES_MEAN)[:, None, None]) / np.array(BYTES_STD)[:, None, None]
    expected = theirs.forward_features(torch.from_numpy(given).float()[None], AUTHORS).detach().numpy()[0]
    (found,) = pd.read_parquet(out)["embedding"]
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("resnet50", "--first-release"), "none of DOFA's networks"),
        (("dofa_base_patch16_224", "--at-least", "0.5"), "a file holds all or is refused"),
    ],
)
def test_what_cannot_be_adopted_is_refused(words, fault, tmp_path):
    arguments = ["adopt", str(tmp_path / "none.pth"), "--card", "dofa-s2", "--to", str(tmp_path / "e"), "--model"]
    with pytest.raises(SwathError, match=fault):
        CliRunner().invoke(cli.app, [*arguments, *words], catch_exceptions=False)
