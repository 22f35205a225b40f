"""A step of MAE with 75 % of the patches hidden, over one whose encoder sees all; and its encoder, over timm's blocks.

Views are there already and nothing is optimised: what is timed is standardisation, networks, loss and gradient.
"""

import torch
from torch import Tensor, nn

from benchmarks import Result, on_one_core, race, versions
from benchmarks._training import BANDS
from swath import encoders, methods
from swath.batch import NO_DAY, Batch, Image, View
from swath.encoders import InputContract, TokenEncoder, vit
from swath.methods import mae
from swath.methods.mae import Config as Mae
from swath.sensors import band_id
from swath.training._memory import kept_memory


def run(quick: bool = False) -> Result:
    """ViT-B of seven bands and the published decoder."""
    on_one_core()
    batch, seconds = (2, 0.0) if quick else (8, 60.0)
    width, depth, heads = (96, 2, 3) if quick else (768, 12, 12)
    px, patch = 32 if quick else 80, 8
    method, view = _method(vit.Config(patch=patch, width=width, depth=depth, heads=heads), batch, px)
    encoder, image = method.encoder, view.image
    seen = encoder.seen(image)
    keep = method.keep(1, seen)
    with kept_memory():  # as in training: new memory for half a gigabyte of gradients would be the same for both
        masked, whole = race(lambda: step(method, view), lambda: _on_all_tokens(method, image, seen), seconds)
        ours, blocks = race(lambda: _tokens(encoder, image, keep), lambda: _blocks(encoder, image, keep), seconds / 2)
        every = race(lambda: _tokens(encoder, image, None), lambda: _tokens(encoder, image, keep), seconds / 2)
    return Result(
        ours=masked,
        peer=whole,
        ratio=whole / masked,
        unit="images/s of one core",
        setting={
            "model": f"ViT, width {width}, depth {depth}, decoder {method.decoder.width} x 8, float32",
            "batch": f"{batch} of 7x{px}x{px}, patches of {patch}: {seen.shape[1]} tokens, {keep.shape[1]} kept",
            "memory": "what was freed is kept, as in training",
            "ours and peer": "a step of MAE, and the same step whose encoder sees all tokens",
            "better": "all ratios lower",
            "encoder alone, kept over all tokens": round(every[0] / every[1], 2),
            "encoder over timm's blocks on the same kept tokens": round(blocks / ours, 2),
        },
        versions=versions("torch", "timm"),
    )


def _method(config: vit.Config, batch: int, px: int) -> tuple[mae.Method, View]:
    """MAE, and a view of noise."""
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.0,) * 7, (1.0,) * 7)
    torch.manual_seed(0)
    method = methods.build(Mae(), encoders.build(config, contract), no_views)
    assert isinstance(method, mae.Method)
    return method, noise(batch, px)


def noise(batch: int, px: int) -> View:
    """A view of noise, whose bands the host knows, as from a reader."""
    ids = tuple(band_id(key) for key in BANDS)
    image = Image(
        pixels=torch.randn(batch, 1, 7, px, px),
        valid=torch.ones(batch, 1, px, px, dtype=torch.bool),
        days=torch.full((batch, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([ids] * batch, dtype=torch.int32),
        gsd_m=30.0,
        common_ids=ids,
    )
    return View(image, "query", torch.eye(2, 3).expand(batch, 2, 3))


def no_views(batch: Batch, generator: torch.Generator) -> list[View]:  # noqa: ARG001 - what draws views
    """Draw nothing: the views are there already."""
    return []


def step(method: mae.Method, view: View) -> int:
    """Loss and gradient of a view; how many images that is."""
    method.zero_grad()
    method.loss([view]).total.backward()
    return len(view.image)


def _on_all_tokens(method: mae.Method, image: Image, seen: Tensor) -> int:
    """The same networks, but that nothing is hidden from the encoder."""
    method.zero_grad()
    encoder, keep = method.encoder, torch.arange(seen.shape[1]).expand(len(image), -1)
    tokens = encoder.tokens(image, keep)
    positions = encoder.positions(image, method.decoder.width)
    method.decoder(tokens, keep, positions, seen, image).square().mean().backward()
    return len(image)


def _tokens(encoder: TokenEncoder, image: Image, keep: Tensor | None) -> int:
    encoder.zero_grad()
    encoder.tokens(image, keep).sum().backward()
    return len(image)


def _blocks(encoder: TokenEncoder, image: Image, keep: Tensor) -> int:
    """timm's blocks as timm would call them, on tokens of the kept patches that are there already."""
    encoder.zero_grad()
    network = encoder.network
    assert isinstance(network, vit.Transformer)
    tokens = torch.randn(len(image), keep.shape[1] + encoder.prefix, encoder.dim)
    network.norm(nn.Sequential(*network.blocks)(tokens)).sum().backward()
    return len(image)
