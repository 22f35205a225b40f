"""Holds for every encoder that is found: a new file is covered without being named here."""

from dataclasses import replace

import pytest
import torch

from swath import encoders, plugins
from swath.batch import NO_DAY
from swath.encoders._norm import FrameBatchNorm
from swath.errors import ContractError

# The smallest settings of each, where the default is large; a plug-in that is not named is built from its defaults.
VARIANTS = {
    "timm": [{"model": "test_resnet"}, {"model": "test_vit", "image_size": 32}, {"model": "test_convnext"}],
    "vit": [
        {"patch": 8, "width": 32, "depth": 2, "heads": 2},
        {"patch": 8, "width": 32, "depth": 1, "heads": 2, "class_token": False, "learnt_positions_px": 24},
        {"patch": 8, "width": 32, "depth": 2, "heads": 2, "dates": "together", "registers": 2, "pooling": "class"},
    ],
    "any-sensor": [
        {"patch": 8, "width": 32, "depth": 2, "heads": 2},
        {"patch": 8, "width": 32, "depth": 1, "heads": 2, "published": "dofa", "pooling": "class"},
    ],
    "unet-3d": [{"width": 2}, {"width": 2, "expanding": False}],
    "random-convolutions": [{"features": 16}, {"features": 16, "kernel_size": 7}],
    "series-transformer": [
        {"dim": 16, "heads": 2, "patch": 8},
        {"dim": 16, "heads": 2, "patch": 8, "groups": "band", "pooling": "months"},
    ],
    "mmf": [{"width": 2}, {"width": 2, "collapse": "months", "gaps": "interpolate"}],
    "convnext-v2": [
        {"depths": (1, 1, 1, 1), "widths": (4, 6, 8, 10), "cell": 8, "stem": "dense"},
    ],
}
OF_TWO_SENSORS = ("mmf",)
"""Encoders that need the bands of another sensor beside those that they are fed here."""
OF_GROUPS = ("series-transformer", "any-sensor")
"""Encoders that take any groups of their bands, or any bands, in any order."""
OF_LOCATIONS = ("location", "image-and-location")
"""Encoders that take no pixels of the ground, or not alone: tests/encoders/location."""
PICTURED = [name for name in encoders.names() if name not in OF_LOCATIONS]
CASES = [(name, settings) for name in PICTURED for settings in VARIANTS.get(name, [{}])]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{'-'.join(map(str, case[1].values()))}")


def configure(case):
    name, settings = case
    return plugins.find("swath.encoders", name).Config(**settings)


def beside_radar(contract):
    return replace(
        contract,
        bands=(*contract.bands, "sentinel-1-rtc/VH"),
        units=(*contract.units, "dB"),
        mean=(*contract.mean, -18.0),
        std=(*contract.std, 4.0),
        branches=(3, 1),
    )


@pytest.fixture
def make(contract):
    def build(case, **of_contract):
        torch.manual_seed(0)
        made = contract(**of_contract)
        encoder = encoders.build(configure(case), beside_radar(made) if case[0] in OF_TWO_SENSORS else made)
        for part in encoder.modules():  # statistics as after training: fresh ones would hide the batch norms
            if isinstance(part, torch.nn.BatchNorm2d | FrameBatchNorm):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
        return encoder

    return build


@EVERY
@pytest.mark.parametrize("t", [1, 3])
def test_embedding_has_the_promised_shape_and_type(make, image, case, t):
    encoder = make(case)
    embedding = encoder.embed(image(b=4, t=t))
    assert embedding.shape == (4, encoder.dim)
    assert embedding.dtype == torch.float32
    assert embedding.isfinite().all()
    assert not embedding.requires_grad
    assert (embedding[0] != embedding[1]).any()


@EVERY
def test_same_seed_same_network(make, image, case):
    assert torch.equal(make(case).embed(image()), make(case).embed(image()))


@EVERY
def test_samples_do_not_depend_on_their_neighbours(make, image, case):
    encoder, batch = make(case), image(b=4, t=2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(encoder.embed(batch)[order], encoder.embed(batch.take(order)))
    torch.testing.assert_close(encoder.embed(batch)[1:2], encoder.embed(batch.take([1])), rtol=1e-4, atol=1e-5)


@EVERY
@pytest.mark.parametrize("rubbish", [0.0, -1e4, 3e30])
def test_invalid_pixels_never_change_an_embedding(make, image, case, rubbish):
    encoder, clean = make(case), image(b=3, t=2)
    dirty = replace(clean, pixels=torch.where(clean.valid[:, :, None], clean.pixels, torch.tensor(rubbish)))
    assert torch.equal(encoder.embed(clean), encoder.embed(dirty))


@EVERY
@pytest.mark.parametrize("t", [1, 2])
def test_padding_dates_never_change_an_embedding(make, image, case, t):
    encoder, series = make(case), image(b=3, t=t)
    padded = replace(
        series,
        pixels=torch.cat([series.pixels, torch.full_like(series.pixels, 7.0)], dim=1),
        valid=torch.cat([series.valid, torch.zeros_like(series.valid)], dim=1),
        days=torch.cat([series.days, torch.full_like(series.days, NO_DAY)], dim=1),
    )
    torch.testing.assert_close(encoder.embed(series), encoder.embed(padded), rtol=1e-4, atol=1e-5)


@EVERY
def test_order_of_dates_does_not_matter(make, image, case):
    encoder, series = make(case), image(t=3)
    if isinstance(encoder, encoders.SeriesEncoder):
        pytest.skip("an encoder of series may know what came first")
    back = replace(series, pixels=series.pixels.flip(1), valid=series.valid.flip(1), days=series.days.flip(1))
    torch.testing.assert_close(encoder.embed(series), encoder.embed(back), rtol=1e-4, atol=1e-5)


@EVERY
@pytest.mark.parametrize("t", [1, 2])
def test_nothing_valid_at_all_is_still_finite(make, image, case, t):
    assert make(case).embed(image(t=t, invalid=1.1)).isfinite().all()


@EVERY
def test_a_constant_band_says_nothing_and_blows_nothing_up(make, image, case):
    """Its deviation is what rounding left: standardised by that, a hair's breadth would be 1e16."""
    usual = make(case)
    encoder = encoders.build(configure(case), replace(usual.contract, std=(2.7e-20, *usual.contract.std[1:])))
    encoder.load_state_dict(usual.state_dict())
    batch = image()
    level = torch.full_like(batch.pixels[:, :, :1], encoder.contract.mean[0])
    one, other = (
        replace(batch, pixels=torch.cat([level + offset, batch.pixels[:, :, 1:]], dim=2)) for offset in (0.0, 1e-3)
    )
    embedded = encoder.embed(one, trusted=True)
    torch.testing.assert_close(encoder.embed(other, trusted=True), embedded, rtol=0, atol=0)
    assert embedded.abs().max() < 1e4


@EVERY
def test_units_do_not_matter_once_standardised(make, image, case):
    """An affine change of units, made in the pixels and in the statistics, is no change at all."""
    encoder, batch = make(case), image()
    contract = encoder.contract
    scale, shift = torch.tensor([1e4, 10.0, 1.8, 2.0]), torch.tensor([1000.0, 3.0, -459.67, 5.0])
    scale, shift = scale[: len(contract.bands)], shift[: len(contract.bands)]
    torch.manual_seed(0)
    other = encoders.build(
        configure(case),
        replace(
            contract,
            mean=tuple((torch.tensor(contract.mean) * scale + shift).tolist()),
            std=tuple((torch.tensor(contract.std) * scale).tolist()),
        ),
    )
    other.load_state_dict(encoder.state_dict())
    scale, shift = (of[:3, None, None] for of in (scale, shift))
    converted = replace(batch, pixels=batch.pixels * scale + shift)
    torch.testing.assert_close(encoder.embed(batch), other.embed(converted, trusted=True), rtol=2e-3, atol=2e-3)


@EVERY
def test_modes_are_restored_part_by_part(make, image, case):
    encoder = make(case).train()
    frozen = list(encoder.modules())[-1].eval()
    before = [part.training for part in encoder.modules()]
    encoder.embed(image())
    assert [part.training for part in encoder.modules()] == before
    assert not frozen.training
    with pytest.raises(ContractError):
        encoder.embed(image().channels([0, 0]))
    assert [part.training for part in encoder.modules()] == before


@EVERY
def test_forward_never_waits_for_the_device(make, image, case):
    """On the meta device there is no data: anything that needs a value on the host fails."""
    encoder = make(case).to("meta")
    given = image(t=2)
    given = replace(given, common_ids=given.first_ids())  # as from a reader
    assert encoder(given.to("meta")).shape == (2, encoder.dim)


@EVERY
def test_wrong_bands_are_named_with_the_right_ones(make, image, case):
    encoder, swapped = make(case), image().channels([1, 0, 2])
    if case[0] in OF_GROUPS:
        torch.testing.assert_close(encoder.embed(swapped), encoder.embed(image()))
        return
    with pytest.raises(ContractError) as error:
        encoder.embed(swapped)
    came, expected = str(error.value).split("do:")
    assert "sentinel-1-grd/VV, sentinel-2-l2a/B04, landsat-oli-sr/ST_B10" in came
    assert "sentinel-2-l2a/B04, sentinel-1-grd/VV, landsat-oli-sr/ST_B10" in expected


@EVERY
def test_free_channels_take_any_known_bands(make, image, case):
    if case[0] in OF_TWO_SENSORS:
        pytest.skip("it has to know which sensor an image is of")
    if case[0] in OF_GROUPS:
        pytest.skip("it takes as many bands as there are, each once")
    encoder = make(case, channels=2, fixed=False)
    for channels in ([0, 1], [2, 0], [1, 1]):
        assert encoder.embed(image().channels(channels)).shape == (2, encoder.dim)
