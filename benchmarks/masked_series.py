"""Training steps of masked-series at Presto's size on series of single pixels, against their matrix products alone."""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks import Result, on_one_core, race, versions
from swath import encoders, methods
from swath.batch import Batch, Image, View
from swath.encoders import InputContract
from swath.encoders.series_transformer import Config as Network
from swath.methods.masked_series import Config
from swath.sensors import band, band_id
from swath.training._memory import kept_memory

OPTICAL = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12"))
RADAR = ("sentinel-1-grd/VV", "sentinel-1-grd/VH")
BATCH, MONTHS, WANTED = 256, 12, 5_000


def run(quick: bool = False) -> Result:
    """Tokens, masks, encoder, decoder, loss, backward and AdamW; with Presto's decoder, and with a small one."""
    on_one_core()
    batch, seconds = (32, 0.1) if quick else (BATCH, 20.0)
    torch.manual_seed(0)
    views = [_view(keys, batch) for keys in (OPTICAL, RADAR)]
    with kept_memory():  # as in training
        presto = _method(Config())
        ours, peer = race(_step(presto, views), _products(presto, views), seconds)
        whole, bare = race(_step(presto, views), _bare(batch), seconds / 2)
        narrow = _method(Config(decoder_dim=32, decoder_heads=4, decoder_depth=1))
        small, _ = race(_step(narrow, views), _products(narrow, views), seconds / 2)
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / peer,
        unit="series/s of one core",
        setting={
            "series": f"{MONTHS} months of Sentinel-2 (9 bands, 4 groups) and Sentinel-1: 60 tokens, 15 encoded",
            "model": "128 numbers a token, 2 blocks, 8 heads; decoder the same, of all tokens",
            "batch": batch,
            "peer": "the same linear layers on tensors of the same size, forward and backward",
            "GFLOP/s of the peer": peer * _flops(presto) / 1e9,
            "over torch's own blocks on ready tensors, without optimiser": whole / bare,
            "series/s with a decoder of one block of 32": small,
            "precision": "float32",
            "clock": "processor time of one core",
            "wanted": f"{WANTED} series/s",
            "better": "higher",
        },
        versions=versions("torch"),
    )


def _view(keys: tuple[str, ...], batch: int) -> View:
    image = Image(
        pixels=torch.randn(batch, MONTHS, len(keys), 1, 1),
        valid=torch.ones(batch, MONTHS, 1, 1, dtype=torch.bool),
        days=(torch.arange(MONTHS) * 30.4375 + 17_900).int().repeat(batch, 1),
        band_ids=torch.tensor([[band_id(key) for key in keys]] * batch, dtype=torch.int32),
        gsd_m=10.0,
        common_ids=tuple(band_id(key) for key in keys),
    )
    return View(image, keys[0].partition("/")[0], torch.eye(2, 3).expand(batch, 2, 3))


def _method(config: Config) -> methods.Method:
    keys = (*OPTICAL, *RADAR)
    contract = InputContract(
        len(OPTICAL),
        keys,
        True,
        tuple(band(key).unit for key in keys),
        (0.0,) * len(keys),
        (1.0,) * len(keys),
        (len(OPTICAL), len(RADAR)),
    )
    return methods.build(config, encoders.build(Network(), contract), _no_views)


def _no_views(batch: Batch, generator: torch.Generator) -> list[View]:  # noqa: ARG001 - a policy's signature
    return []


def _step(method: methods.Method, views: list[View]) -> Callable[[], int]:
    optimiser = torch.optim.AdamW(method.parameters())

    def step() -> int:
        loss = method.loss(views)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        return len(views[0].image)

    return step


def _calls(method: methods.Method, views: list[View]) -> list[tuple[nn.Linear, torch.Size]]:
    """Every linear layer of a step, with the shape of its input."""
    calls: list[tuple[nn.Linear, torch.Size]] = []
    layers = [part for part in method.modules() if isinstance(part, nn.Linear)]
    hooks = [part.register_forward_hook(lambda m, x, _: calls.append((m, x[0].shape))) for part in layers]  # pyright: ignore
    method.loss(views)
    for hook in hooks:
        hook.remove()
    return calls


def _products(method: methods.Method, views: list[View]) -> Callable[[], int]:
    inputs = [(layer, torch.randn(shape, requires_grad=True)) for layer, shape in _calls(method, views)]

    def work() -> int:
        for layer, x in inputs:
            layer(x).sum().backward()
        return len(views[0].image)

    return work


def _bare(batch: int) -> Callable[[], int]:
    """Torch's own blocks of the same sizes, forward and backward: of the encoded tokens, and of the decoder's."""
    layer = nn.TransformerEncoderLayer(128, 8, 512, 0.0, "gelu", batch_first=True, norm_first=True)
    encoder, decoder = (nn.TransformerEncoder(layer, 2, enable_nested_tensor=False) for _ in range(2))
    shown, every = torch.randn(batch, MONTHS * 5 // 4, 128), torch.randn(batch, MONTHS * 5, 128)

    def work() -> int:
        (encoder(shown).sum() + decoder(every).sum()).backward()
        return batch

    return work


def _flops(method: methods.Method) -> float:
    """Of a series: a multiplication and an addition of each product, forward and twice as many backward."""
    calls = _calls(method, [_view(keys, 1) for keys in (OPTICAL, RADAR)])
    return 6.0 * sum(shape[:-1].numel() * layer.weight.numel() for layer, shape in calls)
