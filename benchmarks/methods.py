"""A step of each joint-embedding method: over the bare passes of its networks, and against lightly's heads and loss.

Views are there already and nothing is optimised: what is timed is standardisation, networks, loss, gradient, teacher.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from lightly import loss as losses
from lightly.models.modules import heads
from lightly.models.utils import update_momentum
from torch import Tensor, nn

from benchmarks import Result, on_one_core, race, versions
from benchmarks._training import BANDS
from swath import encoders, methods, plugins, views
from swath.batch import NO_DAY, Batch, Image, View
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.methods import Method
from swath.sensors import band_id
from swath.settings import PluginSettings
from swath.views import Augment, Crop
from swath.views.policies.multi_crop import Config as MultiCrop
from swath.views.policies.multi_crop import Crops

WIDE = {"hidden": 2048, "out": 2048}
METHODS: dict[str, dict[str, int]] = {
    "barlow-twins": WIDE,
    "byol": {},
    "dino": {"prototypes": 8192},
    "lejepa": {},
    "moco-v2": {"hidden": 2048, "queue": 4096},
    "moco-v3": {},
    "simclr": {},
    "simsiam": {"hidden": 2048},
    "vicreg": WIDE,
    "visreg": {},
}
"""Settings that are not the defaults: widths as in lightly's examples, for a small network."""


def run(quick: bool = False) -> Result:
    """ResNet-18 of seven bands; two views, or two global and four local crops."""
    on_one_core()
    batch, px, seconds = (8, 32, 0.0) if quick else (32, 96, 20.0)
    rates, over_bare, against_lightly, worst = {}, {}, {}, (0.0, 1.0)
    for name in METHODS:
        method, given = made(name, batch, px)
        step = partial(_step, method, given)
        ours, bare = race(step, partial(_bare, name, method, given), seconds)
        rates[name] = round(ours, 1)
        over_bare[name] = round(bare / ours, 2)
        worst = max(worst, (bare, ours), key=lambda rates: rates[0] / rates[1])
        if name in PEERS:
            ours, theirs = race(step, partial(_Peer(name, method), [_pixels(view) for view in given]), seconds)
            against_lightly[name] = round(ours / theirs, 2)
    return Result(
        ours=worst[1],
        peer=worst[0],
        ratio=worst[0] / worst[1],
        unit="locations/s of one core",
        setting={
            "model": "ResNet-18, float32",
            "batch": f"{batch} of 7x{px}x{px}, two views or 2 + 4 crops",
            "ours and peer": "the method that is furthest from the bare passes of its encoders and heads, and these",
            "better": "ratio and `over bare passes` lower, `against lightly` above 1",
            "locations/s": rates,
            "over bare passes": over_bare,
            "against lightly": against_lightly,
        },
        versions=versions("lightly", "torch", "timm"),
    )


def settings(name: str) -> PluginSettings:
    """Settings of a method as it is measured."""
    return plugins.find("swath.methods", name).Config(**METHODS[name])


def made(name: str, batch: int, px: int) -> tuple[Method, list[View]]:
    """A method, and its views of a batch of noise; local crops are half as large."""
    plugin = plugins.find("swath.methods", name)
    contract = InputContract(7, BANDS, True, ("reflectance",) * 7, (0.0,) * 7, (1.0,) * 7)
    large = Crops(number=2)
    small = Crops(number=4, augment=Augment(crop=Crop(size=px // 2, scale=(0.2, 0.3))))
    local = (small,) if plugin.Method.multi_crop else ()
    policy = views.build(MultiCrop(bands=BANDS, global_crops=(large,), local_crops=local))
    torch.manual_seed(0)
    encoder = encoders.build(Timm(model="resnet18"), contract)
    method = methods.build(settings(name), encoder, policy)
    image = Image(
        pixels=torch.randn(batch, 1, 7, px, px),
        valid=torch.ones(batch, 1, px, px, dtype=torch.bool),
        days=torch.full((batch, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in BANDS]] * batch, dtype=torch.int32),
        gsd_m=30.0,
    )
    sensor = BANDS[0].partition("/")[0]
    places = torch.full((batch, 2), torch.nan, dtype=torch.float64)
    given = method.views(Batch({sensor: image}, places, [str(i) for i in range(batch)]), torch.Generator())
    # two equal views would be an easy task, and some losses' gradients 0
    return method, [_noisy(view) for view in given]


def _noisy(view: View) -> View:
    return replace(view, image=replace(view.image, pixels=view.image.pixels + torch.randn_like(view.image.pixels)))


def _pixels(view: View) -> Tensor:
    return view.image.pixels[:, 0].contiguous(memory_format=torch.channels_last)


def _step(method: Method, given: list[View]) -> int:
    method.zero_grad()
    method.loss(given).total.backward()
    method.after_step(0.5)
    return len(given[0].image)


def _bare(name: str, method: Method, given: list[View]) -> int:
    """The passes of the networks alone, on pixels that are ready for them; views of a size together as it does."""
    method.zero_grad()
    parts = dict(method.named_children())
    student = nn.Sequential(method.encoder.network, *(part for head, part in parts.items() if head in HEADS))
    # of MoCo v2's two views the encoder sees the first, and its teacher the second
    queries, keys = (given[:1], given[1:]) if name == "moco-v2" else (given, given)
    groups = [_pixels(view) for view in queries]
    if method.multi_crop or name == "simclr":
        groups = [torch.cat([x for x in groups if x.shape[2] == size]) for size in {x.shape[2] for x in groups}]
    if "teacher" in parts:
        for view in keys:
            if not view.local:
                parts["teacher"](view)
    sum((student(pixels).sum() for pixels in groups), start=torch.zeros(())).backward()
    return len(given[0].image)


HEADS = ("projector", "expander", "head", "predictor")


# ------------------------------------------------------------------ lightly's, put together as in its own examples


class _Peer:
    """A step of lightly's around a copy of the same network."""

    def __init__(self, name: str, method: Method):
        self.network = copy.deepcopy(method.encoder.network)
        self.heads, self.loss = PEERS[name](method.encoder.dim)
        self.form = FORMS.get(name, _symmetric)
        self.teacher = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        # lightly's head of DINO cannot be copied
        self.teacher_head = PEERS[name](method.encoder.dim)[0][0].requires_grad_(requires_grad=False)

    def __call__(self, pixels: Sequence[Tensor]) -> int:
        for part in (self.network, *self.heads):
            part.zero_grad()
        self.form(self, pixels).backward()
        return len(pixels[0])

    def project(self, pixels: Sequence[Tensor]) -> list[Tensor]:
        return [self.heads[0](self.network(x)) for x in pixels]

    def targets(self, pixels: Sequence[Tensor]) -> list[Tensor]:
        """Of the teacher, which follows first, as in lightly's examples."""
        update_momentum(self.network, self.teacher, m=0.99)
        update_momentum(self.heads[0], self.teacher_head, m=0.99)
        with torch.no_grad():
            return [self.teacher_head(self.teacher(x)) for x in pixels]


def _symmetric(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    return peer.loss(*peer.project(pixels))


def _byol(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    first, second = (peer.heads[1](z) for z in peer.project(pixels))
    of_first, of_second = peer.targets(pixels)
    return 0.5 * (peer.loss(first, of_second) + peer.loss(second, of_first))


def _simsiam(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    first, second = peer.project(pixels)
    forth, back = peer.loss(peer.heads[1](first), second.detach()), peer.loss(peer.heads[1](second), first.detach())
    return 0.5 * (forth + back)


def _dino(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    return peer.loss(peer.targets(pixels[:2]), peer.project(pixels), epoch=0)


def _moco(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    (query,), (key,) = peer.project(pixels[:1]), peer.targets(pixels[1:])
    return peer.loss(query, key)


def _crops(peer: _Peer, pixels: Sequence[Tensor]) -> Tensor:
    z = torch.stack(peer.project(pixels))
    return peer.loss(global_proj=z[:2], local_proj=z[2:])


FORMS = {"byol": _byol, "moco-v2": _moco, "simsiam": _simsiam, "dino": _dino, "lejepa": _crops, "visreg": _crops}
PEERS: dict[str, Callable[[int], tuple[list[nn.Module], nn.Module]]] = {
    "barlow-twins": lambda d: ([heads.BarlowTwinsProjectionHead(d, 2048, 2048)], losses.BarlowTwinsLoss()),
    "byol": lambda d: (
        [heads.BYOLProjectionHead(d, 4096, 256), heads.BYOLPredictionHead(256, 4096, 256)],
        losses.NegativeCosineSimilarity(),
    ),
    "dino": lambda d: ([heads.DINOProjectionHead(d, 2048, 256, 8192)], losses.DINOLoss(8192)),
    "lejepa": lambda d: ([heads.LeJEPAProjectionHead(d)], losses.LeJEPALoss()),
    "moco-v2": lambda d: (
        [heads.MoCoProjectionHead(d, 2048, 128)],
        losses.NTXentLoss(temperature=0.2, memory_bank_size=(4096, 128)),
    ),
    "simclr": lambda d: ([heads.SimCLRProjectionHead(d, d, 128, num_layers=3)], losses.NTXentLoss(temperature=0.1)),
    "simsiam": lambda d: (
        [heads.SimSiamProjectionHead(d, 2048, 2048), heads.SimSiamPredictionHead(2048, 512, 2048)],
        losses.NegativeCosineSimilarity(),
    ),
    "vicreg": lambda d: ([heads.VICRegProjectionHead(d, 2048, 2048, num_layers=3)], losses.VICRegLoss()),
    "visreg": lambda d: ([heads.LeJEPAProjectionHead(d)], losses.VISRegLoss(num_slices=256)),
}
"""Heads, the first of them the projector, and loss; of MoCo v3 lightly has none."""
