"""Decoders on maps of encoders: against the library's own networks, on every kind of encoder, at every size."""

from dataclasses import replace

import pytest
import torch
from segmentation_models_pytorch import Unet
from torch import nn

from swath import encoders, plugins, segmenters
from swath.batch import NO_DAY
from swath.encoders import MapEncoder, image_statistics
from swath.encoders._dilation import dilate
from swath.encoders.timm import Config as Timm
from swath.errors import ContractError
from swath.segmenters import Decoded, DecoderPlugin, DecoderSettings
from tests.segmenters.test_every_segmenter import DECODERS, OPTICAL, SMALL, contract, image
from tests.tasks.fakes import dense_encoder

RGB = OPTICAL[:3]
MODELS = ("test_resnet", "test_vit", "test_convnext")


def encoder(model="test_resnet", **settings):
    torch.manual_seed(0)
    return encoders.build(Timm(model=model, **settings), contract(RGB))


def small(name, **changes):
    kept = {key: value for key, value in SMALL[name].items() if key != "encoder"}
    return plugins.find("swath.segmenters", name).Config(**{**kept, **changes})


def decoded(name, on, **changes):
    torch.manual_seed(1)
    return segmenters.around(small(name, **changes), on)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("model", MODELS)
def test_every_decoder_on_every_kind_of_encoder_at_any_size(name, model):
    dense = decoded(name, encoder(model)).eval()
    head = dense.head(5)
    for height, width in ((32, 32), (21, 37), (3, 1)):
        given = image(RGB, t=1, px=40)
        given = replace(given, pixels=given.pixels[..., :height, :width], valid=given.valid[..., :height, :width])
        features = dense.dense(given)
        assert features.shape == (2, dense.dense_dim, height, width)
        assert head(features).shape == (2, 5, height, width)
        assert features.isfinite().all()


def test_they_are_what_the_probe_may_name():
    modules = {name: plugins.find("swath.segmenters", name) for name in segmenters.names()}
    found = [name for name, module in modules.items() if issubclass(module.Config, DecoderSettings)]
    assert found == sorted(DECODERS)
    assert all(isinstance(modules[name], DecoderPlugin) for name in found)


def test_unet_is_the_librarys_on_the_same_weights():
    """The whole network of the library, whose ResNet has other names, as timm's has: value for value."""
    own = encoders.build(Timm(model="resnet18"), contract(RGB))
    dense = segmenters.around(plugins.find("swath.segmenters", "unet").Config(), own)
    head = dense.head(4)
    theirs = Unet("resnet18", encoder_weights=None, in_channels=3, classes=4)
    theirs.encoder.load_state_dict(own.network.state_dict())
    theirs.decoder.load_state_dict(dense.decoder.state_dict())
    theirs.segmentation_head[0].load_state_dict(head.state_dict())
    given = image(RGB, t=1, px=64)
    standard = own.standardize(given.pixels, given.valid, given.band_ids)[:, 0]
    for network in (dense, theirs):
        network.eval()
    with torch.no_grad():
        torch.testing.assert_close(head(dense.dense(given)), theirs(standard), rtol=1e-4, atol=1e-4)


def test_chips_are_padded_at_two_sides_with_the_mean_and_cut():
    dense = decoded("unet", encoder()).eval()
    given = image(RGB, t=1, px=40)
    wide = torch.zeros(2, 1, 3, 64, 64)
    wide[..., :40, :40] = dense.standardize(given.pixels, given.valid, given.band_ids)
    with torch.no_grad():
        expected = dense.decoded(wide, torch.ones(2, 1, dtype=torch.bool))
        torch.testing.assert_close(dense.dense(given), expected[..., :40, :40])


@pytest.mark.parametrize("name", ["unet", "linear"])
def test_dates_are_averaged_where_there_is_a_valid_pixel(name):
    dense = decoded(name, encoder("test_vit")).eval()
    series = image(RGB, b=1, t=3, px=32)
    series.valid[:, 1] = False
    with torch.no_grad():
        maps = [dense.backbone.maps(_standard(dense, series)[:, t]) for t in (0, 2)]
        expected = dense.decoder(dense.pyramid([(one + other) / 2 for one, other in zip(*maps, strict=True)]))
        found = dense.dense(series)
        assert found.shape[2:] == (32, 32)
        if name == "unet":
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        nothing = replace(series, valid=torch.zeros_like(series.valid), days=torch.full_like(series.days, NO_DAY))
        assert dense.dense(nothing).isfinite().all()


def _standard(dense, series):
    return dense.standardize(series.pixels, series.valid, series.band_ids)


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_a_dilated_stage_gives_at_every_second_position_what_it_gave(model):
    network = encoders.build(Timm(model=model), contract(RGB)).network
    stage = network.get_submodule("layer4").eval()
    x = torch.randn(1, {"resnet18": 256, "resnet50": 1024}[model], 6, 6)
    with torch.no_grad():
        before = stage(x)
        assert dilate(stage)
        after = stage(x)
    assert after.shape[2:] == (6, 6)
    torch.testing.assert_close(after[..., ::2, ::2], before, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_dilated_stays_and_is_enlarged():
    for model in ("test_convnext", "test_vit", "resnet18d"):
        on = encoder(model)
        before = [(c.stride, c.dilation) for c in on.modules() if isinstance(c, nn.Conv2d)]
        dense = decoded("deeplabv3plus", on)
        assert [(c.stride, c.dilation) for c in on.modules() if isinstance(c, nn.Conv2d)] == before
        assert dense.pyramid.strides == ((4, 16) if model == "test_vit" else (4, 32))
    assert decoded("deeplabv3plus", encoder("resnet18")).pyramid.strides == (4, 16)


def test_layers_hold_every_parameter_once_from_the_stem_on():
    for model in MODELS:
        on = encoder(model)
        names = {id(p): name for name, p in on.network.named_parameters()}
        layers = [[names.pop(id(p)) for p in layer] for layer in on.layers()]
        assert not names
        assert any(("conv1" in name or "patch_embed" in name or "stem" in name) for name in layers[0])
        assert all(layers)


def test_encoders_without_maps_are_refused_with_what_to_take_instead():
    statistics = image_statistics.build(image_statistics.Config(), contract(RGB))
    with pytest.raises(ContractError, match="no maps of features"):
        segmenters.around(small("unet"), statistics)
    with pytest.raises(ContractError, match="a decoder of its own") as error:
        segmenters.around(small("unet"), dense_encoder(0))
    assert "fine-tune" in error.value.remedy


class Odd(MapEncoder):
    """Maps at strides that were given."""

    strides = (3,)

    def maps(self, pixels):
        return [nn.functional.avg_pool2d(pixels, stride) for stride in self.strides]

    def layers(self):
        return []


def test_maps_that_a_decoder_cannot_use_are_refused():
    on = Odd(nn.Identity(), contract(RGB), dim=3, example_px=48)
    for name in DECODERS:
        with pytest.raises(ContractError, match="a stride of 3 pixels"):
            segmenters.around(small(name), on)
    on.strides = (4, 16)
    with pytest.raises(ContractError, match="no map at a stride of 2 and 8 pixels, which fpn needs"):
        segmenters.around(small("fpn"), on)
    assert isinstance(segmenters.around(small("unet"), on), Decoded)
    with pytest.raises(ContractError, match="halves its input 4 times, unet has widths for 2"):
        segmenters.around(small("unet", channels=(8, 8)), on)


def test_what_a_norm_cannot_learn_from_is_refused():
    dense = decoded("deeplabv3", encoder())
    with pytest.raises(ContractError, match="cannot learn from a single one"):
        dense.dense(image(RGB, b=1, t=1, px=64))
    with pytest.raises(ContractError, match="one pixel of the only picture"):
        dense.dense(image(RGB, b=1, t=1, px=32))
    assert dense.eval().dense(image(RGB, b=1, t=1, px=32)).shape == (1, 8, 32, 32)
