"""The examples in docs/your-data.md are sections that swath accepts."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from swath.corpus.labels.target import TargetConfig
from swath.corpus.sources import points
from swath.corpus.sources.folder import Config

PAGE = (Path(__file__).parents[4] / "docs" / "your-data.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(example))
def test_examples_of_the_page(example):
    first = EXAMPLES[0]["corpus"]["source"]
    section = example["corpus"]["source"] if "corpus" in example else first | example
    if "quality" in section:
        hls = {"files": "*", "id": "(?P<id>.)", "sensor": "hls", "bands": {"RED": 4}}
        section = section | {"images": [*section["images"], hls]}
    kind = points.Config if section.get("name") == "points" else Config
    kind.model_validate(section)


def test_targets_of_the_page():
    rows = re.findall(r"^\| `(\{rule.*?\})` \|", PAGE, re.MULTILINE)
    assert {TypeAdapter(TargetConfig).validate_python(yaml.safe_load(row)).rule for row in rows} == {
        "dominant",
        "fraction",
        "scalar",
    }
