import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import swath
from swath import encoders, plugins
from swath.encoders.image_statistics import Config as Statistics
from swath.encoders.timm import Config as Timm
from swath.errors import CheckpointError, ContractError, RecipeError, SwathError
from tests.encoders.conftest import BANDS

SMALL = Timm(model="test_resnet")
CONFIGS = [
    SMALL,
    Timm(model="resnet10t"),
    Timm(model="test_vit", image_size=32),
    plugins.find("swath.encoders", "random-convolutions").Config(features=16),
    Statistics(),
]


def damage_card(path, change, signed=True):
    """Change a card; signed again, as a mistaken program would, so that what else is looked at has to notice."""
    card = json.loads(path.with_suffix(".json").read_text())
    change(card)
    if signed:
        rest = json.dumps({key: value for key, value in card.items() if key != "digest"}, sort_keys=True)
        card["digest"] = hashlib.sha256(rest.encode()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))


@pytest.fixture
def saved(contract, tmp_path):
    """A small encoder on disk: (encoder, path without suffix)."""
    encoder, path = encoders.build(SMALL, contract()), tmp_path / "arm" / "encoder"
    encoders.save(encoder, SMALL, path, {"corpus": "abc", "seed": 0})
    return encoder, path


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{getattr(c, 'model', '')}")
def test_what_is_loaded_is_what_was_saved(contract, image, tmp_path, config):
    encoder = encoders.build(config, contract())
    encoder.train()(image(b=4))  # moves the running statistics of batch norms
    encoders.save(encoder, config, tmp_path / "e", {})
    again = encoders.load(tmp_path / "e")
    assert torch.equal(again.embed(image()), encoder.embed(image()))
    assert again.contract == encoder.contract
    assert encoder.training
    assert not again.training


BARE = """
import numpy as np, torch
from pathlib import Path
from swath import encoders, sensors
from swath.batch import Image
folder = Path({folder!r})
counts, sensor = np.load(folder / "counts.npy"), sensors.get("sentinel-2-l2a")
encoder = encoders.load(folder / "encoder")
image = Image(
    pixels=torch.from_numpy(sensor.scaling.physical(counts))[:, None],
    valid=torch.from_numpy((counts != sensor.nodata).all(axis=1))[:, None],
    days=torch.zeros(len(counts), 1, dtype=torch.int32),
    band_ids=torch.tensor([[sensors.band_id(k) for k in encoder.contract.bands]] * len(counts), dtype=torch.int32),
    gsd_m=10.0,
)
np.save(folder / "embedding.npy", encoder.embed(image).numpy())
"""


def test_a_bare_process_fed_raw_counts_gives_the_same_embedding(tmp_path, forks):
    bands = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B8A", "B11"))
    contract = encoders.InputContract(3, bands, True, ("reflectance",) * 3, (0.1, 0.3, 0.2), (0.05, 0.1, 0.08))
    encoder = encoders.build(SMALL, contract)
    encoders.save(encoder, SMALL, tmp_path / "encoder", {})
    counts = np.random.default_rng(0).integers(0, 6000, (2, 3, 32, 32), dtype=np.uint16)
    counts[:, :, :5] = 0
    np.save(tmp_path / "counts.npy", counts)

    assert forks.run(BARE.format(folder=str(tmp_path)), "swath.encoders") == 0

    image = reflectance(counts, bands)
    np.testing.assert_array_equal(np.load(tmp_path / "embedding.npy"), encoder.embed(image).numpy())


def reflectance(counts, bands):
    """The same picture made without the sensor's scaling: reflectance is count / 10000 and 0 is missing."""
    from swath.batch import Image
    from swath.sensors import band_id

    return Image(
        pixels=torch.from_numpy((counts / 1e4).astype(np.float32))[:, None],
        valid=torch.from_numpy((counts > 0).all(axis=1))[:, None],
        days=torch.zeros(len(counts), 1, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in bands]] * len(counts), dtype=torch.int32),
        gsd_m=10.0,
    )


def test_a_loaded_encoder_refuses_other_bands_and_names_both(saved, image):
    again = encoders.load(saved[1])
    with pytest.raises(ContractError) as error:
        again.embed(image().channels([1, 2, 0]))
    assert "it has sentinel-1-grd/VV, landsat-oli-sr/ST_B10, sentinel-2-l2a/B04" in error.value.what
    assert "sentinel-2-l2a/B04, sentinel-1-grd/VV, landsat-oli-sr/ST_B10" in error.value.remedy


def test_card_says_what_the_encoder_is(saved):
    card = encoders.load_card(saved[1])
    assert card.swath_version == swath.__version__
    assert card.encoder == {
        "name": "timm",
        "model": "test_resnet",
        "weights": None,
        "small_stem": False,
        "image_size": None,
    }
    assert card.contract == saved[0].contract
    assert card.provenance == {"corpus": "abc", "seed": 0}


def test_files_hold_no_pickle_and_nothing_half_written(saved):
    path = saved[1]
    assert sorted(file.name for file in path.parent.iterdir()) == ["encoder.json", "encoder.safetensors"]
    assert b"pickle" not in path.with_suffix(".safetensors").read_bytes()[:2000]


@pytest.mark.parametrize("suffix", ["", ".json", ".safetensors"])
def test_either_file_names_the_encoder(saved, suffix):
    path = saved[1]
    assert encoders.load(path.with_name(path.name + suffix)).dim == saved[0].dim


def test_dots_in_names_are_no_suffixes(contract, tmp_path):
    encoders.save(encoders.build(Statistics(), contract()), Statistics(), tmp_path / "v0.1" / "epoch.12", {})
    assert encoders.load(tmp_path / "v0.1" / "epoch.12").dim == 12
    assert (tmp_path / "v0.1" / "epoch.12.safetensors").is_file()


def test_loading_does_not_need_the_initial_weights(contract, tmp_path, image):
    import timm
    from safetensors.torch import save_file

    start = tmp_path / "rgb.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), start)
    config = SMALL.model_copy(update={"weights": start})
    encoder = encoders.build(config, contract())
    encoders.save(encoder, config, tmp_path / "e", {})
    start.unlink()
    assert torch.equal(encoders.load(tmp_path / "e").embed(image()), encoder.embed(image()))
    assert str(tmp_path) not in (tmp_path / "e.json").read_text(), "no path of this machine travels along"


def test_loading_leaves_the_random_numbers_alone(saved):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    encoders.load(saved[1])
    assert torch.equal(torch.rand(3), expected)


def test_saving_again_replaces_both_files(saved, contract, image):
    other = encoders.build(SMALL, contract())
    encoders.save(other, SMALL, saved[1], {"seed": 1})
    assert torch.equal(encoders.load(saved[1]).embed(image()), other.embed(image()))
    assert encoders.load_card(saved[1]).provenance == {"seed": 1}


def test_a_truncated_card_is_always_noticed(saved):
    card = saved[1].with_suffix(".json")
    whole = card.read_bytes()
    for length in [*range(0, len(whole) - 1, 97), len(whole) - 1]:
        card.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="card is damaged") as error:
            encoders.load(saved[1])
        assert str(card) == error.value.where


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"3", b"\xff\xfe", b'{"format": 1}'])
def test_a_card_that_is_none_is_noticed(saved, content):
    saved[1].with_suffix(".json").write_bytes(content)
    with pytest.raises(CheckpointError, match="card"):
        encoders.load(saved[1])


@pytest.mark.parametrize(
    "key", ["swath_version", "encoder", "contract", "sha256", "self_check", "provenance", "contract.mean"]
)
def test_every_part_of_the_card_is_needed(saved, key):
    def remove(card):
        *parents, last = key.split(".")
        for parent in parents:
            card = card[parent]
        del card[last]

    damage_card(saved[1], remove)
    with pytest.raises(CheckpointError, match=f"card is damaged: {key}"):
        encoders.load(saved[1])


def test_a_newer_format_names_the_version_that_wrote_it(saved):
    damage_card(saved[1], lambda card: card.update(format=3, swath_version="9.9"))
    with pytest.raises(CheckpointError, match="has format 3") as error:
        encoders.load(saved[1])
    assert "9.9" in error.value.remedy


def test_a_band_of_another_version_is_named(saved):
    damage_card(saved[1], lambda card: card["contract"]["bands"].__setitem__(0, "sentinel-2-l2a/B99"))
    with pytest.raises(CheckpointError, match="has no band 'sentinel-2-l2a/B99'"):
        encoders.load(saved[1])


def test_a_band_in_another_unit_is_named(saved):
    damage_card(saved[1], lambda card: card["contract"]["units"].__setitem__(1, "power"))
    with pytest.raises(CheckpointError, match=r"sentinel-1-grd/VV in power, .* reads it in dB"):
        encoders.load(saved[1])


@pytest.mark.parametrize("part", ["bands", "units", "mean", "std"])
def test_statistics_that_do_not_fit_the_bands_are_noticed(saved, part):
    damage_card(saved[1], lambda card: card["contract"][part].pop())
    with pytest.raises(CheckpointError, match="do not agree"):
        encoders.load(saved[1])


def test_statistics_that_went_astray_are_noticed(saved):
    damage_card(saved[1], lambda card: card["contract"].update(mean=[1500.0, -12.5, 290.0], std=[800.0, 5.3, 12.0]))
    damage_card(saved[1], lambda card: card.update(self_check=[2 * value for value in card["self_check"]]))
    with pytest.raises(CheckpointError, match="does not give the embedding it gave"):
        encoders.load(saved[1])
    assert encoders.load(saved[1], verify=False).dim == saved[0].dim


def _reverse(contract):
    contract["bands"].reverse()
    contract["units"].reverse()


ALTERED = {
    "offset": lambda contract: contract.update(mean=[mu + 0.1 for mu in contract["mean"]]),
    "scale": lambda contract: contract.update(mean=[mu * 1e4 for mu in contract["mean"]]),
    "deviations": lambda contract: contract.update(std=[sigma * 1e4 for sigma in contract["std"]]),
    "reversed": _reverse,
}


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("altered", ALTERED)
def test_altered_statistics_change_the_embeddings_of_pictures_in_physical_units(tmp_path, altered, fixed):
    bands = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B04", "B8A", "B11"))
    mean, std = (0.05, 0.08, 0.3, 0.2), (0.03, 0.05, 0.1, 0.08)
    contract = encoders.InputContract(4 if fixed else 1, bands, fixed, ("reflectance",) * 4, mean, std)
    torch.manual_seed(0)
    encoders.save(encoders.build(SMALL, contract), SMALL, tmp_path / "e", {})
    assert encoders.load(tmp_path / "e").contract == contract
    damage_card(tmp_path / "e", lambda card: ALTERED[altered](card["contract"]))
    with pytest.raises(CheckpointError, match="does not give the embedding it gave"):
        encoders.load(tmp_path / "e")


def test_the_self_check_is_of_a_picture_that_is_made_from_keys_and_units_alone(contract, tmp_path):
    """Written down once more, so that no change of it goes unnoticed: old checkpoints would no longer load."""
    encoders.save(encoders.build(Statistics(), contract()), Statistics(), tmp_path / "e", {})
    of_contract = contract()
    means = []
    for key, mu, sigma in zip(of_contract.bands, of_contract.mean, of_contract.std, strict=True):
        own = zlib.crc32(key.encode()) / 2**32
        low, high = {"B04": (0.02, 0.5), "VV": (-22, -4), "ST_B10": (265, 310)}[key.partition("/")[2]]
        values = low + (high - low) * (0.3 + 0.4 * own + 0.3 * np.sin(0.37 * np.arange(64 * 64) + 100 * own))
        seen = np.ones((64, 64), bool)
        seen[:16, :16] = False
        means.append(((values.reshape(64, 64)[seen] - mu) / sigma).mean())
    np.testing.assert_allclose(encoders.load_card(tmp_path / "e").self_check[:3], means, rtol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["contract"]["mean"].__setitem__(2, 290.00001),
        lambda card: card["provenance"].update(corpus="abd"),
        lambda card: card["encoder"].update(image_size=8),
    ],
)
def test_a_card_that_was_changed_by_a_digit_is_noticed(saved, change):
    damage_card(saved[1], change, signed=False)
    with pytest.raises(CheckpointError, match="was changed after it was written"):
        encoders.load_card(saved[1])


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_no_flipped_bit_is_accepted(saved, suffix):
    file = saved[1].with_suffix(suffix)
    whole = file.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        if suffix == ".json" and chr(flipped[place]).isspace() and chr(whole[place]).isspace():
            continue
        file.write_bytes(bytes(flipped))
        with pytest.raises(CheckpointError):
            encoders.load(saved[1], verify=False)


@pytest.mark.parametrize(
    ("part", "value"),
    [("mean", float("nan")), ("std", float("inf")), ("std", -1.0), ("self_check", float("inf")), ("self_check", 1e308)],
)
def test_numbers_that_are_not_finite_are_refused_though_signed(saved, part, value):
    def change(card):
        (card if part == "self_check" else card["contract"])[part][0] = value

    damage_card(saved[1], change)
    with pytest.raises(CheckpointError, match=r"finite number|not finite|does not give the embedding"):
        encoders.load(saved[1])


def test_weights_that_are_not_finite_are_refused_where_no_picture_shows_them(contract, tmp_path):
    """A part that only fine-tuning uses, such as an expanding path, has no influence on an embedding."""
    encoder = encoders.build(Statistics(), contract())
    encoder.register_buffer("spare", torch.tensor([1.0, torch.nan]))
    with pytest.raises(CheckpointError, match=r"weights are \(spare\) not finite"):
        encoders.save(encoder, Statistics(), tmp_path / "e", {})
    assert list(tmp_path.iterdir()) == []


def test_foreign_weights_that_are_not_finite_are_not_loaded(saved):
    from safetensors.torch import load_file, save_file

    weights = saved[1].with_suffix(".safetensors")
    state = load_file(weights)
    next(value for key, value in state.items() if key.endswith("weight")).view(-1)[3] = torch.nan
    save_file(state, weights)
    damage_card(saved[1], lambda card: card.update(sha256=hashlib.sha256(weights.read_bytes()).hexdigest()))
    with pytest.raises(CheckpointError, match="not finite"):
        encoders.load(saved[1], verify=False)


def test_checkpoints_of_format_1_still_load(image):
    """Written by swath before its format 2: an encoder without weights, so that the file is small."""
    folder = Path(__file__).parent / "format_1"
    encoder = encoders.load(folder / "encoder")
    assert encoder.contract == encoders.load_card(folder / "encoder").contract
    made = encoders.build(Statistics(), encoder.contract)
    assert torch.equal(encoder.embed(image()), made.embed(image()))


@pytest.mark.parametrize("cut", [0, 8, 100, -1])
def test_truncated_weights_are_noticed(saved, cut):
    weights = saved[1].with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="not those of the card"):
        encoders.load(saved[1])


def test_weights_of_another_run_are_noticed(saved, contract, tmp_path):
    encoders.save(encoders.build(SMALL, contract()), SMALL, tmp_path / "other", {})
    (tmp_path / "other.safetensors").replace(saved[1].with_suffix(".safetensors"))
    with pytest.raises(CheckpointError, match="not those of the card"):
        encoders.load(saved[1])


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file_is_named(saved, suffix):
    file = saved[1].with_suffix(suffix)
    file.unlink()
    with pytest.raises(CheckpointError, match="missing") as error:
        encoders.load(saved[1])
    assert str(file) == error.value.where


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"name": "tim"}, "unknown encoder 'tim'"),
        ({"modle": "x"}, "modle"),
        ({"model": "no_such_net"}, "no model 'no_such_net'"),
        ({"model": "test_convnext"}, "do not fit"),
    ],
)
def test_an_encoder_that_cannot_be_built_says_why(saved, changes, what):
    damage_card(saved[1], lambda card: card["encoder"].update(changes))
    with pytest.raises(CheckpointError, match=what):
        encoders.load(saved[1])


def test_an_encoder_that_is_not_finite_is_not_saved(contract, tmp_path):
    encoder = encoders.build(SMALL, contract())
    next(encoder.parameters()).data.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        encoders.save(encoder, SMALL, tmp_path / "e", {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_checkpoint(saved, image):
    before = saved[0].embed(image())
    with pytest.raises(ValueError, match="serialize"):
        encoders.save(saved[0], SMALL, saved[1], {"not json": object()})
    assert torch.equal(encoders.load(saved[1]).embed(image()), before)


def test_unknown_encoder_names_the_nearest(contract):
    class Config(Statistics):
        name: str = "image-statistic"

    with pytest.raises(RecipeError) as error:
        encoders.build(Config(), contract())
    assert "did you mean 'image-statistics'" in str(error.value)
    assert isinstance(error.value, SwathError)


# ------------------------------------------------------------------------------------------- starting from a checkpoint


OTHER = encoders.InputContract(
    3, BANDS, True, ("reflectance", "dB", "K"), (0.2, -10.0, 280.0), (0.1, 4.0, 9.0), gsd_m=(10.0, 10.0, 30.0)
)
"""The same bands over another corpus."""


def test_what_starts_from_a_checkpoint_begins_as_what_that_was(saved, image):
    config = SMALL.model_copy(update={"weights": saved[1]})
    begun = encoders.build(config, OTHER)
    assert torch.equal(begun.embed(image()), saved[0].embed(image()))
    assert begun.contract.mean == saved[0].contract.mean
    assert begun.contract.gsd_m == OTHER.gsd_m
    assert encoders.own_start(config) == saved[1]
    assert encoders.own_start(SMALL) is None


def test_free_channels_take_the_checkpoints_statistics_of_their_bands(contract, tmp_path):
    encoders.save(encoders.build(SMALL, contract(1, fixed=False)), SMALL, tmp_path / "e", {})
    config = SMALL.model_copy(update={"weights": tmp_path / "e.safetensors"})
    few = encoders.InputContract(1, BANDS[2:0:-1], False, ("K", "dB"), (280.0, -10.0), (9.0, 4.0))
    assert encoders.build(config, few).contract.mean == (290.0, -12.5)


@pytest.mark.parametrize(
    ("change", "which", "said"),
    [
        (
            {"bands": BANDS[::-1], "units": ("K", "dB", "reflectance")},
            "the same bands in another order",
            "landsat-oli-sr/ST_B10, sentinel-1-grd/VV",
        ),
        ({"fixed": False}, "other bands", "this one is of 3 of sentinel-2-l2a/B04"),
    ],
)
def test_weights_of_other_bands_are_no_start(saved, change, which, said):
    with pytest.raises(ContractError, match=rf"encoder of {which}: sentinel-2-l2a/B04, .*; this one") as error:
        encoders.build(SMALL.model_copy(update={"weights": saved[1]}), replace(OTHER, **change))
    assert said in error.value.what
    assert ("in its order" in error.value.remedy) == ("order" in which)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": ("reflectance", "linear power", "K")}, "of other units: reflectance, dB, K; this one's are"),
        ({"mean": (1200.0, -10.0, 280.0)}, "the median of sentinel-2-l2a/B04 is 1200, .*10,000 times too large"),
        ({"mean": (0.1, 0.08, 280.0)}, "linear power, not decibels"),
        ({"mean": (0.1, -10.0, 20.0)}, "degrees Celsius"),
    ],
)
def test_a_corpus_in_other_units_is_no_start(saved, change, said):
    with pytest.raises(ContractError, match=said):
        encoders.build(SMALL.model_copy(update={"weights": saved[1]}), replace(OTHER, **change))


def test_weights_of_another_network_are_no_start(saved):
    with pytest.raises(RecipeError, match="weights are not this encoder's") as error:
        encoders.build(Timm(model="test_convnext", weights=saved[1]), OTHER)
    assert "'model': 'test_resnet'" in error.value.remedy


def test_every_encoder_that_learns_may_start_from_its_own_kind_alone(tmp_path):
    unet = plugins.find("swath.encoders", "unet-3d").Config
    encoders.save(before := encoders.build(unet(width=2), OTHER), unet(width=2), tmp_path / "e", {})
    begun = encoders.build(unet(width=2, weights=tmp_path / "e"), OTHER)
    for name, tensor in begun.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name])
    with pytest.raises(RecipeError, match="no card of swath's"):
        encoders.build(unet(width=2, weights=tmp_path / "other.pth"), OTHER)


def test_a_fresh_network_is_the_checkpoints_before_its_training(saved, image):
    torch.manual_seed(3)
    expected = encoders.build(SMALL, saved[0].contract)
    torch.manual_seed(3)
    fresh = encoders.fresh(saved[1])
    assert torch.equal(fresh.embed(image()), expected.embed(image()))
    assert not torch.equal(fresh.embed(image()), saved[0].embed(image()))
