"""One file server and STAC API for all tests of this folder, over a world of a few scenes."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from swath.corpus import places
from swath.corpus.sources.stac import Config
from swath.corpus.sources.stac import _place as place
from swath.corpus.sources.stac import _run as run
from swath.corpus.sources.stac import _section as sections
from swath.corpus.store.part import Location
from tests.corpus.sources.stac import servers, world
from tests.corpus.sources.stac.landsat import Landsat
from tests.corpus.sources.stac.world import OLI, S1, Scene, at, moment

AREA = [9.005, 47.818, 9.05, 47.848]
"""Inside the scenes' square."""
SPRING = Scene(moment("2021-03-18 10:10:00"), cloud=12.0)
DULL = Scene(moment("2021-03-23 10:10:00"), cloud=4.0, cloudy=(499_980.0, 5_295_000.0, 504_780.0, 5_301_000.0))
SUMMER = Scene(moment("2021-06-20 10:10:00"), baseline="03.00")
AUTUMN = Scene(moment("2021-09-25 10:10:00"), baseline="04.00", applied=True)
WINTER = Scene(moment("2021-12-20 10:10:00"), cloud=90.0)
RADAR = tuple(
    Scene(moment(f"{day} 05:20:00"), S1, catalogue="planetary-computer", platform="sentinel-1a", orbit=orbit, tile="R")
    for day, orbit in [("2021-03-10", "ascending"), ("2021-03-19", "descending"), ("2021-06-21", "ascending")]
)
LANDSAT = Scene(
    moment("2021-03-20 10:02:00"), OLI, west=499_965.0, north=5_300_055.0, side_m=4_830.0,
    catalogue="planetary-computer", platform="landsat-8", tile="193027", cloud=2.0,
)  # fmt: skip
SCENES = (SPRING, DULL, SUMMER, AUTUMN, WINTER, *RADAR, LANDSAT)


@dataclass(frozen=True)
class World:
    """Where everything is served."""

    files: servers.Files
    folder: Path
    scenes: tuple[Scene, ...] = SCENES
    api: str = ""

    def section(self, **changes) -> Config:
        """A section of a recipe: Sentinel-2 in seasons, from these servers."""
        document = {
            "name": "stac",
            "where": {"name": "uniform", "area": AREA, "count": 1},
            "when": {"name": "seasons", "year": 2021, "years": 1, "dates": ["03-20"]},
            "products": [self.optical()],
            "chip_px": 30,
            "catalogue": {"name": "earth-search", "url": self.api},
            "backoff_s": 0.01,
            "timeout_s": 2.0,
            "retries": 3,
            **changes,
        }
        return Config.model_validate_json(json.dumps(document), strict=True)

    def optical(self, **changes) -> dict:
        return {"sensor": "sentinel-2-l2a", "bands": ["B02", "B05", "B01"], **changes}

    def radar(self, **changes) -> dict:
        catalogue = {"name": "planetary-computer", "url": self.api}
        return {"sensor": "sentinel-1-rtc", "bands": ["VV", "VH"], "catalogue": catalogue, **changes}

    def landsat(self, **changes) -> dict:
        catalogue = {"name": "planetary-computer", "url": self.api}
        return {"sensor": "landsat-oli-sr", "bands": ["SR_B2", "SR_B5"], "catalogue": catalogue, **changes}

    def usgs(self, sensor: str, **changes) -> dict:
        catalogue = {"name": "usgs", "url": self.api, **changes.pop("catalogue", {})}
        return {"sensor": sensor, "catalogue": catalogue, **changes}

    def location(self, section: Config) -> Location:
        return next(run.locations(places.draw(section.where, sections.footprint(section))))

    def take(self, **changes) -> place.Outcome:
        """Build one location."""
        section = self.section(**changes)
        return place.build(section, self.location(section))

    def serving(self, *scenes: Scene | Landsat, base: str = ""):
        """The same files and others, with an API for these scenes only."""
        items = [scene.write(self.folder, self.files.base + base) for scene in scenes]
        return servers.stac(world.save(items, self.folder / f"items-{abs(hash(scenes))}.json"))


@pytest.fixture(scope="session")
def _served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    with servers.files(folder) as files:
        quiet = World(files, folder)
        with quiet.serving(*(at(scene) for scene in SCENES)) as api:
            yield World(files, folder, SCENES, api)


@pytest.fixture
def served(_served: World) -> World:
    """The world, with nothing failing."""
    _served.files.fail()
    return _served


@pytest.fixture
def other(served):
    """Call with scenes to have an API that serves only them."""
    from contextlib import ExitStack
    from dataclasses import replace

    with ExitStack() as stack:

        def _serve(*scenes: Scene | Landsat, base: str = "") -> World:
            return replace(served, scenes=scenes, api=stack.enter_context(served.serving(*scenes, base=base)))

        yield _serve
