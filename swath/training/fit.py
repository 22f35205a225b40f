"""Train one method with Lightning: exactly resumable, quiet, and stopped when it is not worth going on."""

import copy
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from swath._device import has_bfloat16
from swath._endings import is_of_gpu
from swath._processes import together
from swath._progress import console
from swath._signals import Stopped, left_to_others
from swath.encoders import Encoder, SeriesEncoder
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

    On several devices without a launcher, each is given a process of its own here, and `method` stays as it was: what
    is learnt is in the checkpoint.

    Raises:
        Stopped: SIGTERM came; the last step's checkpoint is written (of several processes, the last one due stands).
        TrainingError: the run collapsed, its loss is not finite, or the GPU failed or is too small.
        RecipeError: series in bfloat16 on a CPU or compiled, or devices that are not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    launch = distributed.launch()
    accelerator, count = _devices(devices, launch)
    _check_precision(method, train, accelerator)
    if accelerator == "cuda":
        torch.cuda.set_device(launch.local_rank)
    world = max(launch.world, count)
    plan = Plan.of(train, len(loader(per_process(train, world), 0, world)))
    last = out / "last.ckpt"
    begun = checkpoint.read(last)
    done = begun["global_step"] if begun else 0
    if launch.rank == 0:
        Log(out / "log.csv").truncate(done)
    if done >= plan.total:
        return
    if world > launch.world:
        port = distributed.free_port()
        shared = (method, train, loader, out, seed, knn, label)
        with _device_errors(last, train):
            together(_fit_apart, [(rank, world, port, *shared) for rank in range(world)])
        return
    module = _module(method, train, plan, accelerator, world, seed)
    recorder = Recorder(out, train, plan.total, knn)
    callbacks = [recorder, Checkpoint(last, train.checkpoint_every, plan.total, recorder), Bar(plan.total, label)]
    with _quiet_lightning(), kept_memory():
        trainer = Trainer(
            accelerator=accelerator,
            devices=count,
            num_nodes=world // count,
            strategy=_strategy(world),
            plugins=_environment(launch),
            precision=_precision(train, accelerator),
            max_epochs=1,
            max_steps=plan.total,
            accumulate_grad_batches=train.accumulate,
            gradient_clip_val=train.gradient_clip,
            callbacks=callbacks,
            default_root_dir=out,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            # the fastest convolutions are looked for once for each size: worth it where there is one
            benchmark=accelerator == "cuda" and not isinstance(method.encoder, SeriesEncoder),
        )
        stream = Stream(loader, train, plan, done)
        with _stoppable(), _device_errors(last, train):
            trainer.fit(module, stream, ckpt_path=last if begun else None, weights_only=True)


def _module(method: Method, train: TrainConfig, plan: Plan, accelerator: str, world: int, seed: int) -> SelfSupervised:
    """The method as Lightning trains it, its parts made for several processes and compiled where that is asked for."""
    if world > 1:
        distributed.synchronise_batch_norm(method, accelerator)
    if train.compile:
        compile_encoders(method)
    module = SelfSupervised(method, train, plan, seed)
    module.train()
    return module


def _fit_apart(
    rank: int,
    world: int,
    port: int,
    method: Method,
    train: TrainConfig,
    loader: MakeLoader,
    out: Path,
    seed: int,
    knn: LabelledSet | None,
    label: str,
) -> None:
    """Run one process of a training on this machine; the first one shows the bar."""
    distributed.joined(rank, world, port)
    # what arrives lies in memory that all processes share
    fit(copy.deepcopy(method), train, loader, out, seed=seed, knn=knn, label=label)
    distributed.leave()


def compile_encoders(method: Method, backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile the networks of the encoder and of its teacher, in place; state dictionaries stay the same.

    Raises:
        RecipeError: the encoder is one of series, whose parts are called by themselves.
    """
    if isinstance(method.encoder, SeriesEncoder):
        raise RecipeError(
            "an encoder of series cannot be compiled", where="training.compile", remedy="set training.compile: false"
        )
    for part in method.modules():
        if isinstance(part, Encoder):
            part.network.compile(backend=backend)


def _check_precision(method: Method, train: TrainConfig, accelerator: str) -> None:
    """torch 2.15 leaves some weight gradients uninitialised on a CPU, and a 3-D U-Net comes to all of them."""
    halves = isinstance(method.encoder, SeriesEncoder) and method.encoder.halves
    if accelerator == "cpu" and train.precision == "bf16" and halves:
        raise RecipeError(
            "on a CPU, torch's bfloat16 gradients of strided convolutions over short axes are wrong, and this encoder "
            "halves its series until they are short",
            remedy="set training.precision='32', or train on a GPU",
        )


def _precision(train: TrainConfig, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """The precision in Lightning's words; float32 where bfloat16 would only be imitated."""
    if train.precision == "bf16" and not has_bfloat16(accelerator):
        console().print("this processor has no bfloat16, which would be several times slower: training in float32")
        return "32-true"
    return "bf16-mixed" if train.precision == "bf16" else "32-true"


def _devices(devices: int | str, launch: distributed.Launch) -> tuple[str, int]:
    """Accelerator, and number of devices on this machine.

    Raises:
        RecipeError: more than there are, or other than the launcher started processes for.
    """
    gpus = torch.cuda.device_count()
    accelerator = "cuda" if gpus else "cpu"
    if launch.by and devices not in ("auto", launch.local):
        raise RecipeError(
            f"{launch.by} started {launch.local} processes on this machine, and {devices} devices are asked for",
            remedy="leave --devices out: one device goes to each process",
        )
    count = launch.local if launch.by else max(1, gpus) if devices == "auto" else int(devices)
    if gpus and count > gpus:
        raise RecipeError(
            f"{count} GPUs are asked for, and this process sees {gpus}",
            remedy=f"ask for {gpus}, and let each of a launcher's processes see all GPUs of its machine",
        )
    return accelerator, count


def _strategy(world: int) -> Strategy | str:
    if world == 1:
        return "auto"
    # buffers stay each process's own: batch statistics are synchronised, and MoCo's queue (33 MB) is equal everywhere
    return DDPStrategy(broadcast_buffers=False)


def _environment(launch: distributed.Launch) -> ClusterEnvironment:
    """Tell Lightning who started the processes: it would take any Slurm job for several."""
    if launch.by == "srun":
        return SLURMEnvironment(auto_requeue=False)
    return TorchElasticEnvironment() if launch.by else LightningEnvironment()


@contextmanager
def _device_errors(last: Path, train: TrainConfig) -> Iterator[None]:
    """Explain a GPU's failures: they are raised from whatever happens to be computed at that moment."""
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
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise TrainingError(
                f"the network cannot be compiled here: {str(error).splitlines()[0]}",
                remedy="set training.compile: false",
            ) from error
        stands = "the last checkpoint stands" if last.exists() else "there is no checkpoint yet"
        if distributed.is_loss_of_another(error):
            raise TrainingError(
                f"a process of the run ended without a word, and {stands}",
                where=str(last.parent),
                remedy="look for what ended it, such as too little memory, and run the same again; it continues",
            ) from error
        if not is_of_gpu(error):
            raise
        raise TrainingError(
            f"the GPU failed or disappeared, and {stands}: {str(error).splitlines()[0]}",
            where=str(last.parent),
            remedy="run the same again once the GPU is back; it continues from there",
        ) from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """Inside the block, SIGTERM ends the training after the current step, once its checkpoint is written (see
    `Checkpoint`).

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
    """Silence Lightning, which announces devices and tips on standard error; a run reports what matters itself."""
    names = ["lightning", *(name for name in logging.root.manager.loggerDict if name.startswith("lightning."))]
    # loggers without a level of their own follow those above them; each change empties the caches of all loggers
    levels = {name: level for name in names if (level := logging.getLogger(name).level) or name == "lightning"}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 asks torch 2.15 for a name that will go; its users can do nothing about it
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
