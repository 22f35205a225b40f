import sys
from functools import cache

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from swath import plugins, sensors
from swath.errors import RecipeError
from swath.sensors import _registry

FRUIT = """
from typing import Literal
from swath.settings import PluginSettings
class Config(PluginSettings):
    name: Literal["{name}"] = "{name}"
    weight: float = 1.0
"""


@pytest.fixture
def fruits(tmp_path, monkeypatch):
    """A package with two plug-ins, a helper and a file that is no module."""
    folder = tmp_path / "swath_test_fruits"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_peel.py").write_text("raise RuntimeError('helpers are not imported')")
    (folder / "notes.txt").touch()
    for name in ("blood_orange", "apple"):
        (folder / f"{name}.py").write_text(FRUIT.format(name=name.replace("_", "-")))
    monkeypatch.syspath_prepend(tmp_path)
    yield "swath_test_fruits"
    for module in [name for name in sys.modules if name.startswith("swath_test_fruits")]:
        del sys.modules[module]


def test_names_are_modules_without_helpers(fruits):
    assert plugins.names(fruits) == ["apple", "blood-orange"]


def test_listing_names_imports_none_of_them(fruits):
    plugins.names(fruits)
    assert f"{fruits}.apple" not in sys.modules


@pytest.mark.parametrize("spelling", ["blood-orange", "blood_orange"])
def test_hyphen_and_underscore_are_the_same(fruits, spelling):
    assert plugins.find(fruits, spelling).Config().name == "blood-orange"


def test_an_unknown_name_suggests_the_nearest(fruits):
    with pytest.raises(RecipeError, match="'aple'") as error:
        plugins.find(fruits, "aple")
    assert error.value.remedy == "did you mean 'apple'? known: apple, blood-orange"


@pytest.mark.parametrize("name", ["_peel", "-peel", "notes", "", "apple.Config", "../apple"])
def test_helpers_and_paths_are_no_plugins(fruits, name):
    with pytest.raises(RecipeError, match="unknown"):
        plugins.find(fruits, name)


def test_a_new_file_is_found_without_being_registered(fruits, tmp_path):
    (tmp_path / fruits / "cherry.py").write_text(FRUIT.format(name="cherry"))
    assert plugins.names(fruits) == ["apple", "blood-orange", "cherry"]


def test_settings_are_told_apart_by_name(fruits):
    adapter = TypeAdapter(plugins.union(fruits))
    config = adapter.validate_python({"name": "apple", "weight": 2.0})
    assert (type(config).__module__, config.weight) == (f"{fruits}.apple", 2.0)
    with pytest.raises(ValidationError, match="aple"):
        adapter.validate_python({"name": "aple"})
    with pytest.raises(ValidationError, match="heft"):
        adapter.validate_python({"name": "apple", "heft": 2.0})


def test_a_plugin_may_be_a_package_and_lie_in_a_family(fruits, tmp_path):
    for folder in ("mango", "berries", "berries/_jam"):
        (tmp_path / fruits / folder).mkdir()
        (tmp_path / fruits / folder / "__init__.py").write_text("")
    (tmp_path / fruits / "mango/__init__.py").write_text(FRUIT.format(name="mango"))
    (tmp_path / fruits / "mango/_stone.py").touch()
    (tmp_path / fruits / "berries/black_currant.py").write_text(FRUIT.format(name="black-currant"))
    (tmp_path / fruits / "berries/_jam/sugar.py").touch()
    assert plugins.names(fruits) == ["apple", "black-currant", "blood-orange", "mango"]
    assert not [name for name in sys.modules if name.startswith(f"{fruits}.")], "listing imports nothing"
    assert plugins.find(fruits, "black-currant").__name__ == f"{fruits}.berries.black_currant"
    assert plugins.find(fruits, "mango").Config().name == "mango"
    with pytest.raises(RecipeError, match="unknown"):
        plugins.find(fruits, "berries")


# ------------------------------------------------------------------------------------------------ installed packages


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package as pip would: its modules, and what its metadata say of entry points, on the path."""

    def put(package: str, modules: dict[str, str], offers: dict[str, str], group: str = "swath.swath_test_fruits"):
        site = tmp_path / f"site-{package}"
        folder, metadata = site / package.replace("-", "_"), site / f"{package.replace('-', '_')}-1.2.dist-info"
        folder.mkdir(parents=True)
        metadata.mkdir()
        (folder / "__init__.py").touch()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        lines = "".join(f"{name} = {value}\n" for name, value in offers.items())
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        monkeypatch.syspath_prepend(site)
        return site

    yield put
    for module in [name for name in sys.modules if name.startswith("fruit_shop")]:
        del sys.modules[module]


def adapter(package):
    return TypeAdapter(plugins.union(package))


def test_a_package_adds_a_plug_in_by_its_metadata(fruits, install):
    install("fruit-shop", {"kiwi": FRUIT.format(name="kiwi")}, {"kiwi": "fruit_shop.kiwi"})
    assert plugins.names(fruits) == ["apple", "blood-orange", "kiwi"]
    assert plugins.shipped(fruits) == ["apple", "blood-orange"]
    assert plugins.origins(fruits) == {"apple": "swath", "blood-orange": "swath", "kiwi": "fruit-shop 1.2"}
    assert "fruit_shop.kiwi" not in sys.modules  # nothing is imported to list it
    assert plugins.find(fruits, "kiwi").__name__ == "fruit_shop.kiwi"
    assert adapter(fruits).validate_python({"name": "kiwi", "weight": 2.0}).weight == 2.0


def test_a_wrong_name_is_told_who_offers_what(fruits, install):
    install("fruit-shop", {"kiwi": FRUIT.format(name="kiwi")}, {"kiwi": "fruit_shop.kiwi"})
    with pytest.raises(RecipeError, match="unknown") as error:
        plugins.find(fruits, "kivi")
    assert "did you mean 'kiwi'?" in str(error.value.remedy)
    assert "of installed packages: kiwi (fruit-shop 1.2)" in str(error.value.remedy)


def test_a_name_that_two_claim_is_refused_and_both_are_named(fruits, install):
    install("fruit-shop", {"apple": FRUIT.format(name="apple")}, {"apple": "fruit_shop.apple"})
    with pytest.raises(RecipeError, match=r"two plug-ins claim .* 'apple': those of swath and fruit-shop 1\.2"):
        plugins.find(fruits, "apple")
    with pytest.raises(ValidationError, match=r"swath and fruit-shop 1\.2; uninstall one"):
        adapter(fruits).validate_python({"name": "apple", "weight": 2.0})
    assert adapter(fruits).validate_python({"name": "blood-orange"}).weight == 1.0  # others are not bothered
    assert "fruit_shop.apple" not in sys.modules


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError"),
        ("syntax error", "SyntaxError"),
        ("", "defines no Config"),
        ("class Config: name = 'kiwi'", "defines no Config"),
        (FRUIT.format(name="plum"), "with name: Literal"),
    ],
)
def test_a_broken_package_names_itself_and_bothers_nobody_else(fruits, install, text, said):
    install("fruit-shop", {"kiwi": text}, {"kiwi": "fruit_shop.kiwi"})
    with pytest.raises(ValidationError) as error:
        adapter(fruits).validate_python({"name": "kiwi", "weight": 2.0})
    assert said in str(error.value)
    assert "fruit-shop 1.2" in str(error.value)
    assert adapter(fruits).validate_python({"name": "apple"}).weight == 1.0
    assert "apple" in plugins.usable(fruits)


def test_an_entry_point_that_leads_nowhere_names_itself(fruits, install):
    install("fruit-shop", {"kiwi": "Config = 3"}, {"kiwi": "fruit_shop.kiwi:Config", "fig": "fruit_shop.fig"})
    with pytest.raises(RecipeError, match=r"'kiwi' of fruit-shop 1.2 is no module"):
        plugins.find(fruits, "kiwi")
    with pytest.raises(RecipeError, match=r"'fig' of fruit-shop 1.2 cannot be imported") as error:
        plugins.find(fruits, "fig")
    assert "its entry point is fruit_shop.fig" in str(error.value)
    assert list(plugins.usable(fruits)) == ["apple", "blood-orange"]


def test_settings_of_a_package_are_made_when_they_are_first_needed(fruits, install):
    annotation = plugins.union(fruits)
    install("fruit-shop", {"kiwi": FRUIT.format(name="kiwi")}, {"kiwi": "fruit_shop.kiwi"})

    class Basket(BaseModel):
        model_config = ConfigDict(defer_build=True)
        fruit: annotation

    assert "fruit_shop.kiwi" not in sys.modules
    assert Basket.model_validate({"fruit": {"name": "kiwi"}}).fruit.weight == 1.0


def test_a_sensor_of_a_package_is_known_and_held_to_the_rules(install):
    facts = 'Sensor(name="kiwi-cam", title="Kiwi", kind="optical", family="kiwi", bands=(Band("kiwi-cam", "red", 0.66, '
    facts += '0.03, 5.0, "reflectance"),), dtype="{dtype}", nodata=None, scaling=Scaling(1e-4), valid_range=(0.0, 1.6))'
    text = "from swath.sensors import Band, Scaling, Sensor\nSENSOR = " + facts
    offers = {"kiwi-cam": "fruit_shop.cam", "lemon-cam": "fruit_shop.cam", "float-cam": "fruit_shop.odd"}
    modules = {"cam": text.format(dtype="uint16"), "odd": text.format(dtype="float64").replace("kiwi-cam", "float-cam")}
    install("fruit-shop", modules, offers, "swath.sensors")
    try:
        count = len(sensors.bands())
        assert sensors.band_id("kiwi-cam/red") == count
        assert "kiwi-cam" in sensors.names()
        assert list(sensors.definitions(["kiwi-cam"])) == ["kiwi-cam"]
        with pytest.raises(RecipeError, match=r"'lemon-cam' of fruit-shop 1.2 cannot be used: it defines no SENSOR"):
            sensors.get("lemon-cam")
        with pytest.raises(RecipeError, match=r"'float-cam' of fruit-shop 1.2 cannot be used: it should be 'uint8'"):
            sensors.get("float-cam")
        other = sensors.definitions(["kiwi-cam"])["kiwi-cam"].model_dump() | {"scale": 1e-3}
        with pytest.raises(RecipeError, match=r"of fruit-shop 1.2 and of a file: scale: was 0.0001, is 0.001"):
            sensors.declare({"kiwi-cam": other}, "a file")
    finally:
        sensors.forget("kiwi-cam")


def test_a_package_that_claims_a_shipped_sensors_name_bothers_no_other_sensor(install, monkeypatch):
    install("fruit-shop", {"cam": "SENSOR = None"}, {"modis": "fruit_shop.cam"}, "swath.sensors")
    for cached in (_registry._shipped_sensor, _registry._table):
        monkeypatch.setattr(_registry, cached.__name__, cache(cached.__wrapped__))
    assert sensors.band("hls/RED").unit == "reflectance"
    with pytest.raises(RecipeError, match=r"two plug-ins claim .* 'modis': those of swath and fruit-shop 1\.2"):
        sensors.get("modis")
