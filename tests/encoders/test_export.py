"""Weights for other libraries, loaded by them, against the features of the encoder that they came from."""

import json
import os
import subprocess

import pytest
import timm
import torch

from swath import encoders, plugins
from swath.batch import Image
from swath.encoders import InputContract, published_card
from swath.encoders.timm import Config
from swath.errors import RecipeError
from swath.sensors import band_id

BANDS = ("sentinel-2-l1c/B04", "sentinel-2-l1c/B08", "sentinel-2-l1c/B11")
MEAN, STD = (0.12, 0.28, 0.21), (0.06, 0.1, 0.09)
CONTRACT = InputContract(3, BANDS, True, ("reflectance",) * 3, MEAN, STD, gsd_m=(10.0,) * 3)
MODELS = {"test_resnet": {}, "test_convnext": {}, "test_vit": {"image_size": 32}}
EVERY = pytest.mark.parametrize("model", MODELS)


def trained(tmp_path, model, contract=CONTRACT):
    """A saved encoder whose statistics are not those of a fresh network."""
    torch.manual_seed(0)
    config = Config(model=model, **MODELS[model])
    encoder = encoders.build(config, contract)
    for part in encoder.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
        elif isinstance(part, torch.nn.Conv2d) and part.bias is not None:
            torch.nn.init.normal_(part.bias, 0, 0.1)
    encoders.save(encoder, config, tmp_path / "e", {"seed": 0})
    return encoder.eval()


def image(contract=CONTRACT, b=2, px=32):
    """Physical pixels, a few invalid."""
    torch.manual_seed(1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (contract.mean, contract.std))
    pixels = mean + std * torch.randn(b, 1, len(contract.bands), px, px)
    valid = torch.ones(b, 1, px, px, dtype=torch.bool)
    valid[:, :, :5, :7] = False
    ids = torch.tensor([[band_id(key) for key in contract.bands]] * b, dtype=torch.int32)
    return Image(pixels, valid, torch.zeros(b, 1, dtype=torch.int32), ids, 10.0)


def as_the_card_says(card, given):
    """Pixels "b c h w" prepared by the card alone, in NumPy's words."""
    pixels, valid = given.pixels[:, 0], given.valid[:, 0]
    columns = ("mean", "std", "invalid") if "mean" in card["bands"][0] else ("invalid",)
    table = {name: torch.tensor([band[name] for band in card["bands"]])[:, None, None] for name in columns}
    if "mean" in table:
        pixels = (pixels - table["mean"]) / table["std"]
    return torch.where(valid[:, None], pixels, table["invalid"])


def exported(tmp_path, library, **options):
    weights, card = encoders.export(tmp_path / "e", tmp_path / "out" / "net", library, **options)
    return weights, json.loads(card.read_text())


@EVERY
def test_timm_computes_the_same_features(tmp_path, model):
    encoder = trained(tmp_path, model)
    weights, card = exported(tmp_path, "timm")
    options = card["create_model"]
    theirs = timm.create_model(card["model"], in_chans=card["in_chans"], checkpoint_path=str(weights), **options).eval()
    given = image()
    torch.testing.assert_close(theirs(as_the_card_says(card, given)), encoder.embed(given), rtol=1e-4, atol=1e-5)
    assert str(weights.name) in card["load"]
    assert [band["band"] for band in card["bands"]] == list(BANDS)
    assert card["provenance"] == {"seed": 0}


class Backbone(torch.nn.Module):
    """terratorch's TimmBackboneWrapper and TimmRegistry.build (terratorch/registry/timm_registry.py), transcribed."""

    def __init__(self, name, features_only=True, **arguments):
        super().__init__()
        made = timm.create_model(name, features_only=features_only, **arguments)
        self._modules.update(made._modules)
        self.out_channels = made.feature_info.channels()
        self.forward = made.forward


@EVERY
def test_terratorchs_backbones_compute_the_same_features(tmp_path, model):
    encoder = trained(tmp_path, model)
    weights, card = exported(tmp_path, "terratorch")
    size = {"img_size": 32} if model == "test_vit" else {}
    theirs = Backbone(card["model"], in_chans=card["in_chans"], checkpoint_path=str(weights), **size).eval()
    given = image()
    pixels = as_the_card_says(card, given)
    maps = theirs(pixels)
    expected = encoder.network.forward_intermediates(pixels, intermediates_only=True, norm=False)
    ours = [one for one in expected if one.shape in {other.shape for other in maps}]
    torch.testing.assert_close(maps[-1], ours[-1], rtol=1e-4, atol=1e-5)
    assert f"timm_{model}" in card["load"]
    # what the card says of features is true of what terratorch gives, and not of the encoder's embedding
    is_embedding = torch.allclose(maps[-1].mean((2, 3)), encoder.embed(given), rtol=1e-4, atol=1e-5)
    assert is_embedding == card["features"].endswith("the average over positions")
    assert is_embedding == ("norm.weight" not in card["features"])


@pytest.mark.slow
@pytest.mark.skipif(
    "SWATH_TERRATORCH" not in os.environ, reason="SWATH_TERRATORCH: the python of an environment with it"
)
@pytest.mark.timeout(600)  # terratorch takes its time to import
def test_terratorch_itself_computes_the_same_features(tmp_path):
    """It wants other versions than swath's, so that it stands in an environment of its own."""
    encoder = trained(tmp_path, "test_resnet")
    weights, card = exported(tmp_path, "terratorch")
    pixels = as_the_card_says(card, image())
    torch.save(pixels, weights.parent / "pixels.pt")
    # as the card says, up to the words on its factories
    call = card["load"].partition(";")[0]
    script = f"""
import terratorch.registry, torch
network = {call}.eval()
torch.save([one.detach() for one in network(torch.load("pixels.pt"))], "maps.pt")
"""
    command = [os.environ["SWATH_TERRATORCH"], "-W", "ignore", "-c", script]
    subprocess.run(command, cwd=weights.parent, check=True, capture_output=True)
    maps = torch.load(weights.parent / "maps.pt", weights_only=True)
    expected = encoder.network.forward_intermediates(pixels, intermediates_only=True, norm=False)
    torch.testing.assert_close(maps[-1], expected[-1].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow  # torchgeo's tasks take seconds to import
@pytest.mark.parametrize(("model", "px"), [("test_resnet", 32), ("test_vit", 160)])
def test_torchgeos_tasks_compute_the_same_features(tmp_path, model, px):
    """Its tasks make a network of the model's own size of pictures, whatever the encoder's was."""
    from torchgeo.trainers import ClassificationTask

    encoder = trained(tmp_path, model)
    weights, card = exported(tmp_path, "torchgeo")
    task = ClassificationTask(model=card["model"], weights=str(weights), in_channels=card["in_chans"], num_classes=4)
    pixels = as_the_card_says(card, image(px=px))
    found = task.model.eval().forward_features(pixels)
    torch.testing.assert_close(found, encoder.network.forward_features(pixels), rtol=1e-4, atol=1e-4)


def test_networks_that_torchgeo_cannot_read_from_a_file_are_refused(tmp_path):
    """Its `load_state_dict` asks the last part of a network for `out_features`, which ConvNeXt's has not."""
    trained(tmp_path, "test_convnext")
    with pytest.raises(RecipeError, match="torchgeo cannot read weights of test_convnext") as error:
        exported(tmp_path, "torchgeo")
    assert "timm" in error.value.remedy


def test_torchgeos_file_is_what_its_extract_backbone_reads(tmp_path):
    """torchgeo/trainers/utils.py, extract_backbone: the model's name, and tensors behind `model.`."""
    encoder = trained(tmp_path, "test_resnet")
    weights, _ = exported(tmp_path, "torchgeo")
    checkpoint = torch.load(weights, weights_only=True)
    assert checkpoint["hyper_parameters"]["model"] == "test_resnet"
    state = {name.replace("model.", ""): value for name, value in checkpoint["state_dict"].items() if "model." in name}
    assert all(torch.equal(state[name], tensor) for name, tensor in encoder.network.state_dict().items())


@pytest.mark.parametrize("model", ["test_convnext", "test_vit"])
def test_folded_standardisation_takes_physical_units(tmp_path, model):
    encoder = trained(tmp_path, model)
    weights, card = exported(tmp_path, "timm", fold=True)
    options = card["create_model"]
    theirs = timm.create_model(model, in_chans=3, checkpoint_path=str(weights), **options).eval()
    given = image()
    physical = torch.where(given.valid[:, 0][:, None], given.pixels[:, 0], torch.tensor(MEAN)[:, None, None])
    torch.testing.assert_close(theirs(physical), encoder.embed(given), rtol=1e-3, atol=1e-4)
    assert card["folded"]
    assert torch.equal(as_the_card_says(card, given), physical)


def test_folding_is_refused_where_padding_would_make_it_wrong(tmp_path):
    """Zeros about a picture stand for the means; in physical units they would be darkness."""
    encoder = trained(tmp_path, "test_resnet")
    with pytest.raises(RecipeError, match="folded into test_resnet: its first convolution pads with 0"):
        exported(tmp_path, "timm", fold=True)
    conv = encoder.network.conv1[0]
    std = torch.tensor(STD)[:, None, None]
    wrong = torch.nn.functional.conv2d(
        image().pixels[:, 0], conv.weight / std, stride=conv.stride, padding=conv.padding
    )
    wrong = wrong - (conv.weight / std * torch.tensor(MEAN)[:, None, None]).sum((1, 2, 3))[:, None, None]
    right = conv((image().pixels[:, 0] - torch.tensor(MEAN)[:, None, None]) / std)
    torch.testing.assert_close(wrong[..., 1:-1, 1:-1], right[..., 1:-1, 1:-1], rtol=1e-3, atol=1e-4)
    assert (wrong - right).abs().max() > 0.1


def test_a_scale_alone_is_folded_whatever_the_padding(tmp_path):
    contract = InputContract(3, BANDS, True, ("reflectance",) * 3, (0.0,) * 3, (0.3, 0.4, 0.5))
    encoder = trained(tmp_path, "test_resnet", contract)
    weights, card = exported(tmp_path, "timm", fold=True)
    theirs = timm.create_model("test_resnet", in_chans=3, checkpoint_path=str(weights), **card["create_model"]).eval()
    given = image(contract)
    pixels = torch.where(given.valid[:, 0][:, None], given.pixels[:, 0], 0.0)
    torch.testing.assert_close(theirs(pixels), encoder.embed(given), rtol=1e-4, atol=1e-5)


def test_a_band_that_was_constant_stays_without_effect(tmp_path):
    """Its deviation of 0 would be divided by elsewhere."""
    contract = InputContract(3, BANDS, True, ("reflectance",) * 3, MEAN, (0.06, 0.0, 0.09))
    encoder = trained(tmp_path, "test_resnet", contract)
    weights, card = exported(tmp_path, "timm")
    assert [band["std"] for band in card["bands"]] == [0.06, 1.0, 0.09]
    theirs = timm.create_model("test_resnet", in_chans=3, checkpoint_path=str(weights), **card["create_model"]).eval()
    given = image()
    torch.testing.assert_close(theirs(as_the_card_says(card, given)), encoder.embed(given), rtol=1e-4, atol=1e-5)


def test_what_no_other_library_has_is_refused(tmp_path):
    config = Config(model="resnet18", small_stem=True)
    encoders.save(encoders.build(config, CONTRACT), config, tmp_path / "e", {})
    with pytest.raises(RecipeError, match="no library has a resnet18 with a small stem"):
        exported(tmp_path, "timm")
    statistics = plugins.find("swath.encoders", "image-statistics").Config()
    encoders.save(encoders.build(statistics, CONTRACT), statistics, tmp_path / "e", {})
    with pytest.raises(RecipeError, match="image-statistics is a network of swath's"):
        exported(tmp_path, "timm")


def test_out_and_in_again_is_the_same_encoder(tmp_path):
    """What was exported for torchgeo comes back through the card of the published weights that it began as."""
    contract = published_card("ssl4eo-s12-s1").contract
    encoder = trained(tmp_path, "test_resnet", contract)
    weights, _ = exported(tmp_path, "torchgeo")
    start = encoders.adopt(Config(model="test_resnet", weights=weights, card="ssl4eo-s12-s1"), tmp_path / "back")
    assert start.prefix == "state_dict.model."
    given = image(contract)
    assert torch.equal(encoders.load(tmp_path / "back").embed(given), encoder.embed(given))


VIT = {"patch": 8, "width": 16, "depth": 2, "heads": 2}


def transformer(tmp_path, **settings):
    """A saved vision transformer of swath's own, none of whose parameters is 0."""
    torch.manual_seed(0)
    config = plugins.find("swath.encoders", "vit").Config(**VIT, **settings)
    encoder = encoders.build(config, CONTRACT)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    encoders.save(encoder, config, tmp_path / "e", {"seed": 0})
    return encoder.eval()


@pytest.mark.parametrize(
    ("settings", "asked", "px"),
    [
        ({}, {"px": 32}, 32),
        ({"class_token": False, "registers": 3, "learnt_positions_px": 24}, {}, 24),
        ({"pooling": "class", "registers": 2, "reference_gsd_m": 5.0}, {"px": 40, "fold": True}, 40),
    ],
)
def test_timm_computes_the_features_of_swaths_own_transformer(tmp_path, settings, asked, px):
    encoder = transformer(tmp_path, **settings)
    weights, card = exported(tmp_path, "timm", **asked)
    options = card["create_model"]
    theirs = timm.create_model(card["model"], in_chans=card["in_chans"], checkpoint_path=str(weights), **options).eval()
    given = image(px=px)  # each patch has a valid pixel
    torch.testing.assert_close(theirs(as_the_card_says(card, given)), encoder.embed(given), rtol=1e-4, atol=1e-5)
    assert "patches without a valid pixel" in card["features"]
    assert f"img_size={px}" in card["load"]


@pytest.mark.parametrize(
    ("settings", "library", "asked", "said"),
    [
        ({}, "timm", {}, "positions for one size"),
        ({}, "timm", {"px": 30}, "no multiple of a patch of 8"),
        ({}, "torchgeo", {"px": 32}, "for timm alone"),
        ({}, "terratorch", {"px": 32}, "for timm alone"),
        ({"groups": [BANDS[:2], BANDS[2:]]}, "timm", {"px": 32}, "one for each group"),
        ({"dates": "together"}, "timm", {"px": 32}, "a network of swath's"),
    ],
)
def test_transformers_that_other_libraries_lack_are_refused(tmp_path, settings, library, asked, said):
    transformer(tmp_path, **settings)
    with pytest.raises(RecipeError, match=said) as caught:
        encoders.export(tmp_path / "e", tmp_path / "out" / "net", library, **asked)
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()
