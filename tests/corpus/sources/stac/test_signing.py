"""Signatures are for the hosts that they belong to, and for nobody else."""

import datetime as dt

import pytest

from swath.corpus.sources.stac import _signing as signing
from swath.corpus.sources.stac._catalogue import Catalogue
from swath.corpus.sources.stac._hosts import Patience, TransientError
from swath.corpus.sources.stac._signing import TokenSigner

PATIENCE = Patience(0, 0.01, 1.0)
BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/T/B02.tif"


@pytest.fixture
def asked(monkeypatch):
    """Addresses at which tokens were had; each has one of its own."""
    seen = []

    def answer(url, _):
        seen.append(url)
        return {
            "token": f"sig={len(seen)}",
            "msft:expiry": (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(),
        }

    monkeypatch.setattr(signing, "json_of", answer)
    return seen


def test_every_container_of_azure_has_a_token_of_its_own(asked):
    signer = TokenSigner(Catalogue(name="planetary-computer").tokens, (), PATIENCE)
    api = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    assert signer.sign(BLOB) == f"{BLOB}?sig=1"
    assert signer.sign(BLOB) == f"{BLOB}?sig=1"
    other = "https://landsateuwest.blob.core.windows.net/landsat-c2/level-2/B4.TIF"
    assert signer.sign(f"{other}?x=1") == f"{other}?x=1&sig=2"
    assert asked == [f"{api}/sentinel2l2a01/sentinel2-l2", f"{api}/landsateuwest/landsat-c2"]
    signer.renew()
    assert signer.sign(BLOB).endswith("?sig=3")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.org/B02.tif",
        "http://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/B02.tif",
        "https://sentinel2l2a01.blob.core.windows.net.evil.example.org/sentinel2-l2/B02.tif",
        "https://evil.example.org/sentinel2l2a01.blob.core.windows.net/sentinel2-l2/B02.tif",
        "https://sentinel2l2a01.blob.core.windows.net:8443/sentinel2-l2/B02.tif",
        "s3://bucket/B02.tif",
    ],
)
def test_no_other_host_gets_one(asked, address):
    signer = TokenSigner(Catalogue(name="planetary-computer").tokens, (), PATIENCE)
    assert signer.sign(address) == address
    assert asked == []


def test_tokens_of_ones_own_go_to_their_host_or_to_those_that_are_named(asked):
    template = "https://tokens.example.org:8000/t/collection"
    own = TokenSigner(template, (), PATIENCE)
    assert own.sign("https://tokens.example.org:8000/a.tif").endswith("?sig=1")
    assert own.sign("https://tokens.example.org/a.tif") == "https://tokens.example.org/a.tif"
    assert own.sign("https://files.example.org/a.tif") == "https://files.example.org/a.tif"
    named = TokenSigner(template, ("Files.example.org",), PATIENCE)
    assert named.sign("https://files.example.org/a.tif").endswith("?sig=2")
    assert "sig" not in named.sign("https://tokens.example.org:8000/a.tif")


@pytest.mark.parametrize(
    "answer", [{}, {"token": "x"}, {"token": "x", "msft:expiry": "soon"}, {"token": "x", "msft:expiry": 7}]
)
def test_an_answer_without_a_token_is_a_failure(monkeypatch, answer):
    monkeypatch.setattr(signing, "json_of", lambda *_: answer)
    with pytest.raises(TransientError):
        TokenSigner("https://tokens.example.org/t", (), PATIENCE).sign("https://tokens.example.org/a.tif")
