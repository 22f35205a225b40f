"""S4's contrastive loss at 122,880 positions (61 dates at half resolution): against quadratic growth, and its memory.

`peer` is what the time at 16,384 positions extrapolates to.
"""

from benchmarks import Result, versions
from benchmarks._positions import DIM, TEMPERATURE, THREADS, blocked, measure

SMALL, LARGE = 16_384, 122_880


def run(quick: bool = False) -> Result:
    """Both sizes in a process of their own, one after the other."""
    small, large = (SMALL // 8, LARGE // 8) if quick else (SMALL, LARGE)
    (base, _), (ours, memory) = measure(blocked, small), measure(blocked, large)
    expected = base * (large / small) ** 2
    return Result(
        ours=ours,
        peer=expected,
        ratio=ours / expected,
        unit="s",
        setting={
            "positions": [small, large],
            "length of a projection": DIM,
            "temperature": TEMPERATURE,
            "precision": "float32",
            "threads": THREADS,
            "clock": "wall",
            "extra memory, MiB": round(memory),
            "one matrix of similarities, MiB": round(large**2 * 4 / 2**20),
            "wanted": "ratio below 1.3, extra memory below 2048 MiB",
        },
        versions=versions("torch"),
    )
