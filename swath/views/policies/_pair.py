"""Two augmented views of a pair of images."""

import torch

from swath.batch import Image, View
from swath.views._augment import augment, draw_geometry
from swath.views._settings import Augment


def pair(
    images: tuple[Image, Image],
    settings: tuple[Augment, Augment],
    generator: torch.Generator,
    roles: tuple[str, str] = ("query", "key"),
    *,
    shared_crop: bool = False,
) -> list[View]:
    """Augment both images, each with its own draws; with `shared_crop` the second is cut and turned like the first."""
    shared = None
    if shared_crop:
        chip = (images[0].pixels.shape[3], images[0].pixels.shape[4])
        shared = draw_geometry(settings[0], len(images[0]), chip, generator)
    return [
        augment(image, setting, generator, role, shared)
        for image, setting, role in zip(images, settings, roles, strict=True)
    ]
