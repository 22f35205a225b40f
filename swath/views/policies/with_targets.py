"""One augmented view of a chip, and what else the corpus holds of the same ground: what masked methods predict."""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from jaxtyping import Int
from pydantic import Field, model_validator
from torch import Tensor

from swath._device import send
from swath.batch import Batch, View
from swath.errors import ContractError, RecipeError
from swath.settings import PluginSettings
from swath.views._augment import augment, draw_geometry
from swath.views._geometry import Geometry
from swath.views._settings import Augment, Crop
from swath.views._types import Inputs, Wanted
from swath.views.policies._select import image_of, one_sensor, reads

OUTSIDE = -(2**62)
"""Instead of a code, where a view's pixel lies outside of the chip."""
IMAGE = "image"
"""Role of the view that the encoder is shown."""
Bands = Annotated[tuple[str, ...], Field(min_length=1)]


class Config(
    PluginSettings,
    json_schema_extra={
        "examples": [
            {
                "bands": ["sentinel-2-l2a/B04", "sentinel-2-l2a/B08"],
                "maps": {"radar": ["sentinel-1-grd/VV", "sentinel-1-grd/VH"]},
            }
        ]
    },
):
    """Which bands the encoder is shown, and what shall be predicted beside them. By default FCMAE's crops and flips."""

    name: Literal["with-targets"] = "with-targets"
    bands: Bands
    """Band keys of one sensor: the encoder's channels."""
    maps: dict[str, Bands] = Field(default_factory=dict)
    """Continuous maps by a name of your own: band keys of one other sensor each, elevation and the like among them."""
    layers: tuple[str, ...] = ()
    """Label layers: the class of every pixel."""
    classes: tuple[str, ...] = ()
    """Columns of the corpus's locations that hold a class each."""
    numbers: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Numbers by a name of your own: columns of the corpus's locations, which together are one target."""
    known: tuple[Literal["month", "latitude", "longitude"], ...] = ()
    """What is known of most chips, each as its sine and cosine."""
    augment: Augment = Augment(crop=Crop(scale=(0.2, 1.0)), interpolation="bicubic", hflip=0.5)
    """Targets are cut and turned like the image, and not otherwise changed."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Config":
        names = [IMAGE, *(one.name for one in wanted(self))]
        if twice := [name for name in names if names.count(name) > 1]:
            raise RecipeError(
                f"two targets are called {twice[0]!r}", where="views", remedy="give one of them another name"
            )
        own = one_sensor(self.bands)
        for name, keys in self.maps.items():
            if one_sensor(keys) == own:
                raise RecipeError(
                    f"maps.{name} is of {own}, which the encoder is shown",
                    where="views",
                    remedy="leave it out: hidden cells of the image are predicted anyway",
                )
        sensors = [one_sensor(keys) for keys in self.maps.values()]
        if twice := [sensor for sensor in sensors if sensors.count(sensor) > 1]:
            raise RecipeError(f"two maps are of {twice[0]}", where="views.maps", remedy="list its bands under one name")
        return self


def wanted(config: Config) -> tuple[Wanted, ...]:
    """The targets, in the order of the settings."""
    return (
        *(Wanted(name, "map", keys) for name, keys in config.maps.items()),
        *(Wanted(layer, "layer", (layer,)) for layer in config.layers),
        *(Wanted(column, "class", (column,)) for column in config.classes),
        *(Wanted(name, "numbers", columns) for name, columns in config.numbers.items()),
        *(Wanted(what, what, config.bands) for what in config.known),
    )


class Policy:
    """Role `image`, which carries labels and numbers, and a role a map, called as the map is."""

    def __init__(self, config: Config):
        self.config = config
        own = reads(config.bands)
        self.reads = own | reads(tuple(key for keys in config.maps.values() for key in keys))
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True, targets=wanted(config))
        self.dates = 1
        self.most, self.gaps = None, False

    def __call__(self, batch: Batch, generator: torch.Generator) -> list[View]:
        """All views, of one geometry."""
        config, image = self.config, image_of(batch, self.config.bands)
        chip = (image.pixels.shape[3], image.pixels.shape[4])
        geometry = draw_geometry(config.augment, len(image), chip, generator)
        view = augment(image, config.augment, generator, IMAGE, geometry)
        plain = Augment(interpolation=config.augment.interpolation)
        maps = [augment(image_of(batch, keys), plain, generator, name, geometry) for name, keys in config.maps.items()]
        return [replace(view, targets=self._targets(batch, geometry)), *maps]

    def _targets(self, batch: Batch, geometry: Geometry) -> dict[str, Tensor]:
        found = {}
        for one in self.inputs.targets:
            if lacking := [name for name in one.labels if name not in batch.targets]:
                raise ContractError(
                    f"the batch holds no {lacking[0]}", where=", ".join(batch.targets), remedy="read `inputs.targets`"
                )
            for name in one.labels:
                label = batch.targets[name]
                found[name] = nearest_pixels(label, geometry) if one.kind == "layer" else label
        return found


def nearest_pixels(codes: Int[Tensor, "b h w"], geometry: Geometry) -> Int[Tensor, "b i j"]:
    """Codes at the chip pixels that view pixels lie in; OUTSIDE where that is none."""
    geometry = geometry.on((codes.shape[1], codes.shape[2]))
    rows, columns = geometry.view
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    pixel = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(geometry.affine.dtype).flatten(0, 1)
    # a centre on the edge between two pixels belongs to the same one however it was rounded
    place = (pixel @ geometry.affine.mT + (0.5 + 1e-4)).floor().long()
    limit = torch.tensor([codes.shape[2], codes.shape[1]])
    inside = ((place >= 0) & (place < limit)).all(dim=2)
    place = place.clamp(min=0).minimum(limit - 1)
    flat = place[:, :, 1] * codes.shape[2] + place[:, :, 0]
    found = codes.flatten(1).gather(1, send(flat, codes.device))
    return found.masked_fill(~send(inside, codes.device), OUTSIDE).unflatten(1, (rows, columns))
