import numpy as np
import pytest
from typer.testing import CliRunner

from swath.cli import app
from swath.corpus import Corpus, SplitConfig, leakage, split
from swath.errors import CorpusError
from swath.products.split_map import audit_rows, distance, split_map
from tests.corpus.fakes import make


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("map") / "c")


def test_a_map_is_a_picture_or_a_drawing(corpus, tmp_path):
    rows = split(corpus, SplitConfig())
    assert split_map(corpus, rows, tmp_path / "new" / "map.png").read_bytes().startswith(b"\x89PNG")
    drawing = split_map(corpus, rows, tmp_path / "map.svg").read_text()
    assert all(f"{part} (" in drawing for part in rows)
    assert "nearest train–test distance" in drawing


def test_what_cannot_be_drawn(corpus, tmp_path):
    rows = split(corpus, SplitConfig())
    with pytest.raises(CorpusError, match=r"no \.pdf"):
        split_map(corpus, rows, tmp_path / "map.pdf")
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="cannot write the map"):
        split_map(corpus, rows, tmp_path / "file" / "map.png")
    nowhere = Corpus(corpus.path, corpus.info, corpus.locations.assign(lon=np.nan, lat=np.nan), corpus.chips)
    with pytest.raises(CorpusError, match="no location has coordinates"):
        split_map(nowhere, rows, tmp_path / "map.png")
    assert "distance" not in str(audit_rows(leakage(nowhere, rows)))


def test_distances_are_read_easily():
    assert [distance(km) for km in (0.0123, 1.2345, 9.999, 12.345, 1234.5)] == [
        "12 m",
        "1 234 m",
        "9 999 m",
        "12.3 km",
        "1 234.5 km",
    ]


def test_command_line(corpus, tmp_path):
    command = ["corpus", "split", str(corpus.path)]
    done = CliRunner().invoke(app, [*command, "by=block", "block_km=0.5", "--to", str(tmp_path / "m.png")])
    assert done.exit_code == 0, done.output
    assert "nearest train–test distance" in done.output
    assert "split by block" in done.output
    assert (tmp_path / "m.png").exists()
    assert "split by group" in CliRunner().invoke(app, [*command, "quickstart"]).output
    wrong = CliRunner().invoke(app, [*command, "block_kn=5"])
    assert isinstance(wrong.exception, Exception)
    assert "block_km" in str(wrong.exception)
