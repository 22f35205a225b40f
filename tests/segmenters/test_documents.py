from pathlib import Path

from swath import segmenters

DOCUMENT = (Path(__file__).parents[2] / "docs" / "segmenters.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    for block in DOCUMENT.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/segmenters.md", "exec"), names)
    assert names["segmenter"].network.final.out_channels == 20


def test_every_segmenter_has_a_row():
    rows = {row.split("|")[1].strip(" `") for row in DOCUMENT.splitlines() if row.startswith("| `")}
    assert sorted(rows) == segmenters.names()
