"""Seconds of 10,000 resamples of the confusion matrices of 5,000 units with 20 classes, against one at a time."""

import time

import numpy as np

from benchmarks import Result, versions
from swath.tasks import metrics
from swath.tasks.statistics.resample import flips, paired_flips

UNITS, CLASSES, RESAMPLES = 5_000, 20, 10_000
LIMIT_SECONDS = 2.0
LOOKED_AT = 100
"""Resamples that the peer is timed on; the rest take as long."""


def run(quick: bool = False) -> Result:
    units, resamples = (50, 200) if quick else (UNITS, RESAMPLES)
    rng = np.random.default_rng(0)
    a, b = (rng.multinomial(64, np.full(CLASSES**2, CLASSES**-2), units).astype(float) for _ in range(2))
    a, b = (matrices.reshape(units, 1, CLASSES, CLASSES) for matrices in (a, b))
    measure = metrics.find("macro_f1").of_matrices(multi_label=False)
    signs = flips(units, resamples, 0)
    start = time.perf_counter()
    ours = paired_flips(a, b, signs, lambda matrices: measure(matrices).mean(-1))
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    some = [_one(a, b, sign, measure) for sign in signs[:LOOKED_AT]]
    peer = (time.perf_counter() - start) / LOOKED_AT * (resamples + 1)
    return Result(
        ours=seconds,
        peer=peer,
        ratio=peer / seconds,
        unit="s",
        setting={
            "units": units,
            "classes": CLASSES,
            "resamples": resamples,
            "statistic": "difference of macro F1 of two rows, swapped at random in each unit",
            "largest difference from the peer": float(np.abs(ours[:LOOKED_AT] - some).max()),
            "peer": f"NumPy, a resample at a time, extrapolated from {LOOKED_AT}",
            "seconds at most": LIMIT_SECONDS,
            "clock": "wall",
        },
        versions=versions("numpy"),
    )


def _one(a: np.ndarray, b: np.ndarray, sign: np.ndarray, measure) -> float:
    swapped = sign < 0
    ours, theirs = (np.where(swapped[:, None, None, None], *pair).sum(axis=0) for pair in ((b, a), (a, b)))
    return float(measure(ours).mean() - measure(theirs).mean())
