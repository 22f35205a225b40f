"""Real spherical harmonics: an orthonormal basis of functions on the sphere, the coarsest first.

Russwurm et al. 2024, https://arxiv.org/abs/2310.06743; SatCLIP's features. Their closed forms divide factorials, which
lose all digits by degree 80. Here normalised Legendre functions come from each other by a recurrence in which every
number stays of the order of 1 (Holmes and Featherstone 2002): exact to 1e-12 at degree 100, and fast.
"""

import itertools
import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings

_BLOCK = 2048
"""Points at a time: three degrees of so many stay in a core's cache."""


class Config(EncodingSettings):
    """How many degrees."""

    name: Literal["spherical-harmonics"] = "spherical-harmonics"
    degrees: int = Field(default=10, ge=1, le=100)
    """L: degrees 0 to L - 1, which are L * L functions; the finest has half a wave in 180 / (L - 1) degrees of the
    ground."""


class SphericalHarmonics(Encoding):
    """Degree l from 0 to L - 1, and within it order m from -l to l: position l * l + l + m.

    As in SatCLIP: theta is latitude + 90 degrees, phi longitude + 180 degrees; orders below 0 are of sin(|m| phi),
    above 0 of cos(m phi), without the sign of Condon and Shortley. The integral of a function's square over the unit
    sphere is 1.
    """

    WRAPS = True
    ONE_POLE = True

    one_below: Tensor
    two_below: Tensor

    def __init__(self, degrees: int):
        super().__init__(degrees**2)
        self.degrees = degrees
        one_below, two_below = _coefficients(degrees)
        self.register_buffer("one_below", one_below, persistent=False)
        self.register_buffer("two_below", two_below, persistent=False)

    def features(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """All functions at each location."""
        out = lonlat.new_empty(lonlat.shape[0], self.dim)  # `len` would be one number in a graph
        if torch.compiler.is_exporting():  # a graph has to fit any number of points
            return self._filled(out, lonlat)
        for some, to in zip(lonlat.split(_BLOCK), out.split(_BLOCK), strict=True):
            self._filled(to, some)
        return out

    def _filled(self, out: Float64[Tensor, "n d"], lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
        """Write all functions of some locations.

        The recurrence that leads from two degrees to the next is the same for both signs of an order, and whatever the
        wave along a parallel is: it takes the functions as they are, in the order in which they stand.
        """
        x = (lonlat[:, 1:] + 90).deg2rad().cos()
        self._sectoral(out, lonlat)
        for degree in range(1, self.degrees):
            now, one = out[:, degree**2 + 1 : degree**2 + 2 * degree], out[:, (degree - 1) ** 2 : degree**2]
            orders = slice(self.degrees - degree, self.degrees + degree - 1)
            torch.mul(one, x, out=now).mul_(self.one_below[degree, orders])
            if degree > 1:
                two = out[:, (degree - 2) ** 2 : (degree - 1) ** 2]
                now[:, 1:-1].addcmul_(self.two_below[degree, orders][1:-1], two, value=-1)
        return out

    def _sectoral(self, out: Float64[Tensor, "n d"], lonlat: Float64[Tensor, "n 2"]) -> None:
        """Write the functions of the lowest and the highest order of each degree, with which the recurrence begins."""
        theta, phi = (lonlat[:, 1:] + 90).deg2rad(), (lonlat[:, :1] + 180).deg2rad()
        order = torch.arange(self.degrees, dtype=torch.float64, device=lonlat.device)
        steps = theta.sin() * ((2 * order + 1) / (2 * order)).sqrt()
        steps[:, 0] = math.sqrt(0.5 / math.pi)
        if torch.compiler.is_exporting():  # ONNX has no products along an axis
            legendre = torch.stack(tuple(itertools.accumulate(steps.unbind(dim=1), torch.mul)), dim=1)
        else:
            legendre = steps.cumprod(dim=1)
        turned = order * phi
        first = (order**2).long()
        out[:, first] = legendre * turned.sin()
        out[:, first + 2 * order.long()] = legendre * turned.cos()
        out[:, 0] = math.sqrt(0.25 / math.pi)  # of order 0 there is one function, whose square no wave halves


def _coefficients(degrees: int) -> tuple[Float64[Tensor, "l m"], Float64[Tensor, "l m"]]:
    """What the functions of one and of two degrees below are multiplied by; orders begin with 1 - `degrees`."""
    degree, order = np.meshgrid(np.arange(float(degrees)), np.arange(1.0 - degrees, degrees), indexing="ij")
    there = np.abs(order) < degree
    n, m = np.where(there, degree, 2.0), np.where(there, order, 0.0)
    one = np.sqrt((4 * n**2 - 1) / (n**2 - m**2))
    two = one * np.sqrt(((n - 1) ** 2 - m**2).clip(min=0) / (4 * (n - 1) ** 2 - 1))
    return torch.from_numpy(one), torch.from_numpy(two)


def build(config: Config) -> Encoding:
    """The functions up to a degree."""
    return SphericalHarmonics(config.degrees)
