"""A source, a published format, a strategy for locations, a rule for dates and a check: each is added by one file."""

import datetime as dt
import importlib
import sys
from collections.abc import Callable, Iterator
from textwrap import dedent

import numpy as np
import pytest
from affine import Affine

from swath import plugins
from swath.corpus import Corpus, check, dates, places, sources
from swath.errors import CorpusError
from tests.corpus.fakes import make
from tests.corpus.sources.image_layouts import noise, tif
from tests.corpus.sources.reading import labels, log, made, stored

AddFile = Callable[[str, str, str], None]


@pytest.fixture
def add(tmp_path, monkeypatch) -> Iterator[AddFile]:
    """Call with a package, a module's name and its text: as if the file lay in the package's folder."""

    modules = []

    def added(package: str, name: str, text: str) -> None:
        folder = tmp_path.joinpath(*package.split("."))
        folder.mkdir(parents=True)
        for parent in (folder, *folder.relative_to(tmp_path).parents):
            (tmp_path / parent / "__init__.py").touch()
        (folder / f"{name}.py").write_text(dedent(text))
        modules.append(f"{package}.{name}")
        while package != "swath.corpus":
            module = importlib.import_module(package)
            monkeypatch.setattr(module, "__path__", [*module.__path__, str(tmp_path.joinpath(*package.split(".")))])
            package = package.rpartition(".")[0]
        monkeypatch.setattr(sys, "dont_write_bytecode", True)

    yield added
    for module in modules:
        sys.modules.pop(module, None)


def test_a_source(add, tmp_path):
    add(
        "swath.corpus.sources",
        "gauge",
        '''
        """Water levels as pictures of one pixel."""
        import datetime as dt
        from pathlib import Path
        from typing import Literal
        import numpy as np
        from swath.corpus import Chip, CorpusWriter, Location, Part, SensorLayout
        from swath.settings import PluginSettings

        class Config(PluginSettings):
            """Settings of the source."""
            name: Literal["gauge"] = "gauge"
            days: int = 3

        def build(config: Config, target: Path, data: Path | None = None) -> None:
            """Make the corpus."""
            layout = SensorLayout(bands=("VV",), gsd_m=10, dtype="float32")
            with CorpusWriter(target, {"sentinel-1-grd": layout}, 1, {}, {"source": "gauge"}) as writer:
                when = [dt.datetime(2021, 1, 1 + day, tzinfo=dt.UTC) for day in range(config.days)]
                pixels = [np.full((1, 1, 1), -10.0 - day, np.float32) for day in range(config.days)]
                chips = [Chip("g", "sentinel-1-grd", p, datetime=t) for p, t in zip(pixels, when, strict=True)]
                writer.append(Part([Location("g")], chips, {}))
                writer.finish()
        ''',
    )
    assert "gauge" in plugins.names("swath.corpus.sources")
    assert "gauge" not in sources.formats()
    corpus = made("gauge", None, tmp_path / "c", days=2)
    assert isinstance(corpus, Corpus)
    assert [pixels.item() for pixels in stored(corpus, "sentinel-1-grd").values()] == [-10, -11]


def test_a_published_format(add, tmp_path):
    add(
        "swath.corpus.sources.published",
        "ponds",
        '''
        """Ponds (nobody 2026): images of 8 x 8 pixels and masks of water."""
        from pathlib import Path
        from typing import Literal
        from swath import sensors
        from swath.corpus import LabelLayer, SensorLayout
        from swath.corpus.sources.published import (
            Contents, CorpusSpec, File, FormatSettings, Names, Omissions, chip_of, codes, convert, data_folder,
            files_by_key, image, placed,
        )

        SENSOR, KINDS = "sentinel-2-l1c", {"image": Names("{pond}_image.tif"), "mask": Names("{pond}_mask.tif")}

        class Config(FormatSettings):
            """Settings of the source."""
            name: Literal["ponds"] = "ponds"

        def build(config: Config, target: Path, data: Path | None = None) -> None:
            """Make the corpus, or continue one that was interrupted."""
            root = data_folder(data)
            omissions = Omissions(config, root)
            layout = SensorLayout.of(sensors.get(SENSOR), ("B03", "B08"), gsd_m=10)
            spec = CorpusSpec(8, {SENSOR: layout}, {"water": LabelLayer(classes={1: "water"}, void=0)}, ("CC0-1.0",))
            files = files_by_key(root, KINDS, omissions)

            def read(key: tuple[str, ...]) -> Contents:
                picture, mask = (File(files[key][kind], files[key][kind].name) for kind in KINDS)
                pixels, head = image(picture, 2, "uint16", 8)
                water = codes(mask, spec.labels["water"], 8, (picture, head))
                contents = Contents()
                chips = [chip_of(key[0], SENSOR, pixels, picture.name)]
                contents.add(placed(key[0], head), chips, {"water": water}, spec.sensors)
                return contents

            convert(target, spec, omissions, list(files), lambda key: [key[0]], read)
        ''',
    )
    (tmp_path / "in").mkdir()
    written = {}
    for number in range(3):
        grid = Affine(10, 0, 5e5 + 1000 * number, 0, -10, 5e6)
        pixels = tif(tmp_path / f"in/p{number}_image.tif", noise(number, (2, 8, 8), 1, 9000, "uint16"), transform=grid)
        water = tif(tmp_path / f"in/p{number}_mask.tif", noise(number, (1, 8, 8), 0, 2), transform=grid)
        written[f"p{number}"] = pixels, water[0]
    assert sources.formats()["ponds"] == "Ponds (nobody 2026): images of 8 x 8 pixels and masks of water."
    corpus = made("ponds", tmp_path / "in", tmp_path / "c")
    for uid, (pixels, water) in written.items():
        np.testing.assert_array_equal(stored(corpus, "sentinel-2-l1c")[uid, None], pixels)
        np.testing.assert_array_equal(labels(corpus, "water")[uid], water)
    (tmp_path / "in/p1_mask.tif").unlink()
    with pytest.raises(CorpusError, match=r"p1_mask\.tif is missing; p1_image\.tif is there"):
        made("ponds", tmp_path / "in", tmp_path / "d")
    fewer = made("ponds", tmp_path / "in", tmp_path / "d", on_bad_file="skip")
    assert fewer.locations["uid"].tolist() == ["p0", "p2"]
    assert [entry["id"] for entry in log(fewer)] == ["p1"]


def test_a_strategy_for_locations(add):
    add(
        "swath.corpus.places",
        "meridian",
        '''
        """From south to north along a meridian."""
        from typing import Literal
        import numpy as np
        from swath.corpus.places import Candidates, PlacesConfig

        class Config(PlacesConfig):
            """Settings of the strategy."""
            name: Literal["meridian"] = "meridian"
            lon: float = 9.0

        def candidates(config, footprint, rng):
            """Points at every hundredth of a degree."""
            lat = np.linspace(40, 40.2, 21)
            yield Candidates(np.full(len(lat), config.lon), lat, {"step": np.arange(len(lat))})
        ''',
    )
    config = plugins.find("swath.corpus.places", "meridian").Config(lon=12.3)
    plan = places.draw(config, places.Footprint(128, 10.0))
    np.testing.assert_allclose(plan["lon"], 12.3, atol=1e-4)
    assert plan["step"].tolist() == list(range(0, 22, 2)), "a hundredth of a degree is less than a chip of 1280 m"
    assert set(plan["crs"]) == {"EPSG:32633"}


def test_a_rule_for_dates(add):
    add(
        "swath.corpus.dates",
        "solstice",
        '''
        """The longest day of a year."""
        import datetime as dt
        from typing import Literal
        from swath.corpus.dates import Window, around
        from swath.settings import PluginSettings

        class Config(PluginSettings):
            """Settings of the rule."""
            name: Literal["solstice"] = "solstice"
            year: int

        def windows(config, uid):
            """One window."""
            return (Window("summer", (around(dt.date(config.year, 6, 21), 2.0),)),)
        ''',
    )
    (window,) = dates.windows(plugins.find("swath.corpus.dates", "solstice").Config(year=2021), "a")
    assert window.holds(dt.datetime(2021, 6, 19, tzinfo=dt.UTC))
    assert not window.holds(dt.datetime(2021, 6, 18, 23, tzinfo=dt.UTC))


def test_a_check(add, tmp_path):
    add(
        "swath.corpus.checks",
        "size",
        '''
        """Whether there is enough to learn from."""
        from swath.corpus.checks import Finding, Sample, Section

        STAGE = 3

        def inspect(sample: Sample) -> Section:
            """Compare the number of locations with ten."""
            count = len(sample.corpus)
            few = Finding("warning", f"{count} locations are few", str(sample.corpus.path), "add some")
            return Section("Size", "Ten locations are the least.", [few] if count < 10 else [])
        ''',
    )
    corpus = make(tmp_path / "corpus", count=4)
    assert "4 locations are few" in [finding.what for finding in check(corpus)]
