"""What every published format keeps: right pixels in physical units, no bad file in silence, no build lost.

A new format is asked for its case; what is particular to a format has a test module of its own.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning

from swath.corpus import Corpus, Reader, Selection, sources
from swath.corpus.sources import _contents
from swath.corpus.sources.published import _convert
from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import tif
from tests.corpus.sources.published.cases import CASES, Case
from tests.corpus.sources.reading import log, made


@dataclass(frozen=True)
class Written:
    """The files of a format and the corpus that was made of them."""

    name: str
    case: Case
    root: Path
    corpus: Corpus

    def made(self, target: Path, **settings) -> Corpus:
        return made(self.name, self.root, target, **self.case.settings, **settings)


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory) -> Written:
    folder, case = tmp_path_factory.mktemp(request.param), CASES[request.param]
    (folder / "in").mkdir()
    case.write(folder / "in")
    corpus = made(request.param, folder / "in", folder / "corpus", **case.settings)
    return Written(request.param, case, folder / "in", corpus)


def test_every_format_has_a_case():
    assert CASES.keys() == sources.formats().keys()


def test_pixels_are_what_the_files_mean(written):
    truth = written.case.truth(written.root)
    assert truth.keys() == written.corpus.info.sensors.keys()
    uids = written.corpus.locations["uid"].tolist()
    for sensor, (uid, expected) in truth.items():
        reader = Reader(written.corpus, {sensor: written.corpus.info.sensors[sensor].bands})
        image = reader.batch(np.array([uids.index(uid) if uid else 0]), Selection(dates="all")).images[sensor]
        found, valid = image.pixels[0, 0].numpy(), image.valid[0, 0].numpy()
        assert found.shape == expected.shape
        assert valid.mean() > 0.4
        np.testing.assert_allclose(found[:, valid], expected[:, valid], rtol=2e-5, atol=1e-6, err_msg=sensor)


def retype(path: Path) -> None:
    """The same values in a type that is none of the format's."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            changed = {name: array.astype("complex64") for name, array in arrays.items()}
        np.savez(path, **changed)
    elif path.suffix == ".npy":
        np.save(path, np.load(path).astype("float64"))
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as there:
                pixels, crs, transform = there.read(), there.crs, there.transform
        path.unlink()
        tif(path, pixels.astype("float64"), crs, transform)


@pytest.fixture
def file(written) -> Iterator[Path]:
    """The file that may be spoilt: it is put back, and what lies beside it."""
    path = max(written.root.rglob(written.case.file))
    contents = {one: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    yield path
    for one, content in contents.items():
        one.write_bytes(content)


def refused(written: Written, file: Path, target: Path) -> None:
    with pytest.raises(CorpusError) as error:
        written.made(target)
    assert file.stem in str(error.value) or file.parent.name in str(error.value), "the file is named"


def the_others_are_as_before(written: Written, corpus: Corpus) -> None:
    assert len(corpus) == written.case.survive
    kept = written.corpus.locations.set_index("uid")["digest"]
    assert corpus.locations["digest"].tolist() == kept[corpus.locations["uid"]].tolist()


@pytest.mark.parametrize("how", ["damaged", "of another type"])
def test_a_bad_file_stops_the_build_or_costs_its_locations_alone(written, file, how, tmp_path):
    if how == "damaged":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    else:
        (written.case.retype or retype)(file)
    refused(written, file, tmp_path / "stopped")
    if written.case.survive:
        corpus = written.made(tmp_path / "skipped", on_bad_file="skip")
        assert "bad file" in {entry["event"] for entry in log(corpus)}
        the_others_are_as_before(written, corpus)


def test_a_missing_file(written, file, tmp_path):
    file.unlink()
    missing = written.case.missing
    if missing in {"bad file", "listed"}:
        refused(written, file, tmp_path / "stopped")
    if missing == "listed" or not written.case.survive:
        refused(written, file, tmp_path / "stopped")
        return
    corpus = written.made(tmp_path / "fewer", on_bad_file="skip" if missing == "bad file" else "error")
    the_others_are_as_before(written, corpus)
    said = [entry for entry in log(corpus) if entry not in log(written.corpus)]
    assert bool(said) == (missing != "unseen")


class BegunError(Exception):
    """Raised in place of opening the corpus: pixels would be read next."""


def _shaped(written: Written, shapes: gpd.GeoDataFrame, tmp_path: Path) -> Corpus:
    shapes.to_file(tmp_path / "shapes.gpkg")
    entry = {"layer": "mine", "file": tmp_path / "shapes.gpkg", "code": 1, "classes": {1: "here"}}
    return written.made(tmp_path / "c", shapes=[entry])


def test_shapes_that_meet_no_location_are_refused_before_pixels_are_read(written, tmp_path, monkeypatch):
    def begun(*_):
        raise BegunError

    elsewhere = gpd.GeoDataFrame(geometry=[shapely.box(-150.1, -60.1, -150, -60)], crs="EPSG:4326")
    if written.corpus.locations["transform"].isna().all():
        with pytest.raises(CorpusError, match="have no georeference, so no shape can be laid over them"):
            _shaped(written, elsewhere, tmp_path)
        assert not len(Corpus.open(tmp_path / "c"))
        return
    monkeypatch.setattr(_convert, "CorpusWriter", begun)
    with pytest.raises(CorpusError, match="lies in any location") as error:
        _shaped(written, elsewhere, tmp_path)
    assert "before anything was stored" in str(error.value)
    # a shape in the middle of one location is enough
    last = gpd.GeoDataFrame(geometry=written.corpus.locations.geometry[-1:].representative_point())
    with pytest.raises(BegunError):
        _shaped(written, last, tmp_path)


def test_a_build_that_was_interrupted_continues_to_the_same_corpus(written, tmp_path, monkeypatch):
    append, appended = _contents.CorpusWriter.append, []

    def stops(self, part):
        if appended:
            raise KeyboardInterrupt
        appended.append(part)
        append(self, part)

    monkeypatch.setattr(_contents, "_PART_BYTES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(_contents.CorpusWriter, "append", stops)
        with pytest.raises(KeyboardInterrupt):
            written.made(tmp_path)
    assert 0 < len(Corpus.open(tmp_path)) < len(written.corpus)
    assert written.made(tmp_path).content_hash == written.corpus.content_hash
