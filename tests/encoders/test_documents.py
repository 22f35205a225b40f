from pathlib import Path

from swath import encoders, plugins

DOCUMENT = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    for block in DOCUMENT.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/encoders.md", "exec"), names)
    assert names["encoder"].dim == 512


def test_every_encoder_has_a_row_with_its_settings():
    rows = {row.split("|")[1].strip(" `"): row.split("|") for row in DOCUMENT.splitlines() if row.startswith("| `")}
    assert sorted(rows) == encoders.names()
    for name, row in rows.items():
        settings = set(plugins.find("swath.encoders", name).Config.model_fields) - {"name"}
        assert {part.strip(" `") for part in row[3].split(",")} == (settings or {"none"})
