"""Memory of mapping a scene against a smaller one; with LARGE=1 they have 20,000 and 5,000 pixels a side."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Result, versions

SIZES = (20_000, 5_000) if os.environ.get("LARGE") else (4_096, 2_048)
"""Sides of the scenes. The large one takes 20 GB of disk."""
QUICK = (640, 448)


def run(quick: bool = False) -> Result:
    large, small = (_peak_gib(size, quick) for size in (QUICK if quick else SIZES))
    return Result(
        ours=large,
        peer=small,
        ratio=large / small,
        unit="GiB at the peak",
        setting={
            "sizes": QUICK if quick else SIZES,
            "network": "ResNet-18 U-Net, 10 bands, 10 classes",
            "wanted": "1.2 or less",
            "better": "lower",
        },
        versions=versions("torch", "rasterio"),
    )


def _peak_gib(side: int, quick: bool) -> float:
    """Largest resident memory of a process of its own that maps a scene."""
    code = (
        "import resource, sys; from pathlib import Path; from benchmarks import map; "
        "from swath.products.scene_maps import How, map_scene; from swath.products.windows import Input; "
        "folder = Path(sys.argv[1]); how = How(int(sys.argv[2]), 64, device='cpu'); "
        "map_scene(map.predictor(map.build()), map.legend(), Input(folder / 'scene.tif'), folder / 'map.tif', "
        "about={}, how=how); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    from benchmarks.map import write_scene

    with tempfile.TemporaryDirectory() as folder:
        write_scene(Path(folder) / "scene.tif", side)
        window = "256" if quick else "1024"
        said = subprocess.run(
            [sys.executable, "-c", code, folder, window], check=True, capture_output=True, text=True
        ).stdout
    return float(said.split()[-1])
