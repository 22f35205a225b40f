"""A step of FCMAE with 60 % of the cells hidden, over the bare network on the whole picture.

Views are there already and nothing is optimised: what is timed is standardisation, networks, loss and gradient.
"""

from typing import Any

import torch
from torch import Tensor

from benchmarks import Result, on_one_core, race, versions
from benchmarks._training import BANDS
from swath import encoders, methods
from swath.batch import NO_DAY, Batch, Image, View
from swath.encoders import InputContract, convnext_v2
from swath.methods import fcmae
from swath.sensors import band_id


def run(quick: bool = False) -> Result:
    """ConvNeXt V2 atto with MMEarth's stem, seven bands, and the published decoder."""
    on_one_core()
    batch, px, seconds = (2, 32, 0.0) if quick else (8, 112, 30.0)
    config = convnext_v2.Config(cell=8 if quick else 16, stem="dense")
    method, view = _method(config, batch, px)
    pixels = method.encoder.standardize(view.image.pixels, view.image.valid, view.image.band_ids)[:, 0]
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    step, bare = race(lambda: _step(method, view), lambda: _bare(method, pixels), seconds)
    seen, whole = race(lambda: _seen(method, view), lambda: _bare(method, pixels), seconds / 2)
    return Result(
        ours=step,
        peer=bare,
        ratio=bare / step,
        unit="images/s of one core",
        setting={
            "model": f"ConvNeXt V2 {config.size}, cells of {config.cell}, decoder 512 x 1, float32",
            "batch": f"{batch} of 7x{px}x{px}, {view.kept.shape[1]} of {(px // config.cell) ** 2} cells seen",  # pyright: ignore
            "ours and peer": "a step of FCMAE, and timm's network on the whole picture, both with gradients",
            "better": "both ratios lower",
            "encoder alone on seen cells, over the whole picture": round(whole / seen, 2),
        },
        versions=versions("torch", "timm"),
    )


def _method(config: convnext_v2.Config, batch: int, px: int) -> tuple[fcmae.Method, View]:
    """FCMAE, and a view of noise with its mask."""
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.0,) * 7, (1.0,) * 7)
    torch.manual_seed(0)
    image = Image(
        pixels=torch.randn(batch, 1, 7, px, px),
        valid=torch.ones(batch, 1, px, px, dtype=torch.bool),
        days=torch.full((batch, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in BANDS]] * batch, dtype=torch.int32),
        gsd_m=30.0,
    )
    whole = View(image, "image", torch.eye(2, 3).expand(batch, 2, 3))
    method = methods.build(fcmae.Config(), encoders.build(config, contract), lambda *_: [whole])
    assert isinstance(method, fcmae.Method)
    given = Batch({}, torch.full((batch, 2), torch.nan, dtype=torch.float64), [str(i) for i in range(batch)])
    return method, method.views(given, torch.Generator().manual_seed(0))[0]


def _step(method: fcmae.Method, view: View) -> int:
    method.zero_grad()
    method.loss([view]).total.backward()
    return len(view.image)


def _seen(method: fcmae.Method, view: View) -> int:
    method.zero_grad()
    kept: Any = view.kept
    method.encoder.tokens(view.image, kept).sum().backward()
    return len(view.image)


def _bare(method: fcmae.Method, pixels: Tensor) -> int:
    method.zero_grad()
    network: Any = method.encoder.network
    network.forward_features(pixels).sum().backward()
    return len(pixels)
