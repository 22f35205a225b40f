"""Classes: what is learnt from a corpus's labels (`target`), and the colours that classes are shown in (`colours`)."""

from swath.corpus.labels.colours import class_colours
from swath.corpus.labels.target import (
    VOID,
    Dominant,
    LabelMaps,
    MultiLabel,
    Pixels,
    Scalar,
    TargetConfig,
    Targets,
    Value,
    rarest,
    targets,
)

__all__ = [
    "VOID",
    "Dominant",
    "LabelMaps",
    "MultiLabel",
    "Pixels",
    "Scalar",
    "TargetConfig",
    "Targets",
    "Value",
    "class_colours",
    "rarest",
    "targets",
]
