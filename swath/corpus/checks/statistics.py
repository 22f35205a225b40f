"""Whether a band is constant, and whether the stored statistics are those of the pixels where the whole corpus
is read.
"""

from collections.abc import Iterator

import numpy as np

from swath import sensors
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.store import Corpus, band_statistics

STAGE = 3


def inspect(sample: Sample) -> Section:
    """Report constant bands, and compare stored means and standard deviations with those computed anew."""
    corpus = sample.corpus
    findings = list(_constant(corpus))
    title, meaning = "Statistics", "The stored mean and standard deviation of every band are those of the pixels."
    if not corpus.info.complete or not sample.complete:
        why = "the corpus is not finished" if not corpus.info.complete else "only some locations were read"
        return Section(title, meaning, findings, idle=f"Not compared here: {why}.")
    for sensor, bands in band_statistics(corpus).items():
        for band, now in bands.items():
            stored = corpus.statistics.get(sensor, {}).get(band)
            if stored is None or not np.allclose([stored.mean, stored.std], [now.mean, now.std], rtol=1e-6, atol=1e-9):
                what = "the stored statistics are not those of the pixels"
                remedy = "build the corpus again: pixels were changed afterwards"
                findings.append(Finding("error", what, f"{sensor}/{band}", remedy))
    return Section(title, meaning, findings)


def _constant(corpus: Corpus) -> Iterator[Finding]:
    """Findings on constant bands: perhaps filled for want of real data, with a nodata value that is not declared."""
    for sensor, bands in corpus.statistics.items():
        for band, moments in bands.items():
            if sensors.is_constant(f"{sensor}/{band}", moments.std):
                what = f"the band is {moments.mean:.6g} everywhere: encoders will take no notice of it"
                remedy = "leave it out, or find out why the source holds no other value"
                yield Finding("warning", what, f"{sensor}/{band}", remedy)
