"""How a command that fails ends."""

import errno
import re
from pathlib import Path

import pytest
import torch

from swath._endings import ending
from swath.errors import RecipeError

LINES = re.compile(r"[^\n]+\n  where: [^\n]+\n  do:    [^\n]+")


def test_what_was_foreseen_says_itself():
    assert ending(RecipeError("what", where="here", remedy="this")) == ("what\n  where: here\n  do:    this", 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.zarr"), "disk is full\n  where: x.zarr"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "disk is full"),
        (OSError(errno.EFBIG, "File too large", "x.npy"), "larger than may be written\n  where: x.npy"),
        (PermissionError(errno.EACCES, "denied", "out"), "no permission to read or write\n  where: out"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), "path is too long"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "loop"), "links lead in a circle\n  where: loop"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), "a folder was expected here"),
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "not enough memory"),
        (
            RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might"),
            "the GPU failed or disappeared",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "nvidia-smi"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "enough memory"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_machine_lacks_is_three_lines(error, said):
    message, code = ending(error)
    assert code == 2
    assert said in message
    assert LINES.fullmatch(message)


def test_the_unforeseen_is_three_lines_and_a_file_with_the_details(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["swath", "run", "mine.yaml"])
    with pytest.raises(KeyError) as caught:
        _ = {}["where\nnot"]
    message, code = ending(caught.value)
    assert code == 70
    assert LINES.fullmatch(message)
    assert "KeyError" in message.splitlines()[0]
    (file,) = tmp_path.iterdir()
    assert f"where: {file}" in message
    details = file.read_text()
    assert "Traceback (most recent call last)" in details
    assert "['swath', 'run', 'mine.yaml']" in details
    assert "test_endings.py" in details
    assert re.search(r"^numpy \d", details, re.MULTILINE)


def test_where_no_file_can_be_written_the_details_are_printed(monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(Path("nowhere") / "at" / "all"))
    message, code = ending(ZeroDivisionError("by zero"))
    assert code == 70
    assert "where: printed above" in message
    assert "ZeroDivisionError: by zero" in capsys.readouterr().err
