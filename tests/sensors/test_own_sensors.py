"""Sensors of one's own: declared, refused with a reason, and carried as plain data."""

import copy

import numpy as np
import pytest

from swath import sensors
from swath.errors import RecipeError

CAMERA = {
    "kind": "optical",
    "dtype": "uint16",
    "scale": 0.0001,
    "nodata": 65535,
    "bands": [
        {"name": "G", "unit": "reflectance", "centre_um": 0.55, "width_um": 0.04, "gsd_m": 0.1, "common_name": "green"},
        {"name": "R", "unit": "reflectance", "centre_um": 0.66, "width_um": 0.04, "gsd_m": 0.1, "common_name": "red"},
        {"name": "B", "unit": "reflectance", "centre_um": 0.47, "width_um": 0.04, "gsd_m": 0.1, "common_name": "blue"},
        {"name": "T", "unit": "K", "centre_um": 10.5, "gsd_m": 0.4, "scale": 0.01, "offset": 100},
    ],
}
YAML = """
{name}:
  kind: radar
  dtype: float32
  decibel: true
  bands:
    - {{name: HH, unit: dB, gsd_m: 20}}
    - {{name: HV, unit: {unit}, gsd_m: 20}}
"""


@pytest.fixture
def name(request):
    """The name of a sensor that is forgotten after the test."""
    name = f"own-{request.node.name.lower().partition('[')[0].replace('_', '-')}"[:64].strip("-")
    yield name
    sensors.forget(name)


def changed(band: dict | None = None, position: int = 0, **sensor) -> dict:
    """The camera with some keys changed, of itself or of a band."""
    definition = copy.deepcopy(CAMERA) | sensor
    if band:
        definition["bands"][position] |= band
    return definition


def test_a_declared_sensor_is_like_a_shipped_one(name):
    before = sensors.bands()
    (sensor,) = sensors.declare({name: CAMERA})
    assert sensors.get(name) is sensor
    assert name in sensors.names()
    assert sensors.bands()[: len(before)] == before
    assert [sensors.band_id(f"{name}/{band}") for band in "GRBT"] == list(range(len(before), len(before) + 4))
    assert sensors.of(f"{name}/R").kind == "optical"
    counts = np.array([0, 2500, 20000], np.uint16)
    np.testing.assert_allclose(sensor.scaling_of("R").physical(counts), [0, 0.25, 2.0], rtol=1e-6)
    np.testing.assert_allclose(sensor.scaling_of("T").physical(counts), [100, 125, 300], rtol=1e-6)
    assert (sensor.range_of("T"), sensor.rgb, sensor.family) == ((150.0, 373.0), ("R", "G", "B"), name)


def test_what_is_declared_again_alike_stays_and_keeps_its_ids(name):
    sensors.declare({name: CAMERA})
    ids, count = sensors.band_id(f"{name}/R"), len(sensors.bands())
    sensors.declare({name: changed(title="Another title", display_range=[0.0, 1.0])})
    assert (sensors.band_id(f"{name}/R"), len(sensors.bands())) == (ids, count)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (changed({"centre_um": 0.56}), "bands.G.centre_um: was 0.55, is 0.56"),
        (changed(scale=0.001), "scale: was 0.0001, is 0.001"),
        (changed(kind="optical", bands=CAMERA["bands"][:3]), "bands.T: was"),
        (changed({"offset": 0.5}, 3), "bands.T.offset: was 100.0, is 0.5"),
    ],
)
def test_two_definitions_of_one_name_are_an_error_that_names_the_difference(name, other, difference):
    sensors.declare({name: CAMERA}, "one.yaml")
    with pytest.raises(RecipeError) as error:
        sensors.declare({name: other}, "other.yaml")
    assert difference in error.value.what
    assert "of one.yaml and of other.yaml" in error.value.what
    assert sensors.get(name).band("G").centre_um == 0.55


def test_a_sensor_that_is_forgotten_may_be_another_with_other_ids(name):
    sensors.declare({name: CAMERA})
    old = sensors.band_id(f"{name}/G")
    sensors.forget(name)
    with pytest.raises(RecipeError, match="unknown band"):
        sensors.band_id(f"{name}/G")
    sensors.declare({name: changed({"centre_um": 0.56})})
    assert sensors.band_id(f"{name}/G") > old
    assert sensors.band(f"{name}/G").centre_um == 0.56


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (
            changed({"unit": "lux"}),
            "bands.0.unit: it should be 'reflectance', 'dB', 'K', 'display', 'm', 'degree' or 'share'",
        ),
        (changed({"name": "R"}), "the band 'R' is listed twice"),
        (changed({"width_um": -0.04}), "bands.0.width_um: it should be greater than 0"),
        (changed({"width_um": 0.6}), "width_um must be smaller than centre_um"),
        (changed({"centre_um": float("nan")}), "bands.0.centre_um: should be a finite number"),
        (changed({"centre_um": 550.0}), "are these nanometres?"),
        (changed({"centre_um": None, "width_um": None}), "needs centre_um"),
        (changed({"name": "a/b"}), "'a/b' is no name of a band"),
        (changed({"name": "../G"}), "'../G' is no name of a band"),
        (changed({"unit": "dB", "centre_um": None, "width_um": None}), "kind optical are in reflectance or K"),
        (changed({"centr_um": 1}), "bands.0.centr_um: unknown key; did you mean 'centre_um'?"),
        (changed({"unit": "m"}, kind="map"), "nothing in m has a wavelength: leave centre_um out"),
        (changed({"unit": "m", "centre_um": None, "width_um": None}), "kind optical are in reflectance or K"),
        (changed(kind="sar"), "kind: it should be 'optical', 'radar' or 'map'"),
        (changed(scale=1.0), "whole numbers are no reflectance"),
        (changed(scale=0.0), "scale: it should be greater than 0"),
        (changed(offset=float("inf")), "offset: should be a finite number"),
        (changed(nodata=65536), "uint16 does not hold 65536"),
        (changed(nodata=0.5), "uint16 does not hold 0.5"),
        (changed(nodata="none"), "nodata: should be a number"),
        (changed(dtype="float64"), "dtype: it should be 'uint8'"),
        (changed(dtype="object"), "dtype: it should be 'uint8'"),
        (changed(decibel=True), "all bands of such a sensor are in dB"),
        (changed(rgb=["R", "G"]), "rgb: one or three of G, R, B, T"),
        (changed(rgb=["X"]), "rgb: one or three of G, R, B, T"),
        (changed(display_range=[1.0, 0.0]), "display_range: 1 must be less than 0"),
        (changed(bands=[]), "bands: "),
        (changed(gsd=10), "gsd: unknown key"),
        ({}, "kind: field required"),
        (None, "should be a mapping"),
    ],
)
def test_what_cannot_be_is_refused_and_not_known_afterwards(name, definition, said):
    with pytest.raises(RecipeError) as error:
        sensors.declare({name: definition}, "test.yaml")
    assert said in error.value.what
    assert error.value.where == "test.yaml"
    assert name not in sensors.names()


@pytest.mark.parametrize(
    "bad", ["My-Camera", "my_camera", "-a", "a--b", "a/b", "../a", "", "a b", "ä", "a" * 65, "a\n"]
)
def test_names_are_held_to_their_alphabet(bad):
    with pytest.raises(RecipeError, match="is no name of a sensor"):
        sensors.declare({bad: CAMERA})


def test_a_shipped_name_is_taken():
    with pytest.raises(RecipeError, match="swath has a sensor 'hls' of its own"):
        sensors.declare({"hls": CAMERA})


def test_a_file_is_read_and_its_line_is_named(name, tmp_path):
    path = tmp_path / "radar.yaml"
    path.write_text(YAML.format(name=name, unit="lux"))
    with pytest.raises(RecipeError, match=f"line 8: {name}.bands.1.unit") as error:
        sensors.read(path)
    assert error.value.where == str(path)
    path.write_text(YAML.format(name=name, unit="dB"))
    (sensor,) = sensors.read(path)
    np.testing.assert_allclose(sensor.scaling_of("HV").physical(np.array([0.01, 10.0])), [-20, 10], rtol=1e-6)
    assert (sensor.kind, sensor.range_of("HH")) == ("radar", (-50.0, 30.0))


@pytest.mark.parametrize("text", ["", "- a\n", "camera\n", "a: [\n", "!!python/object:os.system {}\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RecipeError) as error:
        sensors.read(tmp_path / "bad.yaml")
    assert str(tmp_path / "bad.yaml") in str(error.value)
    with pytest.raises(RecipeError, match="cannot read the file of sensors"):
        sensors.read(tmp_path / "missing.yaml")


def test_a_definition_gives_the_same_sensor_on_another_machine(name):
    (sensor,) = sensors.declare({name: CAMERA})
    carried = sensors.definitions([name, "hls"])
    assert list(carried) == [name]
    text = carried[name].model_dump_json()
    sensors.forget(name)
    sensors.declare({name: sensors.SensorDefinition.model_validate_json(text, strict=True)})
    again = sensors.get(name)
    assert (again.bands, again.scaling, again.nodata) == (sensor.bands, sensor.scaling, sensor.nodata)
    for band in "GRBT":
        assert again.scaling_of(band) == sensor.scaling_of(band)
        assert again.range_of(band) == sensor.range_of(band)


@pytest.mark.parametrize("shipped", [one for one in sensors.names() if not sensors.get(one).has_baselines])
def test_shipped_sensors_can_be_said_as_plain_data(shipped):
    sensor = sensors.get(shipped)
    again = sensors.definition_of(sensor).sensor(shipped)
    assert (again.bands, again.kind, again.dtype, again.rgb) == (sensor.bands, sensor.kind, sensor.dtype, sensor.rgb)
    assert all(again.scaling_of(band.name) == sensor.scaling_of(band.name) for band in sensor.bands)
    assert all(again.range_of(band.name) == sensor.range_of(band.name) for band in sensor.bands)
