"""How cloudy the chips are."""

import numpy as np

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Histogram, Section

STAGE = 0
OVERCAST = 0.5
"""Median cloud share from which on it is reported."""


def inspect(sample: Sample) -> Section:
    """Measure how cloudy each sensor's chips are, where their share of cloud is known."""
    findings, table, shares = [], [], {}
    for sensor in sample.corpus.info.sensors:
        cloud = sample.corpus.chips_of(sensor)["cloud"].to_numpy(np.float64)
        known = cloud[np.isfinite(cloud)]
        if not len(known):
            continue
        shares[sensor] = known
        clear, half = (known <= 0.05).mean(), (known > OVERCAST).mean()
        row = {"sensor": sensor, "chips": len(cloud), "known": len(known), "mean": f"{known.mean():.1%}"}
        table.append(row | {"at most 5 %": f"{clear:.0%}", f"more than {OVERCAST:.0%}": f"{half:.0%}"})
        if np.median(known) > OVERCAST:
            what = f"half of the chips are cloudier than {np.median(known):.0%}"
            remedy = "search other months, or give a smaller cloud limit to the source"
            findings.append(Finding("warning", what, sensor, remedy))
    charts = [Histogram("Cloud", "share of the chip", shares)] if shares else []
    idle = "" if table else "The source told the cloud of no chip: cloudy ones may be among them."
    return Section("Clouds", "Share of each chip under cloud, where the source told.", findings, table, charts, idle)
