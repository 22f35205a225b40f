"""No false alarm on real images, and what is planted into them is found."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from swath import config
from swath.corpus import Corpus, check
from swath.corpus.checks.bands import PLACES
from swath.corpus.sources import build
from swath.corpus.store import arrays as _arrays
from swath.corpus.store.format import pixel_path
from tests.corpus.fakes import resealed

MANY = {"hls_water", "ombria"}
"""Folders of hundreds of images."""


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """Opens a corpus made of a folder of the real data, made once."""
    made = {}

    def corpus(folder: str, source) -> Corpus:
        if not (shared_data / folder).is_dir():
            pytest.skip(f"no {folder} in {shared_data}")
        if folder not in made:
            made[folder] = tmp_path_factory.mktemp("real") / folder
            data = shared_data / folder
            if folder in MANY:
                data = a_fifth(data, tmp_path_factory.mktemp("data"))
            build(source, made[folder], data)
        corpus = Corpus.open(made[folder])
        assert len(corpus) >= PLACES, "so few that bands out of order would be no error"
        return corpus

    return corpus


def a_fifth(folder: Path, target: Path) -> Path:
    """A folder with links to the files whose number ends in 0 or 5, and to those without a number."""
    for path in folder.rglob("*"):
        if path.is_file() and not re.search(r"[1-46-9]\.\w+$", path.name):
            link = target / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return target


def errors(corpus: Corpus) -> list[str]:
    return [str(finding) for finding in check(corpus, 100) if finding.level == "error"]


def recipe(name: str):
    """Its source; which chips show the same ground is not looked for, as that takes long and no check asks for it."""
    source = config.load(name).corpus.source
    return source.model_copy(update={"group": source.group.model_copy(update={"ground": None})})


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("hls_water", lambda: recipe("hls-landcover")),
        ("ombria", lambda: recipe("ombria")),
        ("cloudmask_ukis", lambda: config.resolve_source("cloudmask-ukis", [])),
    ],
)
def test_no_false_alarm(real, folder, source):
    assert errors(real(folder, source())) == []


@pytest.mark.parametrize("pair", [("BLUE", "RED"), ("RED", "NIR"), ("SWIR1", "SWIR2"), ("NIR", "SWIR1")])
def test_bands_exchanged_in_hls_chips(real, tmp_path, pair):
    corpus = real("hls_water", recipe("hls-landcover"))
    path = shutil.copytree(corpus.path, tmp_path / "c")
    bands = list(corpus.info.sensors["hls"].bands)
    order = np.arange(len(bands))
    i, j = (bands.index(name) for name in pair)
    order[[i, j]] = order[[j, i]]
    array = _arrays.open_array(pixel_path(path, "hls"), "pixels")
    array.write(array.read().result()[:, order]).result()
    assert any(f"{pair[0]} like {pair[1]}" in found for found in errors(resealed(path)))
