"""The land-cover classes of the synthetic landscape: their year, their look and their radar response."""

from dataclasses import dataclass, replace
from typing import Literal

from swath.corpus.physics.phenology import Cycle, Phenology


@dataclass(frozen=True, slots=True)
class Radar:
    """Canopy parameters of the water-cloud model (see `_radar`), per polarisation (VV, VH)."""

    albedo: tuple[float, float]
    """Backscatter coefficient of an opaque canopy at vertical incidence, linear power."""
    extinction: tuple[float, float]
    """One-way extinction per unit of leaf area index."""


@dataclass(frozen=True, slots=True)
class Land:
    """One land-cover class."""

    name: str
    colour: str
    phenology: Phenology
    leaf: str
    """Leaf spectrum (see `_spectra.LEAVES`)."""
    radar: Radar
    patchiness: float = 0.15
    """Standard deviation of the log leaf area inside a unit."""
    grain: float = 0.5
    """How much of that variation is coarse (patches of 200 m) instead of fine (tens of metres)."""
    tramlines: float = 0.0
    """Share of the leaf area that is missing on the tracks of the farm machines."""
    spacing: float = 36.0
    """Metres between these tracks, or between the rows of what is planted in rows or in a grid."""
    planting: Literal["sown", "rows", "grid"] = "sown"
    """How plants stand: everywhere, in rows, or in a grid of trees, with bare soil between."""


WATER = Land("water", "#2b6cb0", Phenology(0.0), "grass", Radar((0.0, 0.0), (0.0, 0.0)))
BUILT = Land(
    "built-up",
    "#9b2c2c",
    Phenology(0.8, (Cycle(1.8, 110.0, 12.0, 295.0, 10.0),)),
    "grass",
    Radar((0.09, 0.016), (0.2, 0.2)),
    0.3,
    0.2,
)
FOREST = Land(
    "forest",
    "#22543d",
    Phenology(3.6, (Cycle(1.2, 118.0, 6.0, 292.0, 8.0),)),
    "needle",
    Radar((0.17, 0.046), (0.3, 0.3)),
    0.35,
    0.3,
)
BROADLEAF = Land(
    "forest",
    "#22543d",
    Phenology(0.7, (Cycle(4.4, 118.0, 6.0, 292.0, 8.0),)),
    "broadleaf",
    Radar((0.16, 0.040), (0.3, 0.3)),
    0.35,
    0.3,
)
GRASS = Land(
    "grass",
    "#9ae6b4",
    Phenology(1.1, (Cycle(2.4, 95.0, 12.0, 305.0, 14.0),), mown=True),
    "grass",
    Radar((0.050, 0.0095), (0.16, 0.14)),
    0.30,
    0.8,
)
CROPS = (
    Land(
        "winter-wheat",
        "#d69e2e",
        Phenology(0.05, (Cycle(0.9, 302.0, 9.0, 480.0, 10.0), Cycle(4.2, 101.0, 9.0, 206.0, 3.0)), ripe=184.0),
        "cereal",
        Radar((0.030, 0.0075), (0.17, 0.11)),
        patchiness=0.12,
        tramlines=0.6,
        spacing=28.0,
    ),
    Land(
        "maize",
        "#ed8936",
        Phenology(0.05, (Cycle(4.4, 167.0, 8.0, 268.0, 4.0),), ripe=256.0),
        "crop",
        Radar((0.105, 0.027), (0.16, 0.14)),
        patchiness=0.28,
        grain=0.9,
    ),
    Land(
        "rapeseed",
        "#ecc94b",
        Phenology(
            0.05,
            (Cycle(1.6, 265.0, 9.0, 470.0, 12.0), Cycle(4.0, 92.0, 8.0, 196.0, 4.0)),
            ripe=181.0,
            flower=(0.8, 122.0, 9.0),
        ),
        "crop",
        Radar((0.110, 0.041), (0.15, 0.15)),
        patchiness=0.16,
        tramlines=0.5,
        spacing=36.0,
    ),
    Land(
        "sugar-beet",
        "#b83280",
        Phenology(0.05, (Cycle(4.2, 163.0, 11.0, 294.0, 5.0),)),
        "crop",
        Radar((0.120, 0.028), (0.15, 0.13)),
        patchiness=0.28,
        grain=0.1,
        tramlines=0.3,
        spacing=56.0,
    ),
    Land(
        "spring-barley",
        "#f6e05e",
        Phenology(0.05, (Cycle(3.7, 121.0, 7.0, 208.0, 3.0),), ripe=187.0),
        "cereal",
        Radar((0.034, 0.0100), (0.16, 0.12)),
        patchiness=0.16,
        tramlines=0.55,
        spacing=44.0,
    ),
    Land(
        "sunflower",
        "#744210",
        Phenology(0.05, (Cycle(3.5, 160.0, 8.0, 262.0, 5.0),), ripe=236.0, flower=(0.35, 200.0, 9.0)),
        "crop",
        Radar((0.125, 0.033), (0.15, 0.13)),
        patchiness=0.22,
        grain=0.2,
    ),
)

ORCHARD = Land(
    "orchard",
    "#68d391",
    Phenology(0.6, (Cycle(2.6, 112.0, 8.0, 300.0, 9.0),)),
    "broadleaf",
    Radar((0.120, 0.030), (0.18, 0.18)),
    patchiness=0.15,
    spacing=40.0,
    planting="grid",
)
VINEYARD = replace(ORCHARD, name="vineyard", colour="#97266d", planting="rows")
"""The same plants as an orchard but for how they stand: only structure tells the two apart."""
STRUCTURED = (
    replace(FOREST, name="coniferous-forest", colour="#1a365d"),
    ORCHARD,
    VINEYARD,
    replace(BUILT, name="industry", colour="#4a5568"),
)
"""Classes that a landscape with `structures` has beside the others, after its crops."""


def classes(crops: int, *, structures: bool = False) -> tuple[Land, ...]:
    """The classes of a landscape with that many crops; the position is the code in the label layer."""
    if not structures:
        return (WATER, BUILT, FOREST, GRASS, *CROPS[:crops])
    village, woods = replace(BUILT, name="village"), replace(BROADLEAF, name="broad-leaved-forest")
    return (WATER, village, woods, GRASS, *CROPS[:crops], *STRUCTURED)


WATER_CODE, BUILT_CODE, FOREST_CODE, GRASS_CODE, FIRST_CROP = range(5)
