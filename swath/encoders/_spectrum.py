"""What the global band table says of a band, as numbers: for encoders that take any band of any sensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from swath.encoders._contract import InputContract
from swath.encoders._positions import waves
from swath.errors import ContractError
from swath.sensors import Band, band, of

WIDTH = 128
"""How many numbers say what a band is."""
_OF_WIDTH, _MARKS = 32, 8
STEPS = 100
"""In a micrometre."""
SENTINEL_2_UM = {
    "B02": 0.49,
    "B03": 0.56,
    "B04": 0.665,
    "B05": 0.705,
    "B06": 0.74,
    "B07": 0.783,
    "B08": 0.842,
    "B11": 1.61,
    "B12": 2.19,
}
"""Centres of Sentinel-2's bands as DOFA's authors feed them, up to 10 nm from what ESA measured."""
POLARISATIONS = ("VV", "VH", "HV", "HH")
"""Names of radar bands: what was sent, then what is received."""
LIGHT_SPEED = 299_792.458
"""In micrometres times gigahertz."""


def gigahertz(one: Band) -> float:
    """Frequency of a radar band."""
    assert one.centre_um is not None
    return LIGHT_SPEED / one.centre_um


def nature(one: Band) -> str:
    """What a band measures: `light`, `heat` or the echo of a `radar`."""
    return "radar" if of(one.key).kind == "radar" else "heat" if one.unit == "K" else "light"


def check_known(keys: Sequence[str]) -> None:
    """Raise ContractError, naming the bands, if of some of them nobody knows what they measure."""
    unknown = [key for key in keys if band(key).centre_um is None]
    if unknown:
        raise ContractError(
            f"the encoder any-sensor goes by wavelength, and nobody knows that of {', '.join(unknown)}",
            remedy="leave them out; of a sensor of your own, say centre_um of the band, its centre in micrometres, and "
            "width_um, where the sensor is declared (docs/sensors.md)",
        )
    nameless = [key for key in keys if nature(band(key)) == "radar" and band(key).name not in POLARISATIONS]
    if nameless:
        raise ContractError(
            f"the encoder any-sensor goes by polarisation, and nobody knows that of {', '.join(nameless)}",
            remedy=f"name radar bands of a sensor of your own {', '.join(POLARISATIONS)}: sent, then received",
        )


def code(key: str) -> Float[Tensor, " e"]:
    """What a band is, as `WIDTH` numbers.

    Sines and cosines of its centre in steps of 10 nm (of radar: its frequency in steps of 100 MHz) and of its width in
    the same steps, 0 where that is unknown; then eight marks, 0 or 1: reflected light, heat, radar, picture without a
    unit, H sent, V sent, H received, V received. In DOFA's steps of 1 nm, bands of two sensors that lie 2 nm apart are
    as unlike in their fastest waves as any two.
    """
    one = band(key)
    kind, centre = nature(one), one.centre_um
    assert centre is not None
    value = 10 * gigahertz(one) if kind == "radar" else STEPS * centre
    marks = [kind == "light", kind == "heat", kind == "radar", one.unit == "display"]
    marks += [kind == "radar" and one.name[at] == pole for at in (0, 1) for pole in "HV"]
    width = torch.zeros(_OF_WIDTH) if one.width_um is None else _waves(STEPS * one.width_um, _OF_WIDTH)
    return torch.cat([_waves(value, WIDTH - _OF_WIDTH - _MARKS), width, torch.tensor(marks, dtype=torch.float32)])


def published_code(key: str) -> Float[Tensor, " e"]:
    """What a band is in DOFA's published weights: sines and cosines of its centre in nanometres, as fed there.

    A radar's frequency in gigahertz stands there as if it were micrometres (5.405 for Sentinel-1), whatever its
    polarisation. Angles of thousands of radians are as inexact as in the official code, and inexact alike.
    """
    angles = torch.tensor(published_um(key)) * 1000 * (1 / 10_000 ** (torch.arange(WIDTH // 2) / (WIDTH // 2)))
    return torch.cat([angles.sin(), angles.cos()])


def published_um(key: str) -> float:
    """What DOFA's published code is fed for a band, in micrometres."""
    one = band(key)
    assert one.centre_um is not None
    if nature(one) == "radar":
        return round(gigahertz(one), 3)
    return SENTINEL_2_UM.get(one.name, one.centre_um) if of(key).family == "sentinel-2" else one.centre_um


def _waves(value: float, width: int) -> Float[Tensor, " e"]:
    return waves(torch.tensor(value), width)


@dataclass(frozen=True, slots=True)
class NearestBand:
    """How far a band is from those that an encoder was trained on."""

    band: str
    """Its key."""
    nearest: str
    """Key of the trained band that is nearest by its centre: of those that measure the same (light, heat, radar), where
    there are any; of a radar's, one of the same polarisation, if it has one."""
    um: float
    """Distance of their centres in micrometres; 0 for a trained band."""

    @property
    def trained(self) -> bool:
        """Whether the encoder was trained on it."""
        return self.band == self.nearest

    def __str__(self) -> str:
        if self.trained:
            return f"{self.band} was trained on"
        return f"{self.band} was never trained on; the nearest that was is {self.nearest}, {self.um:.4g} um away"


def nearest_band(contract: InputContract, key: str) -> NearestBand:
    """How far a band is from those that an encoder was trained on.

    Args:
        contract: the encoder's.
        key: of a band with a wavelength, `sensor/band`.

    Raises:
        ContractError: nobody knows the wavelength.
    """
    check_known((key,))
    if key in contract.bands:
        return NearestBand(key, key, 0.0)
    one = band(key)

    def distance(other: str) -> tuple[bool, bool, float]:
        theirs = band(other)
        alike = nature(theirs) == nature(one)
        return not alike, alike and nature(one) == "radar" and theirs.name != one.name, _apart(one, theirs)

    nearest = min(contract.bands, key=distance)
    return NearestBand(key, nearest, _apart(one, band(nearest)))


def _apart(one: Band, other: Band) -> float:
    assert one.centre_um is not None
    assert other.centre_um is not None
    return abs(one.centre_um - other.centre_um)
