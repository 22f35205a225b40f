"""Batches of a corpus of bytes, on the GPU as float32, against copies of as many bytes from pinned memory."""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks import Result, versions
from benchmarks._gpu import BATCH, DEVICE, corpus, loader, wall_seconds
from benchmarks._training import CHIP

LOCATIONS = 2048
BYTES = 7 * CHIP * CHIP


def run(quick: bool = False) -> Result:
    """The loader alone: nothing trains beside it."""
    batches = 8 if quick else 60
    with tempfile.TemporaryDirectory() as folder:
        made = corpus(Path(folder) / "corpus", BATCH if quick else LOCATIONS)
        reads = loader(made, batches)
        _epoch(reads, 0)
        cpu, wall = time.process_time(), time.perf_counter()
        _epoch(reads, 1)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rate, peer = len(reads) * BATCH / wall, _copies()
    return Result(
        ours=rate,
        peer=peer,
        ratio=rate / peer,
        unit="chips/s to the device",
        setting={
            "gpu": torch.cuda.get_device_name(),
            "chip": f"7x{CHIP}x{CHIP} uint8, float32 on the device",
            "bytes that cross, per chip": BYTES,
            "batch": BATCH,
            "locations": LOCATIONS,
            "threads": torch.get_num_threads(),
            "processor time per chip, us": round(1e6 * cpu / (len(reads) * BATCH), 1),
            "better": "ours above 8000",
        },
        versions=versions("torch", "tensorstore"),
    )


def _epoch(reads, epoch: int) -> None:
    for _ in reads.epoch(epoch):
        pass
    torch.cuda.synchronize()


def _copies() -> float:
    """Chips a second of copies alone."""
    here = torch.empty(BATCH * BYTES, dtype=torch.uint8, pin_memory=True)
    there = torch.empty_like(here, device=DEVICE)
    return BATCH / wall_seconds(lambda: there.copy_(here, non_blocking=True))
