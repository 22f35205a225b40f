"""All sensors that this process knows: shipped with swath, from installed packages, and defined by the user."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

from pydantic import ValidationError

from swath import _yaml, plugins
from swath.errors import RecipeError, nearest
from swath.sensors._definition import BandDefinition, SensorDefinition, SensorName, definition_of
from swath.sensors._types import Band, Sensor
from swath.settings import Settings, differences, plainly

PACKAGE = "swath.sensors"


class _Declared(Settings):
    """Sensors in a file of the user's, by name."""

    sensors: dict[SensorName, SensorDefinition]


class _Table:
    """The global band table. It only ever grows, so a band keeps its id as long as the process lives."""

    def __init__(self):
        self.lock = RLock()
        self.bands: tuple[Band, ...] = ()
        self.ids: dict[str, int] = {}
        self.added: dict[str, Sensor] = {}
        """Sensors beyond those shipped, by name."""
        self.origin: dict[str, str] = {}
        """Where each of them was defined, for messages."""
        for module in plugins.shipped_modules(PACKAGE).values():
            self.put(module.SENSOR)

    def put(self, sensor: Sensor) -> None:
        """Give a sensor's bands the next ids."""
        start = len(self.bands)
        self.bands += sensor.bands
        self.ids |= {band.key: start + i for i, band in enumerate(sensor.bands)}

    def add(self, sensor: Sensor, origin: str) -> Sensor:
        """Register a sensor that swath does not ship."""
        with self.lock:
            if sensor.name not in self.added:
                self.put(sensor)
                self.added[sensor.name], self.origin[sensor.name] = sensor, origin
            return self.added[sensor.name]


@cache
def _table() -> _Table:
    return _Table()


@cache
def _shipped() -> frozenset[str]:
    return frozenset(plugins.shipped(PACKAGE))


@cache
def _shipped_sensor(name: str) -> Sensor:
    return plugins.find(PACKAGE, name).SENSOR


def names() -> list[str]:
    """Names of all sensors: shipped, of installed packages, and declared."""
    return sorted({*plugins.names(PACKAGE), *_table().added})


def get(name: str) -> Sensor:
    """The sensor of that name.

    Raises:
        RecipeError: there is none, and the message suggests the nearest name; or an installed package offers one that
            cannot be used.
    """
    if name in _shipped():
        return _shipped_sensor(name)
    if name in _table().added:
        return _table().added[name]
    if name not in plugins.names(PACKAGE):
        raise RecipeError(
            f"unknown sensor {name!r}",
            remedy=f"{nearest(name, names())}; a sensor of your own is declared in the recipe's `sensors` section, or "
            "by --sensors FILE",
        )
    return _table().add(_of_package(name), plugins.origins(PACKAGE)[name])


def _of_package(name: str) -> Sensor:
    """The sensor that an installed package offers, validated like one from a file."""
    sensor = vars(plugins.find(PACKAGE, name)).get("SENSOR")
    said = f"the sensor {name!r} of {plugins.origins(PACKAGE)[name]} cannot be used"
    remedy = "mend or uninstall that package"
    if not isinstance(sensor, Sensor) or {sensor.name, *(band.sensor for band in sensor.bands)} != {name}:
        raise RecipeError(f"{said}: it defines no SENSOR of that name, with bands of that name", remedy=remedy)
    try:
        definition_of(sensor)
    except ValidationError as error:
        problems = "; ".join(plainly(one) for one in error.errors())
        raise RecipeError(f"{said}: {problems}", remedy=remedy) from None
    return sensor


def bands() -> tuple[Band, ...]:
    """The global band table. A band's position is its id: for use inside one process only, files store keys.

    Bands of shipped sensors come first; those of others follow when they are declared or first asked for.
    """
    return _table().bands


def band_id(key: str) -> int:
    """Id of the band with key `sensor/band`; RecipeError with the nearest key if there is none."""
    ids = _table().ids
    if key in ids:
        return ids[key]
    sensor = key.partition("/")[0]
    if sensor in names() and key in (own := [band.key for band in get(sensor).bands]):
        return ids[key]
    candidates = own if sensor in names() else list(ids)
    raise RecipeError(f"unknown band {key!r}", remedy=nearest(key, candidates))


def band(key: str) -> Band:
    """The band with key `sensor/band`; RecipeError with the nearest key if there is none."""
    return bands()[band_id(key)]


def of(key: str) -> Sensor:
    """The sensor of the band with key `sensor/band`; RecipeError with the nearest key if there is no such band."""
    return get(band(key).sensor)


# -- sensors of one's own ----------------------------------------------------------------------------------------------


def declare(definitions: Mapping[str, Any], where: str = "Python") -> list[Sensor]:
    """Make sensors of one's own known to this process; those that are known already, and alike, stay as they are.

    Args:
        definitions: by name; each a `SensorDefinition`, or a mapping as in a recipe's `sensors` section.
        where: what messages call the place where they stand.

    Raises:
        RecipeError: a definition is wrong, a name is that of a shipped sensor, or another sensor of that name is known
            that differs in what numbers depend on; the message names the difference.
    """
    return [_declare(name, one, where) for name, one in _validated(definitions, where, {}).items()]


def read(path: Path | str) -> list[Sensor]:
    """Declare the sensors of a YAML file: a definition by name, as below `sensors` in a recipe.

    Raises:
        RecipeError: the file cannot be read, or as for `declare`; the message names the line.
    """
    document, lines = load_file(path)
    return [_declare(name, one, str(path)) for name, one in _validated(document, str(path), lines).items()]


def load_file(path: Path | str) -> tuple[dict[str, Any], _yaml.Lines]:
    """Read a YAML file of sensors: its content, not validated, and where its keys are.

    Raises:
        RecipeError: the file cannot be read, or holds no mapping of names to definitions.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise RecipeError(f"cannot read the file of sensors: {said}", where=str(path)) from error
    document, lines = _yaml.read(text, str(path))
    if not isinstance(document, dict) or not document:
        raise RecipeError(
            "the file holds no mapping of names to sensors",
            where=str(path),
            remedy="write `my-drone: {kind: optical, dtype: uint16, bands: [...]}`; see docs/sensors.md",
        )
    return document, lines


def definitions(of_sensors: Iterable[str]) -> dict[str, SensorDefinition]:
    """Definitions of those of the given sensors that swath does not ship, to be stored beside data that uses their
    bands.
    """
    return {name: definition_of(get(name)) for name in of_sensors if name not in _shipped()}


def forget(name: str) -> None:
    """Drop a declared sensor, so that another definition of its name may follow: for notebooks.

    Ids of its bands are not given again: images and encoders made before do not fit those that are made after.
    """
    table = _table()
    with table.lock:
        sensor = table.added.pop(name, None)
        for one in sensor.bands if sensor else ():
            del table.ids[one.key]


def _validated(given: Mapping[str, Any], where: str, lines: _yaml.Lines) -> dict[str, SensorDefinition]:
    plain = {
        name: one.model_dump(mode="json") if isinstance(one, SensorDefinition) else one for name, one in given.items()
    }
    try:
        # through JSON, so that validation is strict (no "3" for 3) and lists may still stand for tuples
        content = json.dumps({"sensors": plain}, default=str)
        return _Declared.model_validate_json(content, strict=True).sensors
    except ValidationError as error:
        said = "\n".join(_explained(dict(one), lines) for one in error.errors())
        raise RecipeError(said, where=where, remedy="docs/sensors.md has an example") from None


def _explained(error: dict[str, Any], lines: _yaml.Lines) -> str:
    """One fault of a definition in words, with its line where it stands in a file."""
    keys = tuple(str(part) for part in error["loc"][1:] if part != "[key]")
    line = next((lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines), None)
    at = f"line {line}: " if line else ""
    if error["type"] == "extra_forbidden":
        model = BandDefinition if "bands" in keys else SensorDefinition
        return f"{at}{'.'.join(keys)}: unknown key; {nearest(keys[-1], model.model_fields)}"
    return f"{at}{'.'.join(keys)}: {plainly(error)}"


def _declare(name: str, definition: SensorDefinition, where: str) -> Sensor:
    if name in _shipped():
        raise RecipeError(f"swath has a sensor {name!r} of its own", where=where, remedy="give yours another name")
    if name not in names():
        return _table().add(definition.sensor(name), where)
    known = get(name)
    said = "; ".join(differences(definition_of(known).facts(), definition_of(definition.sensor(name)).facts()))
    if said:
        raise RecipeError(
            f"two sensors are called {name!r}; of {_table().origin[name]} and of {where}: {said}",
            where=where,
            remedy="give one of them another name, or use both with the same definition; a Python process that shall "
            "take a new one calls swath.sensors.forget first",
        )
    return known
