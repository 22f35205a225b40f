"""Running an encoder over the rows of an index, in parts on disk, so that what is done survives the process."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float32
from numpy import ndarray

from swath._files import replacing, write_whole
from swath._progress import track
from swath.corpus.reading import one_ahead
from swath.encoders import Encoder
from swath.errors import ContractError, SwathError
from swath.products.embeddings._plan import Plan
from swath.tasks.data import Bands, device_of, match_bands

ROWS = 4096
"""Rows of a part: what is computed again after the process was killed."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Vectors on disk, in files of `ROWS` rows each."""

    folder: Path
    rows: int

    def path(self, number: int) -> Path:
        """File of a part."""
        return self.folder / f"part-{number:06d}.npy"

    def __len__(self) -> int:
        return -(-self.rows // ROWS)

    def write(self, number: int, vectors: Float32[ndarray, "..."]) -> None:
        """Write a part, whole or not at all."""
        with replacing(self.path(number)) as temporary, temporary.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)

    def read(self, start: int, stop: int) -> Float32[ndarray, "n d"]:
        """Some consecutive rows."""
        first, last = start // ROWS, -(-stop // ROWS)
        pieces = [np.load(self.path(number), mmap_mode="r", allow_pickle=False) for number in range(first, last)]
        ends = [(max(start - i * ROWS, 0), min(stop - i * ROWS, ROWS)) for i in range(first, last)]
        return np.concatenate([piece[a:b] for piece, (a, b) in zip(pieces, ends, strict=True)])

    def blocks(self) -> Iterator[Float32[ndarray, "n d"]]:
        """All rows in order, a part at a time."""
        for number in range(len(self)):
            yield self.read(number * ROWS, min((number + 1) * ROWS, self.rows))


@contextmanager
def workplace(target: Path, job: dict[str, Any]) -> Iterator[Path]:
    """A hidden folder beside the target that holds the parts of a job until it is done; other processes are kept out.

    What another job left there is removed: a part is only ever used by the job that made it.

    Raises:
        SwathError: another process writes the same target.
    """
    folder = target.with_name(f".{target.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            said = json.dumps(job, sort_keys=True)
            note = folder / "job.json"
            if not note.exists() or note.read_text() != said:
                for part in folder.glob("part-*.npy"):
                    part.unlink()
                write_whole(note, said)
            yield folder
            shutil.rmtree(folder)
    except Timeout:
        raise SwathError(
            "another process is writing this file", where=str(target), remedy="wait for it, or give another --to"
        ) from None


def run(encoder: Encoder, bands: Bands, plan: Plan, folder: Path, batch_size: int, *, trusted: bool) -> Parts:
    """Embed the rows of a plan, but for those that are done; what is read next is read while the encoder computes.

    Args:
        encoder: on any device.
        bands: band keys of the input.
        plan: the rows.
        folder: where the parts are.
        batch_size: rows per call of the encoder.
        trusted: do not look at units and pixel size; else this is done in the first batch.

    Raises:
        ContractError: the encoder cannot take the images, or gives values that are not finite.
    """
    parts = Parts(folder, len(plan))
    open_ = [number for number in range(len(parts)) if not parts.path(number).exists()]
    device, passes = device_of(encoder), match_bands(encoder.contract, bands).passes
    starts = [
        slice(start, min(start + batch_size, (number + 1) * ROWS, len(plan)))
        for number in open_
        for start in range(number * ROWS, min((number + 1) * ROWS, len(plan)), batch_size)
    ]
    done: list[torch.Tensor] = []
    read = track(one_ahead(partial(plan.images, device=device), starts), len(starts), "embedding")
    for i, images in enumerate(read):  # a zip with what they are of would hold images beyond their turn
        part = starts[i]
        made = [encoder.embed(plan.reader.compose(images, own), trusted=trusted or i > 0) for own in passes]
        done.append(torch.cat(made, dim=1).cpu())
        if part.stop % ROWS == 0 or part.stop == len(plan):
            _keep(parts, (part.stop - 1) // ROWS, torch.cat(done).numpy(), plan)
            done = []
    return parts


def _keep(parts: Parts, number: int, vectors: Float32[ndarray, "n d"], plan: Plan) -> None:
    """Write a part, once its values are found to be finite."""
    if len(lost := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        first = plan.table["uid"].iloc[number * ROWS + int(lost[0])]
        raise ContractError(
            f"the encoder gives values that are not finite for {len(lost)} rows; the first is {first}",
            remedy="look at its pixels (swath corpus check), or take another encoder",
        )
    parts.write(number, vectors)
