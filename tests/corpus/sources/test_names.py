"""Finding files: links to folders are entered once and without end."""

import os

import pytest

from swath.corpus.sources._names import below, matching
from swath.errors import CorpusError


def touch(*paths) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(root, pattern) -> list[str]:
    return [path.relative_to(root).as_posix() for path in matching(root, pattern)]


def test_patterns_enter_links_to_folders(tmp_path):
    root = tmp_path / "data"
    touch(root / "a/1.tif", root / "2.tif", tmp_path / "far/deep/3.tif", tmp_path / "far/4.txt")
    (root / "link").symlink_to(tmp_path / "far")
    assert names(root, "**/*.tif") == ["2.tif", "a/1.tif", "link/deep/3.tif"]
    assert names(root, "link/**/*.t[ix][ft]") == ["link/4.txt", "link/deep/3.tif"]
    assert names(root, "link/*/*.tif") == ["link/deep/3.tif"]
    assert names(root, "*/**/3.tif") == ["link/deep/3.tif"]
    assert names(root, "a/**/1.tif") == ["a/1.tif"]


def test_links_that_lead_in_circles_end(tmp_path):
    root = tmp_path / "data"
    touch(root / "a/1.tif", root / "b/2.tif", tmp_path / "beside.tif")
    (root / "a/again").symlink_to(root / "a")
    (root / "a/up").symlink_to(tmp_path)
    (root / "a/other").symlink_to(root / "b")
    (root / "b/other").symlink_to(root / "a")
    (root / "self").symlink_to(root / "self")
    assert names(root, "**/*.tif") == ["a/1.tif", "b/2.tif"]


def test_a_folder_is_entered_once_by_its_own_name(tmp_path):
    root = tmp_path / "data"
    touch(root / "z/1.tif", tmp_path / "far/2.tif")
    (root / "a").symlink_to(root / "z")
    (root / "m").symlink_to(tmp_path / "far")
    (root / "n").symlink_to(tmp_path / "far")
    assert [path.relative_to(root).as_posix() for path in below(root)] == ["m/2.tif", "z/1.tif"]
    assert names(root, "a/*.tif") == ["a/1.tif"]
    # a pattern that begins at the link sees what it leads to, though a folder beside it has its own name for it
    assert names(root, "a/**/*.tif") == ["a/1.tif"]
    assert names(root, "nowhere/**/*.tif") == []


def test_a_link_that_leads_nowhere_is_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nothing.tif")
    assert names(tmp_path, "*.tif") == names(tmp_path, "**/*.tif") == ["gone.tif"]


def test_a_linked_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path / "data/1.tif", tmp_path / "far/2.tif")
    (tmp_path / "data/link").symlink_to(tmp_path / "far")
    walk = os.walk

    def closed(top, onerror):
        if top.name == "link":
            onerror(PermissionError(13, "Permission denied", str(top)))
        return walk(top, onerror=onerror)

    monkeypatch.setattr("swath.corpus.sources._names.os.walk", closed)
    with pytest.raises(CorpusError, match="Permission denied") as error:
        below(tmp_path / "data")
    assert error.value.where == str(tmp_path / "data/link")
