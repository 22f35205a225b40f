from pathlib import Path

from swath.corpus import BandStatistics, CorpusInfo, SensorLayout
from swath.corpus.store.index import CHIP_SCHEMA, LOCATION_COLUMNS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "corpus-format.md").read_text(encoding="utf-8")


def test_examples_run():
    names: dict = {}
    for block in DOCUMENT.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/corpus-format.md", "exec"), names)


def test_every_key_and_column_is_described():
    keys = [*CorpusInfo.model_fields, *SensorLayout.model_fields, *BandStatistics.model_fields]
    assert [name for name in (*keys, *LOCATION_COLUMNS, *CHIP_SCHEMA.names) if f"`{name}`" not in DOCUMENT] == []
