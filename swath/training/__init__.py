"""Training: from a method and a corpus to an encoder that can be trusted, or a reason why it cannot."""

from swath.training import distributed, folder
from swath.training.config import Collapse, TrainConfig
from swath.training.gauges import LabelledSet
from swath.training.manifest import Manifest, Stage
from swath.training.pretraining import Pretrained, check, learnt_from, pretrain, seeded, settings_of

__all__ = [
    "Collapse",
    "LabelledSet",
    "Manifest",
    "Pretrained",
    "Stage",
    "TrainConfig",
    "check",
    "distributed",
    "folder",
    "learnt_from",
    "pretrain",
    "seeded",
    "settings_of",
]
