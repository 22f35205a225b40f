"""How many days lie between two sensors' chips of one location."""

from itertools import combinations

import numpy as np

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Histogram, Section
from swath.corpus.reading import gaps

STAGE = 0
FAR = 30
"""Median number of days between paired chips from which it is reported: fields are ploughed and cut within a month."""


def inspect(sample: Sample) -> Section:
    """Pair the sample's series of every two sensors as training does, and measure the days between the pairs."""
    corpus = sample.corpus
    findings, table, charts = [], [], []
    for first, second in combinations(corpus.info.sensors, 2):
        pairs = gaps(corpus, first, second, sample.locations)
        if not len(pairs):
            continue
        apart = pairs["days"].abs().to_numpy(np.float64)
        again = 1 - min(pairs["first"].nunique(), pairs["second"].nunique()) / len(pairs)
        table.append(
            {
                "sensors": f"{first}, {second}",
                "pairs": len(pairs),
                "median": f"{np.median(apart):.1f} d",
                "90 %": f"{np.percentile(apart, 90):.1f} d",
                "largest": f"{apart.max():.1f} d",
                "chip serves again": f"{again:.0%}",
            }
        )
        charts.append(
            Histogram(f"{second} after {first}", "days", {"pairs": pairs["days"].to_numpy(np.float64)}),
        )
        if np.median(apart) > FAR:
            what = f"half of the pairs are more than {np.median(apart):.0f} days apart"
            remedy = "build the corpus with dates nearer to each other, or expect the ground to have changed between"
            findings.append(Finding("warning", what, f"{first}, {second}", remedy))
    meaning = (
        "Each date of the shorter series and the nearest one of the other sensor. Where a chip serves again, one date "
        "is the nearest to several."
    )
    idle = "" if table else "No location has dated chips of two sensors, so there is nothing to compare."
    return Section("Time between sensors", meaning, findings, table, charts, idle)
