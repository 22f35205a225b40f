"""The bands of a pixel, or of the pixels around it: the features of the floors on single dates."""

from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from swath.batch import Image
from swath.tasks.floors._pixels import Description, by_sensor
from swath.tasks.supervised import LabelledInput

SIZE = 5
"""Height and width of the surroundings, in pixels."""


def pixel(data: LabelledInput) -> Description:
    """Features that are the bands of a pixel, in physical units."""
    return surroundings(data, 1)


def surroundings(data: LabelledInput, size: int = SIZE) -> Description:
    """Features that are the bands of the square of pixels around each one; beyond a chip's edge its outermost
    pixels are repeated.
    """
    return Description(len(data.bands) * size**2, partial(_around, data, size))


def _around(data: LabelledInput, size: int, images: dict[str, Image]) -> Float[ndarray, "b h w d"]:
    bands = np.concatenate([values(data.reader.compose(images, keys)) for keys in by_sensor(data.bands)], axis=1)
    border = size // 2
    padded = np.pad(bands, [(0, 0), (0, 0), (border, border), (border, border)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    return np.moveaxis(windows, 1, 3).reshape(len(bands), *bands.shape[2:], -1)


def values(image: Image) -> Float[ndarray, "b c h w"]:
    """Mean of each pixel over its valid dates; NaN where there is none."""
    valid = image.valid[:, :, None].double()
    total, count = (image.pixels.double() * valid).sum(dim=1), valid.sum(dim=1)
    return (total / count).float().numpy()
