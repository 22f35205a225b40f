import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import swath
from swath import encoders, plugins
from swath.encoders.image_statistics import Config as Statistics
from swath.encoders.timm import Config as Timm
from swath.errors import CheckpointError, ContractError, RecipeError, SwathError

SMALL = Timm(model="test_resnet")
CONFIGS = [
    SMALL,
    Timm(model="resnet10t"),
    Timm(model="test_vit", image_size=32),
    plugins.find("swath.encoders", "random-convolutions").Config(features=16),
    Statistics(),
]


def damage_card(path, change):
    card = json.loads(path.with_suffix(".json").read_text())
    change(card)
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
import sys, numpy as np, torch
from pathlib import Path
from swath import encoders, sensors
from swath.batch import Image
folder = Path(sys.argv[1])
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


def test_a_bare_process_fed_raw_counts_gives_the_same_embedding(tmp_path):
    bands = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B8A", "B11"))
    contract = encoders.InputContract(3, bands, True, ("reflectance",) * 3, (0.1, 0.3, 0.2), (0.05, 0.1, 0.08))
    encoder = encoders.build(SMALL, contract)
    encoders.save(encoder, SMALL, tmp_path / "encoder", {})
    counts = np.random.default_rng(0).integers(0, 6000, (2, 3, 32, 32), dtype=np.uint16)
    counts[:, :, :5] = 0
    np.save(tmp_path / "counts.npy", counts)

    done = subprocess.run([sys.executable, "-c", BARE, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

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
    damage_card(saved[1], lambda card: card.update(format=2, swath_version="9.9"))
    with pytest.raises(CheckpointError, match="has format 2") as error:
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
