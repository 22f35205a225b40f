"""A step of MAE whose patches are embedded by generated weights, over one with a fixed patch embedding.

The same transformer, decoder, views and bands; what differs is that the weights from pixels to tokens, and those from
the decoder's tokens to pixels, are made in each step from what the bands are (DOFA). Nothing is optimised.
"""

import torch
from torch import nn

from benchmarks import Result, on_one_core, race, versions
from benchmarks._training import BANDS
from benchmarks.mae import no_views, noise, step
from swath import encoders, methods
from swath.encoders import InputContract, any_sensor, vit
from swath.methods.mae import Config as Mae
from swath.methods.mae import Method


def run(quick: bool = False) -> Result:
    """ViT-B of seven bands and the published decoder."""
    on_one_core()
    batch, seconds = (2, 0.0) if quick else (8, 60.0)
    size = {"width": 96, "depth": 2, "heads": 3} if quick else {"width": 768, "depth": 12, "heads": 12}
    px, patch = 32 if quick else 80, 8
    view = noise(batch, px)
    generated, fixed = (
        _method(kind(patch=patch, width=size["width"], depth=size["depth"], heads=size["heads"]))
        for kind in (any_sensor.Config, vit.Config)
    )
    ours, peer = race(lambda: step(generated, view), lambda: step(fixed, view), seconds)
    return Result(
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="images/s of one core",
        setting={
            "model": f"ViT, width {size['width']}, depth {size['depth']}, decoder {fixed.decoder.width} x 8, float32",
            "batch": f"{batch} of 7x{px}x{px}, patches of {patch}, 75 % hidden",
            "ours and peer": "a step of MAE with generated weights, and with fixed ones",
            "better": "ratio lower",
            "weights": {"generated": _millions(generated), "fixed": _millions(fixed)},
        },
        versions=versions("torch", "timm"),
    )


def _method(config: vit.TransformerSettings) -> Method:
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.0,) * 7, (1.0,) * 7)
    torch.manual_seed(0)
    method = methods.build(Mae(), encoders.build(config, contract), no_views)
    assert isinstance(method, Method)
    return method


def _millions(module: nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)
