"""Spherical harmonics of many places on one core: the recurrence against closed forms, as SatCLIP's code has them."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from benchmarks import Result, on_one_core, race, versions
from swath.encoders.location.encodings.spherical_harmonics import SphericalHarmonics
from swath.training._memory import kept_memory

DEGREES, PLACES, OF_PEER = 40, 100_000, 2_000
Function = Callable[[Tensor, Tensor], Tensor]


def run(quick: bool = False) -> Result:
    """Processor time of one core, both in float64; the peer is given fewer places, whose memory is less."""
    on_one_core()
    degrees, places, of_peer = (10, 5_000, 500) if quick else (DEGREES, PLACES, OF_PEER)
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, places), np.degrees(np.arcsin(rng.uniform(-1, 1, places)))], axis=1)
    given, encoding, functions = torch.from_numpy(lonlat), SphericalHarmonics(degrees), closed_forms(degrees)
    few = given[:of_peer]
    apart = (encoding(few) - evaluated(functions, few)).abs().max().item()
    seconds = 1 if quick else 20

    def rates() -> tuple[float, float]:
        return race(lambda: len(encoding(given)), lambda: len(evaluated(functions, few)), seconds)

    fresh = rates()
    with kept_memory():
        ours, peer = rates()
    return Result(
        ours=places / ours,
        peer=places / peer,
        ratio=ours / peer,
        unit=f"s for {places:,} places",
        setting={
            "degrees": degrees,
            "precision": "float64",
            "clock": "processor time of one core",
            "peer": "each function by its polynomial in cos(theta), as the generator of SatCLIP's "
            "spherical_harmonics_ylm.py writes it, in torch; cos(theta) once a function",
            "places of the peer": of_peer,
            "memory": "what was freed is kept, as in training",
            "into new memory, s": round(places / fresh[0], 3),
            "into new memory, ratio": round(fresh[0] / fresh[1], 2),
            "largest difference": float(f"{apart:.1g}"),
            "better": "less than 3 s, ratio above 20",
        },
        versions=versions("torch"),
    )


def evaluated(functions: list[Function], lonlat: Float64[Tensor, "n 2"]) -> Float64[Tensor, "n d"]:
    """All functions at all places, one after the other, with SatCLIP's angles."""
    theta, phi = (lonlat[:, 1] + 90).deg2rad(), (lonlat[:, 0] + 180).deg2rad()
    return torch.stack([function(theta, phi) for function in functions], dim=1)


def closed_forms(degrees: int) -> list[Function]:
    """A function of theta and phi for each degree and order: factors, a power of the sine, and a polynomial."""
    return [_closed_form(degree, order) for degree in range(degrees) for order in range(-degree, degree + 1)]


def _closed_form(degree: int, order: int) -> Function:
    m = abs(order)
    ratio = Fraction(math.factorial(degree - m), math.factorial(degree + m))
    scale = math.sqrt((2 * degree + 1) / (4 * math.pi) * float(ratio))
    scale *= math.sqrt(2) if m else 1.0
    terms = [(power, scale * float(c)) for power, c in _derivative(degree, m) if c]

    def function(theta: Tensor, phi: Tensor) -> Tensor:
        x = theta.cos()
        polynomial = sum((c * x**power for power, c in terms), torch.zeros_like(x))
        wave = (m * phi).sin() if order < 0 else (m * phi).cos()
        return polynomial * (1.0 - x**2) ** (m / 2) * wave

    return function


def _derivative(degree: int, m: int) -> list[tuple[int, Fraction]]:
    """Powers and coefficients of the m-th derivative of a Legendre polynomial, exactly."""
    found = []
    for k in range(degree // 2 + 1):
        power = degree - 2 * k
        if power < m:
            continue
        coefficient = Fraction((-1) ** k * math.comb(degree, k) * math.comb(2 * degree - 2 * k, degree), 2**degree)
        found.append((power - m, coefficient * math.perm(power, m)))
    return found
