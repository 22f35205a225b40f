"""Small networks that are explained in tests."""

import torch
from torch import nn

from swath.encoders import Encoder, FrameBatchNorm
from swath.products.explain import Explained, Target
from swath.tasks.data import Centred, Composer
from swath.tasks.trained import TrainedNetwork
from swath.testing import contract

SENSOR = "sentinel-2-l2a"
KEYS = (f"{SENSOR}/B02", f"{SENSOR}/B04", f"{SENSOR}/B08")


class Network(nn.Module):
    """A head on an encoder's embedding, or on its features of every pixel."""

    def __init__(self, encoder, head, *, dense=False):
        super().__init__()
        self.encoder, self.head, self.dense, self.composer = encoder, head, dense, Composer(KEYS)

    def check(self, images):
        self.encoder.check(images[SENSOR])

    def forward(self, images):
        image = images[SENSOR]
        return self.head(self.encoder.dense(image) if self.dense else self.encoder(image))


def explained(network, *, exclusive=False, regression=False):
    trained = TrainedNetwork(network.eval(), KEYS, Centred(2.0, 3.0), regression=regression, multi_label=not exclusive)
    return Explained.of(trained, exclusive=exclusive, regression=regression, unit="t/ha" if regression else "")


def linear(px, classes=2):
    """Logits that are weighted sums of standardised pixels, and a bias."""
    encoder = Encoder(nn.Flatten(), contract(KEYS), dim=3 * px * px)
    return Network(encoder, nn.Linear(encoder.dim, classes))


def settled(network):
    """The same with norms as if it had been trained: statistics, factors and biases all differ from the first ones."""
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | FrameBatchNorm):
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            part.weight.data.uniform_(0.5, 1.5, generator=generator)
            part.bias.data.normal_(generator=generator)
    return network


def target(*classes, pixels=None):
    return Target(torch.tensor(classes), pixels)


def weighted(network, image, k):
    """Of a linear network, each value's weight times its standardised value, averaged over the dates."""
    own = contract(KEYS)
    mean, std = (torch.tensor(each)[:, None, None] for each in (own.mean, own.std))
    standard = torch.where(image.valid[:, :, None], (image.pixels - mean) / std, 0.0)
    weight = network.head.weight[k].detach().view(3, *image.pixels.shape[3:])
    return standard * weight / image.pixels.shape[1]
