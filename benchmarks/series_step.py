"""A training step of S4 over the sum of its convolutions alone, each forward and backward at its own size."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import Result, on_one_core, versions
from swath import encoders, methods, views
from swath.batch import Batch, Image
from swath.encoders import InputContract, unet_3d
from swath.encoders.cross_modal_unet_3d import Config as Network
from swath.methods.s4 import Config as Method
from swath.sensors import band_id
from swath.training._memory import kept_memory
from swath.views.policies.paired_series import Config as Paired

OPTICAL = tuple(f"sentinel-2-l2a/{name}" for name in ("B04", "B03", "B02"))
RADAR = ("sentinel-1-grd/VV", "sentinel-1-grd/VH")
BATCH, DATES, SIDE = 4, 16, 64


def run(quick: bool = False) -> Result:
    """Views, both branches, projection, both losses, backward and Adam; against its convolutions alone."""
    on_one_core()
    side, rounds = (16, 1) if quick else (SIDE, 4)
    batch = _batch(side)
    method = _method()
    step = _step(method, batch)
    ours, bare = [], []
    with kept_memory():  # as in training
        step()
        floor = [_alone(*call) for call in _calls(method, batch)]
        for _ in range(rounds):
            ours.append(_seconds(step))
            bare.append(sum(_seconds(work) for work in floor))
    seconds, least = statistics.median(ours), statistics.median(bare)
    return Result(
        ours=seconds,
        peer=least,
        ratio=seconds / least,
        unit="s/step of one core",
        setting={
            "model": "S4: 3-D U-Net of PASTIS' size, two branches, contrastive loss and reconstruction of radar",
            "batch": f"{BATCH} of {DATES} dates, {side}x{side}, 3 and 2 bands",
            "convolutions": len(floor),
            "both": "float32, freed memory kept",
            "clock": "processor time of one core",
            "better": "lower ratio, at most 1.3",
        },
        versions=versions("torch"),
    )


def _method() -> methods.Method:
    bands = (*OPTICAL, *RADAR)
    units = ("reflectance",) * len(OPTICAL) + ("dB",) * len(RADAR)
    contract = InputContract(
        len(OPTICAL), bands, True, units, (0.0,) * len(bands), (1.0,) * len(bands), (len(OPTICAL), len(RADAR))
    )
    torch.manual_seed(0)
    policy = views.build(Paired(bands=OPTICAL, other=RADAR))
    return methods.build(Method(), encoders.build(Network(), contract), policy)


def _batch(side: int) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def image(keys: tuple[str, ...]) -> Image:
        return Image(
            pixels=torch.randn(BATCH, DATES, len(keys), side, side, generator=generator),
            valid=torch.ones(BATCH, DATES, side, side, dtype=torch.bool),
            days=(torch.arange(DATES, dtype=torch.int32) * 12 + 17_900).repeat(BATCH, 1),
            band_ids=torch.tensor([[band_id(key) for key in keys]] * BATCH, dtype=torch.int32),
            gsd_m=10.0,
        )

    images = {keys[0].partition("/")[0]: image(keys) for keys in (OPTICAL, RADAR)}
    return Batch(images, torch.zeros(BATCH, 2, dtype=torch.float64), [str(i) for i in range(BATCH)])


def _step(method: methods.Method, batch: Batch) -> Callable[[], None]:
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad])

    def step() -> None:
        loss = method.loss(method.views(batch, torch.Generator().manual_seed(0)))
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()

    return step


def _calls(method: methods.Method, batch: Batch) -> list[tuple[nn.Module, Tensor, tuple[int, ...] | None]]:
    """Every convolution of one step: the layer, an input of its shape, and the size of its output if transposed."""
    calls: list[tuple[nn.Module, Tensor, tuple[int, ...] | None]] = []
    convolve, pointwise = unet_3d.convolve, method.get_submodule("projection.convolutions")

    def noted(conv: nn.Module, x: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
        calls.append((conv, x.detach(), size))
        return convolve(conv, x, size)  # pyright: ignore

    hooks = [m.register_forward_hook(lambda m, x, _: calls.append((m, x[0].detach(), None))) for m in pointwise]  # pyright: ignore
    unet_3d.convolve = noted  # pyright: ignore
    try:
        method.loss(method.views(batch, torch.Generator().manual_seed(0)))
    finally:
        unet_3d.convolve = convolve
        for hook in hooks:
            hook.remove()
    return calls


def _alone(conv: nn.Module, x: Tensor, size: tuple[int, ...] | None) -> Callable[[], None]:
    """Forward and backward of one convolution; the first ones of a network need no gradient of their input."""
    is_first = x.shape[1] in (len(OPTICAL), len(RADAR))
    x = torch.randn_like(x).requires_grad_(not is_first)
    grad = None

    def work() -> None:
        nonlocal grad
        out = conv(x) if size is None else conv(x, output_size=size)
        grad = torch.ones_like(out) if grad is None else grad
        out.backward(grad)
        conv.zero_grad()
        x.grad = None

    work()
    return work


def _seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
