"""What holds for every method of attribution, and what each of them says of networks that can be solved by hand."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from swath import encoders, plugins
from swath.encoders import Encoder, FrameBatchNorm, timm, unet_3d, vit
from swath.errors import ContractError, RecipeError
from swath.products.explain import attributions
from swath.products.explain.attributions import fullgrad, grad_cam, integrated_gradients, occlusion
from swath.settings import PluginSettings
from swath.testing import contract, image
from tests.products.explain.networks import KEYS, SENSOR, Network, explained, linear, settled, target, weighted

PX = 4


@pytest.fixture(scope="module")
def series():
    """Two samples of two dates with invalid pixels, and a pixel of the first that no date knows."""
    made = image(KEYS, 2, 2, PX, invalid=0.2)
    made.valid[0, :, 1, 2] = False
    return {SENSOR: made}


@pytest.fixture(scope="module")
def weighing():
    torch.manual_seed(0)
    return linear(PX)


def small_cnn(classes=2):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Network(Encoder(layers, contract(KEYS), dim=5), nn.Linear(5, classes))


@pytest.fixture(params=attributions.names())
def method(request):
    return attributions.settings([request.param])[0]


def test_it_is_what_a_plug_in_has_to_be(method):
    plugin = plugins.find("swath.products.explain.attributions", method.name)
    assert isinstance(plugin, attributions.AttributionPlugin)
    assert isinstance(method, PluginSettings)
    with pytest.raises(ValidationError):
        plugin.Config(no_such_key=1)


def test_pixels_that_are_never_valid_get_nothing_and_change_nothing(method, series):
    network = explained(small_cnn())
    found = attributions.attribute(method, network, series, target(0, 1))
    assert found.map.shape == (2, PX, PX)
    assert found.map.isfinite().all()
    assert found.map[0, 1, 2] == 0
    assert found.map.abs().sum() > 0
    other = {SENSOR: image(KEYS, 2, 2, PX, seed=5)}
    other[SENSOR].valid.copy_(series[SENSOR].valid)
    other[SENSOR].pixels.copy_(torch.where(series[SENSOR].valid[:, :, None], series[SENSOR].pixels, 7.0))
    again = attributions.attribute(method, network, other, target(0, 1))
    torch.testing.assert_close(again.map, found.map)
    for one, same in zip(found.parts, again.parts, strict=True):
        torch.testing.assert_close(one.value, same.value)


def test_what_has_no_gradient_is_explained_by_occlusion_alone(method, series, weighing):
    network = explained(weighing)
    blind = type(network)(None, network.predict, network.means, "probability", exclusive=False)
    if method.name == "occlusion":
        assert attributions.attribute(method, blind, series, target(0, 1)).map.abs().sum() > 0
    else:
        with pytest.raises(ContractError, match="follows gradients") as error:
            attributions.attribute(method, blind, series, target(0, 1))
        assert "occlusion" in error.value.remedy


def test_a_new_method_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "brightness.py").write_text(
        "from typing import Literal\n"
        "from swath.products.explain.attributions import Attribution\n"
        "from swath.settings import PluginSettings\n"
        "NEEDS_GRADIENT = False\n"
        "class Config(PluginSettings):\n    name: Literal['brightness'] = 'brightness'\n"
        "def attribute(config, explained, images, target):\n"
        "    return Attribution(next(iter(images.values())).pixels.mean(dim=(1, 2)))\n"
    )
    monkeypatch.setattr(attributions, "__path__", [*attributions.__path__, str(tmp_path)])
    (config,) = attributions.settings(["brightness"])
    images = {SENSOR: image(KEYS, 1, 1, PX)}
    found = attributions.attribute(config, explained(linear(PX)), images, target(0))
    torch.testing.assert_close(found.map, images[SENSOR].pixels.mean(dim=(1, 2)))
    with pytest.raises(RecipeError, match="did you mean 'brightness'"):
        attributions.settings(["brightnes"])


# ------------------------------------------------------------------------------------------------- a linear network


def test_of_a_linear_network_gradients_say_weight_times_value(series, weighing):
    """By band and date, and by pixel; the bias is what is said of no signal."""
    network, truth = explained(weighing), weighted(weighing, series[SENSOR], 1)
    bias = weighing.head.bias[1].detach().expand(2)
    for config in (integrated_gradients.Config(steps=3), fullgrad.Config()):
        found = attributions.attribute(config, network, series, target(1, 1))
        assert [(p.sensor, p.bands, p.date) for p in found.parts] == [
            (SENSOR, (name,), t) for name in ("B02", "B04", "B08") for t in (0, 1)
        ]
        by_part = torch.stack([part.value for part in found.parts]).view(3, 2, 2)
        torch.testing.assert_close(by_part, truth.sum(dim=(3, 4)).permute(2, 1, 0))
        torch.testing.assert_close(found.elsewhere, bias)
        assert found.gap.max() < 1e-4
        if config.name == "integrated-gradients":
            torch.testing.assert_close(found.map, truth.sum(dim=(1, 2)))


def test_of_a_linear_network_occlusion_says_what_is_taken_away(series, weighing):
    truth = weighted(weighing, series[SENSOR], 0)
    config = occlusion.Config(groups={"near infrared and red": (KEYS[2], KEYS[1]), "none here": ("sentinel-1-rtc/VV",)})
    found = attributions.attribute(config, explained(weighing), series, target(0, 0))
    torch.testing.assert_close(found.map, truth.sum(dim=(1, 2)))
    by_name = {(p.name or p.bands, p.date): p.value for p in found.parts}
    torch.testing.assert_close(by_name[("B04",), None], truth[:, :, 1].sum(dim=(1, 2, 3)))
    torch.testing.assert_close(by_name["near infrared and red", None], truth[:, :, 1:].sum(dim=(1, 2, 3, 4)))
    torch.testing.assert_close(by_name[("B02", "B04", "B08"), 1], truth[:, 1].sum(dim=(1, 2, 3)))
    assert not any(part.name == "none here" for part in found.parts)


def test_bands_are_grouped_by_the_part_of_the_spectrum_and_a_single_band_is_no_group(series, weighing):
    found = attributions.attribute(occlusion.Config(), explained(weighing), series, target(0, 0))
    assert {p.name: p.bands for p in found.parts if p.name} == {"visible": ("B02", "B04"), "near infrared": ("B08",)}
    one = Network(Encoder(nn.Flatten(), contract(KEYS[:1]), dim=PX * PX), nn.Linear(PX * PX, 2))
    images = {SENSOR: series[SENSOR].channels([0])}
    found = attributions.attribute(occlusion.Config(squares=2), explained(one), images, target(0, 0))
    assert [(p.bands, p.date, p.name) for p in found.parts] == [(("B02",), t, "") for t in (None, 0, 1)]
    assert len(found.map[0, :2, :2].unique()) == 1


def test_numbers_are_explained_in_their_unit_and_exclusive_classes_by_what_sets_them_apart(series, weighing):
    number = Network(weighing.encoder, nn.Linear(3 * PX * PX, 1))
    network = explained(number, regression=True)
    assert network.unit == "t/ha"
    found = attributions.attribute(integrated_gradients.Config(), network, series, target(0, 0))
    torch.testing.assert_close(found.elsewhere, 3.0 * number.head.bias.detach().expand(2) + 2.0)
    torch.testing.assert_close(found.map, 3.0 * weighted(number, series[SENSOR], 0).sum(dim=(1, 2)))
    apart = attributions.attribute(
        integrated_gradients.Config(), explained(weighing, exclusive=True), series, target(0, 0)
    )
    half = 0.5 * (weighted(weighing, series[SENSOR], 0) - weighted(weighing, series[SENSOR], 1))
    torch.testing.assert_close(apart.map, half.sum(dim=(1, 2)))


def test_a_class_without_any_training_label_changes_no_explanation(series, weighing):
    """Its logit is minus infinity, of which nothing may become NaN."""
    three = linear(PX, 3)
    with torch.no_grad():
        three.head.weight[:2], three.head.bias[:2] = weighing.head.weight, weighing.head.bias
        three.head.weight[2], three.head.bias[2] = 0.0, -torch.inf
    for config in (integrated_gradients.Config(), fullgrad.Config(), occlusion.Config()):
        found, expected = (
            attributions.attribute(config, explained(one, exclusive=True), series, target(0, 1))
            for one in (three, weighing)
        )
        for part, same in zip(found.parts, expected.parts, strict=True):
            torch.testing.assert_close(part.value, same.value)


# ------------------------------------------------------------------------------------------------------ real networks


def of_biases(network, images, k):
    """The sum of all biases times their gradients, by gradients of parameters: another way than FullGrad's."""
    network.requires_grad_(requires_grad=True)
    network(images)[0, k].sum().backward()
    total = 0.0
    for part in network.modules():
        bias = vars(part).get("_parameters", {}).get("bias")
        if bias is None or bias.grad is None:
            continue
        shift = bias.detach()
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | FrameBatchNorm):
            shift = shift - part.running_mean * part.weight.detach() * torch.rsqrt(part.running_var + part.eps)
        total += float((shift * bias.grad).sum())
    network.zero_grad()
    return total


def mlp(dim):
    return nn.Sequential(nn.Linear(dim, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        pytest.param(timm.Config(model="test_resnet"), (1, 1, 32), id="resnet"),
        pytest.param(unet_3d.Config(width=2), (1, 5, 8), id="3-D U-Net"),
        pytest.param(unet_3d.Config(width=2), (1, 5, 1), id="series of a pixel"),
    ],
)
def test_fullgrad_is_complete_and_finds_the_biases_of_all_layers(config, shape):
    torch.manual_seed(0)
    encoder = encoders.build(config, contract(KEYS))
    network = settled(Network(encoder, mlp(encoder.dim))).eval()
    images = {SENSOR: image(KEYS, *shape, invalid=0.1)}
    if shape[1] > 1:
        images[SENSOR].valid[:, 3] = False  # a date that is not there, at which norms leave 0
    asked = explained(network)
    found = attributions.attribute(fullgrad.Config(), asked, images, target(2))
    total = sum(part.value for part in found.parts) + found.elsewhere
    torch.testing.assert_close(total, asked.score(images, target(2)), rtol=1e-4, atol=0)
    assert float(found.elsewhere) == pytest.approx(of_biases(network, images, 2), rel=1e-3, abs=1e-4)
    assert abs(float(found.elsewhere)) > 1e-3


def test_fullgrad_counts_constants_and_smooth_activations_where_they_are_met():
    class Odd(nn.Module):
        def forward(self, x):
            season = torch.full_like(x[:, :1], 0.5)
            x = torch.cat([x, season], dim=1) + 0.25
            return nn.functional.gelu(1.0 - x).flatten(1)

    network = Network(Encoder(Odd(), contract(KEYS), dim=4 * PX * PX), nn.Linear(4 * PX * PX, 2))
    images = {SENSOR: image(KEYS, 2, 1, PX)}
    asked = explained(network)
    found = attributions.attribute(fullgrad.Config(), asked, images, target(0, 1))
    total = sum(part.value for part in found.parts) + found.elsewhere
    torch.testing.assert_close(total, asked.score(images, target(0, 1)), rtol=1e-4, atol=1e-5)


def test_the_map_of_fullgrad_is_the_papers():
    """Of one convolution, its bias and the input: absolute values from 0 to 1 in each layer, summed over channels."""
    network = small_cnn()
    images = {SENSOR: image(KEYS, 1, 1, PX)}
    found = attributions.attribute(fullgrad.Config(), explained(network), images, target(1))
    own = contract(KEYS)
    mean, std = (torch.tensor(each)[:, None, None] for each in (own.mean, own.std))
    x = ((images[SENSOR].pixels[:, 0] - mean) / std).requires_grad_()
    conv = network.encoder.network[0]
    a = conv(x)
    score = network.head(a.relu().mean(dim=(2, 3)))[0, 1]
    by_input, by_layer = torch.autograd.grad(score, [x, a])

    def psi(values):
        values = values.abs()
        return ((values - values.min()) / (values.max() - values.min() + 1e-6)).sum(dim=1)

    expected = psi(x * by_input) + psi(conv.bias[:, None, None] * by_layer)
    torch.testing.assert_close(found.map, expected.detach(), rtol=1e-3, atol=1e-4)


def small_vit(**settings):
    torch.manual_seed(0)
    encoder = encoders.build(vit.Config(patch=4, width=16, depth=2, heads=2, **settings), contract(KEYS))
    return Network(encoder, nn.Linear(16, 2))


def test_fullgrad_refuses_what_is_not_piecewise_linear_and_says_why():
    images = {SENSOR: image(KEYS, 1, 1, 8)}
    with pytest.raises(ContractError, match=r"not piecewise linear \(layer_norm") as error:
        attributions.attribute(fullgrad.Config(), explained(small_vit()), images, target(0))
    assert "integrated-gradients" in error.value.remedy


def test_integrated_gradients_of_a_transformer_add_up_by_band_and_date():
    images = {SENSOR: image(KEYS, 2, 3, 8, invalid=0.1)}
    asked = explained(small_vit())
    found = attributions.attribute(integrated_gradients.Config(), asked, images, target(0, 1))
    total = sum(part.value for part in found.parts)
    torch.testing.assert_close(found.map.sum(dim=(1, 2)), total)
    change = asked.score(images, target(0, 1)) - found.elsewhere
    torch.testing.assert_close(total, change, rtol=0.0101, atol=1e-6)


def test_steps_are_doubled_until_it_adds_up_and_what_is_missing_is_said():
    images = {SENSOR: image(KEYS, 1, 1, PX)}
    asked = explained(small_cnn())
    rough = attributions.attribute(integrated_gradients.Config(steps=1, most=1), asked, images, target(0))
    fine = attributions.attribute(integrated_gradients.Config(steps=1), asked, images, target(0))
    assert fine.gap <= 0.01 < rough.gap


def test_grad_cam_of_averaged_features_is_the_classifiers_weights_on_them():
    network, images = small_cnn(), {SENSOR: image(KEYS, 2, 2, PX)}
    found = attributions.attribute(grad_cam.Config(), explained(network), images, target(0, 1))
    own = contract(KEYS)
    mean, std = (torch.tensor(each)[:, None, None] for each in (own.mean, own.std))
    features = network.encoder.network[0](((images[SENSOR].pixels - mean) / std).flatten(0, 1)).relu()
    weight = network.head.weight[[0, 1]] / (2 * PX * PX)  # of two dates and all places
    expected = torch.einsum("bc,btchw->bthw", weight, features.unflatten(0, (2, 2))).relu().sum(dim=1)
    torch.testing.assert_close(found.map, expected.detach())


@pytest.mark.slow
def test_grad_cam_is_that_of_the_library_where_that_can_be_asked():
    cam = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network, shown = small_cnn().eval(), image(KEYS, 1, 1, 8)
    standard = network.encoder.standardize(shown.pixels, shown.valid, shown.band_ids)[:, 0]
    plain, drawn = nn.Sequential(network.encoder.network, network.head), 0
    for k in (0, 1):
        found = attributions.attribute(grad_cam.Config(), explained(network), {SENSOR: shown}, target(k)).map[0].numpy()
        with cam.GradCAM(model=plain, target_layers=[network.encoder.network[1]]) as theirs:
            (expected,) = theirs(input_tensor=standard, targets=[ClassifierOutputTarget(k)])
        scaled = (found - found.min()) / (1e-7 + (found - found.min()).max())  # as the library does it
        np.testing.assert_allclose(scaled, expected, atol=1e-4)
        drawn += found.max() > 0
    assert drawn


def test_grad_cam_of_a_transformer_is_a_map_of_its_patches():
    """Of averaged tokens the classifier's weights on each; patches that reach beyond the image are cut."""
    network, shown = small_vit(), image(KEYS, 2, 1, 10)  # two patches and a half
    found = attributions.attribute(grad_cam.Config(), explained(network), {SENSOR: shown}, target(0, 1))
    tokens = network.encoder.tokens(shown)[:, 1:].detach()
    cams = torch.einsum("bd,bnd->bn", network.head.weight / 9, tokens).relu().view(2, 1, 3, 3)
    expected = nn.functional.interpolate(cams, (12, 12), mode="bilinear")[:, 0, :10, :10]
    torch.testing.assert_close(found.map, expected.detach())
    assert expected.max() > 0


def test_where_a_class_token_is_read_patches_matter_up_to_the_last_attention_alone():
    network = explained(small_vit(pooling="class"))
    images = {SENSOR: image(KEYS, 2, 1, 8)}
    maps = attributions.attribute(grad_cam.Config(), network, images, target(0, 1)).map
    assert maps.max() > 0
    with pytest.raises(ContractError, match="has no places that matter to the score"):
        attributions.attribute(grad_cam.Config(layer="encoder.network.norm"), network, images, target(0, 1))


def test_a_layer_without_places_is_refused_and_so_is_one_that_is_not_there():
    asked, images = explained(small_cnn()), {SENSOR: image(KEYS, 1, 1, PX)}
    with pytest.raises(
        ContractError, match=r"the layer encoder\.network\.3 has no places that matter to the score"
    ) as error:
        attributions.attribute(grad_cam.Config(layer="encoder.network.3"), asked, images, target(0))
    assert "encoder.network.0" in error.value.remedy
    with pytest.raises(ContractError, match=r"the layer encoder\.network\.9 is none of the network"):
        attributions.attribute(grad_cam.Config(layer="encoder.network.9"), asked, images, target(0))
    with pytest.raises(ContractError, match="no layer of the network has features at more than one place"):
        attributions.attribute(grad_cam.Config(), explained(linear(1)), {SENSOR: image(KEYS, 1, 2, 1)}, target(0))
