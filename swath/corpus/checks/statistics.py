"""The stored statistics are those of the pixels; looked at only where the whole corpus is read."""

import numpy as np

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.statistics import band_statistics

STAGE = 2


def look(sample: Sample) -> Section:
    """Mean and standard deviation of every band, computed anew."""
    corpus, findings = sample.corpus, []
    title, meaning = "Statistics", "The stored mean and standard deviation of every band are those of the pixels."
    if not corpus.info.complete or not sample.whole:
        why = "the corpus is not finished" if not corpus.info.complete else "only some locations were read"
        return Section(title, f"{meaning} Not compared here: {why}.")
    for sensor, bands in band_statistics(corpus).items():
        for band, now in bands.items():
            stored = corpus.statistics.get(sensor, {}).get(band)
            if stored is None or not np.allclose([stored.mean, stored.std], [now.mean, now.std], rtol=1e-6, atol=1e-9):
                what = "the stored statistics are not those of the pixels"
                remedy = "build the corpus again: pixels were changed afterwards"
                findings.append(Finding("error", what, f"{sensor}/{band}", remedy))
    return Section(title, meaning, findings)
