"""Labels are on the disk before they count, come back as they were given, and are never half there."""

import errno
import os

import numpy as np
import pytest

from swath.errors import SwathError
from swath.products.explore import LabelClass, Labels

NAMES = [f"s{i}" for i in range(6)]


def opened(path, names=NAMES, corpus="a"):
    return Labels(path, names, corpus)


def acted(path):
    """Labels after two classes, labels, a change, a polygon and what was undone."""
    labels = opened(path)
    labels.declare("  open   water ")
    labels.declare("<img src=x onerror=alert(1)>", "#ABCDEF")
    labels.give("open water", np.array([0, 1, 2]))
    labels.give("<img src=x onerror=alert(1)>", np.array([2, 5]), polygon=[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels.give(None, np.array([1]))
    labels.give("open water", np.array([3]))
    labels.undo()
    return labels


def test_what_is_given_comes_back(tmp_path):
    labels = acted(tmp_path / "a.jsonl")
    for _ in range(2):
        assert labels.classes[0] == LabelClass("open water", "#1f6fd6")  # the colour that maps give to water
        assert labels.classes[1] == LabelClass("<img src=x onerror=alert(1)>", "#abcdef")
        assert labels.given.tolist() == [0, -1, 1, -1, -1, 1]
        assert labels.counts == [1, 2]
        assert labels.polygons == [("<img src=x onerror=alert(1)>", [[0, 0], [1, 0], [0, 1]])]
        assert labels.notes == []
        labels.close()
        labels = opened(tmp_path / "a.jsonl")


def test_every_act_can_be_undone_also_after_a_new_start(tmp_path):
    labels = acted(tmp_path / "a.jsonl")
    seen = []
    while labels.acts:
        seen.append((labels.given.tolist(), len(labels.classes)))
        labels.close()
        labels = opened(tmp_path / "a.jsonl")
        assert labels.undo()
    assert seen == [
        ([0, -1, 1, -1, -1, 1], 2),
        ([0, 0, 1, -1, -1, 1], 2),
        ([0, 0, 0, -1, -1, -1], 2),
        ([-1] * 6, 2),
        ([-1] * 6, 1),
    ]
    assert not labels.undo()
    assert not labels.classes


def test_an_act_is_in_the_file_when_it_is_done(tmp_path):
    """What the system was given is not lost with the process: kill -9 after any act finds all of them."""
    labels = opened(tmp_path / "a.jsonl")
    labels.declare("a")
    for row in range(3):
        labels.give("a", np.array([row]))
        lines = (tmp_path / "a.jsonl").read_bytes().splitlines()
        assert len(lines) == 3 + row
        assert f'"s{row}"'.encode() in lines[-1]


def test_a_file_that_was_cut_off_anywhere_opens_with_all_whole_acts(tmp_path):
    labels = acted(tmp_path / "a.jsonl")
    labels.close()
    whole = (tmp_path / "a.jsonl").read_bytes()
    cut = tmp_path / "cut.jsonl"
    ends = [place + shift for place, byte in enumerate(whole) if byte == 10 for shift in (0, 1, 2)]
    for length in [0, 1, 40, *ends[:-1], len(whole) - 9]:
        cut.write_bytes(whole[:length])
        labels = opened(cut)
        acts = whole[:length].count(b"\n") - 1  # the first line is none
        undone = max(0, acts - 6)
        assert labels.acts == max(0, acts) - 2 * undone
        assert bool(labels.notes) == (acts >= 0 and not whole[:length].endswith(b"\n"))
        labels.declare("new")
        labels.close()
        labels = opened(cut)
        assert labels.classes[-1].name == "new"
        assert labels.notes == []
        labels.close()


@pytest.mark.parametrize("part", [0, 7])
def test_on_a_full_disk_nothing_is_changed(tmp_path, monkeypatch, part):
    labels = acted(tmp_path / "a.jsonl")
    before, given = (tmp_path / "a.jsonl").read_bytes(), labels.given.copy()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fails(line):
        os.write(labels._file.fileno(), line[:part])
        if part:
            return part
        raise full

    with monkeypatch.context() as patch:
        real = labels._file
        patch.setattr(labels, "_file", Disk(real, fails))
        with pytest.raises(OSError, match="No space left") as caught:
            labels.give("open water", np.array([4]))
    assert str(caught.value.filename) == str(tmp_path / "a.jsonl")
    assert (labels.given == given).all()
    assert (tmp_path / "a.jsonl").read_bytes() == before
    labels.give("open water", np.array([4]))
    labels.close()
    assert opened(tmp_path / "a.jsonl").given[4] == 0


class Disk:
    """A file that is written otherwise."""

    def __init__(self, file, write):
        self._file, self.write = file, write

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:3], b"{]", *lines[4:]], r"labels are damaged\n.*line 4"),
        (lambda lines: [*lines[:3], b'{"do": "label"}', *lines[4:]], r"labels are damaged\n.*line 4"),
        (lambda lines: [lines[0], b'{"do": "undo"}'], r"labels are damaged\n.*line 2"),
        (lambda lines: [lines[0], lines[3]], "the class 'open water' is not declared"),
        (lambda lines: [lines[0].replace(b": 1,", b": 9,"), *lines[1:]], "have format 9, this swath reads 1"),
        (lambda lines: [lines[0].replace(b'"a"', b'"b"'), *lines[1:]], "labels of another corpus"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_is_touched(tmp_path, change, message):
    path = tmp_path / "a.jsonl"
    acted(path).close()
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    before = path.read_bytes()
    for _ in range(2):  # and the file is not left locked
        with pytest.raises(SwathError) as caught:
            opened(path)
        assert caught.match(message) or message in str(caught.value)
    assert path.read_bytes() == before


def test_locations_that_the_index_lacks_are_counted_and_kept(tmp_path):
    acted(tmp_path / "a.jsonl").close()
    labels = opened(tmp_path / "a.jsonl", names=["s5", "s0", "new"])
    assert labels.given.tolist() == [1, 0, -1]
    assert labels.notes == ["3 labelled locations are not in this index, such as s1"]
    labels.close()
    assert opened(tmp_path / "a.jsonl").given.tolist() == [0, -1, 1, -1, -1, 1]


def test_two_writers(tmp_path):
    labels = opened(tmp_path / "a.jsonl")
    with pytest.raises(SwathError, match="another swath explore has these labels open"):
        opened(tmp_path / "a.jsonl")
    labels.close()
    opened(tmp_path / "a.jsonl").close()


@pytest.mark.parametrize(
    ("name", "colour", "message"),
    [
        ("  ", None, "is no name of a class"),
        ("x" * 81, None, "is no name of a class"),
        ("a\x1b[31m", None, "is no name of a class"),
        ("open water", None, "there is a class 'open water' already"),
        ("a", "red", "'red' is no colour"),
        ("a", "#0072b2;}", "is no colour"),
    ],
)
def test_classes_that_cannot_be_declared(tmp_path, name, colour, message):
    labels = acted(tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(SwathError, match=message):
        labels.declare(name, colour)
    assert (tmp_path / "a.jsonl").read_bytes() == before


def test_labels_that_cannot_be_given(tmp_path):
    labels = acted(tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(SwathError, match="'open wate' is not declared") as caught:
        labels.give("open wate", np.array([0]))
    assert "did you mean 'open water'?" in str(caught.value)
    with pytest.raises(SwathError, match="no location is there"):
        labels.give("open water", np.array([], np.int64))
    assert (tmp_path / "a.jsonl").read_bytes() == before
