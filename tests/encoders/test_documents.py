from pathlib import Path

from swath import encoders, plugins

DOCUMENT = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    for block in DOCUMENT.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/encoders.md", "exec"), names)
    assert names["encoder"].dim == 512


def rows_of(section):
    return {row.split("|")[1].strip(): row.split("|") for row in section.splitlines() if row.startswith("| `")}


def test_every_card_of_published_weights_is_named():
    section = DOCUMENT.partition("## Published weights")[2].partition("\n## ")[0]
    named = [part.strip(" `") for row in rows_of(section) for part in row.split(",")]
    assert sorted(f"ssl4eo-l{name}" if name.startswith("-") else name for name in named) == encoders.published_names()


def test_every_encoder_has_a_row_with_its_settings():
    rows = {name.strip("`"): row for name, row in rows_of(DOCUMENT.partition("\n## ")[0]).items()}
    assert sorted(rows) == encoders.names()
    for name, row in rows.items():
        settings = set(plugins.find("swath.encoders", name).Config.model_fields) - {"name"}
        assert {part.strip(" `") for part in row[3].split(",")} == (settings or {"none"})
