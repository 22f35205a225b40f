"""Tar files whose heads lie: an error that names the file, at once and in little memory."""

import io
import tarfile
from pathlib import Path

import pytest

from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import _tar

NAMES = ["a.zarr.zip", "b.zarr.zip", "c.zarr.zip"]


def written(path: Path, kind: int = tarfile.PAX_FORMAT, prefix: str = "") -> Path:
    """Three members of 600 bytes each."""
    with tarfile.open(path, "w", format=kind) as archive:
        for number, name in enumerate(NAMES):
            member = tarfile.TarInfo(prefix + name)
            member.size = 600
            archive.addfile(member, io.BytesIO(b"%d" % number * 600))
    return path


def head(kind: bytes, size: bytes) -> bytes:
    """The head of a member of this type that says this size, with the right checksum."""
    member = tarfile.TarInfo("x")
    member.type = kind
    raw = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = size
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def spoilt(path: Path, at: int, content: bytes) -> None:
    raw = bytearray(written(path).read_bytes())
    raw[at : at + len(content)] = content
    path.write_bytes(raw)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("prefix", ["", "folder/" * 13, "é/"])
def test_members(tmp_path, kind, prefix):
    path = written(tmp_path / "a.tar", kind, prefix)
    found = _tar.members(path, "a.tar")
    assert [member.name for member in found] == [prefix + name for name in NAMES]
    contents = [path.read_bytes()[one.offset_data : one.offset_data + one.size] for one in found]
    assert contents == [b"0" * 600, b"1" * 600, b"2" * 600]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + (2**60).to_bytes(11, "big"), b"\xff" * 12])
@pytest.mark.parametrize("at", [0, 1536])
def test_heads_that_say_absurd_sizes(tmp_path, kind, size, at):
    spoilt(tmp_path / "a.tar", at, head(kind, size))
    words = "a.tar cannot be read: " + ("" if size[:1] == b"\xff" else r"a head says that it has [\d,]{11,} bytes")
    with pytest.raises(BadFileError, match=words):
        _tar.members(tmp_path / "a.tar", "a.tar")


def test_a_member_that_leads_back(tmp_path):
    """Of which tarfile of older Pythons lists the same members without an end."""
    spoilt(tmp_path / "a.tar", 1536, head(tarfile.REGTYPE, b"\xff" * 10 + b"\xf0\x00"))
    with pytest.raises(BadFileError, match="the next one lies before it"):
        _tar.members(tmp_path / "a.tar", "a.tar")


def test_heads_one_after_the_other(tmp_path):
    (tmp_path / "a.tar").write_bytes(head(tarfile.XHDTYPE, b"00000000000\0") * 3000)
    with pytest.raises(BadFileError, match="cannot be read"):
        _tar.members(tmp_path / "a.tar", "a.tar")


@pytest.mark.parametrize("at", [1536, 3072])
def test_a_damaged_head_is_no_end(tmp_path, at):
    spoilt(tmp_path / "a.tar", at + 3, b"?")
    with pytest.raises(BadFileError, match=f"no mark of the end follows its {at // 1536} files"):
        _tar.members(tmp_path / "a.tar", "a.tar")


@pytest.mark.parametrize("length", [1536, 1600, 3072, 4608])
def test_a_file_that_is_cut(tmp_path, length):
    path = written(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadFileError, match=r"cut|cannot be read"):
        _tar.members(path, "a.tar")


def test_members_with_holes(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.zarr.zip")
        member.pax_headers = {"GNU.sparse.map": "0,100,500,100", "GNU.sparse.size": "600"}
        member.size = 200
        archive.addfile(member, io.BytesIO(bytes(200)))
    with pytest.raises(BadFileError, match=r"leaves out parts of a\.zarr\.zip \(sparse\)"):
        _tar.members(tmp_path / "a.tar", "a.tar")
