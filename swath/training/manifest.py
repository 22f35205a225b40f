"""manifest.json: what was run, on what, with which versions, and how each stage ended."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock

from swath._files import read_json, write_whole
from swath.errors import TrainingError

FORMAT = 1
PACKAGES = ("torch", "lightning", "timm", "numpy", "scipy", "scikit-learn", "rasterio", "tensorstore", "zarr")


@dataclass(slots=True)
class Stage:
    """One part of a run: a corpus, one pre-training, an evaluation or a report."""

    stage: Literal["corpus", "pretrain", "evaluate", "report"]
    arm: str | None = None
    seed: int | None = None
    seconds: float = 0.0
    """Wall time, summed over all attempts."""
    jobs: int = 1
    """Number of such stages that ran at a time: together they took the sum of `seconds / jobs`."""
    status: Literal["done", "failed"] = "failed"
    figures: dict[str, Any] = field(default_factory=dict)
    """Numbers that reports may quote."""

    @property
    def key(self) -> tuple[str, str | None, int | None]:
        """Key that identifies the stage within the run."""
        return self.stage, self.arm, self.seed


@dataclass(slots=True)
class Manifest:
    """The record of one run; every number in a report comes from here or from a table beside it."""

    name: str
    swath_version: str = ""
    created: str = ""
    """Time of creation, UTC, ISO 8601."""
    updated: str = ""
    """Time of the last change, UTC, ISO 8601."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """The resolved recipe."""
    recipe_hash: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    corpus: dict[str, Any] = field(default_factory=dict)
    """The corpus: path, content hash, numbers of locations and chips, sensors, licence."""
    stages: list[Stage] = field(default_factory=list)
    format: int = FORMAT

    @classmethod
    def open(cls, folder: Path) -> "Manifest":
        """The manifest of a run folder; a new one where there is none.

        Raises:
            TrainingError: it was written by a newer swath, or is damaged.
        """
        path = folder / "manifest.json"
        if not path.exists():
            return cls(name=folder.name, created=_now())
        try:
            content = read_json(path)
            if content["format"] > FORMAT:
                raise TrainingError(
                    f"the manifest has format {content['format']}, this swath reads up to {FORMAT}",
                    where=str(path),
                    remedy="update swath",
                )
            stages = [Stage(**stage) for stage in content.pop("stages")]
            return cls(**content, stages=stages)
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"the manifest cannot be read: {error}", where=str(path), remedy="remove it; it is written anew"
            ) from None

    def write(self, folder: Path) -> None:
        """Write `folder/manifest.json`, atomically, with this machine and these versions."""
        self.swath_version = _version("swath") or ""
        self.updated = _now()
        self.machine, self.packages = machine(), packages()
        folder.mkdir(parents=True, exist_ok=True)
        content = {f.name: getattr(self, f.name) for f in fields(self)} | {"stages": [asdict(s) for s in self.stages]}
        order = ["format", *(name for name in content if name != "format")]
        write_whole(folder / "manifest.json", json.dumps({k: content[k] for k in order}, indent=2) + "\n")

    def find(self, stage: str, arm: str | None = None, seed: int | None = None) -> Stage | None:
        """The record of a stage, or None if it never began.

        Args:
            stage: such as `pretrain`.
            arm: name of the arm, for stages that have one.
            seed: likewise.
        """
        return next((s for s in self.stages if s.key == (stage, arm, seed)), None)

    @classmethod
    @contextmanager
    def stage(cls, folder: Path, stage: Any, arm: str | None = None, seed: int | None = None) -> Iterator[Stage]:
        """Record a stage of a run: its wall time, its `figures`, and whether it ended well or by an exception.

        Time adds up over attempts; figures are those of the last.
        """
        before = cls.open(folder).find(stage, arm, seed)
        record = Stage(stage, arm, seed, seconds=before.seconds if before else 0.0)
        started = time.monotonic()
        try:
            yield record
            record.status = "done"
        except BaseException as error:
            record.figures = {**record.figures, "error": str(error) or type(error).__name__}
            raise
        finally:
            record.seconds = round(record.seconds + time.monotonic() - started, 3)
            with cls.changed(folder) as manifest:
                manifest.put(record)

    @classmethod
    @contextmanager
    def changed(cls, folder: Path) -> Iterator["Manifest"]:
        """Open the manifest for a change, written when the block ends; other processes of the run wait meanwhile."""
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".manifest.lock"):
            manifest = cls.open(folder)
            yield manifest
            manifest.write(folder)

    def put(self, record: Stage) -> None:
        """Keep the record of a stage, instead of an earlier one of the same stage."""
        keys = [s.key for s in self.stages]
        if record.key in keys:
            self.stages[keys.index(record.key)] = record
        else:
            self.stages.append(record)


def machine() -> dict[str, Any]:
    """Facts about the machine that the run runs on."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def packages() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    return {name: version for name in PACKAGES if (version := _version(name))}


@cache  # to look one up is to read and parse its description
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
