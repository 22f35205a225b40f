"""Targets that a corpus holds: found with their statistics, counted where some lack them, refused where all do."""

import math
from datetime import datetime

import numpy as np
import pytest
import torch

from swath import views
from swath.batch import NO_DAY
from swath.corpus import Chip, Corpus, CorpusWriter, LabelLayer, Loader, Location, Part, SensorLayout
from swath.encoders import InputContract
from swath.encoders.convnext_v2 import Config as ConvNextV2
from swath.errors import CorpusError, RecipeError
from swath.methods import fcmae, mp_mae
from swath.training import TrainConfig, pretraining, targets
from swath.training.config import Optimizer
from swath.views import Augment
from swath.views.policies.with_targets import Config as WithTargets

SENSOR, RADAR, PX, COUNT = "sentinel-2-l2a", "sentinel-1-grd", 16, 12
KEYS = (f"{SENSOR}/B04", f"{SENSOR}/B08")
EVERY = np.arange(COUNT)
BIOMES = ("forest", "desert", None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Twelve locations; every third lacks radar and cover, some a biome, rain, a date or a place."""
    layouts = {
        SENSOR: SensorLayout(bands=("B04", "B08"), gsd_m=10, dtype="uint16", scale=(1e-4, 1e-4)),
        RADAR: SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32"),
    }
    rng = np.random.default_rng(0)
    layer = LabelLayer(classes={10: "tree", 80: "water"}, void=0)
    empty = LabelLayer(classes={1: "road", 2: "path"}, void=0)
    sea, layers = LabelLayer(classes={3: "sea"}, void=0), {"cover": layer, "roads": empty}
    with CorpusWriter(tmp_path_factory.mktemp("corpus") / "c", layouts, PX, layers | {"sea": sea}) as writer:
        for i in range(COUNT):
            uid, lacks = str(i), i % 3 == 2
            when = None if i == 0 else datetime(2020, i, 15)
            chips = [Chip(uid, SENSOR, rng.integers(1, 3000, (2, PX, PX)).astype(np.uint16), datetime=when)]
            if not lacks:
                chips.append(Chip(uid, RADAR, rng.normal(-12, 3, (2, PX, PX)).astype(np.float32)))
            cover = np.zeros((1, PX, PX), int) if lacks else rng.choice([0, 10, 80], (1, PX, PX))
            scalars = {"biome": BIOMES[i % 3], "rain": None if i == 4 else float(i), "same": 1.0, "none": None}
            scalars |= {"share": i / 7}
            place = Location(uid, lonlat=None if i == 1 else (10.0 * i, 5.0 * i), scalars=scalars)
            none = np.zeros((1, PX, PX), int)
            writer.append(Part([place], chips, {"cover": cover, "roads": none, "sea": none + 3}))
        return writer.finish()


def policy(**wanted):
    augment = Augment(hflip=0.5)
    return WithTargets(bands=KEYS, augment=augment, **wanted)


ALL = {
    "maps": {"radar": (f"{RADAR}/VV", f"{RADAR}/VH")},
    "layers": ("cover",),
    "classes": ("biome",),
    "numbers": {"climate": ("rain",)},
    "known": ("month", "latitude"),
}


def test_targets_come_with_the_classes_and_statistics_of_what_is_trained_on(corpus):
    wanted = views.build(policy(**ALL)).inputs.targets
    radar, cover, biome, climate, month, latitude = targets.found(wanted, corpus, EVERY)
    assert radar.mean == tuple(corpus.statistics[RADAR][band].mean for band in ("VV", "VH"))
    assert radar.std == tuple(corpus.statistics[RADAR][band].std for band in ("VV", "VH"))
    assert (cover.codes, biome.codes) == ((10.0, 80.0), (0.0, 1.0))  # desert, forest
    rain = [i for i in range(COUNT) if i != 4]
    assert climate.mean == (pytest.approx(np.mean(rain)),)
    assert climate.std == (pytest.approx(np.std(rain)),)
    angles = 2 * np.pi * np.arange(1, COUNT) / 12
    assert month.mean == pytest.approx((np.sin(angles).mean(), np.cos(angles).mean()))
    places = np.deg2rad(5.0 * np.array([i for i in range(COUNT) if i != 1]))
    assert latitude.std == pytest.approx((np.sin(places).std(), np.cos(places).std()))


def test_what_some_lack_is_counted(corpus):
    said = list(targets.lacking(views.build(policy(**ALL)).inputs.targets, corpus, EVERY))
    expected = {"radar": 4, "cover": 4, "biome": 4, "climate": 1, "month": 1, "latitude": 1}
    assert said == [
        f"target {name}: {count} of 12 locations lack it; they are left out of its error"
        for name, count in expected.items()
    ]


@pytest.mark.parametrize(
    ("wanted", "rows", "message", "remedy"),
    [
        ({"classes": ("none",)}, EVERY, "none of the 12 locations .* has the target none", "leave none out"),
        ({"numbers": {"flat": ("same",)}}, EVERY, "the target flat is the same of all locations", "leave flat out"),
        ({"known": ("month",)}, EVERY[[0, 0]], "none of the 2 locations .* has the target month", "`date` in the id"),
        ({"known": ("longitude",)}, EVERY[[1, 1]], "none of the 2 locations .* target longitude", "with coordinates"),
        ({"maps": ALL["maps"]}, EVERY[2::3], "none of the 4 locations .* has the target radar", "leave radar out"),
        ({"layers": ("roads",)}, EVERY, "none of the 12 locations .* has the target roads", "leave roads out"),
        ({"layers": ("covers",)}, EVERY, "no label layer 'covers'", "did you mean 'cover'"),
        ({"layers": ("sea",)}, EVERY, "the target sea is the same of all locations", "leave sea out"),
        ({"classes": ("biome",)}, EVERY[::3], "the target biome is the same of all locations", "leave biome out"),
        ({"classes": ("share",)}, EVERY, "column 'share' holds numbers, not classes", "list it in views.numbers"),
        ({"numbers": {"n": ("rain", "biome")}}, EVERY, "'biome' holds texts, not numbers", "list it in views.classes"),
        ({"classes": ("biomes",)}, EVERY, "no label 'biomes'", "did you mean 'biome'"),
    ],
)
def test_what_none_has_is_refused_before_anything_is_trained(corpus, wanted, rows, message, remedy):
    with pytest.raises((RecipeError, CorpusError), match=message) as refused:
        pretraining.check(**arguments(corpus, policy(**wanted), locations=rows))
    assert remedy in refused.value.remedy


def test_methods_that_predict_nothing_say_so(corpus):
    with pytest.raises(RecipeError, match=r"the views carry targets \(biome\), and the method predicts none"):
        pretraining.check(**arguments(corpus, policy(classes=("biome",)), method_config=fcmae.Config()))


def test_a_batch_carries_them_and_pads_what_is_missing(corpus):
    built = views.build(policy(**ALL))
    labels = tuple(label for one in built.inputs.targets for label in one.labels)
    loader = Loader(corpus, built.reads, EVERY, COUNT, labels=labels, optional=(RADAR,), seed=1)
    assert loader.left_out == 0
    (batch,) = loader.epoch(0)
    order = [int(uid) for uid in batch.uid]
    lacks = torch.tensor([i % 3 == 2 for i in order])
    assert torch.equal(~batch.images[RADAR].valid.flatten(1).any(dim=1), lacks)
    assert torch.equal(batch.images[RADAR].days[:, 0] == NO_DAY, torch.ones(COUNT, dtype=torch.bool))
    assert torch.equal(batch.targets["cover"], torch.from_numpy(corpus.labels("cover", order)).long())
    biomes = [{"desert": 0.0, "forest": 1.0}.get(BIOMES[i % 3], math.nan) for i in order]
    np.testing.assert_equal(batch.targets["biome"].numpy(), biomes)
    np.testing.assert_equal(batch.targets["rain"].numpy(), [math.nan if i == 4 else float(i) for i in order])
    assert Loader(corpus, built.reads, EVERY, 8).left_out == 4


def arguments(corpus, views_config, **changes):
    statistics = corpus.statistics[SENSOR]
    mean, std = (tuple(getattr(statistics[b], what) for b in ("B04", "B08")) for what in ("mean", "std"))
    return {
        "encoder_config": ConvNextV2(depths=(1, 1, 1, 1), widths=(4, 4, 4, 4), cell=8),
        "method_config": mp_mae.Config(decoder_width=8),
        "views_config": views_config,
        "train": TrainConfig(epochs=1, batch_size=2, log_every=1, optimizer=Optimizer(lr=0.01, scale_lr=False)),
        "contract": InputContract(2, KEYS, True, ("reflectance",) * 2, mean, std),
        "corpus": corpus,
        "locations": EVERY,
        **changes,
    }


def test_mp_mae_trains_on_them_and_its_encoder_comes_out(corpus, tmp_path):
    said = arguments(corpus, policy(**ALL))
    train = said["train"].model_copy(update={"batch_size": 6})
    done = pretraining.pretrain(**{**said, "train": train}, seed=0, out=tmp_path, devices=1)
    log = (tmp_path / "log.csv").read_text().splitlines()
    columns = log[0].split(",")
    for name in ("image", "radar", "cover", "biome", "climate", "month", "latitude"):
        assert float(log[1].split(",")[columns.index(name)]) > 0, name
    assert done.figures["step"] == 2
