"""A tiny encoder, policy and batch: enough for every method, in milliseconds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from swath import encoders, methods, plugins
from swath._device import send
from swath.batch import NO_DAY, Batch, Image, View
from swath.encoders import (
    Encoder,
    InputContract,
    convnext_v2,
    cross_modal_unet_3d,
    location,
    mmf,
    series_transformer,
    vit,
)
from swath.encoders.image_and_location import ImageAndLocation
from swath.encoders.location.encodings import cartesian
from swath.encoders.location.networks import fcnet
from swath.methods import DrawViews, Target, s4
from swath.sensors import band_id

MASKED = ("fcmae", "mp-mae")
"""Methods that hide cells of a picture."""
QUEUED = ("moco-v2", "gassl", "seco", "caco")
"""Methods with a queue of keys."""
OF_TOKENS = ("mae", "sat-mae", "i-jepa")
"""Methods that hide tokens from an encoder."""
OF_SERIES = ("s4", "mmf", "masked-series")
"""Methods that bring a network of series with them."""
OF_OTHER_ENCODERS = (*OF_SERIES, "satclip", "sinr")
"""Methods that take no encoder of single images alone."""
BANDS = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-2-l2a/B04")
RADAR = ("sentinel-1-rtc/VV", "sentinel-1-rtc/VH")


def contract() -> InputContract:
    return InputContract(3, BANDS, True, ("reflectance",) * 3, (0.0,) * 3, (1.0,) * 3)


def contract_of_two() -> InputContract:
    units = ("reflectance",) * 3 + ("dB",) * 2
    return InputContract(3, (*BANDS, *RADAR), True, units, (0.0,) * 5, (1.0,) * 5, branches=(3, 2))


def contract_of_places() -> InputContract:
    return InputContract(2, location.LOCATION, True, ("degree",) * 2, (0.0,) * 2, (1.0,) * 2)


def contract_of_image_and_place() -> InputContract:
    keys, units = (*BANDS, *location.LOCATION), ("reflectance",) * 3 + ("degree",) * 2
    return InputContract(3, keys, True, units, (0.0,) * 5, (1.0,) * 5, branches=(3, 2))


def tower() -> location.Tower:
    return location.tower(cartesian.Config(), fcnet.Config(dim=8, blocks=1, dropout=0.0))


def encoder(dim: int = 8, norm: bool = False) -> Encoder:
    layers = [nn.Conv2d(3, dim, 3, padding=1), *([nn.BatchNorm2d(dim)] if norm else []), nn.ReLU()]
    return Encoder(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), contract(), dim, example_px=8)


def tokens(**said) -> Encoder:
    """A transformer of 4 x 4 patches, with tokens of two groups of bands."""
    said = {"patch": 2, "width": 32, "depth": 2, "heads": 2, "groups": (BANDS[:2], BANDS[2:]), **said}
    return encoders.build(vit.Config(**said), contract())


def image(n: int, seed: int = 0, px: int = 8) -> Image:
    pixels = torch.randn(n, 1, 3, px, px, generator=torch.Generator().manual_seed(seed))
    # samples differ as wholes, so that there is something to learn
    pixels += 2 * torch.randn(n, 1, 3, 1, 1, generator=torch.Generator().manual_seed(seed + 1))
    return Image(
        pixels=pixels,
        valid=torch.ones(n, 1, px, px, dtype=torch.bool),
        days=torch.full((n, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in BANDS]] * n, dtype=torch.int32),
        gsd_m=10.0,
        common_ids=tuple(band_id(key) for key in BANDS),
    )


def batch(n: int, seed: int = 0) -> Batch:
    lonlat = torch.full((n, 2), torch.nan, dtype=torch.float64)
    return Batch({"sentinel-2-l2a": image(n, seed)}, lonlat, [str(i) for i in range(n)])


def view(of: Image, role: str = "query") -> View:
    return View(of, role, torch.eye(2, 3, device=of.pixels.device).expand(len(of), 2, 3))


def named(image: Image, keys: Sequence[str]) -> Image:
    """The image, its channels named anew."""
    ids = [band_id(key) for key in keys]
    said = torch.tensor([ids] * len(image), dtype=torch.int32)
    return replace(image, band_ids=send(said, image.pixels.device), common_ids=tuple(ids))


def policy(batch: Batch, generator: torch.Generator, number: int = 2) -> list[View]:
    """Noisy copies."""
    views = []
    for role in ("query", *["key"] * (number - 1)):
        chip = batch.images["sentinel-2-l2a"]
        noise = send(torch.randn(chip.pixels.shape, generator=generator), chip.pixels.device)
        views.append(view(replace(chip, pixels=chip.pixels + 0.1 * noise), role))
    return views


def policy_of_two(batch: Batch, generator: torch.Generator) -> list[View]:
    """The same, the second one as if it were radar."""
    first, second = policy(batch, generator)
    return [first, replace(second, image=named(second.image.channels([0, 1]), RADAR))]


def place(batch: Batch, generator: torch.Generator) -> list[View]:
    """Where each sample lies: its pixels' mean says it."""
    (noisy,) = policy(batch, generator, 1)
    two = named(noisy.image.channels([0, 1]), location.LOCATION)
    degrees = 60 * two.pixels.mean(dim=(3, 4), keepdim=True).tanh()
    return [view(replace(two, pixels=degrees, valid=two.valid[..., :1, :1]), "location")]


def image_and_place(batch: Batch, generator: torch.Generator) -> list[View]:
    """The image, and where it lies."""
    return [*policy(batch, generator, 1), *place(batch, generator)]


def crops(batch: Batch, generator: torch.Generator) -> list[View]:
    """Two global views, and three local ones of half their size, between them."""
    views = policy(batch, generator, 5)
    local = []
    for view in views[2:]:
        corner = replace(view.image, pixels=view.image.pixels[..., :4, :4], valid=view.image.valid[..., :4, :4])
        local.append(replace(view, image=corner, local=True))
    return [views[0], *local[:2], views[1], local[2]]


def hidden_in(batch: Batch, generator: torch.Generator) -> list[View]:
    """One view, of 3 x 3 cells of 8 pixels, that carries a map, labels and numbers; some of it is unknown."""
    (view,) = policy(batch, generator, 1)
    large, n = enlarged(view.image), len(batch)
    draw, device = torch.Generator().manual_seed(n), large.pixels.device
    number = torch.arange(n, device=device)
    two = named(large.channels([0, 1]), RADAR)
    radar = replace(two, pixels=two.pixels.abs(), valid=two.valid & (number % 3 > 0)[:, None, None, None])
    bright = large.pixels.mean(dim=2)[:, 0] > 0
    targets = {
        "cover": torch.where(bright, 20, 10).masked_fill(
            send(torch.rand(bright.shape, generator=draw), device) < 0.2, 99
        ),
        "biome": torch.where(bright.float().mean(dim=(1, 2)) > 0.5, 3.0, 1.0).double(),
        "rain": large.pixels.mean(dim=(1, 2, 3, 4)).double().where(number % 2 == 0, torch.nan),
    }
    image = replace(large, days=number.int()[:, None] * 40)
    return [replace(view, image=image, targets=targets), replace(view, image=radar, role="radar")]


def one_hidden(batch: Batch, generator: torch.Generator) -> list[View]:
    """The same without targets."""
    return [replace(hidden_in(batch, generator)[0], targets={})]


def enlarged(image: Image, times: int = 3) -> Image:
    """Every pixel so many times as high and as wide."""
    pixels = image.pixels.repeat_interleave(times, 3).repeat_interleave(times, 4)
    valid = image.valid.repeat_interleave(times, 2).repeat_interleave(times, 3)
    return replace(image, pixels=pixels, valid=valid)


TARGETS = (
    Target("radar", "map", RADAR, mean=(1.5, 1.0), std=(2.0, 3.0)),
    Target("cover", "layer", ("cover",), codes=(10.0, 20.0)),
    Target("biome", "class", ("biome",), codes=(1.0, 3.0, 7.0)),
    Target("rain", "numbers", ("rain",), mean=(0.5,), std=(2.0,)),
    Target("month", "month", mean=(0.0, 0.0), std=(0.7, 0.7)),
    Target("latitude", "latitude", mean=(0.0, 0.0), std=(0.7, 0.7)),
)
"""What `hidden_in` carries; of no sample is it known where it lies."""


def small(name: str) -> dict:
    """Settings of a method that make its heads small."""
    queued, wide = {"out": 8, "queue": 32}, {"hidden": 16, "out": 8}
    sketched, decoded = {**wide, "slices": 32}, {"decoder_width": 32, "decoder_depth": 1}
    return {
        "barlow-twins": wide,
        "byol": wide,
        # initialised as published, narrow layers would pass on next to nothing
        "dino": {"hidden": 256, "bottleneck": 32, "prototypes": 24, "momentum": 0.9},
        "i-jepa": {"target_scale": (0.1, 0.12), "predictor_width": 32, "predictor_depth": 1},
        "lejepa": sketched,
        "mae": decoded,
        "sat-mae": decoded,
        "moco-v3": wide,
        "simclr": {"out": 8},
        "simsiam": {"out": 16, "bottleneck": 4},
        # a 25th of the published weights, for learning rates that suit the others
        "vicreg": {**wide, "invariance": 1.0, "variance": 1.0, "covariance": 0.04},
        "visreg": sketched,
        **dict.fromkeys(QUEUED, queued),
        "fcmae": {"decoder_width": 16},
        "mp-mae": {"decoder_width": 16},
    }.get(name, {})


def method(name: str, draw: DrawViews | None = None, **settings) -> methods.Method:
    """Any method, small, around the tiny encoder; always with the same weights."""
    torch.manual_seed(0)
    if name == "s4":
        network = encoders.build(cross_modal_unet_3d.Config(width=1), contract())
        given = {"reconstruction": 0.0, "projection": (8, 8), **settings}
        return methods.build(s4.Config(**given), network, policy)
    if name in OF_TOKENS:
        given = plugins.find("swath.methods", name).Config(**{**small(name), **settings})
        return methods.build(given, tokens(), draw or policy)
    if name == "mmf":
        network = encoders.build(mmf.Config(width=1), contract_of_two())
        return methods.build(plugins.find("swath.methods", name).Config(**settings), network, policy_of_two)
    if name == "masked-series":
        network = encoders.build(series_transformer.Config(dim=16, heads=2, patch=4), contract_of_two())
        given = {"decoder_dim": 8, "decoder_heads": 2, "decoder_depth": 1, **settings}
        return methods.build(plugins.find("swath.methods", name).Config(**given), network, policy_of_two)
    config = plugins.find("swath.methods", name).Config(**{**small(name), **settings})
    if name in MASKED:
        tiny = convnext_v2.Config(depths=(1, 1, 1, 1), widths=(8, 8, 8, 8), cell=8, stem="dense")
        usual = one_hidden if name == "fcmae" else hidden_in
        made = methods.build(config, encoders.build(tiny, contract()), draw or usual)
        made.expect(TARGETS if name == "mp-mae" else ())
        return made
    if name == "satclip":
        towers = ImageAndLocation(encoder(norm=True), tower(), contract_of_image_and_place())
        return methods.build(config, towers, draw or image_and_place)
    if name == "sinr":
        drawn = draw or (lambda batch, generator: [replace(v, uid=tuple(batch.uid)) for v in place(batch, generator)])
        made = methods.build(config, location.LocationEncoder(tower(), contract_of_places()), drawn)
        made.take_labels([str(i) for i in range(64)], [i % 3 for i in range(64)])
        return made
    return methods.build(
        config, encoder(norm=True), draw or partial(policy, number={"seco": 4, "caco": 8}.get(name, 2))
    )
