"""Real spherical harmonics: an orthonormal basis of functions on the sphere, the coarsest first.

Russwurm et al. 2024, https://arxiv.org/abs/2310.06743; SatCLIP's features. Their closed forms divide factorials, which
lose all digits by degree 80. Here normalised Legendre functions come from each other by a recurrence in which every
number stays of the order of 1 (Holmes and Featherstone 2002): exact to 1e-12 at degree 100, and fast.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor

from swath.encoders.location.encodings._base import Encoding, EncodingSettings

_BLOCK = 1024
"""Points at a time: what the recurrence works on stays in a core's cache."""


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
        if torch.compiler.is_exporting():  # a graph has to fit any number of points
            return self._table(lonlat).T
        out = lonlat.new_empty(len(lonlat), self.dim)
        for start in range(0, len(lonlat), _BLOCK):
            part = slice(start, start + _BLOCK)
            out[part] = self._table(lonlat[part]).T
        return out

    def _table(self, lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "d n"]:
        theta, phi = (lonlat[:, 1] + 90).deg2rad(), (lonlat[:, 0] + 180).deg2rad()
        order = torch.arange(self.degrees, dtype=torch.float64, device=lonlat.device)
        turned = order[:, None] * phi
        # of order 0 there is one function, whose square is not halved by a wave
        cos, sin = turned.cos().mul_(math.sqrt(2)), turned.sin().mul_(math.sqrt(2)).flip(0)
        cos[0] = 1
        table = lonlat.new_empty(self.dim, lonlat.shape[0])
        for degree, legendre in enumerate(self._legendre(theta.cos(), theta.sin())):
            middle = degree * degree + degree
            torch.mul(legendre, cos[: degree + 1], out=table[middle : middle + degree + 1])
            if degree:
                below_zero = sin[self.degrees - 1 - degree : self.degrees - 1]
                torch.mul(legendre[1:].flip(0), below_zero, out=table[middle - degree : middle])
        return table

    def _legendre(self, x: Float64[Tensor, " n"], s: Float64[Tensor, " n"]) -> Iterator[Float64[Tensor, "m n"]]:
        """Normalised Legendre functions of cos(theta) = x, sin(theta) = s: of each degree, those of orders 0 to it."""
        two = one = torch.full_like(x, math.sqrt(0.25 / math.pi))[None]
        yield one
        for degree in range(1, self.degrees):
            now = x.new_empty(degree + 1, x.shape[0])
            if degree > 1:
                torch.mul(one[:-1], x, out=now[:-2]).mul_(self.one_below[degree, : degree - 1, None])
                now[:-2].addcmul_(self.two_below[degree, : degree - 1, None], two, value=-1)
            torch.mul(one[-1], x, out=now[-2]).mul_(math.sqrt(2 * degree + 1))
            torch.mul(one[-1], s, out=now[-1]).mul_(math.sqrt((2 * degree + 1) / (2 * degree)))
            yield now
            two, one = one, now


def _coefficients(degrees: int) -> tuple[Float64[Tensor, "l m"], Float64[Tensor, "l m"]]:
    """What the functions of one and of two degrees below are multiplied by, for orders up to two below the degree."""
    degree, order = np.meshgrid(np.arange(degrees, dtype=np.float64), np.arange(degrees), indexing="ij")
    there = order <= degree - 2
    n, m = np.where(there, degree, 2.0), np.where(there, order, 0.0)
    one = np.sqrt((4 * n**2 - 1) / (n**2 - m**2))
    two = one * np.sqrt(((n - 1) ** 2 - m**2) / (4 * (n - 1) ** 2 - 1))
    return torch.from_numpy(one), torch.from_numpy(two)


def build(config: Config) -> Encoding:
    """The functions up to a degree."""
    return SphericalHarmonics(config.degrees)
