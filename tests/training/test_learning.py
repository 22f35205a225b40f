"""Every method learns: on the synthetic landscape its encoder tells land cover better than its own random twin does."""

from functools import cache

import numpy as np
import pytest
import torch

from swath import encoders, plugins
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.labels.target import Dominant, targets
from swath.corpus.sources import synth
from swath.encoders import EncoderSettings, InputContract
from swath.encoders.convnext_v2 import Config as ConvNextV2
from swath.encoders.timm import Config as Timm
from swath.training import LabelledSet, TrainConfig
from swath.training.config import Cosine, Optimizer
from swath.training.gauges import knn_accuracy
from swath.training.pretraining import pretrain, seeded
from swath.views import Augment, Crop, Jitter
from swath.views.policies import multi_crop, two_dates, with_targets
from swath.views.policies.multi_crop import Crops

SENSOR = "sentinel-2-l2a"
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
KEYS = tuple(f"{SENSOR}/{band}" for band in BANDS)
TWIN = Timm(model="test_resnet")
SEED = 0
MILD = Augment(
    crop=Crop(scale=(0.5, 1.0)), hflip=0.5, vflip=0.5, quarter_turns=0.75, brightness=Jitter(p=0.8, factor=(0.8, 1.25))
)
SMALL = MILD.model_copy(update={"crop": Crop(size=16, scale=(0.1, 0.5))})
"""The quickstart's augmentation, and local crops of it."""
WIDTHS = {"hidden": 256, "out": 64}
METHODS = {
    "simsiam": {"out": 256, "bottleneck": 64},
    "barlow-twins": WIDTHS,
    "vicreg": WIDTHS,
    "moco-v3": {**WIDTHS, "temperature": 0.2},
    "dino": {"prototypes": 1024, "hidden": 512, "bottleneck": 128, "momentum": 0.98},
    "lejepa": WIDTHS,
    "visreg": {**WIDTHS, "weight": 0.6},
    "fcmae": {"decoder_width": 128},
    "mp-mae": {"decoder_width": 128},
}
CELLS = ConvNextV2(depths=(1, 1, 2, 1), widths=(16, 32, 64, 128), cell=8, stem="dense")
ENCODERS = {
    "fcmae": CELLS,
    "mp-mae": CELLS,
}
"""Encoders of methods that hide cells."""
MASKED = {
    name: with_targets.Config(bands=KEYS, augment=MILD.model_copy(update={"brightness": Jitter()}), known=known)
    for name, known in (("fcmae", ()), ("mp-mae", ("month",)))
}
"""Views of methods that fill in hidden cells, which takes longer to learn."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    path = tmp_path_factory.mktemp("landscape") / "corpus"
    said = {"locations": 640, "chip_px": 32, "crops": 4, "dates_optical": 2, "dates_radar": 0, "cloud_fraction": 0.02}
    world = synth.Config.model_validate({"name": "synth", **said})
    synth.build(world, path)
    return Corpus.open(path)


@pytest.fixture(scope="module")
def contract(corpus) -> InputContract:
    mean, std = zip(
        *((corpus.statistics[SENSOR][b].mean, corpus.statistics[SENSOR][b].std) for b in BANDS), strict=True
    )
    return InputContract(len(KEYS), KEYS, True, ("reflectance",) * len(KEYS), mean, std)


@pytest.fixture(scope="module")
def labelled(corpus) -> LabelledSet:
    found = targets(corpus, Dominant(layer="landcover", min_share=0.5))
    image = Reader(corpus, {SENSOR: BANDS}).batch(found.locations, Selection(dates=1)).images[SENSOR]
    groups = np.unique(corpus.locations["group"].to_numpy()[found.locations], return_inverse=True)[1]
    return LabelledSet(image, torch.from_numpy(found.y), torch.from_numpy(groups))


@pytest.fixture(scope="module")
def twin(contract, labelled):
    """Accuracy of an encoder as it is initialised."""

    @cache
    def accuracy(config: EncoderSettings) -> float:
        with seeded(SEED):
            return knn_accuracy(encoders.build(config, contract), labelled)

    return accuracy


TOO_SHORT = pytest.mark.xfail(
    reason="after 300 steps, k-NN accuracy of FCMAE is 0.509, its random twin's 0.533", strict=False
)


@pytest.mark.slow  # a hundred steps each, 10 to 25 seconds of a core
@pytest.mark.parametrize("name", [pytest.param(n, marks=TOO_SHORT) if n in MASKED else n for n in METHODS])
def test_it_learns_more_than_its_random_twin_knows(name, corpus, contract, labelled, twin, tmp_path):
    plugin = plugins.find("swath.methods", name)
    crops = {"global_crops": (Crops(number=2, augment=MILD),), "local_crops": (Crops(number=2, augment=SMALL),)}
    pairs = two_dates.Config(bands=KEYS, augment=MILD)
    usual = multi_crop.Config(bands=KEYS, **crops) if plugin.Method.multi_crop else pairs
    encoder = ENCODERS.get(name, TWIN)
    done = pretrain(
        encoder_config=encoder,
        method_config=plugin.Config(**METHODS[name]),
        views_config=MASKED.get(name, usual),
        train=TrainConfig(
            epochs=30 if name in MASKED else 10,
            batch_size=64,
            optimizer=Optimizer(name="adamw", lr=0.002, scale_lr=False, weight_decay=0.05),
            schedule=Cosine(warmup_epochs=1),
        ),
        contract=contract,
        corpus=corpus,
        locations=np.arange(len(corpus)),
        seed=SEED,
        out=tmp_path,
        devices=1,
    )
    accuracy = knn_accuracy(encoders.load(done.path), labelled)
    assert accuracy > twin(encoder) + 0.02
