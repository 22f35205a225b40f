"""The encoder of any bands: what is generated, of which bands, and what is said of bands that it never saw."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from swath import encoders, methods, sensors
from swath.batch import NO_BAND, Image, View
from swath.encoders import nearest_band
from swath.encoders._spectrum import code, published_code
from swath.encoders.any_sensor import SCALE, Config
from swath.errors import ContractError, RecipeError
from swath.methods.mae import Config as Mae
from swath.methods.mae import Distillation
from swath.testing._data import contract, image
from tests.methods import fakes

OPTICAL = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B04", "sentinel-2-l2a/B08", "landsat-oli-sr/SR_B6")
EVERYTHING = (*OPTICAL, "sentinel-1-rtc/VV", "landsat-oli-sr/ST_B10")
SMALL = {"patch": 4, "width": 32, "depth": 1, "heads": 2}
DECODER = {"decoder_width": 32, "decoder_depth": 1}


def made(keys=EVERYTHING, **said):
    torch.manual_seed(0)
    return encoders.build(Config(**{**SMALL, **said}), contract(keys, gsd_m=(10.0,) * len(keys))).eval()


@pytest.fixture(scope="module")
def encoder():
    return made()


def without(given: Image, sample: int, channel: int, value: float = 0.0) -> Image:
    """An image one sample of which lacks a channel."""
    ids, pixels = given.band_ids.clone(), given.pixels.clone()
    ids[sample, channel], pixels[sample, :, channel] = NO_BAND, value
    return replace(given, band_ids=ids, pixels=pixels)


# -- what is generated -------------------------------------------------------------------------------------------------


def numpy_waves(value, width):
    angles = value / 10_000 ** (np.arange(width // 2) / (width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)])


def test_a_band_is_its_centre_its_width_and_what_it_measures():
    """In steps of 10 nm B08 lies at 83.28 and is 10.6 wide; VV of Sentinel-1 lies at 54.05 times 100 MHz."""
    band = sensors.band("sentinel-2-l2a/B08")
    light = [1, 0, 0, 0, 0, 0, 0, 0]
    expected = np.concatenate([numpy_waves(100 * band.centre_um, 88), numpy_waves(100 * band.width_um, 32), light])
    np.testing.assert_allclose(code(band.key), expected, atol=1e-5)
    radar = np.concatenate([numpy_waves(54.05, 88), np.zeros(32), [0, 0, 1, 0, 0, 1, 0, 1]])
    np.testing.assert_allclose(code("sentinel-1-rtc/VV"), radar, atol=1e-4)
    assert code("sentinel-1-rtc/VH")[-8:].tolist() == [0, 0, 1, 0, 0, 1, 1, 0]
    assert code("landsat-oli-sr/ST_B10")[-8:].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert code("display-optical/red")[-8:].tolist() == [1, 0, 0, 1, 0, 0, 0, 0]


def test_a_published_band_is_its_centre_alone():
    """As the authors' list has it, not as the band table."""
    np.testing.assert_allclose(published_code("sentinel-2-l2a/B08"), numpy_waves(842, 128), atol=1e-4)
    np.testing.assert_allclose(published_code("sentinel-1-rtc/VH"), numpy_waves(5405, 128), atol=1e-3)


def numpy_kernel(state, codes, width):
    """Section 3 of the paper and `wave_dynamic_layer.py`, step by step in float64."""
    p = {name: value.double().numpy() for name, value in state.items()}

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return x * p[f"{name}.weight"] + p[f"{name}.bias"]

    hidden = np.maximum(linear(codes, "residual.0"), 0)
    waves = codes + np.maximum(linear(hidden, "residual.2"), 0)
    x = np.concatenate([p["queries"], waves, p["query_of_bias"]])
    q, k, v = np.split(x @ p["mix.self_attn.in_proj_weight"].T + p["mix.self_attn.in_proj_bias"], 3, axis=1)
    heads = []
    for part in range(4):
        at = slice(32 * part, 32 * part + 32)
        scores = np.exp(q[:, at] @ k[:, at].T / np.sqrt(32))
        heads.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, at])
    x = norm(x + linear(np.concatenate(heads, axis=1), "mix.self_attn.out_proj"), "mix.norm1")
    inner = linear(x, "mix.linear1")
    inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
    x = norm(x + linear(inner, "mix.linear2"), "mix.norm2")
    weights = 0.01 * linear(x[128:-1] + waves, "weights")
    return weights.reshape(len(codes), -1, width), 0.01 * linear(x[-1], "biases")


def test_generated_weights_are_those_of_the_paper(encoder):
    embedding = encoder.network.embeds["any"]
    codes = torch.stack([code(key) for key in OPTICAL])
    kernel, biases = embedding.kernel(codes)
    expected, offset = numpy_kernel(embedding.generator.state_dict(), codes.double().numpy(), 32)
    np.testing.assert_allclose(kernel.detach(), expected.reshape(-1, 32), atol=1e-6)
    np.testing.assert_allclose(biases.detach(), offset, atol=1e-6)
    assert SCALE == 0.01


def test_tokens_are_sums_over_bands(encoder):
    """Of a patch by the generated weights, in NumPy; positions and blocks beside."""
    given = image(OPTICAL, b=2, px=8)
    standard = encoder._standard(given)
    weights, biases = encoder.network.embeds["any"].kernel(torch.stack([code(key) for key in OPTICAL]))
    weights = weights.detach().numpy().reshape(4, 4, 4, 32)
    pixels = standard.pixels[:, 0].numpy()
    corner = np.einsum("bchw,chwd->bd", pixels[:, :, 4:, :4], weights) + biases.detach().numpy()
    np.testing.assert_allclose(encoder._embedded(standard, None)[:, 2].detach(), corner, atol=1e-5)


# -- any bands ---------------------------------------------------------------------------------------------------------


def test_the_order_of_bands_does_not_matter(encoder):
    given = image(EVERYTHING, b=3)
    expected = encoder.embed(given)
    for order in ([5, 4, 3, 2, 1, 0], [2, 0, 4, 1, 5, 3]):
        assert (encoder.embed(given.channels(order)) - expected).abs().max() < 1e-6


def test_any_subset_of_any_sensors_bands(encoder):
    given = image(EVERYTHING, b=2)
    seen = [encoder.embed(given.channels(some)) for some in ([0], [1], [0, 1], [3, 4], [5], list(range(6)))]
    for i, one in enumerate(seen):
        assert one.shape == (2, 32)
        assert one.isfinite().all()
        assert all((one - other).abs().max() > 1e-3 for other in seen[:i])


@pytest.mark.parametrize("value", [0.0, 7.0, float("nan")])
def test_a_missing_band_is_dropped_and_not_filled(encoder, value):
    """The sample is what it would be without the channel, whatever stands in it; a band of zeros is something else."""
    given = image(OPTICAL, b=3)
    mixed = encoder.embed(without(given, 1, 2, value))
    alone = encoder.embed(given.channels([0, 1, 3]))
    torch.testing.assert_close(mixed[1], alone[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mixed[[0, 2]], encoder.embed(given)[[0, 2]], rtol=1e-5, atol=1e-6)
    filled = replace(given, pixels=torch.where(torch.arange(4)[:, None, None] == 2, 0.0, given.pixels))
    assert (encoder.embed(filled)[1] - alone[1]).abs().max() > 1e-3


def test_a_band_that_was_constant_in_training_is_dropped():
    """As a product fills it with zeros that lacks it."""
    usual = contract(OPTICAL)
    torch.manual_seed(0)
    flat = encoders.build(Config(**SMALL), replace(usual, std=(*usual.std[:3], 0.0), mean=(*usual.mean[:3], 0.0)))
    torch.testing.assert_close(
        flat.embed(image(OPTICAL), trusted=True), flat.embed(image(OPTICAL[:3]), trusted=True), rtol=1e-5, atol=1e-6
    )


def test_weights_are_generated_once_for_each_set_of_bands(encoder, monkeypatch):
    calls = []
    generator = encoder.network.embeds["any"].generator
    handle = generator.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))
    encoder.embed(image(OPTICAL, b=5))
    assert calls == [4]
    calls.clear()
    encoder.embed(without(without(image(OPTICAL, b=5), 1, 2), 3, 2))
    assert sorted(calls) == [3, 4]
    handle.remove()


def test_only_kept_tokens_are_computed_and_are_as_among_all(encoder):
    given = image(OPTICAL, b=2, px=8)
    keep = torch.tensor([[3, 0], [1, -1]])
    some, all_ = encoder._embedded(encoder._standard(given), keep), encoder._embedded(encoder._standard(given), None)
    torch.testing.assert_close(some[0], all_[0, [3, 0]])
    torch.testing.assert_close(some[1, :1], all_[1, [1]])
    assert encoder.tokens(given, keep).shape == (2, 3, 32)


@pytest.mark.parametrize("px", [4, 9, 20])
def test_chips_of_any_size_and_series_by_date(encoder, px):
    assert encoder.embed(image(OPTICAL, b=2, t=3, px=px)).shape == (2, 32)


def test_registers_and_a_class_token():
    wide = made(registers=2, pooling="class")
    assert wide.tokens(image(OPTICAL, b=2, px=8)).shape == (2, 3 + 4, 32)


def test_maps_of_certain_bands():
    """What decodes maps gets the encoder for its bands alone, with the same weights."""
    from swath.tasks.data import narrowed

    encoder = made()
    narrow = narrowed(encoder, OPTICAL)
    assert narrow.contract.fixed
    given = image(OPTICAL, b=2, px=8)
    (maps,) = narrow.maps(narrow._standard(given).pixels.flatten(0, 1))
    expected = encoder.tokens(given)[:, 1:].transpose(1, 2).unflatten(2, (2, 2))
    torch.testing.assert_close(maps, expected)
    torch.testing.assert_close(narrow.embed(given), encoder.embed(given))
    with pytest.raises(ContractError, match="2 channels came without their bands"):
        encoder.maps(torch.zeros(1, 2, 8, 8))


# -- bands that it never saw -------------------------------------------------------------------------------------------


def test_how_far_a_band_is_from_what_was_trained_on(encoder):
    """Centres: B08 0.8328, ETM's band 4 0.835 um; of radar the same polarisation, if there is one."""
    near = nearest_band(encoder.contract, "landsat-etm-sr/SR_B4")
    assert (near.nearest, near.trained) == ("sentinel-2-l2a/B08", False)
    assert near.um == pytest.approx(0.835 - 0.8328)
    assert nearest_band(encoder.contract, "sentinel-2-l2a/B08").um == 0
    assert nearest_band(encoder.contract, "sentinel-2-l2a/B08").trained
    assert nearest_band(encoder.contract, "sentinel-1-grd/VH").nearest == "sentinel-1-rtc/VV"
    assert nearest_band(encoder.contract, "landsat-etm-sr/ST_B6").nearest == "landsat-oli-sr/ST_B10"


def test_an_unseen_band_is_said_once_and_counted(capsys):
    encoder = made()
    key = "landsat-etm-sr/SR_B4"
    given = image((*OPTICAL[:2], key), b=3)
    embedded = encoder.embed(given)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{key} was never trained on; the nearest that was is sentinel-2-l2a/B08, 0.0022 um away" in said
    assert "standardised like sentinel-2-l2a/B08" in said
    encoder.embed(given.take([0, 1]))
    with pytest.raises(ContractError, match="too large"):  # what is refused is not counted
        encoder.embed(replace(given, pixels=given.pixels * 1e4))
    assert capsys.readouterr().err == ""
    assert encoder.unseen == {nearest_band(encoder.contract, key): 5}
    # the same numbers as if the corpus had said that the band has its neighbour's statistics
    mean, std = (values[2] for values in (encoder.contract.mean, encoder.contract.std))
    more = replace(contract((key,)), mean=(mean,), std=(std,))
    told = encoders.build(Config(**SMALL), encoder.contract.with_more(more)).eval()
    told.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(told.embed(given), embedded)


def test_an_unseen_unit_is_refused():
    with pytest.raises(ContractError, match="trained on no band in dB, so that nothing says how to standardise"):
        made(OPTICAL).embed(image(("sentinel-1-rtc/VV",)))


def test_bands_of_which_nobody_knows_the_wavelength_are_refused_by_name():
    sensors.declare({"made-up": {"kind": "radar", "dtype": "float32", "bands": [
        {"name": "echo", "unit": "dB", "centre_um": 55000.0}, {"name": "HH", "unit": "dB"}]}})  # fmt: skip
    with pytest.raises(ContractError, match="nobody knows that of display-optical/C1, made-up/HH") as error:
        made(("display-optical/C1", *OPTICAL, "made-up/HH"))
    assert "centre_um" in str(error.value)
    with pytest.raises(ContractError, match="polarisation, and nobody knows that of made-up/echo"):
        made(("made-up/echo",))
    with pytest.raises(ContractError, match="wavelength, and nobody knows that of display-optical/C1"):
        made().embed(image((*OPTICAL, "display-optical/C1")))


# -- bad inputs --------------------------------------------------------------------------------------------------------


def test_bad_images_are_refused(encoder):
    given = image(OPTICAL, b=2)
    with pytest.raises(ContractError, match="less than a patch of 4 x 4"):
        encoder.embed(image(OPTICAL, px=3))
    with pytest.raises(ContractError, match="all bands of a sample are missing"):
        encoder.embed(replace(given, band_ids=torch.full_like(given.band_ids, NO_BAND)))
    with pytest.raises(ContractError, match="sentinel-2-l2a/B04 more than once"):
        encoder.embed(given.channels([1, 1]))
    with pytest.raises(ContractError, match="about 10,000 times too large"):
        encoder.embed(replace(given, pixels=given.pixels * 1e4))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_pixels_of_another_size_are_refused_whichever_band_comes_first(order):
    image_of_both = replace(image(("landsat-etm-sr/SR_B4", OPTICAL[1]), b=2), gsd_m=30.0)  # the first is unseen
    with pytest.raises(ContractError, match="pixels are 30 m wide, the encoder was trained on 10 m"):
        made().embed(image_of_both.channels(order))


def test_pixels_of_another_size_are_refused_where_no_band_was_trained_on(capsys):
    alone = image(("landsat-etm-sr/SR_B4",))
    with pytest.raises(ContractError, match="pixels are 30 m wide, the encoder was trained on 10 m"):
        made().embed(replace(alone, gsd_m=30.0))
    assert made().embed(alone).isfinite().all()
    assert "never trained on" in capsys.readouterr().err
    assert made().embed(replace(alone, gsd_m=30.0), trusted=True).isfinite().all()


def test_other_encoders_refuse_changing_numbers_of_bands():
    from swath.encoders import vit

    with pytest.raises(RecipeError, match="choose the encoder any-sensor"):
        encoders.build(vit.Config(**SMALL), contract(OPTICAL, fixed=False, any_number=True))


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="no multiple of 3 heads"):
        Config(width=32, heads=3)
    with pytest.raises(ValueError, match="no registers"):
        Config(published="dofa", registers=1)
    with pytest.raises(ValueError, match="speaks of weights"):
        Config(prefix_of_names="model.")


# -- on disk -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_goes_on_with_other_bands(tmp_path, encoder):
    """The card lists all bands that it was ever trained on; those it knew keep their statistics."""
    encoders.save(encoder, Config(**SMALL), tmp_path / "e", provenance={})
    assert encoders.load_card(tmp_path / "e").contract.bands == EVERYTHING
    again = encoders.load(tmp_path / "e")
    given = image(OPTICAL[1:], b=2)
    torch.testing.assert_close(again.embed(given), encoder.embed(given))
    new = ("sentinel-2-l2a/B08", "landsat-etm-sr/SR_B4")
    on = encoders.build(Config(**SMALL, weights=tmp_path / "e"), contract(new, mean=(0.3, 0.25), std=(0.1, 0.05)))
    assert on.contract.bands == (*EVERYTHING, new[1])
    assert (on.contract.mean[2], on.contract.mean[-1]) == (encoder.contract.mean[2], 0.25)
    torch.testing.assert_close(on.embed(given), encoder.embed(given))
    with pytest.raises(RecipeError, match="the weights are not this encoder's"):
        encoders.build(Config(**{**SMALL, "width": 64}, weights=tmp_path / "e"), contract(new))


# -- pre-training ------------------------------------------------------------------------------------------------------


def views_of(keys, b=3, seed=0):
    given = image(keys, b=b, px=8, invalid=0.1, seed=seed)
    return View(given, "query", torch.eye(2, 3).expand(b, 2, 3))


def no_views(batch, generator):
    return []


def test_the_decoders_weights_are_generated_like_the_encoders():
    """Its rows by 0.01 times what a band gets, without a bias, in NumPy."""
    encoder = made()
    head = encoder.prediction(16)
    given, rows = image(OPTICAL[:2], b=2, px=8), torch.randn(2, 4, 16)
    codes = torch.stack([code(key) for key in OPTICAL[:2]])
    weights = head.generator(codes)[0].detach().numpy().reshape(2 * 16, 16)
    np.testing.assert_allclose(head(rows, given).detach(), rows.numpy() @ weights.T, atol=1e-6)
    lacking = head(rows, without(given, 0, 1))
    assert (lacking[0, :, 16:] == 0).all()
    torch.testing.assert_close(lacking[1], head(rows, given)[1])


def test_a_missing_band_is_no_target(encoder):
    shown = encoder.patches(without(image(OPTICAL, b=2, px=8), 0, 1, float("nan")))
    valid, values = (part[0].unflatten(1, (4, 16)) for part in (shown.valid, shown.values))
    assert not valid[:, 1].any()
    assert valid[:, [0, 2, 3]].all()
    assert values.isfinite().all()


def test_mae_shows_a_random_share_of_the_bands():
    """Of six bands half to all: three to six, in any step others, and the same are asked for."""
    method = methods.build(Mae(**DECODER, channels=(0.5, 1.0)), made(), no_views)
    asked = []
    method.decoder.register_forward_hook(lambda module, given, out: asked.append((given[4].first_ids(), out.shape[2])))
    torch.manual_seed(0)
    for _ in range(12):
        assert method.loss([views_of(EVERYTHING)]).total.isfinite()
    assert {len(ids) for ids, _ in asked} == {3, 4, 5, 6}
    assert len({ids for ids, _ in asked}) > 6
    assert all(size == 16 * len(ids) for ids, size in asked)
    with pytest.raises(RecipeError, match="choose the encoder any-sensor"):
        methods.build(Mae(**DECODER, channels=(0.5, 1.0)), fakes.tokens(), no_views)


def test_everything_that_is_trained_gets_a_gradient():
    method = methods.build(Mae(**DECODER), made(), no_views)
    method.loss([views_of(OPTICAL), views_of(EVERYTHING[4:])]).total.backward()
    assert [name for name, p in method.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A saved network of B04 and B02."""
    from swath.encoders import random_convolutions

    path, config = tmp_path_factory.mktemp("teacher") / "teacher", random_convolutions.Config(features=8)
    torch.manual_seed(3)
    keys = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B02")
    encoders.save(encoders.build(config, contract(keys)), config, path, provenance={})
    return path


def test_the_distillation_term_is_one_minus_the_cosine(teacher):
    """To the teacher's features of the whole view, times its weight, beside the error of pixels."""
    method = methods.build(Mae(**DECODER, distillation=Distillation(teacher=teacher, weight=0.5)), made(), no_views)
    view, features = views_of(OPTICAL), []
    original = method._of
    method._of = lambda one: features.append(original(one)) or features[-1]
    loss = method.loss([view, views_of(EVERYTHING[4:])])
    target = encoders.load(teacher)(view.image.channels([1, 0]))
    said = method.projection(features[0][2])
    a, b = (one.detach().double().numpy() for one in (said, target))
    expected = np.mean(1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    assert loss.terms["distillation"].item() == pytest.approx(expected, abs=1e-6)
    assert loss.total.item() == pytest.approx(loss.terms["pixels"].item() + 0.5 * expected, abs=1e-6)
    loss.total.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert method.projection.weight.grad is not None


def test_a_teacher_that_does_not_fit(teacher):
    taught = Mae(**DECODER, distillation=Distillation(teacher=teacher))
    with pytest.raises(RecipeError, match="the teacher takes sentinel-2-l2a/B04, which the views do not have"):
        methods.build(taught, made((OPTICAL[0], OPTICAL[2])), no_views)
    with pytest.raises(RecipeError, match="no view has the bands of the teacher"):
        methods.build(taught, made(), no_views).loss([views_of(OPTICAL[:1])])


def test_settings_without_options_have_the_digest_of_before():
    assert not {"channels", "distillation"} & Mae().model_dump(mode="json").keys()
    assert Mae(channels=(0.5, 1.0)).model_dump(mode="json")["channels"] == [0.5, 1.0]
