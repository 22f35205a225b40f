"""From a corpus to an encoder that loads and embeds, or to nothing that pretends to be one."""

import inspect
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from swath import encoders, views
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.encoders import InputContract
from swath.encoders.convnext_v2 import Config as ConvNextV2
from swath.encoders.series_transformer import Config as SeriesTransformer
from swath.encoders.timm import Config as Timm
from swath.encoders.vit import Config as Vit
from swath.errors import CheckpointError, ContractError, RecipeError, TrainingError
from swath.methods.byol import Config as Byol
from swath.methods.fcmae import Config as Fcmae
from swath.methods.i_jepa import Config as IJepa
from swath.methods.mae import Config as Mae
from swath.methods.masked_series import Config as MaskedSeries
from swath.methods.sat_mae import Config as SatMae
from swath.methods.simclr import Config as Simclr
from swath.training import TrainConfig, check, pretrain
from swath.training.config import Collapse, Optimizer
from swath.views.policies.augmented_series import Config as AugmentedSeries
from swath.views.policies.one_crop import Config as OneCrop
from swath.views.policies.sensor_series import Config as SensorSeries
from swath.views.policies.two_crops import Config as TwoCrops
from swath.views.policies.with_targets import Config as WithTargets
from tests.training import helpers

SENSOR, PX = "sentinel-2-l2a", 32
KEYS = (f"{SENSOR}/B04", f"{SENSOR}/B08")
LAYOUT = SensorLayout(bands=("B04", "B08"), gsd_m=10, dtype="uint16", scale=(1e-4, 1e-4))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    rng = np.random.default_rng(0)
    with CorpusWriter(tmp_path_factory.mktemp("corpus") / "c", {SENSOR: LAYOUT}, PX) as writer:
        for i in range(24):
            pixels = rng.integers(1, 3000, (2, 1, 1)) + rng.integers(1, 2000, (2, PX, PX))
            writer.append(Part([Location(str(i))], [Chip(str(i), SENSOR, pixels.astype(np.uint16))]))
        return writer.finish()


def arguments(corpus, out, **changes):
    statistics = corpus.statistics[SENSOR]
    mean, std = ([getattr(statistics[b], what) for b in ("B04", "B08")] for what in ("mean", "std"))
    train = TrainConfig(epochs=2, batch_size=8, log_every=1, optimizer=Optimizer(lr=0.05, scale_lr=False))
    return {
        "encoder_config": Timm(model="test_resnet"),
        "method_config": Byol(hidden=16, out=8),
        "views_config": TwoCrops(bands=KEYS, augment=views.presets.moco_v2()),
        "train": train,
        "contract": InputContract(2, KEYS, True, ("reflectance",) * 2, tuple(mean), tuple(std)),
        "corpus": corpus,
        "locations": np.arange(24),
        "seed": 3,
        "out": out,
        "provenance": {"arm": "small"},
        "devices": 1,
        **changes,
    }


def checked(settings):
    """Those that are looked at before a training."""
    return {key: settings[key] for key in inspect.signature(check).parameters if key in settings}


ONE_CROP, SERIES = OneCrop(bands=KEYS), SensorSeries(bands=KEYS)
VIT, CELLS = {"width": 32, "depth": 1, "heads": 2}, ConvNextV2(depths=(1, 1, 1, 1), widths=(4, 4, 4, 4), cell=8)


@pytest.mark.parametrize(
    ("method", "encoder", "views_config", "said"),
    [
        (Mae(mask=0.97), Vit(patch=8, **VIT), ONE_CROP, "mask=0.97 leaves none of 16 patches"),
        (Mae(), Vit(patch=64, **VIT), ONE_CROP, "32 x 32 pixels, which is less than a patch of 64 x 64"),
        (SatMae(), Vit(patch=8, dates="together", **VIT), ONE_CROP, "tokens of several dates, and the views have one"),
        (Fcmae(mask=0.95, decoder_width=8), CELLS, WithTargets(bands=KEYS), "mask=0.95 leaves none of 16 cells"),
        (IJepa(predictor_depth=1), Vit(patch=8, **VIT), ONE_CROP, "may leave none of 4 x 4 as a context"),
    ],
)
def test_what_views_of_this_size_cannot_give_is_refused_before_anything_is_trained(
    corpus, tmp_path, method, encoder, views_config, said
):
    changes = {"method_config": method, "encoder_config": encoder, "views_config": views_config}
    settings = arguments(corpus, tmp_path, **changes)
    with pytest.raises((RecipeError, ContractError), match=said):
        check(**checked(settings))


def test_locations_of_fewer_dates_than_others_say_nothing_of_what_a_method_can_do(corpus, tmp_path):
    """Whole series, of which the first locations have one date: there are patches of several tokens all the same."""
    chips = [(i, k) for i in range(12) for k in range(1 if i < 4 else 3)]
    with CorpusWriter(tmp_path / "c", {SENSOR: LAYOUT}, PX) as writer:
        pixels = np.random.default_rng(0).integers(1, 5000, (2, PX, PX)).astype(np.uint16)
        series = [Chip(str(i), SENSOR, pixels, datetime=datetime(2020, 1 + k, 1, tzinfo=UTC)) for i, k in chips]
        writer.append(Part([Location(str(i)) for i in range(12)], series))
        ragged = writer.finish()
    changes = {"method_config": SatMae(), "encoder_config": Vit(patch=8, dates="together", **VIT)}
    settings = arguments(ragged, tmp_path, views_config=AugmentedSeries(bands=KEYS), locations=np.arange(12), **changes)
    given = checked(settings)
    check(**given)
    with pytest.raises(RecipeError, match="the views have one"):
        check(**given | {"locations": np.arange(4), "train": settings["train"].model_copy(update={"batch_size": 2})})


def test_an_encoder_that_goes_by_days_is_refused_a_corpus_without_any(corpus, tmp_path):
    changes = {"method_config": MaskedSeries(), "encoder_config": SeriesTransformer(), "views_config": SERIES}
    settings = arguments(corpus, tmp_path, **changes)
    with pytest.raises(RecipeError, match="days of a series, and of 24 of 24 locations none is known"):
        check(**checked(settings))


def test_an_encoder_comes_out_and_can_be_used(corpus, tmp_path):
    done = pretrain(**arguments(corpus, tmp_path))
    assert done.path == tmp_path / "encoder.safetensors"
    assert done.figures["step"] == 6
    assert {"loss", "seconds", "feature_std", "effective_rank"} <= done.figures.keys()
    loaded = encoders.load(tmp_path / "encoder", verify=True)
    state = torch.load(tmp_path / "last.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[f"method.encoder.{name}"]), name
    provenance = json.loads((tmp_path / "encoder.json").read_text())["provenance"]
    assert provenance["arm"] == "small"
    assert provenance["corpus"] == corpus.content_hash
    assert provenance["method"]["name"] == "byol"


def test_an_encoder_says_which_locations_it_saw(corpus, tmp_path):
    pretrain(**arguments(corpus, tmp_path, locations=np.arange(3, 20)))
    seen = encoders.load_seen(tmp_path / "encoder")
    assert sorted(seen["uid"]) == sorted(map(str, range(3, 20)))
    assert set(seen["corpus"]) == {corpus.content_hash}
    card = encoders.load_card(tmp_path / "encoder")
    assert (card.seen.locations, card.seen.corpora) == (17, [corpus.content_hash])
    file = tmp_path / "encoder.seen.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="is not the card's"):
        encoders.load_seen(tmp_path / "encoder")
    file.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        encoders.load_seen(tmp_path / "encoder")


def test_an_encoder_that_starts_from_another_saw_what_that_saw(corpus, tmp_path):
    first = pretrain(**arguments(corpus, tmp_path / "first", locations=np.arange(8))).path
    goes_on = Timm(model="test_resnet", weights=first)
    pretrain(**arguments(corpus, tmp_path / "on", encoder_config=goes_on, locations=np.arange(4, 12)))
    assert sorted(map(int, encoders.load_seen(tmp_path / "on" / "encoder")["uid"])) == list(range(12))
    encoders.save(encoders.load(first), Timm(model="test_resnet"), tmp_path / "old", {})
    goes_on = Timm(model="test_resnet", weights=tmp_path / "old")
    pretrain(**arguments(corpus, tmp_path / "unknown", encoder_config=goes_on, locations=np.arange(8)))
    assert encoders.load_seen(tmp_path / "unknown" / "encoder") is None


def test_an_encoder_that_starts_from_published_weights_says_so_and_saw_what_nobody_knows(corpus, tmp_path, capsys):
    torch.manual_seed(0)
    published = encoders.build(Timm(model="test_resnet"), arguments(corpus, tmp_path)["contract"])
    torch.save({"model": published.network.state_dict()}, tmp_path / "w.pth")
    (tmp_path / "mine.yaml").write_text(
        f"{{title: mine, source: here, models: [], bands: [{', '.join(KEYS)}], mean: [0.1, 0.2], std: [0.3, 0.4], "
        "size_px: 32, prepared: as it is}"
    )
    begun = Timm(model="test_resnet", weights=tmp_path / "w.pth", card=str(tmp_path / "mine.yaml"))
    pretrain(**arguments(corpus, tmp_path / "on", encoder_config=begun, train=TrainConfig(epochs=1, batch_size=24)))
    assert "tensors (100 % of the numbers) used, " in capsys.readouterr().err
    card = encoders.load_card(tmp_path / "on" / "encoder")
    assert (card.contract.mean, card.contract.std) == ((0.1, 0.2), (0.3, 0.4))
    assert card.provenance["start"]["card"] == "mine.yaml"
    assert encoders.load_seen(tmp_path / "on" / "encoder") is None


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(corpus, tmp_path):
    first = pretrain(**arguments(corpus, tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert pretrain(**arguments(corpus, tmp_path)) == first
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    with pytest.raises(TrainingError, match="seed: was 3, is 4"):
        pretrain(**arguments(corpus, tmp_path, seed=4))


def test_the_seed_decides_everything(corpus, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        torch.manual_seed(hash(name) % 100)
        pretrain(**arguments(corpus, tmp_path / name, seed=seed))
    logs = {name: helpers.losses(tmp_path / name) for name in "abc"}
    assert logs["a"] == logs["b"] != logs["c"]


def test_a_run_killed_before_the_encoder_was_written_is_completed(corpus, tmp_path):
    pretrain(**arguments(corpus, tmp_path))
    before = (tmp_path / "encoder.safetensors").read_bytes()
    (tmp_path / "encoder.json").unlink()
    pretrain(**arguments(corpus, tmp_path))
    assert (tmp_path / "encoder.safetensors").read_bytes() == before
    assert (tmp_path / "encoder.json").exists()


def test_a_failed_run_leaves_no_encoder(corpus, tmp_path):
    train = TrainConfig(
        epochs=4,
        batch_size=8,
        gauge_every=1,
        optimizer=Optimizer(lr=1e5, scale_lr=False),
        collapse=Collapse(patience=2),
    )
    with pytest.raises(TrainingError, match=r"collapsed|became|not finite") as error:
        pretrain(**arguments(corpus, tmp_path, train=train, method_config=Simclr(out=8)))
    assert "training.optimizer.lr" in str(error.value)
    assert not list(tmp_path.glob("encoder.*"))


def test_the_callers_random_numbers_are_untouched(corpus, tmp_path):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    pretrain(**arguments(corpus, tmp_path))
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.slow
def test_two_processes_train_as_one(corpus, tmp_path):
    """The same batches, in two processes or in one: the same losses and weights, but for rounding.

    Three steps: BatchNorm over so few samples makes rounding grow tenfold a step, and after six steps one process
    departs by 3% of a small number even from itself with the batch in another order.
    """
    plain = TrainConfig(
        epochs=1, batch_size=8, log_every=1, precision="32", optimizer=Optimizer(lr=0.01, scale_lr=False)
    )
    flat = TwoCrops(bands=KEYS, augment=views.Augment())
    for devices in (1, 2):
        out = tmp_path / str(devices)
        pretrain(**arguments(corpus, out, train=plain, views_config=flat, devices=devices))
    one, two = (encoders.load(tmp_path / name / "encoder", verify=True).state_dict() for name in "12")
    for name, tensor in one.items():
        assert (two[name] - tensor).float().norm() <= 1e-3 * tensor.float().norm(), name
    losses = [[float(loss) for loss in helpers.losses(tmp_path / name)] for name in "12"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
