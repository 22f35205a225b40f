"""What an item may name as its file: plain addresses of the web and of clouds' stores, and nothing else."""

import os

import pytest

from swath.corpus.sources.stac import _addresses as addresses
from swath.corpus.sources.stac._addresses import checked
from swath.errors import CorpusError

HOME = "https://api.example.org/v1"
REFUSED = [
    "/etc/hostname", "etc/hostname", "../a.tif", "./a.tif", "~/a.tif", "//host/share/a.tif", "C:\\a.tif",
    "file:///etc/hostname", "FILE:///etc/hostname", "file://localhost/etc/hostname", "zip:///tmp/a.zip!/a.tif",
    "zip+https://example.org/a.zip!/a.tif", "tar+https://example.org/a.tar!/a.tif", "gzip+file:///a.gz",
    "/vsizip//tmp/a.zip/a.tif", "/vsizip/vsicurl/https://example.org/a.zip/a.tif", "/vsigzip//tmp/a.gz",
    "/vsitar//tmp/a.tar/a", "/vsisubfile/0_100,/etc/hostname", "/vsicurl/https://example.org/a.tif",
    "/vsicurl?url=http%3A%2F%2F127.0.0.1", "/vsis3/bucket/a.tif", "/vsistdin/", "/vsimem/a.tif", "/vsisparse/a",
    "/vsicrypt/key=1,file=/etc/hostname", "vrt:///etc/a.tif?bands=1", "vrt://https://example.org/a.tif",
    "GTIFF_DIR:1:/tmp/a.tif", "GTIFF_RAW:/tmp/a.tif", "NETCDF:/tmp/a.nc:x", "HDF5:/tmp/a.h5://x", "WMS:http://127.0.0.1/",
    "WCS:http://127.0.0.1/",
    "<VRTDataset/>", "<GDAL_WMS/>", "  https://example.org/a.tif", "https://example.org/a b.tif",
    "https://example.org/a\n.tif", "https://example.org/a\x00.tif", "https://user:secret@example.org/a.tif",
    "https:///a.tif", "https:a.tif", "https://[::1/a.tif", "https://example.org:x/a.tif", "https://example.org/../a.tif",
    "https://example.org/%2e%2e/a.tif", "https://example.org/a.tif#b", "ftp://example.org/a.tif", "oss://bucket/a.tif",
    "data:image/tiff;base64,AAAA", "javascript:1", "s3:///a.tif", "s3://bucket/../other/a.tif", "s3://../a.tif",
    "gs://b@d/a.tif", "az://a?b/c", "", "http://127.0.0.1/a.tif", "http://127.1/a.tif", "http://2130706433/a.tif",
    "http://0x7f000001/a.tif", "http://0.0.0.0/a.tif", "http://[::1]/a.tif", "http://[::ffff:127.0.0.1]/a.tif",
    "http://localhost/a.tif", "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/a.tif",
    "http://192.168.1.1/a.tif", "http://172.16.0.1/a.tif", "http://[fd00::1]/a.tif",
    "https://example.org/" + "a" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("href", [*REFUSED, None, 7, ["https://example.org/a.tif"], {"href": "x"}, True])
def test_nothing_else_is_opened(href):
    with pytest.raises(CorpusError, match="is not opened"):
        checked(href, HOME)


@pytest.mark.parametrize(
    "href",
    [
        "https://example.org/a.tif",
        "http://example.org:8080/b/a.tif?sig=x%3D&se=1",
        "HTTPS://Example.org/a.tif",
        "s3://usgs-landsat/collection02/a_B4.TIF",
        "gs://gcp-public-data-landsat/a.tif",
        "az://container/a.tif",
    ],
)
def test_plain_addresses_are(href):
    assert checked(href, HOME) == href.replace("HTTPS", "https")


def test_a_catalogue_of_a_private_network_may_name_hosts_there():
    assert checked("http://127.0.0.1:8000/a.tif", "http://127.0.0.1:9000") == "http://127.0.0.1:8000/a.tif"


def test_a_name_that_means_a_private_address_is_one(monkeypatch):
    found = {"inside.example.org": "10.1.2.3", "outside.example.org": "93.184.216.34"}
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda host, _: [(0, 0, 0, "", (found[host], 0))])
    assert checked("https://outside.example.org/a.tif", HOME)
    with pytest.raises(CorpusError, match="its host is of a private network"):
        checked("https://inside.example.org/a.tif", HOME)
    assert checked("https://inside.example.org/a.tif", "https://inside.example.org/stac")


def test_a_signature_is_not_told():
    with pytest.raises(CorpusError) as caught:
        checked("ftp://example.org/a.tif?sig=secret", HOME)
    assert "secret" not in str(caught.value)


def test_files_of_this_machine_only_where_the_recipe_says_so(tmp_path):
    path = tmp_path / "a b.tif"
    path.write_bytes(b"")
    for href in (str(path), path.as_uri()):
        assert checked(href, HOME, local=True) == str(path)
        with pytest.raises(CorpusError, match=r"only http, https, s3, gs, az are \(catalogue.local allows"):
            checked(href, HOME)
    os.mkfifo(tmp_path / "pipe.tif")
    for href in (str(tmp_path / "pipe.tif"), str(tmp_path), "a.tif", f"/vsizip/{path}", f"file://host{path}"):
        with pytest.raises(CorpusError, match="there is no such file"):
            checked(href, HOME, local=True)
