"""S4's contrastive loss over all positions of a map, forward and backward: blocked against the naive formula."""

from benchmarks import Result, versions
from benchmarks._positions import DIM, TEMPERATURE, THREADS, blocked, measure, naive

POSITIONS = 16_384


def run(quick: bool = False) -> Result:
    """Each in a process of its own, one after the other."""
    positions = POSITIONS // 8 if quick else POSITIONS
    (ours, memory), (peer, peer_memory) = measure(blocked, positions), measure(naive, positions)
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s",
        setting={
            "positions": positions,
            "length of a projection": DIM,
            "temperature": TEMPERATURE,
            "precision": "float32",
            "threads": THREADS,
            "clock": "wall",
            "extra memory: ours, peer, MiB": [round(memory), round(peer_memory)],
            "extra memory, ours / peer": round(memory / peer_memory, 4),
            "better": "ratio of seconds above 4, of memory below 1/6",
        },
        versions=versions("torch"),
    )
