"""The promises of a sensor."""

import numpy as np

from swath import sensors


def bands_are_in_the_table(name: str) -> None:
    """Every band has an id of its own and is found by its key."""
    sensor = sensors.get(name)
    keys = [band.key for band in sensor.bands]
    assert len(set(keys)) == len(keys), f"{name} has two bands of one name"
    for key in keys:
        assert sensors.bands()[sensors.band_id(key)].key == key, f"{key} is not in the table of bands"
        assert sensors.of(key) is sensor, f"{key} is another sensor's"


def facts_can_travel(name: str) -> None:
    """A corpus and a checkpoint can carry it: as plain data it is the same sensor."""
    sensor = sensors.get(name)
    again = sensors.definition_of(sensor).sensor(name)
    assert again.bands == sensor.bands, f"the bands of {name} change when they are written and read"
    for band in sensor.bands:
        assert again.scaling_of(band.name) == sensor.scaling_of(band.name), f"the scaling of {band.key} changes"


def counts_reach_plausible_values(name: str) -> None:
    """Some counts become physical values that the sensor itself calls plausible: a scale that is wrong misses them."""
    sensor = sensors.get(name)
    for band in sensor.bands:
        scaling, (low, high) = sensor.scaling_of(band.name), sensor.range_of(band.name)
        assert low < high, f"the range of {band.key} is empty"
        middle = 10 ** ((low + high) / 20) if scaling.decibel else (low + high) / 2
        count = (middle - scaling.offset) / scaling.scale
        if np.dtype(sensor.dtype).kind in "iu":
            limits = np.iinfo(sensor.dtype)
            assert limits.min <= count <= limits.max, f"no count of {band.key} is a plausible value"
        value = float(scaling.physical(np.array([count]))[0])
        assert low < value < high, f"{band.key}: the count {count:g} becomes {value:g}"


def missing_pixels_are_no_data(name: str) -> None:
    """The count that marks missing pixels is one that the type holds."""
    sensor = sensors.get(name)
    if sensor.nodata is not None:
        held = np.array([sensor.nodata]).astype(sensor.dtype)
        assert float(held[0]) == sensor.nodata, f"{sensor.dtype} does not hold nodata {sensor.nodata:g} of {name}"


CHECKS = (bands_are_in_the_table, facts_can_travel, counts_reach_plausible_values, missing_pixels_are_no_data)
