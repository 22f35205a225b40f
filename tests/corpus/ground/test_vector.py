"""Tables as they are meant: a line with more cells than names, a name twice and radians are not taken in silence."""

import pytest

from swath.corpus.ground import vector
from swath.errors import CorpusError


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return vector.read(path, "the.key")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat,t\n10,20,2.5,7\n11,21,3.5,8\n", "rows have more cells than the first line has names"),
        ("lon,lat\n10,20,2.5,7\n11,21,3.5,8\n", "rows have more cells than the first line has names"),
        ("lon,lat,t\n10,20,2.5,\n", "rows have more cells than the first line has names"),
        ("lon,lat,t,t\n10,20,2.5,7\n", "two columns are called 't'"),
    ],
)
def test_cells_without_a_name_of_their_own_are_refused(tmp_path, text, words):
    with pytest.raises(CorpusError, match=words):
        table(tmp_path, text)


@pytest.mark.parametrize("text", ["lon,lat,t,\n10,20,2.5,\n", ",lon,lat,t\n0,10,20,2.5\n"])
def test_names_that_are_empty_are_names(tmp_path, text):
    read = table(tmp_path, text)
    assert (read.geometry.x.item(), read.geometry.y.item(), read["t"].item()) == (10, 20, 2.5)


def test_what_looks_like_radians_is_said(tmp_path, capsys):
    table(tmp_path, "lon,lat\n-3.1,1.5\n0.2,-0.9\n")
    assert "if these are radians, give degrees" in " ".join(capsys.readouterr().err.split())
    table(tmp_path, "lon,lat\n-3.2,1.5\n0.2,-0.9\n")
    assert not capsys.readouterr().err
