"""What masked methods learn on small chips, beside their random twins; written into docs/methods.md.

python -m benchmarks._masked_learning docs/methods.md

Five methods with three trainings each of some 200,000 weights, on one core about a quarter of an hour.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from benchmarks import _page
from swath import encoders, plugins
from swath.batch import Image
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.labels.target import Dominant, targets
from swath.corpus.sources import synth
from swath.encoders import Encoder, EncoderSettings, InputContract, MapEncoder
from swath.encoders.convnext_v2 import Config as ConvNextV2
from swath.encoders.vit import Config as Vit
from swath.settings import PluginSettings
from swath.training import TrainConfig
from swath.training.config import Cosine, Optimizer
from swath.training.gauges import vote
from swath.training.pretraining import pretrain, seeded
from swath.views import Augment, Crop
from swath.views.policies import one_crop, with_targets

BLOCK = "masked-learning"
SENSOR = "sentinel-2-l2a"
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
KEYS = tuple(f"{SENSOR}/{band}" for band in BANDS)
SEEDS = (0, 1, 2)
TURNED = Augment(hflip=0.5, vflip=0.5, quarter_turns=0.75)
"""Nothing is resampled: rows of orchards and vineyards are two pixels wide."""
CROPS = TURNED.model_copy(update={"crop": Crop(scale=(0.5, 1.0))})
TOKENS = Vit(patch=4, width=64, depth=4, heads=4)
CELLS = ConvNextV2(depths=(1, 1, 2, 1), widths=(16, 32, 64, 128), cell=8, stem="dense")
NARROW = {"decoder_width": 64, "decoder_depth": 1}
VARYING = {"variance": 1.0, "covariance": 0.04}
"""Without these I-JEPA's teacher comes to say less and less."""
WHOLE = one_crop.Config(bands=KEYS, augment=TURNED)
WHOLE_PICTURE = with_targets.Config(bands=KEYS, augment=TURNED)
CROPPED = with_targets.Config(bands=KEYS, augment=CROPS)


def training(epochs: int, batch_size: int, lr: float) -> TrainConfig:
    """AdamW as masked methods have it, with a rate that does not depend on the batch."""
    return TrainConfig(
        epochs=epochs,
        batch_size=batch_size,
        optimizer=Optimizer(name="adamw", lr=lr, scale_lr=False, betas=(0.9, 0.95), weight_decay=0.05),
        schedule=Cosine(warmup_epochs=epochs / 10),
        precision="32",
    )


MANY, MANY_SLOW = training(25, 16, 0.001), training(25, 16, 0.0005)
FEW, FEW_SLOW = training(30, 64, 0.002), training(30, 64, 0.0005)
"""A thousand steps of 16 chips, three hundred of 64; what loses directions has a lower rate."""


@dataclass(frozen=True)
class Setting:
    """How a method is trained."""

    encoder: EncoderSettings
    method: Mapping[str, object]
    views: PluginSettings
    train: TrainConfig


SETTINGS = {
    "mae": Setting(TOKENS, NARROW, WHOLE, MANY),
    "sat-mae": Setting(TOKENS.model_copy(update={"groups": (KEYS[:3], KEYS[3:])}), NARROW, WHOLE, MANY),
    "i-jepa": Setting(TOKENS, {"predictor_width": 64, "predictor_depth": 2, **VARYING}, WHOLE, MANY_SLOW),
    "fcmae": Setting(CELLS, NARROW, WHOLE_PICTURE, FEW_SLOW),
    "mp-mae": Setting(CELLS, NARROW, CROPPED.model_copy(update={"known": ("month",)}), FEW),
}


def landscape(path: Path, **changes: object) -> Corpus:
    """640 locations of the synthetic landscape, two dates each."""
    said = {"locations": 640, "chip_px": 32, "crops": 4, "dates_optical": 2, "dates_radar": 0, "cloud_fraction": 0.02}
    synth.build(synth.Config.model_validate({"name": "synth", **said, **changes}), path)
    return Corpus.open(path)


def contract_of(corpus: Corpus) -> InputContract:
    """The six bands with the corpus's statistics."""
    known = [corpus.statistics[SENSOR][band] for band in BANDS]
    mean, std = (tuple(getattr(one, name) for one in known) for name in ("mean", "std"))
    return InputContract(len(KEYS), KEYS, True, ("reflectance",) * len(KEYS), mean, std)


def learnt(name: str, corpus: Corpus, seed: int, out: Path) -> Encoder:
    """The encoder that a method leaves after its training on all locations, in a new folder."""
    setting = SETTINGS[name]
    done = pretrain(
        encoder_config=setting.encoder,
        method_config=plugins.find("swath.methods", name).Config(**setting.method),
        views_config=setting.views,
        train=setting.train,
        contract=contract_of(corpus),
        corpus=corpus,
        locations=np.arange(len(corpus)),
        seed=seed,
        out=out,
        devices=1,
    )
    return encoders.load(done.path)


def random_twin(name: str, corpus: Corpus, seed: int) -> Encoder:
    """The network as that training began with it."""
    with seeded(seed):
        return encoders.build(SETTINGS[name].encoder, contract_of(corpus))


class Positions:
    """Single positions of the last map, and which class covers most of each."""

    def __init__(self, corpus: Corpus, number: int = 5000):
        rows = np.arange(len(corpus))
        batch = Reader(corpus, {SENSOR: BANDS}).batch(rows, Selection(dates=1), labels=("landcover",))
        self.image, self.codes, self.number = batch.images[SENSOR], batch.targets["landcover"], number
        self.groups = groups_of(corpus, rows)

    def accuracies(self, encoder: Encoder) -> tuple[float, float]:
        """k-NN and a linear probe among positions of other groups, each number over its deviation."""
        assert isinstance(encoder, MapEncoder)
        with torch.no_grad():
            standard = encoder.standardize(self.image.pixels, self.image.valid, self.image.band_ids)[:, 0]
            maps = torch.cat([encoder.eval().maps(part)[-1] for part in standard.split(64)])
        side = standard.shape[3] // maps.shape[3]
        codes = self.codes.unflatten(2, (-1, side)).unflatten(1, (-1, side))
        classes = codes.transpose(2, 3).flatten(3).mode(dim=3).values.flatten()
        drawn = torch.from_numpy(np.random.default_rng(0).choice(len(classes), self.number, replace=False))
        features = scaled(maps.permute(0, 2, 3, 1).flatten(0, 2)[drawn])
        groups = self.groups[drawn // maps[0, 0].numel()]
        return vote(features, classes[drawn], groups), linear(features, classes[drawn], groups)


def linear(features: Tensor, classes: Tensor, groups: Tensor) -> float:
    """The accuracy of a logistic regression: of each third of the groups, one that learnt from the others."""
    x, y = features.numpy(), classes.numpy()
    right = 0
    for learnt_from, asked in GroupKFold(3).split(x, y, groups.numpy()):
        probe = LogisticRegression(C=0.1, max_iter=300, tol=1e-3).fit(x[learnt_from], y[learnt_from])
        right += int((probe.predict(x[asked]) == y[asked]).sum())
    return right / len(y)


def groups_of(corpus: Corpus, rows: np.ndarray) -> Tensor:
    """The spatial block of locations, as a number: neighbours of the same one do not vote."""
    return torch.from_numpy(np.unique(corpus.locations["group"].to_numpy()[rows], return_inverse=True)[1])


def scaled(features: Tensor) -> Tensor:
    """Each number less its mean, over its deviation."""
    return (features - features.mean(dim=0)) / (features.std(dim=0) + 1e-6)


class Chips:
    """Chips of which a class covers at least half, for nearest neighbours of whole embeddings."""

    def __init__(self, corpus: Corpus):
        found = targets(corpus, Dominant(layer="landcover", min_share=0.5))
        batch = Reader(corpus, {SENSOR: BANDS}).batch(found.locations, Selection(dates=1))
        self.image: Image = batch.images[SENSOR]
        self.classes, self.groups = torch.from_numpy(found.y), groups_of(corpus, found.locations)

    def accuracies(self, encoder: Encoder) -> tuple[float, float]:
        """k-NN of the embeddings as they are, and scaled."""
        rows = torch.arange(len(self.classes)).split(64)
        features = torch.cat([encoder.embed(self.image.take(part), trusted=True) for part in rows])
        return vote(features, self.classes, self.groups), vote(scaled(features), self.classes, self.groups)

    def of_medians(self) -> float:
        """k-NN of the bands' medians: what colour alone tells."""
        medians = self.image.pixels[:, 0].flatten(2).median(dim=2).values
        return vote(scaled(medians), self.classes, self.groups)


def measured(corpus: Corpus, chips: Chips, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each method's accuracies: trainings x (learnt, twin) x (as they are, scaled, positions, these linearly)."""
    positions = Positions(corpus)
    for name in SETTINGS:
        found = []
        for seed in SEEDS:
            pair = learnt(name, corpus, seed, folder / f"{name}-{seed}"), random_twin(name, corpus, seed)
            found.append([[*chips.accuracies(one), *positions.accuracies(one)] for one in pair])
        print(name, found, flush=True)
        yield name, np.array(found)


def lines(results: dict[str, np.ndarray], medians: float) -> list[str]:
    """The block: a row a method, and what it was measured with."""
    kinds = (
        "embeddings as they are",
        "each number over its deviation",
        "positions of the last map",
        "these, by a linear probe",
    )
    rows = [f"| `{name}` | " + " | ".join(_cells(found)) + " |" for name, found in results.items()]
    return [
        "| method | " + " | ".join(f"{kind}: twin, learnt, gain" for kind in kinds) + " |",
        f"|---|{'---:|' * len(kinds)}",
        *rows,
        "",
        f"Accuracy in per cent, by k-NN but for the last column, means over {len(SEEDS)} trainings and the range of "
        f"their gains; medians of the bands have {100 * medians:.1f}. {_page.today_and_machine()}; torch "
        f"{torch.__version__}.",
    ]


def _cells(found: np.ndarray) -> Iterator[str]:
    for kind in range(found.shape[2]):
        after, before = 100 * found[:, 0, kind], 100 * found[:, 1, kind]
        gains = after - before
        yield f"{before.mean():.1f}, {after.mean():.1f}, {gains.mean():+.1f} ({gains.min():+.1f} to {gains.max():+.1f})"


def main(page: Path) -> None:
    """Measure, and write the page's block."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        corpus = landscape(Path(folder) / "corpus", structures=True)
        chips = Chips(corpus)
        results = dict(measured(corpus, chips, Path(folder)))
        _page.write_block(page, BLOCK, lines(results, chips.of_medians()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
