"""The ground of the synthetic landscape: what is where, from world coordinates alone, so that neighbouring chips match.

World coordinates are UTM metres with the zone put in front (`zone * 1e6 + easting`), so zones do not repeat each other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from swath.corpus.physics.noise import fractal, normal, scramble, smooth, smooth_at, stream, uniform
from swath.corpus.physics.window import Window
from swath.corpus.sources.synth._classes import BUILT_CODE, FIRST_CROP, FOREST_CODE, GRASS_CODE, WATER_CODE

PIXEL = 10.0
"""Side of a pixel in metres."""
MARGIN = 2
"""Pixels made on each side beyond the chip, for the instrument's blur."""
FARM = 800.0
"""Mean distance of neighbouring farm blocks, metres: fields of a block share direction and, often, the crop."""
TOWN = 3000.0
"""Mean distance of settlements, metres."""
BROADLEAF_UNIT, NEEDLE_UNIT, GARDEN_UNIT, VERGE_UNIT = range(4)
FIXED_CODES = np.array([FOREST_CODE, FOREST_CODE, BUILT_CODE, GRASS_CODE])
"""Classes of the units that every chip has, before its fields; verges are the grass of lanes and shores."""


def window(zone: int, west: float, north: float, chip_px: int) -> Window:
    """The window of a chip whose north-west corner lies at that easting and northing (metres)."""
    along = (np.arange(-MARGIN, chip_px + MARGIN) + 0.5) * PIXEL
    return Window(zone * 1e6 + west + along, north - along)


@dataclass(frozen=True, eq=False)
class Ground:
    """The ground of a chip, apart from the date. Arrays `h w` include the margin."""

    code: Int[np.ndarray, "h w"]
    """Land-cover class."""
    unit: Int[np.ndarray, "h w"]
    """Field or stand that the pixel's vegetation belongs to; index into the arrays below."""
    unit_code: Int[np.ndarray, " u"]
    """Class of each unit, `FIXED_CODES` first."""
    unit_key: UInt64[np.ndarray, " u"]
    """Identity of each unit, the same in every chip that shows it."""
    built: Float[np.ndarray, "3 h w"]
    """Shares of concrete, roof and asphalt."""
    scatterers: Float[np.ndarray, "h w"]
    """Backscatter of buildings, linear VV power."""
    turbidity: Float[np.ndarray, "h w"]
    """How muddy the water is, from 0 (clear) to 1."""
    brightness: Float[np.ndarray, "h w"]
    """How bright the soil is, from 0 (dark loam) to 1 (bright sand)."""
    texture: Float[np.ndarray, "2 h w"]
    """Unit-variance variation of the canopy inside units: fine and coarse."""
    across: Float[np.ndarray, "h w"]
    """Metres across the direction in which the farm drives, for tramlines and rows."""
    along: Float[np.ndarray, "h w"]
    """Metres along it."""
    wood: Bool[np.ndarray, "h w"]
    """True where forest grows."""
    lateness: Float[np.ndarray, " u"]
    """Days by which each unit is late, regional and individual parts together."""

    @cached_property
    def water(self) -> np.ndarray:
        """Where the surface is water."""
        return self.code == WATER_CODE


class Landscape:
    """A world: a function from windows to ground, fixed by a seed, a number of crops, and whether it has structures.

    A world with structures has the same fields, forests and towns; some fields are orchards or vineyards, stands of
    needle trees are a class of their own, and some settlements are industry.
    """

    def __init__(self, seed: int, crops: int, *, structures: bool = False):
        self.seed, self.crops, self.structures = seed, crops, structures
        self.conifer_code, self.orchard_code, self.vineyard_code, self.industry_code = range(
            FIRST_CROP + crops, FIRST_CROP + crops + 4
        )

    def key(self, name: str) -> int:
        """Key of one stream of random numbers of this world."""
        return stream(self.seed, name)

    def ground(self, at: Window) -> Ground:
        """The ground within a window."""
        farm = self._farms(at)
        field_key, field_code, of_pixel, (along, across), where = self._fields(at, farm)
        relief = fractal(self.key("relief"), at.x, at.y, 4200.0, 5)
        water, shore = self._water(at, relief)
        forest, stand = self._forest(at, relief)
        town, industry, built, scatterers = self._town(at)
        code = field_code[of_pixel]
        code = np.where(farm.lane | (shore & (code >= FIRST_CROP)), GRASS_CODE, code)
        code = np.where(forest, FOREST_CODE, code)
        code = np.where(town, BUILT_CODE, code)
        code = np.where(water, WATER_CODE, code)
        if self.structures:
            code = np.where((code == FOREST_CODE) & (stand == NEEDLE_UNIT), self.conifer_code, code)
            code = np.where((code == BUILT_CODE) & industry, self.industry_code, code)
        wood, settled = np.isin(code, self.forest_codes), np.isin(code, self.built_codes)
        unit = np.where(code == GRASS_CODE, VERGE_UNIT, of_pixel + len(FIXED_CODES))
        unit = np.where((code == GRASS_CODE) & (field_code[of_pixel] == GRASS_CODE), of_pixel + len(FIXED_CODES), unit)
        unit = np.where(wood, stand, unit)
        unit = np.where(settled, GARDEN_UNIT, unit)
        keys = np.concatenate([scramble(self.key("stands"), np.arange(len(FIXED_CODES))), field_key])
        return Ground(
            code=code,
            unit=unit,
            unit_code=np.concatenate([FIXED_CODES, field_code]),
            unit_key=keys,
            built=built * settled,
            scatterers=scatterers * settled,
            turbidity=self._turbidity(at),
            brightness=self._soil(at),
            texture=self._texture(at),
            across=across,
            along=along,
            wood=wood,
            lateness=self._lateness(keys, where, at),
        )

    @property
    def forest_codes(self) -> tuple[int, ...]:
        """Classes of trees that are no orchard."""
        return (FOREST_CODE, self.conifer_code) if self.structures else (FOREST_CODE,)

    @property
    def built_codes(self) -> tuple[int, ...]:
        """Classes of settlements."""
        return (BUILT_CODE, self.industry_code) if self.structures else (BUILT_CODE,)

    # --- farms and fields -------------------------------------------------------------------------------------------

    def _farms(self, at: Window) -> "Farms":
        """Farm blocks: Voronoi cells of a jittered lattice, with a lane along their borders."""
        columns = np.arange(int(at.x[0] // FARM) - 1, int(at.x[-1] // FARM) + 2)
        rows = np.arange(int(at.y[-1] // FARM) - 1, int(at.y[0] // FARM) + 2)
        column, row = (a.ravel() for a in np.meshgrid(columns, rows))
        key = scramble(self.key("farm"), column, row)
        x = (column + 0.5 + 0.8 * (_unit(key, 1) - 0.5)) * FARM
        y = (row + 0.5 + 0.8 * (_unit(key, 2) - 0.5)) * FARM
        square = (at.x[None, :] - x[:, None])[:, None, :] ** 2 + (at.y[None, :] - y[:, None])[:, :, None] ** 2
        square = square.reshape(len(key), -1)
        nearest = square.argmin(axis=0)
        first = np.take_along_axis(square, nearest[None], 0)[0]
        np.put_along_axis(square, nearest[None], np.inf, 0)
        lane = np.sqrt(square.min(axis=0)) - np.sqrt(first) < 14
        return Farms(key, x, y, nearest.reshape(at.shape), lane.reshape(at.shape))

    def _fields(self, at: Window, farm: "Farms"):
        """Each farm block is cut into rows, each row into fields, along the block's own direction.

        Returns keys, codes (f), the field of each pixel, metres along and across (h w), the farms' (x, y) (f).
        """
        angle = np.pi * _unit(farm.key, 3)
        depth = 130 + 170 * _unit(farm.key, 4)
        of = farm.of_pixel
        dx, dy = at.x[None, :] - farm.x[of], at.y[:, None] - farm.y[of]
        cos, sin = np.cos(angle)[of], np.sin(angle)[of]
        u, v = cos * dx + sin * dy, cos * dy - sin * dx
        row = _cut(v / depth[of], farm.key[of])
        row_key = scramble(0, farm.key[of], row)
        column = _cut(u / (140 + 300 * _unit(row_key, 1)), row_key)
        keys, first, of_pixel = np.unique(scramble(0, row_key, column), return_index=True, return_inverse=True)
        block = of.ravel()[first]
        code = self._crop(keys, farm, block)
        return keys, code, of_pixel.reshape(at.shape), (u, v), (farm.x[block], farm.y[block])

    def _crop(self, key: np.ndarray, farm: "Farms", block: np.ndarray) -> np.ndarray:
        """Grass or a crop: what the region grows most, what the farm prefers, and chance (Gumbel-max)."""
        codes = np.arange(GRASS_CODE, FIRST_CROP + self.crops)
        if self.structures:
            codes = np.append(codes, [self.orchard_code, self.vineyard_code])
        region = np.stack([smooth_at(self.key(f"mix{c}"), farm.x, farm.y, 7000.0) for c in codes], axis=1)
        favourite = (0.9 * region + _gumbel(farm.key[:, None], codes)).argmax(axis=1)[block]
        follows = _unit(key, 7) < 0.65
        chance = (0.9 * region[block] + _gumbel(key[:, None], codes)).argmax(axis=1)
        return codes[np.where(follows, favourite, chance)]

    def _lateness(self, key: np.ndarray, where: tuple, at: Window) -> np.ndarray:
        """Lateness in days with regional (5) and individual (8) standard deviations; forest stands and gardens
        follow the region.
        """
        fixed = len(key) - len(where[0])
        x = np.concatenate([np.full(fixed, at.x.mean()), where[0]])
        y = np.concatenate([np.full(fixed, at.y.mean()), where[1]])
        own = np.where(np.arange(len(key)) < fixed, 0.0, 8.0) * normal(self.key("late"), key)
        return own + 5.0 * smooth_at(self.key("spring"), x, y, 15000.0)

    # --- the rest of the land ---------------------------------------------------------------------------------------

    def _water(self, at: Window, relief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lakes where a noise is high, rivers along the zero line of another; and the meadows beside them."""
        lake = fractal(self.key("lake"), at.x, at.y, 2600.0, 4, 0.4) - 0.25 * relief
        river = np.abs(fractal(self.key("river"), at.x, at.y, 6000.0, 4, 0.35))
        return (lake > 1.5) | (river < 0.022), (lake > 1.3) | (river < 0.075)

    def _forest(self, at: Window, relief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Forest on higher ground; stands are coniferous or broad-leaved."""
        wood = fractal(self.key("wood"), at.x, at.y, 1700.0, 5, 0.6) + 0.7 * relief
        conifer = fractal(self.key("stand"), at.x, at.y, 500.0, 2) + 0.8 * smooth(self.key("trees"), at.x, at.y, 9000.0)
        return wood > 1.0, np.where(conifer > 0, NEEDLE_UNIT, BROADLEAF_UNIT)

    def _town(self, at: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Settlements: where, which are industry, surface shares (concrete, roof, asphalt), and scatterers.

        Industry has the same shares of surfaces as a village in lots that are four times as long and wide.
        """
        closeness, angle, industry = self._settlements(at)
        town = closeness + 0.22 * fractal(self.key("edge"), at.x, at.y, 400.0, 3) > 0.35
        if not town.any():
            return town, industry, np.zeros((3, *at.shape)), np.zeros(at.shape)
        dx, dy = at.x[None, :], at.y[:, None]
        u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
        size = np.where(industry, 4.0, 1.0)
        street = (np.mod(u, 90 * size) < 11 * size) | (np.mod(v, 60 * size) < 11 * size)
        lot = scramble(
            self.key("lot"), np.floor(u / (22 * size)).astype(np.int64), np.floor(v / (20 * size)).astype(np.int64)
        )
        density = np.clip(0.25 + 0.5 * closeness, 0.2, 0.8)
        house = (_unit(lot, 1) < density) & ~street
        tiled = _unit(lot, 2) < 0.6
        shares = np.stack(
            [0.12 + 0.25 * density, np.where(house & tiled, 0.8, 0.0), np.where(house & ~tiled, 0.7, 0.0)]
        )
        shares[2] = np.where(street, 0.75, shares[2])
        shares /= np.maximum(shares.sum(axis=0), 1.0)
        facing = 0.5 + np.abs(np.cos(2 * angle))
        power = 0.05 + house * facing * 0.35 * np.exp(1.1 * normal(self.key("wall"), lot))
        return town, industry, shares, np.minimum(power, 12.0)

    def _settlements(self, at: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest settlement: closeness (1 in its middle, 0 at its radius, below 0 outside), angle, industry."""
        columns = np.arange(int(at.x[0] // TOWN) - 1, int(at.x[-1] // TOWN) + 2)
        rows = np.arange(int(at.y[-1] // TOWN) - 1, int(at.y[0] // TOWN) + 2)
        column, row = (a.ravel() for a in np.meshgrid(columns, rows))
        key = scramble(self.key("town"), column, row)
        x = (column + _unit(key, 1)) * TOWN
        y = (row + _unit(key, 2)) * TOWN
        radius = 250 * np.exp(1.9 * _unit(key, 3) ** 2)
        distance = np.sqrt(
            (at.x[None, :] - x[:, None])[:, None, :] ** 2 + (at.y[None, :] - y[:, None])[:, :, None] ** 2
        )
        closeness = 1 - distance / radius[:, None, None]
        nearest = closeness.argmax(axis=0)
        industrial = self.structures & (_unit(key, 5) < 0.5)
        return closeness.max(axis=0), (0.5 * np.pi * _unit(key, 4))[nearest], industrial[nearest]

    def _soil(self, at: Window) -> np.ndarray:
        """Brightness: regions of sand and loam, and patches inside fields."""
        region = 1.1 * smooth(self.key("parent"), at.x, at.y, 9000.0)
        return 1 / (1 + np.exp(-(region + 0.8 * fractal(self.key("soil"), at.x, at.y, 260.0, 3))))

    def _texture(self, at: Window) -> np.ndarray:
        return np.stack(
            [
                fractal(self.key("fine"), at.x, at.y, 40.0, 2, 1.0),
                fractal(self.key("coarse"), at.x, at.y, 220.0, 2, 0.5),
            ]
        )

    def _turbidity(self, at: Window) -> np.ndarray:
        broad = smooth(self.key("silt"), at.x, at.y, 3000.0) + 0.3 * smooth(self.key("eddy"), at.x, at.y, 200.0)
        return 1 / (1 + np.exp(-1.8 * broad))


@dataclass(frozen=True, slots=True, eq=False)
class Farms:
    """Farm blocks around a window, and the block of each pixel."""

    key: UInt64[np.ndarray, " n"]
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    of_pixel: Int[np.ndarray, "h w"]
    lane: np.ndarray
    """Where a lane with its grass verges runs."""


def _unit(key: np.ndarray, purpose: int) -> np.ndarray:
    return uniform(0, key, purpose)


def _gumbel(key: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return -np.log(-np.log(np.clip(uniform(0, key, codes + 16), 1e-12, 1 - 1e-12)))


def _cut(t: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Number of the interval, of about unit length with jittered borders, that each position falls into."""
    low = np.floor(t).astype(np.int64)

    def border(k: np.ndarray) -> np.ndarray:
        return k + 0.6 * (uniform(1, key, k) - 0.5)

    return low - (t < border(low)) + (t >= border(low + 1))
