"""Weights that others published: files in their exact layouts, generated here, against the tensors that went in."""

import argparse
import sys
import types
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from pydantic import ValidationError
from safetensors.torch import save_file

from swath import encoders
from swath.encoders import published_card
from swath.encoders._foreign import Match, read_tensors
from swath.encoders.timm import Config
from swath.errors import ContractError, RecipeError

CARD = "ssl4eo-l-etm-sr"
BANDS = published_card(CARD).bands


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return timm.create_model("test_resnet", in_chans=6, num_classes=0)


@pytest.fixture(scope="module")
def children(network):
    return [name for name, _ in network.named_children()]


@pytest.fixture(scope="module")
def state(network):
    """A network of six bands, with statistics as after training."""
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            part.num_batches_tracked.fill_(7)
            torch.nn.init.uniform_(part.weight, 0.5, 2)
            torch.nn.init.normal_(part.bias)
    return network.state_dict()


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def noise(state):
    """Other tensors of the same shapes; one number stands for all of each, so that files stay small."""
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}


@contextmanager
def old_lightning():
    """Classes that old Lightning pickles into its checkpoints, of modules that exist inside alone."""
    names = ("", ".utilities", ".utilities.parsing", ".callbacks", ".callbacks.model_checkpoint")
    modules = {f"pytorch_lightning{name}": types.ModuleType(f"pytorch_lightning{name}") for name in names}
    parsing, callbacks = modules[f"pytorch_lightning{names[2]}"], modules[f"pytorch_lightning{names[4]}"]
    parsing.AttributeDict = type("AttributeDict", (dict,), {"__module__": parsing.__name__})
    callbacks.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": callbacks.__name__})
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        yield parsing.AttributeDict, callbacks.ModelCheckpoint


HEAD = {"0.weight": torch.zeros(9, 9), "0.bias": torch.zeros(9), "2.weight": torch.zeros(4, 9)}
LAYOUTS = {
    "plain, as torchgeo publishes": lambda s: (s, "", 0),
    "with a classifier": lambda s: (s | {"fc.weight": torch.zeros(5, 64), "fc.bias": torch.zeros(5)}, "", 2),
    "MoCo v2, GASSL and SSL4EO-S12": lambda s: (
        {
            "epoch": 200,
            "arch": "resnet50",
            "state_dict": under("module.encoder_q.", s | under("fc.", HEAD))
            | under("module.encoder_k.", noise(s))
            | {"module.queue": torch.zeros(128, 16), "module.queue_ptr": torch.zeros(1)},
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []},
        },
        "state_dict.module.encoder_q.",
        len(HEAD) + 2,
    ),
    "MoCo v3": lambda s: (
        {
            "state_dict": under("module.base_encoder.", s | under("head.", HEAD))
            | under("module.momentum_encoder.", noise(s))
            | under("module.predictor.", HEAD)
        },
        "state_dict.module.base_encoder.",
        2 * len(HEAD),
    ),
    "DINO": lambda s: (
        {
            "student": under("module.backbone.", noise(s)) | under("module.head.mlp.", HEAD),
            "teacher": under("backbone.", s) | under("head.mlp.", HEAD),
            "args": argparse.Namespace(arch="vit_small", lr=0.1),
            "epoch": 99,
        },
        "teacher.backbone.",
        2 * len(HEAD),
    ),
    "lightly and Lightning": lambda s: (
        {
            "state_dict": OrderedDict(
                under("backbone.", s) | under("backbone_momentum.", noise(s)) | under("projection_head.layers.", HEAD)
            ),
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
        },
        "state_dict.backbone.",
        len(HEAD),
    ),
    "torchgeo's tasks": lambda s: (
        {
            "hyper_parameters": {"model": "resnet50"},
            "state_dict": under("model.", s) | {"criterion.weight": HEAD["0.bias"]},
        },
        "state_dict.model.",
        1,
    ),
    "compiled and parallel": lambda s: (under("module._orig_mod.", s), "module._orig_mod.", 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts_are_read_tensor_by_tensor(state, children, tmp_path, layout):
    content, prefix, heads = LAYOUTS[layout](state)
    match = Match(state, list(children), read_tensors(file_of(content, tmp_path)), {"conv1.0.weight": (1,)})
    naming = match.naming(tmp_path / "w.pth", None)
    assert naming.prefix == prefix
    found = match.taken(naming) | match.counted(naming)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    match.check(naming, tmp_path / "w.pth", ("fc.", "head."), 1.0)
    report = match.report(naming, tmp_path / "w.pth", noise(state), state, None, ())
    others = len(state) if any(word in layout for word in ("MoCo", "DINO", "lightly")) else 0
    assert len(report.left_over) == heads + others


@pytest.mark.parametrize(("trained", "average"), [("state_dict", "state_dict_ema"), ("model", "model_ema")])
def test_a_network_beside_its_average_is_not_chosen_in_silence(state, children, tmp_path, trained, average):
    """timm loads the average; whoever takes the other one has to say so."""
    path = file_of({trained: noise(state), average: state, "epoch": 3}, tmp_path)
    match = Match(state, list(children), read_tensors(path), {})
    with pytest.raises(RecipeError, match="which of them to use nobody says") as caught:
        match.naming(path, None)
    assert f"prefix: '{average}.' (100 %)" in caught.value.remedy
    assert all(
        torch.equal(tensor, state[name]) for name, tensor in match.taken(match.naming(path, f"{average}.")).items()
    )
    alone = Match(state, list(children), read_tensors(file_of({average: state}, tmp_path)), {})
    assert alone.naming(path, None).prefix == f"{average}."


def test_a_network_is_filled_and_says_of_what(state, tmp_path):
    encoder = build(file_of(under("module.", state), tmp_path))
    own = encoder.network.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in state.items())
    weights = [name for name, tensor in state.items() if tensor.ndim]
    assert set(encoder.start.used) == set(weights)
    assert not encoder.start.missing
    assert encoder.start.share == 1
    assert encoder.start.changed == len(weights), "every weight of the generated file differs from a fresh network's"
    assert f"{len(weights)} of {len(weights)} tensors (100 % of the numbers) used" in str(encoder.start)


def seco(tmp_path, base, model="resnet18"):
    """A checkpoint as SeCo's and CACo's repositories write it: torchvision's network in a `Sequential`."""
    torch.manual_seed(2)
    made = getattr(torchvision.models, model)(num_classes=128)
    query = torch.nn.Sequential(*list(made.children())[:-1], torch.nn.Flatten())
    other = noise(query.state_dict())
    with old_lightning() as (AttributeDict, ModelCheckpoint):
        content = {
            "epoch": 1,
            "state_dict": under("encoder_q.", query.state_dict())
            | under("encoder_k.", other)
            | under("heads_q.0.", HEAD)
            | {"queue": torch.zeros(1, 128, 8)},
            "hyper_parameters": AttributeDict(base_encoder=model, emb_dim=128),
            "callbacks": {ModelCheckpoint: {"best_model_score": torch.tensor(0.5)}},
        }
        torch.save(content, tmp_path / base)
    return made


def test_numbered_children_of_seco_and_caco_become_the_networks_own(tmp_path):
    made = seco(tmp_path, "seco.ckpt")
    config = Config(model="resnet18", weights=tmp_path / "seco.ckpt", card="seco")
    encoder = encoders.build(config, published_card("seco").contract).eval()
    assert encoder.start.prefix == "state_dict.encoder_q."
    assert encoder.start.share == 1
    assert "heads_q.0.0.weight" in " ".join(encoder.start.left_over)
    made.fc = torch.nn.Identity()
    pixels = torch.randn(2, 3, 40, 40)
    torch.testing.assert_close(encoder.network(pixels), made.eval()(pixels))


def test_masked_autoencoders_are_read_without_their_decoders(tmp_path):
    torch.manual_seed(3)
    state = timm.create_model("test_vit", in_chans=2, num_classes=0).state_dict()
    more = {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder_blocks.0.norm1.weight": torch.ones(8),
        "decoder_embed.bias": torch.ones(8),
    }
    torch.save({"model": state | more, "args": argparse.Namespace(mask=0.7)}, tmp_path / "mae.pth")
    config = Config(model="test_vit", weights=tmp_path / "mae.pth", card="ssl4eo-s12-s1")
    encoder = encoders.build(config, published_card("ssl4eo-s12-s1").contract)
    assert encoder.start.prefix == "model."
    assert sorted(encoder.start.left_over) == sorted(f"model.{name}" for name in more)
    assert torch.equal(encoder.network.patch_embed.proj.weight, state["patch_embed.proj.weight"])


def file_of(content, tmp_path, name="w.pth"):
    torch.save(content, tmp_path / name)
    return tmp_path / name


def build(path, model="test_resnet", **settings):
    return encoders.build(Config(model=model, weights=path, card=CARD, **settings), published_card(CARD).contract)


def test_a_prefix_that_nobody_knows_is_offered_and_taken_when_said(state, tmp_path):
    path = file_of(under("net.trunk.", state), tmp_path)
    with pytest.raises(RecipeError, match=r"under 'net\.trunk\.', and swath does not know what that is") as error:
        build(path)
    assert "prefix: 'net.trunk.' (100 %)" in error.value.remedy
    assert build(path, prefix="net.trunk.").start.share == 1
    with pytest.raises(RecipeError, match=r"no tensor of the file fits the network under the prefix 'net\.'") as error:
        build(path, prefix="net.")
    assert "prefix: 'net.trunk.' (100 %)" in error.value.remedy


def test_two_networks_that_fit_equally_are_not_chosen_between(state, tmp_path):
    path = file_of(under("backbone.", state) | under("encoder.", noise(state)), tmp_path)
    with pytest.raises(RecipeError, match=r"'backbone\.' and 'encoder\.', and which of them to use nobody says"):
        build(path)
    chosen = build(path, prefix="backbone.")
    assert torch.equal(chosen.network.state_dict()["conv1.0.weight"], state["conv1.0.weight"])


def test_a_file_of_which_nothing_fits_is_refused(tmp_path):
    path = file_of({"alpha": torch.zeros(3), "beta": torch.zeros(1, 2)}, tmp_path)
    with pytest.raises(RecipeError, match="no tensor of the file fits the network: it holds alpha, beta, the network"):
        build(path)


def test_another_architecture_is_refused_with_what_is_missing(state, tmp_path):
    stem = {name: tensor for name, tensor in state.items() if name.startswith("conv1.")}
    path = file_of(under("module.", stem | {"stages.0.weight": torch.zeros(3)}), tmp_path)
    with pytest.raises(
        RecipeError, match=r"bn1\.weight is missing; .*stages\.0\.weight is not the model's and .* more"
    ) as error:
        build(path)
    assert "at_least" not in error.value.remedy, "what fits by chance is not offered as a start"
    assert "'module.'" in error.value.what


def test_a_larger_network_of_the_same_kind_is_refused_though_all_is_there(state, tmp_path):
    """ResNet-101 holds every tensor of ResNet-50, and is another network."""
    path = file_of(state | {"layer3.9.conv1.weight": torch.zeros(8, 8, 3, 3)}, tmp_path)
    with pytest.raises(RecipeError, match=r"layer3\.9\.conv1\.weight is not the model's"):
        build(path, at_least=0.1)


def test_a_part_is_taken_only_when_asked_for(state, tmp_path):
    last = [name for name in state if name.startswith("layer4.")]
    path = file_of({name: tensor for name, tensor in state.items() if name not in last}, tmp_path)
    with pytest.raises(RecipeError, match=r"layer4\.0\.conv1\.weight is missing") as error:
        build(path)
    share = sum(t.numel() for n, t in state.items() if n not in last) / sum(t.numel() for t in state.values())
    assert f"{100 * share:.2g}"[:2] in error.value.what
    torch.manual_seed(5)
    encoder = build(path, at_least=0.05)
    assert set(encoder.start.missing) == {name for name in last if state[name].ndim}
    assert encoder.start.share == pytest.approx(share, abs=0.001)
    torch.manual_seed(5)
    fresh = encoders.build(Config(model="test_resnet"), published_card(CARD).contract)
    assert torch.equal(encoder.network.state_dict()[last[0]], fresh.network.state_dict()[last[0]])


def test_bands_are_chosen_by_name_in_any_order(state, tmp_path):
    """What is left out is as if it were at its mean: it adds nothing to the first convolution."""
    path, card = file_of(state, tmp_path), published_card(CARD)
    some = tuple(BANDS[i] for i in (4, 0, 2))
    inputs = replace(
        card.contract,
        channels=3,
        bands=some,
        units=("reflectance",) * 3,
        mean=(0.3,) * 3,
        std=(0.1,) * 3,
        gsd_m=(30.0,) * 3,
    )
    few = encoders.build(Config(model="test_resnet", weights=path, card=CARD), inputs).eval()
    assert torch.equal(few.network.state_dict()["conv1.0.weight"], state["conv1.0.weight"][:, [4, 0, 2]])
    assert few.contract.mean == (0.0, 0.0, 0.0)
    assert few.contract.std == (0.3, 0.3, 0.3)
    whole = build(path).eval()
    pixels = torch.rand(2, 3, 32, 32)
    padded = torch.zeros(2, 6, 32, 32)
    padded[:, [4, 0, 2]] = pixels
    torch.testing.assert_close(few.network(pixels), whole.network(padded), rtol=1e-5, atol=1e-4)
    assert f"channels of the card by name: {', '.join(some)}" in str(few.start)


def test_what_the_card_does_not_say_is_refused(state, tmp_path):
    path, contract = file_of(state, tmp_path), published_card(CARD).contract
    other = replace(contract, bands=(*BANDS[:5], "landsat-etm-sr/ST_B6"), units=(*contract.units[:5], "K"))
    with pytest.raises(ContractError, match="the weights know no landsat-etm-sr/ST_B6"):
        encoders.build(Config(model="test_resnet", weights=path, card=CARD), other)
    with pytest.raises(ContractError, match="published weights want each band in its own"):
        encoders.build(Config(model="test_resnet", weights=path, card=CARD), replace(contract, fixed=False))
    with pytest.raises(ContractError, match="take 6 channels, the card says 2"):
        encoders.build(
            Config(model="test_resnet", weights=path, card="ssl4eo-s12-s1"), published_card("ssl4eo-s12-s1").contract
        )
    counts = replace(contract, mean=(1200.0,) * 6)
    with pytest.raises(ContractError, match=r"by the corpus's means, .*10,000 times too large"):
        encoders.build(Config(model="test_resnet", weights=path, card=CARD), counts)


def test_without_a_card_another_number_of_channels_is_refused(state, tmp_path, contract):
    path = file_of(state, tmp_path)
    with pytest.raises(ContractError, match="take 6 channels, the encoder has 3, and which bands they are nobody says"):
        encoders.build(Config(model="test_resnet", weights=path), contract())
    same = encoders.build(Config(model="test_resnet", weights=path), published_card(CARD).contract)
    assert "which no card confirms" in str(same.start)


@pytest.mark.parametrize("settings", [{"card": CARD}, {"prefix": "a."}, {"at_least": 0.5}])
def test_settings_of_weights_need_weights_of_others(settings, tmp_path):
    with pytest.raises(ValidationError, match="speak of weights"):
        Config(model="test_resnet", **settings)
    own = published_card(CARD).contract
    encoders.save(encoders.build(Config(model="test_resnet"), own), Config(model="test_resnet"), tmp_path / "e", {})
    with pytest.raises(RecipeError, match=f"swath's own, and their card says what {next(iter(settings))} would say"):
        encoders.build(Config(model="test_resnet", weights=tmp_path / "e", **settings), own)


def test_settings_that_say_nothing_of_it_are_what_they_were():
    assert set(Config().model_dump()) == {"name", "model", "weights", "small_stem", "image_size"}
    assert Config(weights="x.pth", card=CARD).model_dump()["card"] == CARD


def test_adopted_weights_are_an_encoder_of_swaths(state, tmp_path):
    save_file(state, tmp_path / "w.safetensors")
    config = Config(model="test_resnet", weights=tmp_path / "w.safetensors", card=CARD)
    start = encoders.adopt(config, tmp_path / "e")
    loaded = encoders.load(tmp_path / "e")
    assert all(torch.equal(loaded.network.state_dict()[name], tensor) for name, tensor in state.items())
    card = encoders.load_card(tmp_path / "e")
    assert card.contract == published_card(CARD).contract
    assert "card" not in card.encoder
    assert card.provenance["start"] == start.as_dict()
    assert card.provenance["start"]["file"] == "w.safetensors"
    assert card.provenance["published"].startswith("SSL4EO-L")
    assert encoders.load_seen(tmp_path / "e") is None
    with pytest.raises(RecipeError, match="what the weights are fed is not said"):
        encoders.adopt(Config(model="test_resnet", weights=tmp_path / "w.safetensors"), tmp_path / "f")
    with pytest.raises(RecipeError, match="weights of swath's own"):
        encoders.adopt(Config.model_construct(model="test_resnet", weights=None, card=CARD), tmp_path / "f")


def test_the_random_twin_of_published_weights_is_random(tmp_path):
    started = Config(model="test_resnet", weights=tmp_path / "w.pth", card=CARD, prefix="a.", at_least=0.5)
    assert encoders.untrained(started) == Config(model="test_resnet")
    assert encoders.saw_unknown_places(started)
    photographs = Config(model="test_resnet", weights=tmp_path / "w.pth", card="imagenet-rgb")
    assert encoders.untrained(photographs) == photographs
    assert not encoders.saw_unknown_places(photographs)
    assert not encoders.saw_unknown_places(Config(model="test_resnet"))


@pytest.mark.parametrize(
    ("name", "spoil", "why"),
    [
        ("layer1.0.conv1.weight", lambda t: t.where(t > 0, torch.nan), "not finite"),
        ("layer1.0.bn1.running_var", lambda t: -t, "negative variances"),
        ("layer1.0.conv1.weight", lambda t: (100 * t).to(torch.int8), "holds int8"),
        ("layer1.0.conv1.weight", lambda t: t.to(torch.complex64), "holds complex64"),
    ],
)
def test_numbers_that_are_no_weights_are_refused(state, children, tmp_path, name, spoil, why):
    file = under("model.", state | {name: spoil(state[name])})
    match = Match(state, children, file, {})
    with pytest.raises(RecipeError, match=rf"model\.{name} .*{why}"):
        match.check(match.naming(tmp_path, None), tmp_path, (), 1.0)


def test_weights_of_16_bits_are_weights(state, children, tmp_path):
    file = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    match = Match(state, children, file, {})
    match.check(match.naming(tmp_path, None), tmp_path, (), 1.0)
    assert set(match.taken(match.naming(tmp_path, None))) == {name for name in state if "batches" not in name}
