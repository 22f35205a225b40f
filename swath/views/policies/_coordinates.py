"""Views of where locations lie."""

from dataclasses import replace

import torch

from swath import sensors
from swath._device import send
from swath.batch import Batch, Image, View
from swath.views._random import uniform
from swath.views.policies._select import image_of

LOCATION = tuple(band.key for band in sensors.get(sensors.LOCATION).bands)


def location_view(batch: Batch, generator: torch.Generator, jitter_deg: float) -> View:
    """Longitude and latitude of each location as one pixel, moved at random; role `location`.

    Args:
        batch: holds an image of `location`.
        generator: on the host.
        jitter_deg: width of the box that a location is moved within, in degrees.
    """
    image = image_of(batch, LOCATION)
    if jitter_deg:
        image = _moved(image, jitter_deg * (uniform(generator, (len(image), 2)) - 0.5))
    same = torch.eye(2, 3, device=image.pixels.device).expand(len(image), 2, 3)
    return View(image, "location", same)


def _moved(image: Image, by: torch.Tensor) -> Image:
    """The same locations a little farther: around the antimeridian, and not beyond a pole."""
    degrees = image.pixels + send(by, image.pixels.device).to(image.pixels.dtype)[:, None, :, None, None]
    lon, lat = degrees.split(1, dim=2)
    lon = (lon + 180).remainder(360) - 180
    return replace(image, pixels=torch.cat([lon, lat.clamp(-90, 90)], dim=2))
