"""Train one method with Lightning: exactly resumable, quiet, and stopped when it is not worth going on."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from swath._signals import Stopped, left_to_others
from swath.encoders import SeriesEncoder
from swath.errors import RecipeError, TrainingError
from swath.methods import Method
from swath.training import checkpoint, distributed
from swath.training._log import Log
from swath.training._memory import kept_memory
from swath.training.callbacks import Bar, Checkpoint
from swath.training.config import TrainConfig
from swath.training.gauges import LabelledSet
from swath.training.module import SelfSupervised
from swath.training.plan import MakeLoader, Plan, Stream, per_process
from swath.training.recorder import Recorder


def fit(
    method: Method,
    train: TrainConfig,
    loader: MakeLoader,
    out: Path,
    *,
    seed: int = 0,
    knn: LabelledSet | None = None,
    devices: int | str = "auto",
    label: str = "pre-training",
) -> None:
    """Train a method, from `out/last.ckpt` if there is one; leaves log.csv and, at the end, the last checkpoint.

    Raises:
        Stopped: SIGTERM came; the last step's checkpoint is written.
        TrainingError: the run collapsed, its loss is not finite, or the GPU failed or is too small.
        RecipeError: bfloat16 for series on a CPU.
    """
    out.mkdir(parents=True, exist_ok=True)
    accelerator, count = _devices(devices)
    _check_precision(method, train, accelerator)
    plan = Plan.of(train, len(loader(per_process(train, count), 0, count)))
    last = out / "last.ckpt"
    begun = checkpoint.read(last)
    done = begun["global_step"] if begun else 0
    Log(out / "log.csv").truncate(done)
    if done >= plan.total:
        return
    if count > 1:
        distributed.synchronise_batch_norm(method, accelerator)
    recorder = Recorder(out, train, plan.total, knn)
    saver = Checkpoint(last, train.checkpoint_every, plan.total, recorder)
    with _quiet_lightning(), kept_memory():
        trainer = Trainer(
            accelerator=accelerator,
            devices=count,
            strategy=_strategy(count),
            precision="bf16-mixed" if train.precision == "bf16" else "32-true",
            max_epochs=1,
            max_steps=plan.total,
            accumulate_grad_batches=train.accumulate,
            gradient_clip_val=train.gradient_clip,
            callbacks=[recorder, saver, Bar(plan.total, label)],
            default_root_dir=out,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            # the fastest convolutions are looked for once for each size: worth it where there is one
            benchmark=accelerator == "cuda" and not isinstance(method.encoder, SeriesEncoder),
        )
        module = SelfSupervised(method, train, plan, seed)
        stream = Stream(loader, train, plan, done)
        with _stoppable(), _device_errors(last, train):
            trainer.fit(module.train(), stream, ckpt_path=last if begun else None, weights_only=True)


def _check_precision(method: Method, train: TrainConfig, accelerator: str) -> None:
    """torch 2.15 leaves some weight gradients uninitialised on a CPU, and a 3-D U-Net comes to all of them."""
    if accelerator == "cpu" and train.precision == "bf16" and isinstance(method.encoder, SeriesEncoder):
        raise RecipeError(
            "on a CPU, torch's bfloat16 gradients of strided convolutions over short axes are wrong, and this encoder "
            "halves its series until they are short",
            remedy="set training.precision='32', or train on a GPU",
        )


def _devices(devices: int | str) -> tuple[str, int]:
    """Accelerator and number of devices."""
    gpus = torch.cuda.device_count()
    if devices == "auto":
        return ("cuda", gpus) if gpus else ("cpu", 1)
    count = int(devices)
    return ("cuda", count) if gpus else ("cpu", count)


def _strategy(count: int) -> Strategy | str:
    """One process is plain. Several are started here, unless a launcher (torchrun, Slurm) has started them already."""
    if count == 1 and not distributed.launched():
        return "auto"
    # buffers stay each process's own: batch statistics are synchronised, and MoCo's queue (33 MB) is equal everywhere
    return DDPStrategy(broadcast_buffers=False, start_method="popen" if distributed.launched() else "spawn")


@contextmanager
def _device_errors(last: Path, train: TrainConfig) -> Iterator[None]:
    """What a GPU's failures mean for the run: they come as errors of whatever was computed just then."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU has too little memory for a step of {train.batch_size} locations, or another program uses it: "
            f"{str(error).partition('. ')[0]}",
            where=str(last.parent),
            remedy=f"set training.batch_size={max(2, train.batch_size // 2)} or less, with training.accumulate for "
            "steps as large as before; `nvidia-smi` lists the programs that use the GPU",
        ) from error
    except RuntimeError as error:
        if "CUDA error" not in str(error):
            raise
        stands = "the last checkpoint stands" if last.exists() else "there is no checkpoint yet"
        raise TrainingError(
            f"the GPU failed or disappeared, and {stands}: {str(error).splitlines()[0]}",
            where=str(last.parent),
            remedy="run the same again once the GPU is back; it continues from there",
        ) from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the training after the step under way, once its checkpoint is written (see `Checkpoint`).

    Lightning notes the signal and leaves by a SystemExit that means success, and Ctrl-C by one that means 1.
    """
    try:
        with left_to_others(signal.SIGTERM):
            yield
    except SIGTERMException:
        raise Stopped(signal.SIGTERM) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning announces devices and tips on standard error; a run says what matters itself."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("lightning")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 asks torch 2.15 for a name that will go; its users can do nothing about it
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
