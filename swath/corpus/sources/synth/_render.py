"""From ground, date and sky to what the two instruments measure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from swath.corpus.physics import phenology as _phenology
from swath.corpus.physics import radar as _radar
from swath.corpus.physics import spectra as _spectra
from swath.corpus.physics.noise import normal, uniform
from swath.corpus.physics.phenology import State
from swath.corpus.sources.synth._classes import BROADLEAF, FOREST, Land
from swath.corpus.sources.synth._landscape import BROADLEAF_UNIT, MARGIN, NEEDLE_UNIT, Ground

CONTRAST = 0.6
"""How far the leaf area of rows and of trees in a grid, and of the soil between, lies from their mean."""


@dataclass(frozen=True, eq=False)
class Plants:
    """The vegetation of a chip by class, the same for both instruments and all dates."""

    ground: Ground
    lands: tuple[Land, ...]

    @property
    def unit_lands(self) -> list[Land]:
        """Class of each unit, with broad-leaved forest apart."""
        lands = [self.lands[code] for code in self.ground.unit_code]
        lands[BROADLEAF_UNIT], lands[NEEDLE_UNIT] = BROADLEAF, FOREST
        return lands

    def state(self, day: Float[np.ndarray, " t"]) -> State:
        """Canopy of every unit on these days of the year."""
        ground, lands = self.ground, self.unit_lands
        vigour = np.exp(0.18 * normal(3, ground.unit_key))
        luck = uniform(4, ground.unit_key)
        out = State(*(np.zeros((len(day), len(lands))) for _ in range(4)))
        for land in set(lands):
            at = np.array([other is land for other in lands])
            part = _phenology.state(land.phenology, day, ground.lateness[at], vigour[at], luck[at])
            for name in ("lai", "ripe", "flower", "residue"):
                getattr(out, name)[:, at] = getattr(part, name)
        return out

    def table(self, *values: str) -> np.ndarray:
        """Values of an attribute (a dotted path) of each unit's class."""
        return np.array([_attribute(land, values) for land in self.unit_lands])

    def lai(self, state: State) -> Float[np.ndarray, "t p"]:
        """Leaf area of each pixel: its unit's, thinned on tramlines or gathered in rows, patchy inside."""
        unit = self.ground.unit.ravel()
        patchy = np.exp(self.table("patchiness")[unit] * self.texture(unit))
        wave = np.cos(2 * np.pi * self.ground.across.ravel() / self.table("spacing")[unit])
        thinned = 1 - self.table("tramlines")[unit] * np.clip(1.8 * wave - 0.8, 0, 1)
        free = (1 - self.ground.built.sum(axis=0).ravel()) * ~self.ground.water.ravel()
        return state.lai[:, unit] * (patchy * thinned * self.planted(unit) * free)

    def planted(self, unit: Integer[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Factor on the leaf area of plants in rows or in a grid: mean 1, and the same two values half of the time."""
        phase = 2 * np.pi / self.table("spacing")[unit]
        rows = np.sign(np.cos(phase * self.ground.across.ravel()))
        grid = rows * np.sign(np.cos(phase * self.ground.along.ravel()))
        planting = self.table("planting")[unit]
        return 1 + CONTRAST * np.where(planting == "rows", rows, np.where(planting == "grid", grid, 0.0))

    def texture(self, unit: Integer[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Unit-variance variation of each pixel's canopy, as fine or coarse as its class is."""
        grain = self.table("grain")[unit]
        fine, coarse = self.ground.texture.reshape(2, -1)
        return np.sqrt(1 - grain) * fine + np.sqrt(grain) * coarse


def _attribute(land: Land, path: tuple[str, ...]):
    value = land
    for name in path:
        value = getattr(value, name)
    return value


def moisture_map(ground: Ground, moisture: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t p"]:
    """Soil water of each pixel: loam holds more than sand."""
    return np.clip(moisture[:, None] * (1.25 - 0.5 * ground.brightness.ravel()), 0.03, 0.45)


def optical(plants: Plants, state: State, moisture: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t c h w"]:
    """Surface reflectance of the ten Sentinel-2 bands, noise-free and cloud-free, before the instrument's blur."""
    ground, unit = plants.ground, plants.ground.unit.ravel()
    leaf = np.stack([_spectra.LEAVES[name] for name in plants.table("leaf")])
    pigment = np.exp(0.10 * normal(5, ground.unit_key))
    canopy = _spectra.canopy(state, leaf, pigment)[:, unit]
    shade = np.where(ground.wood, np.exp(0.16 * ground.texture[0]), 1.0).ravel()
    green = _spectra.cover(plants.lai(state))[..., None].astype(np.float32)
    bare = _spectra.soil(ground.brightness.ravel(), moisture_map(ground, moisture), state.residue[:, unit])
    land = green * canopy * shade[:, None].astype(np.float32) + (1 - green) * bare
    built = ground.built.reshape(3, -1).T.astype(np.float32)
    land = land * (1 - built.sum(axis=1, keepdims=True)) + built @ _spectra.BUILT
    turbid = ground.turbidity.ravel()[:, None].astype(np.float32)
    land = np.where(
        ground.water.ravel()[:, None],
        _spectra.WATER_CLEAR + turbid * (_spectra.WATER_TURBID - _spectra.WATER_CLEAR),
        land,
    )
    return np.moveaxis(land, 2, 1).reshape(len(land), len(_spectra.BANDS), *ground.code.shape)


def radar(
    plants: Plants,
    state: State,
    moisture: Float[np.ndarray, " t"],
    wind: Float[np.ndarray, " t"],
    angle: Float[np.ndarray, " t"],
) -> Float[np.ndarray, "t 2 h w"]:
    """Backscatter (linear power) of VV and VH without speckle, before the instrument's blur.

    Args:
        plants: The chip.
        state: Its canopies on each date.
        moisture: Of the soil on each date, m³/m³.
        wind: Standard normal, on each date.
        angle: Incidence on each date, radians.
    """
    ground, unit = plants.ground, plants.ground.unit.ravel()
    roughness = 1.2 * normal(6, ground.unit_key)[unit]
    soil = _radar.soil(moisture_map(ground, moisture), roughness, angle)
    albedo, extinction = plants.table("radar", "albedo").T[:, unit], plants.table("radar", "extinction").T[:, unit]
    # ripe canopies are dry: half of the water, half of the extinction
    wet = plants.lai(state) * (1 - 0.5 * state.ripe[:, unit])
    power = _radar.vegetated(soil, wet, albedo, extinction, angle)
    walls = ground.scatterers.ravel()
    power = power + np.stack([walls, _radar.CROSS * walls])
    power = np.where(ground.water.ravel(), _radar.water(wind)[:, :, None], power)
    return power.reshape(len(power), 2, *ground.code.shape)


def crop(image: np.ndarray) -> np.ndarray:
    """The chip without its margin."""
    return image[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
