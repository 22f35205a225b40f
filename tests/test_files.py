"""Names that become files, and files that are whole or not there."""

import errno
import os
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath._files import LONGEST, file_name, read_json, replacing, write_whole

ODD = [
    "../x",
    "/etc/passwd",
    "a/b",
    ".",
    "..",
    "",
    "a\0b",
    "b\udce9d",
    "C:x",
    "~",
    "%2F",
    "a\nb",
    "x" * 300,
    "ä" * 200,
    "NA",
]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_a_name_stays_in_its_folder(tmp_path, name):
    path = tmp_path / f"{file_name(name)}.zarr"
    path.write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert len(os.fsencode(file_name(name))) <= LONGEST
    assert not file_name(name).startswith(".")


@pytest.mark.parametrize("name", ["cover", "land cover", "S2A_T31UFS.2021-01-02", "wälder", "crops+clouds (2)"])
def test_ordinary_names_stay_as_they_are(name):
    assert file_name(name) == name


@settings(max_examples=50)
@given(st.text(max_size=30), st.text(max_size=30))
def test_different_names_make_different_files(one, other):
    assert (file_name(one) == file_name(other)) == (one == other)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_a_short_name_can_be_read_back_as_from_a_url(name):
    assert unquote(file_name(name)) == name


def test_long_names_that_begin_alike_stay_apart():
    assert file_name("x" * 299 + "a") != file_name("x" * 299 + "b")
    assert file_name("x" * 300).startswith("xxx")


def test_processes_that_write_one_file_do_not_meet(tmp_path):
    """Both begin before either ends, as two runs of one folder do."""
    with replacing(tmp_path / "recipe.yaml") as one, replacing(tmp_path / "recipe.yaml") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "recipe.yaml").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.yaml"]


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, b"\xe9", "1" * 5000], ids=["empty", "half", "deep", "latin", "long"]
)
def test_damaged_json_is_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        read_json(tmp_path / "a.json")


def test_what_fails_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "a", "old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a") as temporary:
        (temporary / "half").write_text("x")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_numpys_short_write_is_a_full_disk_with_the_files_name(tmp_path):
    """NumPy says how much it wrote, and nothing else: a command would end with something unforeseen."""
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "x.npy"):
        raise OSError("7680 requested and 4968 written")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "x.npy"))
    assert not list(tmp_path.iterdir())
