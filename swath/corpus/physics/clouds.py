"""Clouds and their shadows as functions of place and date: neighbouring chips share them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri

from swath.corpus.physics.noise import fractal, smooth, stream, uniform
from swath.corpus.physics.weather import sun
from swath.corpus.physics.window import Window

OPAQUE = 0.1
"""A pixel counts as cloud, or as shadow, from this opacity on."""


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """What lies between the ground and the instrument at every pixel and date, and the sun's light."""

    cloud: Float[np.ndarray, "t h w"]
    """Opacity, 0 to 1."""
    shadow: Float[np.ndarray, "t h w"]
    """Share of the direct sunlight that a cloud takes away, 0 to 1."""
    haze: Float[np.ndarray, "t h w"]
    """Share of the blue light that comes from haze instead of the ground."""

    @property
    def cloudy(self) -> Bool[np.ndarray, "t h w"]:
        """True where a pixel counts as cloud: from the opacity `OPAQUE` on."""
        return self.cloud > OPAQUE

    @property
    def shaded(self) -> Bool[np.ndarray, "t h w"]:
        """True where a pixel counts as shadow: shaded ground that is not itself under a cloud."""
        return (self.shadow > OPAQUE) & ~self.cloudy


def sky(seed: int, at: Window, days: np.ndarray, day_of_year: np.ndarray, cover: np.ndarray, lat: float) -> Sky:
    """Clouds over a window.

    Args:
        seed: Of the world.
        at: Where.
        days: Day number of each date, which clouds are drawn from.
        day_of_year: Of each date, for the sun.
        cover: Share of the sky that is cloudy on each date, 0 to 1, over a large area.
        lat: Latitude in degrees.
    """
    layers = np.zeros((3, len(days), *at.shape))
    elevation, azimuth = sun(day_of_year, lat)
    for i, day in enumerate(days.tolist()):
        layers[2, i] = _haze(seed, at, day)
        if cover[i] <= 0:
            continue
        height = 600 + 2400 * _draw(seed, day, 2)
        away = height / np.tan(elevation[i])
        # the shadow at a place is the cloud that stands towards the sun
        towards = Window(at.x + away * np.sin(azimuth[i]), at.y + away * np.cos(azimuth[i]))
        layers[0, i] = _opacity(seed, at, day, cover[i])
        layers[1, i] = _opacity(seed, towards, day, cover[i])
    return Sky(*layers)


def _draw(seed: int, day: int, purpose: int) -> float:
    return float(uniform(stream(seed, "sky"), day, purpose)[0])


def _opacity(seed: int, at: Window, day: int, cover: float) -> np.ndarray:
    """Cloud opacity, from small cumulus to broad decks; thicker the further the noise is above the level that leaves
    `cover`.
    """
    octaves = 3 + int(4 * _draw(seed, day, 1))
    noise = fractal(stream(seed, f"cloud{day}"), at.x, at.y, 75.0 * 2**octaves, octaves, 0.6)
    return 1 - np.exp(-5 * np.maximum(noise - _level(cover), 0))


def _level(cover: float) -> float:
    """Value that a standard normal variable exceeds with that probability (the noise is nearly normal)."""
    # a little lower, because the thinnest rim stays below OPAQUE
    return float(ndtri(1 - min(cover, 0.999))) - 0.02


def _haze(seed: int, at: Window, day: int) -> np.ndarray:
    amount = 0.01 + 0.09 * _draw(seed, day, 3) ** 2
    return amount * np.exp(0.4 * smooth(stream(seed, f"haze{day}"), at.x, at.y, 3000.0))
