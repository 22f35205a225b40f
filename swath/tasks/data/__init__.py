"""What a task reads: labelled locations, their pixels, how encoders are fed these, and the features that come out."""

from swath.tasks.data.conditions import Condition
from swath.tasks.data.features import FeatureMemory, Request, extract, extract_all
from swath.tasks.data.inputs import (
    BandMatch,
    bands_by_sensor,
    contract_of,
    device_of,
    match_bands,
    narrowed,
    unseen,
    with_corpus_statistics,
)
from swath.tasks.data.labels import Centred, Labelled, are_numbers, both, learnable, packed, subset, unpacked
from swath.tasks.data.reading import Alter, BandReader, Bands, Composer

__all__ = [
    "Alter",
    "BandMatch",
    "BandReader",
    "Bands",
    "Centred",
    "Composer",
    "Condition",
    "FeatureMemory",
    "Labelled",
    "Request",
    "are_numbers",
    "bands_by_sensor",
    "both",
    "contract_of",
    "device_of",
    "extract",
    "extract_all",
    "learnable",
    "match_bands",
    "narrowed",
    "packed",
    "subset",
    "unpacked",
    "unseen",
    "with_corpus_statistics",
]
