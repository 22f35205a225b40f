"""FullGrad of a thousand chips, against as many backward passes through the same network."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks import Result, on_one_core, race, versions
from swath import encoders
from swath.encoders.timm import Config
from swath.products.explain import Explained, Target
from swath.products.explain.attributions import fullgrad
from swath.tasks.data import Bands, Centred, Composer
from swath.tasks.trained import Images, TrainedNetwork
from swath.testing import contract, image

KEYS: Bands = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-2-l2a/B04", "sentinel-2-l2a/B08")
CHIPS, PX, BATCH, CLASSES = 1000, 64, 50, 10
LIMIT = 3.0


class _Network(nn.Module):
    """A classifier of chips."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoders.build(Config(model="resnet18"), contract(KEYS))
        self.head, self.composer = nn.Linear(self.encoder.dim, CLASSES), Composer(KEYS)

    def check(self, images: Images) -> None:
        self.encoder.check(next(iter(images.values())))

    def forward(self, images: Images) -> torch.Tensor:
        return self.head(self.encoder(next(iter(images.values()))))


def run(quick: bool = False) -> Result:
    on_one_core()
    chips = BATCH if quick else CHIPS
    network = _Network().eval()
    trained = TrainedNetwork(network, KEYS, Centred(0.0, 1.0), regression=False, multi_label=False)
    explained = Explained.of(trained, exclusive=True)
    shown = {"sentinel-2-l2a": image(KEYS, BATCH, 1, PX)}
    target = Target(torch.from_numpy(np.arange(BATCH) % CLASSES))

    def ours() -> int:
        for _ in range(chips // BATCH):
            fullgrad.attribute(fullgrad.Config(), explained, shown, target)
        return chips

    def backward() -> int:
        for _ in range(chips // BATCH):
            nn.functional.cross_entropy(network(shown), target.output).backward()
        return chips

    def to_the_input() -> int:
        image_of = shown["sentinel-2-l2a"]
        for _ in range(chips // BATCH):
            pixels = image_of.pixels.clone().requires_grad_()
            score = explained.score({"sentinel-2-l2a": replace(image_of, pixels=pixels)}, target)
            torch.autograd.grad(score.sum(), pixels)
        return chips

    explanations, passes = race(ours, backward, 1)
    again, bare = race(ours, to_the_input, 1)
    return Result(
        ours=explanations,
        peer=passes,
        ratio=passes / explanations,
        unit="chips/s of one core",
        setting={
            "model": "ResNet-18",
            "chips": chips,
            "chip": f"{len(KEYS)}x{PX}x{PX}",
            "peer": "forward and backward pass to all weights, as in training",
            "over a pass to the input alone": bare / again,
            "times a pass at most": LIMIT,
        },
        versions=versions("torch", "timm"),
    )
