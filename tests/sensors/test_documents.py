from pathlib import Path

from swath import sensors

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    for block in DOCUMENT.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/sensors.md", "exec"), names)


def test_every_sensor_has_a_row_that_says_its_missing_value():
    rows = {row.split("|")[1].strip(" `"): row.split("|") for row in DOCUMENT.splitlines() if row.startswith("| `")}
    assert sorted(rows) == sensors.names()
    for name, row in rows.items():
        sensor = sensors.get(name)
        missing = "NaN" if sensor.dtype == "float32" else "none"
        assert row[4].strip() == (missing if sensor.nodata is None else f"{sensor.nodata:g}")
        assert (row[5].strip() == "–") == (sensor.cloud is None)
        assert sensor.cloud is None or sensor.cloud.layer in row[5]
