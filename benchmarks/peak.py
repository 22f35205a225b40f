"""Peak memory of `swath run`, from images to report, on a corpus 20 times larger than the smallest: flat.

`ours` is the larger run's peak, `peer` the smaller one's; both train for the same number of steps.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Result, versions

SMALL, TIMES, BATCH = 200, 20, 32
COMMON = [
    "seeds=[0]",
    "corpus.source.dates_optical=2",
    "pretrain.training.batch_size=32",
    "tasks.landcover.target.min_share=0.2",
    "tasks.landcover.floors=[majority, image-statistics, random-encoder]",
]


def run(quick: bool = False) -> Result:
    small = SMALL // 2 if quick else SMALL
    epochs = TIMES
    peaks = [_peak(small, epochs), _peak(small * TIMES, 1)]
    return Result(
        ours=peaks[1],
        peer=peaks[0],
        ratio=peaks[1] / peaks[0],
        unit="MiB",
        setting={
            "locations": [small, small * TIMES],
            "chip_px": 32,
            "batch": BATCH,
            "epochs": [epochs, 1],
            "at most": 1.2,
        },
        versions=versions("torch", "tensorstore"),
    )


def _peak(locations: int, epochs: int) -> float:
    """Peak resident memory of a whole run in a process of its own, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"corpus.source.locations={locations}", f"pretrain.training.epochs={epochs}"]
        command = [sys.executable, "-m", "swath", "quickstart", *COMMON, *settings, "--out", str(Path(folder) / "run")]
        watcher = [sys.executable, "-c", _WATCH, *command]
        return int(subprocess.run(watcher, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]) / 1024


# a process of its own, because the largest child of this one is what the system remembers
_WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
