from pathlib import Path

import numpy as np
import yaml

from swath import plugins, sensors

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    try:
        for block in DOCUMENT.split("```python\n")[1:]:
            exec(compile(block.split("```")[0], "docs/sensors.md", "exec"), names)
    finally:
        sensors.forget("my-radar")


def test_the_sensor_of_the_document_can_be_declared():
    (block,) = (block.split("```")[0] for block in DOCUMENT.split("```yaml\n")[1:])
    try:
        (sensor,) = sensors.declare(yaml.safe_load(block)["sensors"])
        assert float(sensor.scaling_of("thermal").physical(np.array([30_000]))[0]) == 300
    finally:
        sensors.forget("my-drone")


def test_every_sensor_has_a_row_that_says_its_missing_value():
    rows = {row.split("|")[1].strip(" `"): row.split("|") for row in DOCUMENT.splitlines() if row.startswith("| `")}
    assert sorted(rows) == plugins.shipped("swath.sensors")  # tests before may have declared others
    for name, row in rows.items():
        sensor = sensors.get(name)
        missing = "NaN" if sensor.dtype == "float32" else "none"
        assert row[4].strip() == (missing if sensor.nodata is None else f"{sensor.nodata:g}")
        assert (row[5].strip() == "–") == (sensor.cloud is None)
        assert sensor.cloud is None or sensor.cloud.layer in row[5]
