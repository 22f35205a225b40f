"""Holds for every segmenter that is found; then what each one promises."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from swath import encoders, plugins, segmenters, sensors
from swath.batch import NO_DAY, Image, pad_dates
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.errors import ContractError, RecipeError
from swath.segmenters import resnet_convlstm
from swath.segmenters._convlstm import ConvLSTM
from swath.segmenters._fusion import nearest
from swath.segmenters._ltae import REFERENCE_DAY, TemporalAttention, weighted

OPTICAL = tuple(f"sentinel-2-l2a/{b}" for b in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"))
RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")
SMALL = {
    "u-tae": {"encoder_widths": (16, 16), "decoder_widths": (8, 16)},
    "u-convlstm": {"encoder_widths": (8, 8), "decoder_widths": (8, 8), "hidden": 4},
    "unet-3d": {"width": 2},
    "resnet-convlstm": {"model": "test_resnet", "small_stem": False, "hidden": 4},
    "unet": {"encoder": {"name": "timm", "model": "test_resnet"}, "channels": (16, 8, 8, 8, 8)},
    "fpn": {"encoder": {"name": "timm", "model": "test_resnet"}, "channels": 8, "out": 32},
    "deeplabv3": {"encoder": {"name": "timm", "model": "test_resnet"}, "channels": 8},
    "deeplabv3plus": {"encoder": {"name": "timm", "model": "test_resnet"}, "channels": 8},
    "linear": {"encoder": {"name": "timm", "model": "test_resnet"}},
}
DECODERS = ("unet", "fpn", "deeplabv3", "deeplabv3plus", "linear")
FUSIONS = {"early-fusion", "late-fusion"}
EVERY = pytest.mark.parametrize("name", segmenters.names())


def contract(keys):
    units = tuple(sensors.band(key).unit for key in keys)
    return InputContract(len(keys), keys, True, units, (0.2,) * len(keys), (0.5,) * len(keys))


def contracts(name):
    one = {"sentinel-2-l2a": contract(OPTICAL[:3])}
    return {**one, "sentinel-1-rtc": contract(RADAR)} if name in FUSIONS else one


def image(keys, b=2, t=3, px=16, seed=0):
    g = torch.Generator().manual_seed(seed)
    days = torch.randint(REFERENCE_DAY, REFERENCE_DAY + 365, (b, t), generator=g).sort(dim=1).values
    return Image(
        torch.randn(b, t, len(keys), px, px, generator=g),
        torch.rand(b, t, px, px, generator=g) > 0.1,
        days.int(),
        torch.tensor([[sensors.band_id(key) for key in keys]] * b, dtype=torch.int32),
        10.0,
    )


def images(name, **sizes):
    return {sensor: image(c.bands, **sizes) for sensor, c in contracts(name).items()}


def make(name, classes=4, **settings):
    torch.manual_seed(0)
    module = plugins.find("swath.segmenters", name)
    return segmenters.build(module.Config(**{**SMALL.get(name, {}), **settings}), contracts(name), classes)


@EVERY
def test_logits_and_gradients(name):
    network = make(name)
    logits = network(images(name))
    assert logits.shape == (2, 4, 16, 16)
    F.cross_entropy(logits, torch.randint(0, 4, (2, 16, 16))).backward()
    got = {label for label, p in network.named_parameters() if p.grad is not None}
    assert got == {label for label, _ in network.named_parameters()}


@EVERY
def test_a_constant_band_says_nothing_and_blows_nothing_up(name, monkeypatch):
    """Its deviation is what rounding left: standardised by that, a hair's breadth would be 1e16."""
    flat = {sensor: replace(c, std=(2.7e-20, *c.std[1:])) for sensor, c in contracts(name).items()}
    monkeypatch.setitem(globals(), "contracts", lambda _: flat)
    network, given = make(name).eval(), images(name)
    other = {
        sensor: replace(each, pixels=torch.cat([each.pixels[:, :, :1] + 1e-3, each.pixels[:, :, 1:]], dim=2))
        for sensor, each in given.items()
    }
    logits = network(given)
    torch.testing.assert_close(network(other), logits, rtol=0, atol=0)
    loss = F.cross_entropy(logits, torch.randint(0, 4, (2, 16, 16)))
    assert loss < 20
    loss.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@EVERY
def test_padding_changes_nothing(name):
    # in float64: group norms of maps that hardly vary turn the last digit of float32 into hundredths
    network = make(name).eval().double()
    given = {sensor: replace(each, pixels=each.pixels.double()) for sensor, each in images(name).items()}
    longer = {
        sensor: pad_dates([each, image(contracts(name)[sensor].bands, b=1, t=7, seed=1)]).take([0, 1])
        for sensor, each in given.items()
    }
    longer = {
        sensor: replace(each, pixels=each.pixels.masked_fill(~each.valid[:, :, None], 1e20))
        for sensor, each in longer.items()
    }
    torch.testing.assert_close(network(given), network(longer), rtol=1e-6, atol=1e-6, check_dtype=False)


@EVERY
def test_nothing_valid_is_still_finite(name):
    given = {
        sensor: replace(each, valid=torch.zeros_like(each.valid), days=torch.full_like(each.days, NO_DAY))
        for sensor, each in images(name).items()
    }
    assert make(name)(given).isfinite().all()


@EVERY
def test_single_pixels_are_taken_or_refused_with_a_reason(name):
    network = make(name).eval()
    if name in {"unet-3d", "resnet-convlstm", *DECODERS}:
        assert network(images(name, px=1)).shape == (2, 4, 1, 1)
    else:
        with pytest.raises(RecipeError, match="cannot take chips of 1 x 1 pixels") as error:
            network(images(name, px=1))
        assert "unet-3d takes any" in str(error.value)


@EVERY
def test_the_number_of_sensors_must_fit(name):
    wrong = contracts("unet-3d") if name in FUSIONS else contracts("early-fusion")
    module = plugins.find("swath.segmenters", name)
    with pytest.raises(RecipeError, match=r"joins the series of several|takes the series of one"):
        segmenters.build(module.Config(), wrong, 4)


@EVERY
def test_a_missing_sensor_is_named(name):
    with pytest.raises(ContractError, match="the segmenter needs sentinel-2-l2a"):
        make(name)({"modis": image(OPTICAL[:3])})


@pytest.mark.parametrize(("name", "published"), [("u-tae", 1.1), ("u-convlstm", 1.5), ("unet-3d", 1.6)])
def test_published_sizes(name, published):
    """PASTIS' table: ten bands, twenty classes, in millions."""
    config = plugins.find("swath.segmenters", name).Config()
    network = segmenters.build(config, {"sentinel-2-l2a": contract(OPTICAL)}, 20)
    count = sum(p.numel() for p in network.parameters())
    assert round(count / 1e6, 1) == published
    exact = {"unet-3d": 1_553_796, "u-tae": 1_087_260}
    assert count == exact.get(name, count)


def test_u_tae_begins_as_in_pastis_code():
    """`weight_init.py` goes over the whole model: a Conv1d gets N(0, 1), other kernels Xavier's."""
    torch.manual_seed(0)
    config = plugins.find("swath.segmenters", "u-tae").Config()
    network = segmenters.build(config, {"sentinel-2-l2a": contract(OPTICAL)}, 20)
    attention = next(m for m in network.modules() if isinstance(m, TemporalAttention))

    def spread(tensor, expected):
        assert float(tensor.detach().std()) == pytest.approx(expected, rel=0.15)

    spread(attention.into.weight, 1)
    spread(attention.into.bias, 1)
    spread(attention.keys.weight, math.sqrt(2 / (256 + 64)))
    spread(attention.keys.bias, 1)
    spread(attention.mlp[0].weight, math.sqrt(2 / (256 + 128)))
    spread(attention.mlp[1].weight, 1)
    assert not attention.mlp[1].bias.any()
    assert torch.equal(attention.norm_weight, torch.ones_like(attention.norm_weight))
    spread(attention.query, math.sqrt(2 / 4))


def test_attention_is_the_official_formula():
    """`ltae.py`, pixel by pixel in NumPy, without padding."""
    torch.manual_seed(0)
    layer = TemporalAttention(32, 32, heads=4, width=16, key=3).eval()
    nn.init.normal_(layer.norm_weight)
    layer.mlp[1].running_var.uniform_(0.5, 2)
    x, days = torch.randn(1, 5, 32, 1, 2), torch.arange(REFERENCE_DAY, REFERENCE_DAY + 50, 10, dtype=torch.int32)[None]
    out, attention = layer(x, torch.ones(1, 5, dtype=torch.bool), days)
    p = {name: value.detach().double().numpy() for name, value in [*layer.named_parameters(), *layer.named_buffers()]}
    index = np.arange(4)
    for pixel in range(2):
        z = x[0, :, :, 0, pixel].double().numpy().reshape(5, 4, 8)
        z = (z - z.mean(axis=(0, 2), keepdims=True)) / np.sqrt(z.var(axis=(0, 2), keepdims=True) + 1e-5)
        z = z.reshape(5, 32) * p["norm_weight"] + p["norm_bias"]
        angle = np.arange(0, 50, 10)[:, None] / 1000 ** (2 * (index // 2) / 4)
        position = np.where(index % 2 == 0, np.sin(angle), np.cos(angle))
        z = z @ p["into.weight"].T + p["into.bias"] + np.tile(position, 4)
        keys = (z @ p["keys.weight"].T + p["keys.bias"]).reshape(5, 4, 3)
        heads = []
        for head in range(4):
            score = np.exp(keys[:, head] @ p["query"][head] / np.sqrt(3))
            score /= score.sum()
            np.testing.assert_allclose(attention[0, head, :, 0, pixel].detach(), score, rtol=1e-4)
            heads.append(score @ z[:, head * 4 : head * 4 + 4])
        z = np.concatenate(heads) @ p["mlp.0.weight"].T + p["mlp.0.bias"]
        z = (z - p["mlp.1.running_mean"]) / np.sqrt(p["mlp.1.running_var"] + 1e-5) * p["mlp.1.weight"] + p["mlp.1.bias"]
        z = np.maximum(z, 0).reshape(4, 8)
        z = ((z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)).ravel()
        np.testing.assert_allclose(out[0, :, 0, pixel].detach(), z, rtol=1e-3, atol=1e-3)


def test_skips_are_summed_by_each_heads_attention():
    maps, attention = torch.randn(2, 3, 8, 4, 4), torch.rand(2, 2, 3, 4, 4)
    found = weighted(maps, attention)
    for channel in range(8):
        expected = (maps[:, :, channel] * attention[:, channel // 4]).sum(dim=1)
        torch.testing.assert_close(found[:, channel], expected)


def test_lstm_is_the_formula_and_stops_at_the_last_date():
    torch.manual_seed(0)
    lstm, x = ConvLSTM(3, 2), torch.randn(1, 4, 3, 5, 5)
    c = h = torch.zeros(1, 2, 5, 5)
    for t in range(3):
        i, f, o, g = lstm.gates(torch.cat([x[:, t], h], dim=1)).split(2, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    torch.testing.assert_close(lstm(x, torch.tensor([[True, True, True, False]])), c)


def test_nearest_dates_of_those_that_count_the_earlier_of_two():
    days = torch.tensor([[10, 20, 30]], dtype=torch.int32)
    others = torch.tensor([[5, 15, 25, 29, NO_DAY]], dtype=torch.int32)
    count = torch.tensor([[True, True, True, False, False]])
    assert nearest(days, others, count).tolist() == [[0, 1, 2]]


def test_early_fusion_sees_the_nearest_radar():
    network, given = make("early-fusion", network="unet-3d").eval(), images("early-fusion")
    shuffled = dict(given)
    radar = given["sentinel-1-rtc"]
    shuffled["sentinel-1-rtc"] = Image(
        radar.pixels.flip(1), radar.valid.flip(1), radar.days.flip(1), radar.band_ids, radar.gsd_m
    )
    torch.testing.assert_close(network(given), network(shuffled))


def test_a_pretrained_resnet_keeps_its_weights_and_statistics_under_the_decoder():
    config = Timm(model="test_resnet", small_stem=False)
    torch.manual_seed(7)
    encoder = encoders.build(config, replace(contract(OPTICAL[:3]), mean=(0.3,) * 3))
    torch.manual_seed(0)
    network = resnet_convlstm.around(encoder, classes=4, hidden=4)
    assert network.encoder is encoder
    assert network.contracts["sentinel-2-l2a"].mean == (0.3,) * 3
    # another statistic, and only that, is another result
    random = make("resnet-convlstm", model="test_resnet", small_stem=False)
    random.load_state_dict(network.state_dict())
    assert not torch.equal(network.eval()(images("resnet-convlstm")), random.eval()(images("resnet-convlstm")))
    with pytest.raises(RecipeError, match="takes the maps of a ResNet"):
        make("resnet-convlstm", model="test_convnext", small_stem=False)
    with pytest.raises(RecipeError, match="fixed bands of one sensor"):
        resnet_convlstm.around(encoders.build(config, replace(contract(OPTICAL[:3]), fixed=False)), classes=4)
