import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm.models import adapt_input_conv

from swath import encoders
from swath.encoders.timm import Config, adapt_rgb
from swath.errors import ContractError, RecipeError


@settings(deadline=None, max_examples=20)
@given(channels=st.integers(1, 14), kernel=st.sampled_from([1, 3, 7]))
def test_adapted_kernels_are_timms(channels, kernel):
    kernels = torch.randn(8, 3, kernel, kernel)
    torch.testing.assert_close(adapt_rgb(kernels, channels), adapt_input_conv(channels, kernels))


def test_adapted_kernels_keep_the_response_to_grey():
    """The same value in every channel gives what grey gave in RGB, where 3 divides the channels."""
    kernels = torch.randn(8, 3, 3, 3, dtype=torch.float64)
    for channels in (1, 3, 6, 12):
        torch.testing.assert_close(adapt_rgb(kernels, channels).sum(1), kernels.sum(1))
    assert torch.equal(adapt_rgb(kernels, 3), kernels)


def rgb_state(model="test_resnet", **options):
    torch.manual_seed(3)
    return {key: value.clone() for key, value in timm.create_model(model, **options).state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".wrapped.pth"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_rgb_weights_are_adapted_and_all_else_is_taken_as_it_is(contract, tmp_path, suffix, channels):
    state, path = rgb_state(), tmp_path / f"rgb{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if "wrapped" in suffix else state, path)
    encoder = encoders.build(Config(model="test_resnet", weights=path), contract(channels=channels, fixed=False))
    own = encoder.network.state_dict()
    first = encoder.network.default_cfg["first_conv"] + ".weight"
    torch.testing.assert_close(own[first], adapt_input_conv(channels, state[first]))
    assert all(torch.equal(value, state[key]) for key, value in own.items() if key != first)
    assert any("classifier" in key or "fc" in key for key in state.keys() - own.keys())


def test_transformer_weights_are_resampled_to_the_image_size(contract, tmp_path, image):
    save_file(rgb_state("test_vit"), tmp_path / "vit.safetensors")
    config = Config(model="test_vit", image_size=48, weights=tmp_path / "vit.safetensors")
    encoder = encoders.build(config, contract())
    grid = encoder.network.patch_embed.grid_size
    assert grid == (3, 3)
    assert encoder.network.pos_embed.shape[1] == 9 + encoder.network.num_prefix_tokens
    assert encoder.embed(image(px=48)).isfinite().all()


@pytest.mark.parametrize("px", [16, 30, 32, 50])
def test_transformers_take_any_size_of_chip(contract, image, px):
    encoder = encoders.build(Config(model="test_vit", image_size=32), contract())
    assert encoder.embed(image(px=px)).isfinite().all()


def test_transformers_average_normalised_patch_tokens(contract, image):
    encoder = encoders.build(Config(model="test_vit", image_size=32), contract()).eval()
    pixels = torch.randn(2, 3, 32, 32)
    tokens = encoder.network.forward_features(pixels)[:, encoder.network.num_prefix_tokens :]
    torch.testing.assert_close(encoder.network(pixels), tokens.mean(dim=1))


def test_small_stem_keeps_the_resolution_of_small_chips(contract):
    normal, small = (
        encoders.build(Config(model="resnet18", small_stem=stem), contract()).eval() for stem in (False, True)
    )
    pixels = torch.zeros(1, 3, 32, 32)
    assert normal.network.forward_features(pixels).shape[-2:] == (1, 1)
    assert small.network.forward_features(pixels).shape[-2:] == (4, 4)
    assert small.dim == normal.dim == 512
    assert small.network.conv1.weight.shape == (64, 3, 3, 3)
    # He initialisation over the fan-out, as all other convolutions of the network
    assert small.network.conv1.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)


@pytest.mark.parametrize("model", ["mobilenetv3_small_050", "convnext_atto", "efficientnet_b0", "resnet18d"])
def test_width_is_that_of_the_output(contract, image, model):
    encoder = encoders.build(Config(model=model), contract())
    assert encoder.embed(image(b=1)).shape == (1, encoder.dim)


@pytest.mark.parametrize(
    ("settings", "what", "remedy"),
    [
        ({"model": "resnet81"}, "no model 'resnet81'", "did you mean resnet"),
        ({"model": "qqqq"}, "no model 'qqqq'", "list_models"),
        ({"model": "test_resnet", "image_size": 32}, "takes images of any size", "leave image_size out"),
        ({"model": "test_vit", "small_stem": True}, "no ResNet stem", "leave small_stem out"),
        ({"model": "resnet18d", "small_stem": True}, "no ResNet stem", "resnet18"),
        ({"model": "resnet18", "small_stem": True, "weights": "x.pth"}, "no counterpart", "small_stem or weights"),
    ],
)
def test_what_cannot_be_built_says_so(contract, settings, what, remedy):
    with pytest.raises(RecipeError) as error:
        encoders.build(Config(**settings), contract())
    assert what in error.value.what
    assert remedy in error.value.remedy
    assert len(str(error.value)) < 400, "the message fits a screen"


def build_with(path, contract):
    return encoders.build(Config(model="test_resnet", weights=path), contract())


def test_missing_weights_are_named(contract, tmp_path):
    with pytest.raises(RecipeError, match="cannot read weights") as error:
        build_with(tmp_path / "none.safetensors", contract)
    assert "none.safetensors" in error.value.where


@pytest.mark.parametrize("name", ["rubbish.safetensors", "rubbish.pth", "list.pth"])
def test_damaged_weights_are_named(contract, tmp_path, name):
    if name == "list.pth":
        torch.save([1, 2], tmp_path / name)
    else:
        (tmp_path / name).write_bytes(b"no weights at all" * 10)
    with pytest.raises(RecipeError, match="cannot read weights"):
        build_with(tmp_path / name, contract)


def test_pickled_code_is_never_run(contract, tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path / "pwned").write_text, ("x",)

    torch.save({"fc.weight": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(RecipeError, match="cannot read weights: it is damaged, or holds more than tensors") as error:
        build_with(tmp_path / "evil.pth", contract)
    assert "allowlist" not in str(error.value), "torch's own words say how to run it"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("damage", ["missing", "foreign", "shape"])
def test_weights_of_another_model_are_refused_whole(contract, tmp_path, damage):
    state = rgb_state()
    key = "layer1.0.conv1.weight"
    assert key in state
    if damage == "shape":
        state[key] = state[key][:, :, :1].clone()
    else:
        value = state.pop(key)
        if damage == "foreign":
            state["other.weight"] = value
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match="not this model's") as error:
        build_with(tmp_path / "other.safetensors", contract)
    assert ("other.weight" if damage == "foreign" else key) in error.value.what


def test_views_smaller_than_a_kernel_are_refused_before_torch_does(contract, image):
    encoder = encoders.build(Config(model="test_convnext"), contract())
    encoder(image(px=32))
    with pytest.raises(ContractError, match=r"convolution of 2 x 2 pixels sees 1 x 1[\s\S]*local crops of 32 pixels"):
        encoder(image(px=16))


def test_views_too_small_for_bfloat16_are_refused_instead_of_learnt_from(contract, image):
    encoder = encoders.build(Config(model="resnet18"), contract()).train()
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(ContractError, match="one pixel"):
        encoder(image(px=16))
    encoder(image(px=16)).sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(image(px=32))
        encoder.eval()(image(px=16))
